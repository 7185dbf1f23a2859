package relay_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

func TestRequesterWhoLeavesStopsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), &requester{}
		type key struct{}
		ctx, leave := context.WithCancel(context.WithValue(t.Context(), key{}, "the requester's"))
		time.AfterFunc(1500*time.Millisecond, leave)
		asked := miners{
			1: says("a", "b", "c").every(time.Second).ask, 2: says("x").every(time.Minute).ask,
		}
		err := s.relay.Serve(ctx, w,
			relay.Query{Miners: asked, Done: func(ctx context.Context, result *relay.Result) error {
				require.NoError(t, ctx.Err(), "not cancelled by the requester's leaving")
				require.Equal(t, "the requester's", ctx.Value(key{}))
				return s.done(ctx, result)
			}})
		require.ErrorIs(t, err, relay.ErrLeft)
		status, _ := organic.RefusalOf(err)
		require.Equal(t, 499, status, "no failed hook")
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, events("a"), w.stream())
		result := s.result()
		require.Equal(t, "abc", result.Answers[1].Text())
		require.Equal(t, "x", result.Answers[2].Text())
		require.Equal(
			t, relay.Stream{State: relay.StreamLeft, Picked: true, UID: 1, Chunks: 1, Bytes: 1},
			result.Stream,
		)
		require.EqualValues(t, 1, s.relay.Stats().Left)
	})
}

func TestRequesterWhoLeavesStopsTheMinersByOption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), &requester{}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		asked := miners{
			1: says("a", "b").every(time.Second).ask, 2: says("x").every(time.Minute).ask,
		}
		err := s.serve(ctx, w, relay.Query{Miners: asked, StopOnLeave: true})
		require.ErrorIs(t, err, relay.ErrLeft)
		result := s.result()
		require.Equal(t, "a", result.Answers[1].Text(), "what was sent is scored")
		for _, answer := range result.Answers {
			require.Equal(t, relay.Cancelled, answer.Ending)
			require.ErrorIs(t, answer.Err, relay.ErrLeft)
		}
		require.Equal(t, 1500*time.Millisecond, result.Took)
	})
}

func TestNoMinerIsAskedForARequesterWhoHasLeft(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.serve(ctx, &requester{}, relay.Query{Miners: miners{1: says("a").ask}})
	require.ErrorIs(t, err, relay.ErrLeft)
	require.ErrorIs(t, err, relay.ErrNotAsked)
	require.Zero(t, s.relay.Stats())
}

func TestRequesterWhoCannotBeWrittenTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), &requester{err: errMishap}
		err := s.serve(
			t.Context(), w, relay.Query{Miners: miners{1: says("a", "b").every(time.Second).ask}},
		)
		require.ErrorIs(t, err, relay.ErrLeft)
		require.Equal(t, "ab", s.result().Answers[1].Text())
	})
}

// slowly takes this long for each write.
func slowly(d time.Duration) func(int) time.Duration {
	return func(int) time.Duration { return d }
}

func TestSlowRequesterGetsAllAndDelaysNoMiner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), &requester{pace: slowly(9 * time.Second)}
		miner := says("a", "b", "c", "d").every(time.Second)
		require.NoError(t, s.serve(t.Context(), w, relay.Query{Miners: miners{1: miner.ask}}))
		require.Equal(t, events("a", "b", "c", "d", "[DONE]"), w.stream())
		result := s.result()
		require.Equal(t, 4*time.Second, result.Answers[1].Ended)
		require.Equal(
			t, relay.StreamOpen, result.Stream.State, "complete before the stream has ended",
		)
	})
}

func TestRequesterBehindTheLimitIsCutOffAndTold(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]relay.Wire{"sse": relay.SSE{}, "raw": relay.PlainText{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, w := newStand(t, relay.WithMaxLag(10)), &requester{
					pace: slowly(4500 * time.Millisecond),
				}
				miner := says("aaaa", "bbbb", "cccc", "dddd", "eeee").every(time.Second)
				err := s.serve(
					t.Context(), w, relay.Query{Miners: miners{1: miner.ask}, Wire: wire},
				)
				if name == "sse" {
					require.NoError(t, err)
					require.Equal(t, events("aaaa", failure(relay.TooSlow)), w.stream())
				} else {
					require.ErrorIs(t, err, relay.ErrTooSlow)
					require.Equal(t, "aaaa", w.stream())
				}
				result := s.result()
				require.Equal(t, "aaaabbbbccccddddeeee", result.Answers[1].Text())
				require.Equal(t, relay.Complete, result.Answers[1].Ending)
				require.EqualValues(t, 1, s.relay.Stats().TooSlow)
			})
		})
	}
}

func TestRequesterWhoKeepsUpIsNotCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t, relay.WithMaxLag(8)), &requester{pace: slowly(time.Second)}
		chunks := []string{"aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff"}
		require.NoError(
			t,
			s.serve(
				t.Context(), w,
				relay.Query{Miners: miners{1: says(chunks...).every(1100 * time.Millisecond).ask}},
			),
		)
		require.Equal(t, events(append(chunks, "[DONE]")...), w.stream())
		s.result()
	})
}

func TestRequesterWhoTakesNothingIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, relay.WithWriteTimeout(5*time.Second))
		w := &requester{
			pace: func(write int) time.Duration { return time.Duration(write-1) * time.Hour },
		}
		miner := says("a", "b", "c").every(10 * time.Second)
		start := time.Now()
		err := s.serve(t.Context(), w, relay.Query{Miners: miners{1: miner.ask}, StopOnLeave: true})
		require.ErrorIs(t, err, relay.ErrTooSlow)
		require.Equal(t, 25*time.Second, time.Since(start))
		require.Equal(t, events("a"), w.stream())
		require.Equal(t, "ab", s.result().Answers[1].Text())
	})
}

func TestChunksBeforeTheChoiceAreNoLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t, relay.WithMaxLag(3)), &requester{}
		view := relay.FirstGood(func(c relay.Chunk) bool { return c.Text == "go" })
		miner := says("aaa", "bbb", "go").every(time.Second)
		require.NoError(
			t, s.serve(t.Context(), w, relay.Query{Miners: miners{1: miner.ask}, View: view}),
		)
		require.Equal(t, events("aaa", "bbb", "go", "[DONE]"), w.stream())
		s.result()
	})
}

func TestFloodIsWrittenInFewPieces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), &requester{pace: slowly(time.Second)}
		chunks := make([]string, 1000)
		for i := range chunks {
			chunks[i] = strings.Repeat("x", 100)
		}
		require.NoError(
			t, s.serve(t.Context(), w, relay.Query{Miners: miners{1: says(chunks...).ask}}),
		)
		require.Equal(t, events(append(chunks, "[DONE]")...), w.stream())
		require.Less(t, w.writes, 20)
		s.result()
	})
}

func TestLongChunkIsWrittenInPieces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// of the 10 s that each may take
		s, w := newStand(t), &requester{pace: slowly(9 * time.Second)}
		long := strings.Repeat("x", 100_000)
		require.NoError(t, s.serve(t.Context(), w, relay.Query{Miners: miners{1: says(long).ask}}))
		require.Equal(t, events(long, "[DONE]"), w.stream())
		require.Equal(t, 4, w.writes)
		s.result()
	})
}

// plainWriter can neither flush nor have deadlines.
type plainWriter struct{ requester *requester }

func (w plainWriter) Header() http.Header            { return w.requester.Header() }
func (w plainWriter) WriteHeader(int)                {}
func (w plainWriter) Write(data []byte) (int, error) { return w.requester.Write(data) }

func TestResponseWriterThatCannotFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), plainWriter{&requester{}}
		w.Header().Set("Content-Type", "text/plain")
		require.NoError(t, s.serve(t.Context(), w, relay.Query{Miners: miners{1: says("a").ask}}))
		require.Equal(t, events("a", "[DONE]"), w.requester.stream())
		require.Equal(t, "text/plain", w.Header().Get("Content-Type"), "the handler's own stands")
		s.result()
	})
}

// panickyWire panics at the first chunk.
type panickyWire struct{ relay.SSE }

func (panickyWire) Open(relay.Start) relay.Encoder { return panickyEncoder{} }

type panickyEncoder struct{ relay.Encoder }

func (panickyEncoder) Chunk([]byte, organic.UID, relay.Chunk) []byte {
	panic(errors.ErrUnsupported)
}

func TestWireThatPanicsLosesNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		require.Panics(t, func() {
			_ = s.serve(
				t.Context(), &requester{},
				relay.Query{
					Wire: panickyWire{}, Miners: miners{1: says("a", "b").every(time.Second).ask},
				},
			)
		})
		require.Equal(t, "ab", s.result().Answers[1].Text())
	})
}

func TestStreamsAreKeptAlive(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		wire relay.Wire
		want string
	}{
		{
			"SSE",
			relay.SSE{},
			":\n\n:\n\n:\n\n" + events("a") + ":\n\n:\n\n:\n\n" + events("b", "[DONE]"),
		},
		{"raw", relay.PlainText{}, "ab"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, w := newStand(t, relay.WithKeepAlive(10*time.Second)), &requester{}
				miner := says("a", "b").every(35 * time.Second)
				require.NoError(
					t,
					s.serve(
						t.Context(), w, relay.Query{Wire: tt.wire, Miners: miners{1: miner.ask}},
					),
				)
				require.Equal(t, tt.want, w.stream())
				require.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
				s.result()
				require.EqualValues(t, 1, s.relay.Stats().Whole)
			})
		})
	}
}

func TestKeepingAliveFindsWhoHasLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t, relay.WithKeepAlive(time.Second)), &requester{err: errMishap}
		start := time.Now()
		err := s.serve(
			t.Context(), w, relay.Query{Miners: miners{1: says("a").every(time.Minute).ask}},
		)
		require.ErrorIs(t, err, relay.ErrLeft)
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, "a", s.result().Answers[1].Text())
	})
}
