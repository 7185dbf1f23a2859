package relay_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

// TestWhoEndedAnAnswer has one answer end in every way.
func TestWhoEndedAnAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		miner  relay.Miner
		opts   []relay.Option
		ending relay.Ending
		by     relay.Party
	}{
		{"whole", emits(text("a")), nil, relay.Complete, relay.ByMiner},
		{"empty", emits(), nil, relay.Complete, relay.ByMiner},
		{"error", acts(errMishap, after(1, text("a"))), nil, relay.Failed, relay.ByMiner},
		{
			"error of the validator", acts(fmt.Errorf("%w: %w", relay.ErrValidator, errMishap)),
			nil, relay.Failed, relay.ByValidator,
		},
		{
			"panic", func(context.Context, func(relay.Chunk) error) error { panic("text") }, nil,
			relay.Failed, relay.ByValidator,
		},
		{
			"goexit", func(context.Context, func(relay.Chunk) error) error { runtime.Goexit(); return nil },
			nil, relay.Failed, relay.ByValidator,
		},
		{
			"too long", emits(text("a"), text("b")),
			[]relay.Option{relay.WithMaxAnswer(9, 1)},
			relay.CutOff, relay.ByMiner,
		},
		{
			"no memory", emits(text("a"), text("b")),
			[]relay.Option{relay.WithMaxInFlight(200)},
			relay.CutOff, relay.ByValidator,
		},
		{"no time", hangs(after(1, text("a"))), nil, relay.TimedOut, relay.ByTime},
		{"no beginning", hangs(), nil, relay.Silent, relay.ByTime},
		{
			"blanks only", hangs(after(1, relay.Chunk{Role: "assistant"}), after(1, text("\n"))),
			nil, relay.Silent, relay.ByTime,
		},
		{"reasoning only", hangs(after(1, reasoning("a"))), nil, relay.TimedOut, relay.ByTime},
		{
			"late beginning", hangs(after(9, text("a"))),
			[]relay.Option{relay.WithFirstChunk(8 * time.Second)},
			relay.Silent, relay.ByTime,
		},
		{
			"pause", hangs(after(1, text("a"))),
			[]relay.Option{relay.WithIdle(8 * time.Second)},
			relay.TimedOut, relay.ByTime,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, append(tt.opts, relay.WithTimeout(time.Minute))...)
				answers, _ := s.relay.Ask(t.Context(), relay.Query{Miners: miners{1: tt.miner}})
				require.Equal(t, tt.ending, answers[1].Ending)
				require.Equal(t, tt.by, answers[1].EndedBy)
				require.Equal(t, tt.by != relay.ByValidator, answers[1].Scorable())
				require.NoError(t, s.relay.Close(t.Context()))
			})
		})
	}
	require.False(t, relay.Answer{}.Scorable())
}

// TestWhoCutAQueryShort has a query cut at 10 s of the 60 s that its miners have.
func TestWhoCutAQueryShort(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		cut    func(t *testing.T, s *stand, cancel context.CancelFunc)
		stop   bool
		ending relay.Ending
		by     relay.Party
	}{
		{
			"the requester leaves",
			func(_ *testing.T, _ *stand, cancel context.CancelFunc) { cancel() }, true,
			relay.Cancelled, relay.ByRequester,
		},
		{
			"the requester leaves and the miners go on",
			func(_ *testing.T, _ *stand, cancel context.CancelFunc) { cancel() }, false,
			relay.TimedOut, relay.ByTime,
		},
		{"close", func(t *testing.T, s *stand, cancel context.CancelFunc) {
			t.Helper()
			cancel()
			ended, end := context.WithCancel(t.Context())
			end()
			require.Error(t, s.relay.Close(ended))
		}, false, relay.Cancelled, relay.ByValidator},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, relay.WithTimeout(time.Minute))
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(10*time.Second, func() { tt.cut(t, s, cancel) })
				query := relay.Query{
					Miners: miners{1: hangs(after(1, text("a")))}, StopOnLeave: tt.stop,
				}
				require.ErrorIs(t, s.serve(ctx, &requester{}, query), relay.ErrLeft)
				answer := s.result().Answers[1]
				require.Equal(t, tt.ending, answer.Ending)
				require.Equal(t, tt.by, answer.EndedBy)
			})
		})
	}
}

// TestTheCallerOfAskCutsItShort: by its deadline or otherwise, that is not the miner's fault.
func TestTheCallerOfAskCutsItShort(t *testing.T) {
	t.Parallel()
	for _, deadline := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStand(t, relay.WithTimeout(time.Minute))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if !deadline {
				time.AfterFunc(9*time.Second, cancel)
			}
			answers, err := s.relay.Ask(
				ctx,
				relay.Query{
					Miners: miners{1: hangs(after(1, text("a"))), 2: hangs(), 3: emits(text("b"))},
				},
			)
			require.Equal(t, deadline, err == nil)
			require.Equal(t, relay.ByValidator, answers[1].EndedBy)
			require.Equal(t, relay.ByValidator, answers[2].EndedBy)
			require.Equal(t, relay.ByMiner, answers[3].EndedBy)
			require.NoError(t, s.relay.Close(t.Context()))
		})
	}
}

// TestTheTimeOfWaitingIsNotTheMiners has three miners that are asked one after the other, with 10 s
// for all of them.
func TestTheTimeOfWaitingIsNotTheMiners(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		opts   []relay.Option
		second relay.Miner // asked at 9 s
		ending relay.Ending
		by     relay.Party
		ended  time.Duration
	}{
		{
			"asked at 9 s of 10 s, it says nothing", nil, hangs(), relay.Silent, relay.ByValidator,
			10 * time.Second,
		},
		{
			"asked at 9 s of 10 s, it begins", nil, hangs(after(0, text("a"))), relay.TimedOut,
			relay.ByValidator, 10 * time.Second,
		},
		{
			"asked at 9 s of 10 s, it is whole", nil, emits(text("a")), relay.Complete,
			relay.ByMiner, 9 * time.Second,
		},
		{
			"asked at 9 s of 10 s, it fails", nil, acts(errMishap), relay.Failed, relay.ByMiner,
			9 * time.Second,
		},
		{
			"its own time for a beginning is over",
			[]relay.Option{
				relay.WithFirstChunk(9500 * time.Millisecond), relay.WithTimeout(20 * time.Second),
			},
			hangs(), relay.Silent, relay.ByTime, 18500 * time.Millisecond,
		},
		{
			"the time for a beginning counts from when it is asked",
			[]relay.Option{
				relay.WithFirstChunk(9500 * time.Millisecond), relay.WithTimeout(20 * time.Second),
			},
			acts(nil, after(9, text("a"))), relay.Complete, relay.ByMiner, 18 * time.Second,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStand(
					t,
					append([]relay.Option{relay.WithParallel(1), relay.WithTimeout(10 * time.Second)},
						tt.opts...)...,
				)
				answers, err := s.relay.Ask(
					t.Context(),
					relay.Query{
						Miners: miners{1: acts(nil, after(9, text("a"))), 2: tt.second, 3: hangs()},
					},
				)
				require.NoError(t, err)
				require.Equal(t, 9*time.Second, answers[2].Started)
				require.Equal(t, tt.ending, answers[2].Ending)
				require.Equal(t, tt.by, answers[2].EndedBy)
				require.Equal(t, tt.ended, answers[2].Ended)
				if first, ok := answers[2].FirstText(); ok {
					require.Equal(
						t, answers[2].Chunks[0].At-9*time.Second, first,
						"lateness leaves the waiting out",
					)
				}
				require.Equal(
					t, relay.ByValidator, answers[3].EndedBy, "its turn came late, or never",
				)
				require.NoError(t, s.relay.Close(t.Context()))
			})
		})
	}
}

// TestAMinerThatDidNotWaitHasItsTime: the first to be asked are to blame, though others wait.
func TestAMinerThatDidNotWaitHasItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, relay.WithParallel(2), relay.WithTimeout(10*time.Second))
		answers, err := s.relay.Ask(
			t.Context(), relay.Query{Miners: miners{1: hangs(), 2: hangs(), 3: hangs()}},
		)
		require.NoError(t, err)
		require.Equal(t, relay.ByTime, answers[1].EndedBy)
		require.Equal(t, relay.ByTime, answers[2].EndedBy)
		require.Equal(t, relay.NeverStarted, answers[3].Ending)
		require.Equal(t, relay.ByValidator, answers[3].EndedBy)
		require.NoError(t, s.relay.Close(t.Context()))
	})
}
