package organic_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// hookNames are the hooks that the scorer calls, the dead-letter hook too.
var hookNames = []string{
	"QueryMiners", "GenerateReference", "GenerateRewards", "SetWeights", "LogResults",
	"OnOrganicEntry", "Blacklist", "Priority", "Verify", "dead letter",
}

// hooksCalling are hooks of which one calls a function, with its own ctx.
func hooksCalling(name string, call func(ctx context.Context)) textHooks {
	calls := func(ctx context.Context, hook string) error {
		switch {
		case hook == name:
			call(ctx)
		case name == "dead letter" && hook == "QueryMiners":
			return organic.Discard(errHook)
		}
		return nil
	}
	return textHooks{
		QueryMinersFunc: func(ctx context.Context, _ textSample) (map[organic.UID]string, error) {
			return map[organic.UID]string{}, calls(ctx, "QueryMiners")
		},
		GenerateReferenceFunc: func(ctx context.Context, _ textSample) (string, error) {
			return "", calls(ctx, "GenerateReference")
		},
		GenerateRewardsFunc: func(ctx context.Context, _ textSample, _ map[organic.UID]string, _ string) (organic.Rewards, error) {
			return organic.Rewards{}, calls(ctx, "GenerateRewards")
		},
		SetWeightsFunc: func(ctx context.Context, _ textSample, _ organic.Rewards) error { return calls(ctx, "SetWeights") },
		LogResultsFunc: func(ctx context.Context, _ *organic.Result[string, string]) error { return calls(ctx, "LogResults") },
		OnOrganicEntryFunc: func(ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse) error {
			return calls(ctx, "OnOrganicEntry")
		},
		BlacklistFunc: func(ctx context.Context, _ *organic.Synapse) error { return calls(ctx, "Blacklist") },
		PriorityFunc:  func(ctx context.Context, _ *organic.Synapse) float64 { _ = calls(ctx, "Priority"); return 0 },
		VerifyFunc:    func(ctx context.Context, _ *organic.Synapse) error { return calls(ctx, "Verify") },
	}
}

// inEachHook runs a test per hook in which that hook, once, calls something of
// a running scorer. Then is called when the hook has returned.
func inEachHook(t *testing.T, call func(ctx context.Context, s *textScorer), then func(t *testing.T, s *textScorer)) {
	t.Helper()
	for _, name := range hookNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var s *textScorer
				calls := 0
				hook := func(ctx context.Context) {
					if calls++; calls == 1 {
						call(ctx, s)
					}
				}
				axon := &organictest.Axon{}
				s = build(t, hooksCalling(name, hook), organic.WithAxon(axon), organic.WithDeadLetter(
					func(ctx context.Context, _ textSample, _ error) error {
						if name == "dead letter" {
							hook(ctx)
						}
						return nil
					}))
				require.NoError(t, s.Start(t.Context()))
				enqueue(t, s, 1)
				go axon.Ask(t.Context(), &organic.Synapse{})
				synctest.Wait()
				require.Equal(t, 1, calls)
				then(t, s)
			})
		})
	}
}

func TestStopInAHook(t *testing.T) {
	t.Parallel()
	inEachHook(t, func(ctx context.Context, s *textScorer) {
		if err := s.Stop(ctx); err != organic.ErrStopInHook { //nolint:errorlint // exactly this one
			panic(err)
		}
		derived, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := s.Stop(derived); err != organic.ErrStopInHook { //nolint:errorlint // exactly this one
			panic(err)
		}
	}, func(t *testing.T, s *textScorer) {
		t.Helper()
		require.True(t, closed(s.Done()), "the stop was requested and has come about")
		stats := s.Stats()
		require.Zero(t, stats.EntryFailed+stats.Failed-stats.Discarded+stats.LogFailed+stats.DeadLetterFailed)
		require.NoError(t, s.Start(t.Context()))
	})
}

func TestWaitingInAHookIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		call func(ctx context.Context, s *textScorer) error
		want error
	}{
		{name: "Drain", call: func(ctx context.Context, s *textScorer) error { return s.Drain(ctx) }, want: organic.ErrInHook},
		{name: "Run", call: func(ctx context.Context, s *textScorer) error { return s.Run(ctx) }, want: organic.ErrInHook},
		{name: "Start", call: func(ctx context.Context, s *textScorer) error { return s.Start(ctx) }, want: organic.ErrRunning},
		{name: "Iterate", want: organic.ErrInHook, call: func(ctx context.Context, s *textScorer) error {
			_, err := s.Iterate(ctx)
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := make(chan error, len(hookNames))
			inEachHook(t, func(ctx context.Context, s *textScorer) {
				got <- tt.call(ctx, s)
			}, func(t *testing.T, s *textScorer) {
				t.Helper()
				require.ErrorIs(t, <-got, tt.want)
				require.True(t, s.Stats().Running)
			})
		})
	}
}

func TestCallsThatHooksMayMake(t *testing.T) {
	t.Parallel()
	inEachHook(t, func(ctx context.Context, s *textScorer) {
		s.Pause()
		if _, err := s.Enqueue(ctx, "follow-up"); err != nil {
			panic(err)
		}
		s.IncrementStep()
		s.SetStep(7)
		s.Done()
		if stats := s.Stats(); !stats.Running || !stats.Paused {
			panic("stats")
		}
	}, func(t *testing.T, s *textScorer) {
		t.Helper()
		time.Sleep(time.Minute)
		stats := s.Stats()
		require.EqualValues(t, 2, stats.Accepted)
		require.GreaterOrEqual(t, stats.Queued, 1, "paused by the hook")
		require.Zero(t, stats.EntryFailed+stats.Failed-stats.Discarded+stats.LogFailed+stats.DeadLetterFailed)
		s.Resume()
		time.Sleep(time.Minute)
		require.Zero(t, s.Stats().Queued)
	})
}

func TestHookOfAnotherScorerMayWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := run(t, textHooks{}, organic.WithSynth(endless))
		outer := run(t, hooksCalling("QueryMiners", func(ctx context.Context) {
			if err := inner.Drain(ctx); err != nil {
				panic(err)
			}
			if err := inner.Stop(ctx); err != nil {
				panic(err)
			}
		}), organic.WithSynth(endless))
		synctest.Wait()
		require.True(t, closed(inner.Done()))
		require.EqualValues(t, 1, outer.Stats().SyntheticScored)
	})
}

func TestStartInAHookOfIterateIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *textScorer
		var started, ran error
		s = build(t, hooksCalling("QueryMiners", func(ctx context.Context) {
			started, ran = s.Start(ctx), s.Run(ctx)
		}), organic.WithSynth(endless))
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, started, organic.ErrInHook, "the run's ctx would end with the hook's")
		require.ErrorIs(t, ran, organic.ErrInHook)
	})
}

func TestStopInAHookOfIterate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *textScorer
		var stopped error
		s = build(t, hooksCalling("QueryMiners", func(ctx context.Context) { stopped = s.Stop(ctx) }))
		enqueue(t, s, 1)
		_, err := s.Iterate(t.Context())
		require.NoError(t, err, "it is finished, as by any soft stop")
		require.ErrorIs(t, stopped, organic.ErrStopInHook)
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, s.Start(t.Context()))
	})
}
