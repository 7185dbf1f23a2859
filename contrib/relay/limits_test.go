package relay_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

func TestBytesInFlightAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size, overhead = 1000, 128
		s := newStand(t, relay.WithMaxInFlight(3*(size+overhead)))
		chunk := strings.Repeat("x", size)
		flood := says(chunk, chunk, chunk, chunk).every(time.Second)
		flood.overstay = time.Minute
		w := &requester{}
		require.NoError(t, s.serve(t.Context(), w, relay.Query{View: relay.One(2), Miners: miners{
			1: says("a").every(time.Hour).ask, // is cut off by its own time
			2: flood.ask,
		}}))
		require.Equal(t, events(chunk, chunk, chunk, failure(relay.BrokenOff)), w.stream())
		require.Equal(
			t, 3*(size+overhead), s.relay.Stats().InFlight, "as long as the relay is open",
		)
		err := s.relay.Serve(
			t.Context(), &requester{}, relay.Query{Miners: miners{1: says("a").ask}},
		)
		require.ErrorIs(t, err, relay.ErrBusy)
		status, _ := organic.RefusalOf(err)
		require.Equal(t, 503, status)
		require.EqualValues(t, 1, s.relay.Stats().Refused)

		result := s.result()
		require.Equal(t, relay.CutOff, result.Answers[2].Ending)
		require.ErrorIs(t, result.Answers[2].Err, relay.ErrFull)
		require.Equal(t, 3*size, result.Answers[2].Size())
		require.ErrorIs(t, result.Err(), relay.ErrFull, "which is not the miner's fault")
		require.Equal(t, relay.Silent, result.Answers[1].Ending)
		require.Zero(t, s.relay.Stats().InFlight)
	})
}

func TestBytesInFlightAreGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, err := relay.New(relay.WithMaxInFlight(150))
		require.NoError(t, err)
		for range 10 {
			answers, err := r.Ask(t.Context(), relay.Query{Miners: miners{1: says("a").ask}})
			require.NoError(t, err)
			require.Equal(t, relay.Complete, answers[1].Ending)
			synctest.Wait()
		}
		answers, err := r.Ask(
			t.Context(), relay.Query{Miners: miners{1: says(strings.Repeat("x", 100)).ask}},
		)
		require.ErrorIs(t, err, relay.ErrFull)
		require.Empty(t, answers[1].Chunks)
		require.NoError(t, r.Close(t.Context()))
		require.Zero(t, r.Stats().InFlight)
	})
}

// TestAnswersThatAreNotTheMinersOwn come with an error, so that they are not scored by mistake.
func TestAnswersThatAreNotTheMinersOwn(t *testing.T) {
	t.Parallel()
	closing := func(t *testing.T, r *relay.Relay) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, r.Close(ctx), context.Canceled)
	}
	tests := []struct {
		name   string
		opts   []relay.Option
		miner  *script
		end    func(t *testing.T, r *relay.Relay, cancel context.CancelCauseFunc)
		ending relay.Ending
		err    error
	}{
		{"complete", nil, says("a"), nil, relay.Complete, nil},
		{"failed", nil, says("a").failing(errMishap), nil, relay.Failed, nil},
		{"too long", []relay.Option{relay.WithMaxAnswer(1, 1)}, says("ab"), nil, relay.CutOff, nil},
		{"timed out", nil, says("a").hanging(), nil, relay.TimedOut, nil},
		{"silent", nil, says().hanging(), nil, relay.Silent, nil},
		{
			"closed", nil, says("a").hanging(),
			func(t *testing.T, r *relay.Relay, _ context.CancelCauseFunc) {
				t.Helper()
				closing(t, r)
			}, relay.Cancelled, relay.ErrClosed,
		},
		{
			"cancelled", nil, says("a").hanging(),
			func(_ *testing.T, _ *relay.Relay, cancel context.CancelCauseFunc) {
				cancel(errMishap)
			}, relay.Cancelled, errMishap,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, err := relay.New(tt.opts...)
				require.NoError(t, err)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.end != nil {
					time.AfterFunc(time.Second, func() { tt.end(t, r, cancel) })
				}
				waited := make(chan error, 1)
				go func() {
					synctest.Wait()
					got, err := r.Answers(t.Context(), "id")
					require.Len(t, got, 2)
					waited <- err
				}()
				answers, err := r.Ask(
					ctx, relay.Query{ID: "id", Miners: miners{1: tt.miner.ask, 2: says("b").ask}},
				)
				require.Equal(t, tt.ending, answers[1].Ending)
				require.ErrorIs(t, err, tt.err)
				require.ErrorIs(t, <-waited, tt.err, "by ID")
				_, err = r.Answers(t.Context(), "id")
				require.ErrorIs(t, err, tt.err, "by ID, later")
				require.NoError(t, r.Close(t.Context()))
			})
		})
	}
}

// TestLimitsNearTheLargestNumberDoNotWrapAround: they say that there is no limit.
func TestLimitsNearTheLargestNumberDoNotWrapAround(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stream := strings.Repeat(": ping\n", 1000) + events(`{"choices":[{"delta":{"content":"Lima"}}]}`) +
			events(`{"choices":[{"finish_reason":"stop"}]}`, "[DONE]")
		slow := func(_ context.Context, emit func(relay.Chunk) error) error {
			for _, r := range "Li" {
				time.Sleep(time.Minute)
				if err := emit(text(string(r))); err != nil {
					return err
				}
			}
			return relay.OpenAI(iotest.OneByteReader(strings.NewReader(stream)), emit,
				relay.WithMaxLine(math.MaxInt))
		}
		s, w := newStand(t, relay.WithFirstChunk(math.MaxInt64), relay.WithIdle(math.MaxInt64),
			relay.WithStreamIdle(math.MaxInt64), relay.WithTimeout(math.MaxInt64),
			relay.WithKeepAlive(math.MaxInt64), relay.WithWriteTimeout(math.MaxInt64),
			relay.WithMaxLag(math.MaxInt), relay.WithMaxAnswer(math.MaxInt, math.MaxInt),
			relay.WithMaxInFlight(math.MaxInt), relay.WithMaxOpen(math.MaxInt),
			relay.WithKeep(math.MaxInt, math.MaxInt64)), &requester{}
		query := relay.Query{ID: "a", Miners: miners{1: slow}}
		require.NoError(t, s.serve(t.Context(), w, query))
		require.Equal(t, events("L", "i", "Lima", "[DONE]"), w.stream())
		s.result()
		answers, err := s.relay.Answers(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, relay.Complete, answers[1].Ending)
		require.Equal(t, "LiLima", answers[1].Text())
	})
}
