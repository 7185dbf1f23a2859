package relay_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

// quietRelay has the defaults, without those of newStand.
func quietRelay(t *testing.T, opts ...relay.Option) *stand {
	t.Helper()
	r, err := relay.New(opts...)
	require.NoError(t, err)
	return &stand{t: t, relay: r}
}

func TestAPauseEndsTheAnswerAndTheStream(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		opts   []relay.Option
		stream time.Duration // when the stream ends
		answer time.Duration // when the answer does
		ending relay.Ending
		text   string
	}{
		{"by default", nil, 31 * time.Second, 61 * time.Second, relay.TimedOut, "a"},
		{
			"the answer first",
			[]relay.Option{relay.WithIdle(5 * time.Second)},
			6 * time.Second,
			6 * time.Second, relay.TimedOut, "a",
		},
		{
			"the stream alone",
			[]relay.Option{relay.WithIdle(time.Hour), relay.WithTimeout(time.Hour)},
			31 * time.Second, 121 * time.Second, relay.Complete, "ab",
		},
		{
			"neither",
			[]relay.Option{
				relay.WithIdle(time.Hour), relay.WithStreamIdle(time.Hour),
				relay.WithTimeout(time.Hour),
			},
			121 * time.Second, 121 * time.Second, relay.Complete, "ab",
		},
	}
	opts := relay.WithTimeout(2 * time.Minute)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, w, start := quietRelay(t,
					append([]relay.Option{opts}, tt.opts...)...), &requester{}, time.Now()
				miner := acts(nil, after(1, text("a")), after(120, text("b")))
				require.NoError(t, s.serve(t.Context(), w, relay.Query{Miners: miners{1: miner}}))
				require.Equal(t, tt.stream, time.Since(start))
				require.Equal(
					t, tt.ending != relay.Complete || tt.stream < tt.answer,
					strings.Contains(w.read(), relay.BrokenOff.Code()),
				)
				answer := s.result().Answers[1]
				require.Equal(t, tt.ending, answer.Ending)
				require.Equal(t, tt.answer, answer.Ended)
				require.Equal(t, tt.text, answer.Text())
			})
		})
	}
}

// TestNoPauseIsSeenWhereThereIsNone: a stream of chunks has no limit but that of the query.
func TestNoPauseIsSeenWhereThereIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := quietRelay(t, relay.WithIdle(2*time.Second),
			relay.WithStreamIdle(2*time.Second)), &requester{}
		steps := make([]step, 60)
		for i := range steps {
			steps[i] = step{1999 * time.Millisecond, text("a")}
		}
		require.NoError(
			t, s.serve(t.Context(), w, relay.Query{Miners: miners{1: acts(nil, steps...)}}),
		)
		require.Equal(t, strings.Repeat("data: a\n\n", 60)+"data: [DONE]\n\n", w.stream())
		require.Equal(t, relay.Complete, s.result().Answers[1].Ending)
	})
}

func TestARequesterWhoWaitsIsKeptAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := quietRelay(t), &requester{}
		miner := acts(nil, after(40, text("a")), after(20, text("b")))
		require.NoError(t, s.serve(t.Context(), w, relay.Query{Miners: miners{1: miner}}))
		require.Equal(t, ":\n\n:\n\n"+events("a")+":\n\n"+events("b", "[DONE]"), w.stream())
		s.result()
	})
}

// TestPlainTextSaysNothingInAPause: a requester that has got nothing can still be refused.
func TestPlainTextSaysNothingInAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := quietRelay(t), &requester{}
		query := relay.Query{
			Miners: miners{1: acts(errMishap, after(50, text("")))}, Wire: relay.PlainText{},
		}
		require.ErrorIs(t, s.serve(t.Context(), w, query), relay.ErrNoAnswer)
		require.Zero(t, w.writes)
		require.Empty(t, w.header)
		s.result()
	})
}

// TestAnAnswerWithItsEndIsComplete, though its server keeps the connection open.
func TestAnAnswerWithItsEndIsComplete(t *testing.T) {
	t.Parallel()
	finish := relay.Chunk{Finish: "stop"}
	usage := relay.Chunk{Usage: &relay.Usage{TotalTokens: 3}}
	tests := []struct {
		name  string
		miner relay.Miner
		ended time.Duration
	}{
		{"at once", emits(text("a"), finish), 0},
		{"two seconds later", hangs(after(1, text("a")), after(1, finish)), 4 * time.Second},
		{
			"two seconds after its end, though the usage came in between",
			hangs(after(1, text("a")), after(1, finish), after(1, usage)), 4 * time.Second,
		},
		{"without text", hangs(after(1, finish)), 3 * time.Second},
		{"when the time is over", hangs(after(1, text("a")), after(8, finish)), 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := quietRelay(
					t, relay.WithTimeout(10*time.Second), relay.WithFirstChunk(5*time.Second),
				)
				answers, err := s.relay.Ask(
					t.Context(), relay.Query{Miners: miners{1: tt.miner, 2: hangs()}},
				)
				require.NoError(t, err)
				require.Equal(t, relay.Complete, answers[1].Ending)
				require.Equal(t, relay.ByMiner, answers[1].EndedBy)
				require.Equal(t, tt.ended, answers[1].Ended)
				require.Equal(t, 5*time.Second, answers[2].Ended)
				require.NoError(t, s.relay.Close(t.Context()))
			})
		})
	}
}
