package organic_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

func okEntry(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
	_, err := w.Write([]byte("ok"))
	return err
}

// calls notes the order in which entry hooks are called.
type calls struct {
	mu    sync.Mutex // guards names
	names []string
}

func (c *calls) note(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = append(c.names, name)
}

func (c *calls) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.names
	c.names = nil
	return slices.Clone(names)
}

// entryHooks note their calls; the one that is named fails.
func (c *calls) entryHooks(failing string, err error) promptHooks {
	called := func(name string) error {
		c.note(name)
		if name == failing {
			return err
		}
		return nil
	}
	return promptHooks{
		BlacklistFunc: func(context.Context, *organic.Synapse) error { return called("blacklist") },
		VerifyFunc:    func(context.Context, *organic.Synapse) error { return called("verify") },
		PriorityFunc: func(
			context.Context, *organic.Synapse,
		) float64 {
			_ = called("priority")
			return 1
		},
		OnOrganicEntryFunc: func(
			ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
		) error {
			if err := called("forward"); err != nil {
				return err
			}
			return okEntry(ctx, w, synapse)
		},
	}
}

func TestEntryHooksAreReachedOnlyWhileTheScorerRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen calls
		axon := &organictest.Axon{}
		hooks := seen.entryHooks("", nil)
		hooks.QueryMinersFunc = newJournal().hooks(time.Minute).QueryMinersFunc
		s := build(t, hooks, organic.WithAxon(axon), organic.WithSynth(endless))
		ask := func(want int) {
			t.Helper()
			status, body := axon.Ask(t.Context(), &organic.Synapse{})
			require.Equal(t, want, status)
			require.NotContains(t, string(body), "organic:")
			if want == http.StatusOK {
				require.Equal(t, []string{"blacklist", "verify", "priority", "forward"}, seen.taken())
			}
			handlers := axon.Handlers()
			require.Equal(t, want == http.StatusOK, handlers.Open())
			_ = handlers.Blacklist(t.Context(), &organic.Synapse{})
			_ = handlers.Verify(t.Context(), &organic.Synapse{})
			require.Equal(t, want == http.StatusOK, handlers.Priority(t.Context(), &organic.Synapse{}) == 1)
			require.Equal(t, want == http.StatusOK, len(seen.taken()) == 3,
				"no hook is called when it does not run")
		}
		ask(http.StatusServiceUnavailable)
		for range 2 {
			require.NoError(t, s.Start(t.Context()))
			synctest.Wait()
			ask(http.StatusOK)
			s.Pause()
			ask(http.StatusOK)
			s.Resume()
			stopAside(t, s)
			synctest.Wait()
			ask(http.StatusServiceUnavailable) // while stopping
			require.NoError(t, s.Stop(t.Context()))
			ask(http.StatusServiceUnavailable)
		}
		require.Zero(t, s.Stats().EntryFailed)
	})
}

func TestWhatARequesterGets(t *testing.T) {
	t.Parallel()
	secret := errors.New("secret detail")
	tests := []struct {
		name    string
		failing string
		err     error
		status  int
		body    string
		called  int
		failed  uint64
	}{
		{name: "nothing wrong", status: 200, body: "ok", called: 4},
		{
			name: "blacklist refuses", failing: "blacklist", err: organic.Refuse(403, "go away"),
			status: 403, body: "go away", called: 1,
		},
		{
			name: "verify refuses", failing: "verify", err: organic.Refuse(401, "who are you"), status: 401,
			body: "who are you", called: 2,
		},
		{
			name: "forward refuses", failing: "forward", err: organic.Refuse(429, "too many"), status: 429,
			body: "too many", called: 4,
		},
		{
			name: "a wrapped refusal", failing: "forward",
			err: errors.Join(secret, organic.Refuse(422, "no")), status: 422, body: "no", called: 4,
		},
		{
			name: "a status that is no error", failing: "forward", err: organic.Refuse(204, "empty"),
			status: 500, body: "empty", called: 4,
		},
		{
			name: "blacklist fails", failing: "blacklist", err: secret, status: 500,
			body: "Internal Server Error", called: 1, failed: 1,
		},
		{
			name: "verify fails", failing: "verify", err: secret, status: 500, body: "Internal Server Error",
			called: 2, failed: 1,
		},
		{
			name: "forward fails", failing: "forward", err: secret, status: 500,
			body: "Internal Server Error", called: 4, failed: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var seen calls
				axon := &organictest.Axon{}
				s := run(t, seen.entryHooks(tt.failing, tt.err), organic.WithAxon(axon))
				status, body := axon.Ask(t.Context(), &organic.Synapse{})
				require.Equal(t, tt.status, status)
				require.Equal(t, tt.body, string(body))
				require.Len(t, seen.taken(), tt.called)
				require.Equal(t, tt.failed, s.Stats().EntryFailed)
			})
		})
	}
}

func TestDefaultEntryHookRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		axon := &organictest.Axon{}
		run(t, promptHooks{}, organic.WithAxon(axon))
		status, _ := axon.Ask(t.Context(), &organic.Synapse{})
		require.Equal(t, http.StatusNotImplemented, status)
	})
}

func TestPanicInAnEntryHook(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"OnOrganicEntry", "Blacklist", "Priority", "Verify"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				axon := &organictest.Axon{}
				var failure error
				s := run(t, hooksCalling(name, func(context.Context) { panic("secret") }),
					organic.WithAxon(axon),
					organic.WithObserver(func(e organic.Event) {
						if e.Kind == organic.EventEntryFailed {
							failure = e.Err
						}
					}))
				status, body := axon.Ask(t.Context(), &organic.Synapse{})
				if name == "Priority" {
					require.Equal(t, http.StatusOK, status, "it has no way to refuse, and counts as zero")
				} else {
					require.Equal(t, http.StatusInternalServerError, status)
				}
				require.NotContains(t, string(body), "secret")
				var panicked *organic.PanicError
				require.ErrorAs(t, failure, &panicked)
				require.NotContains(t, failure.Error(), "secret")
				require.EqualValues(t, 1, s.Stats().EntryFailed)
				require.NoError(t, s.Stop(t.Context()), "nothing is left behind")
			})
		})
	}
}

func TestPriority(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		said, want float64
	}{
		{name: "as said", said: 2.5, want: 2.5},
		{name: "negative", said: -1, want: -1},
		{name: "infinite", said: math.Inf(1), want: math.Inf(1)},
		{name: "not a number", said: math.NaN(), want: 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				axon := &organictest.Axon{}
				run(t, promptHooks{PriorityFunc: func(
					context.Context, *organic.Synapse,
				) float64 {
					return tt.said
				}}, organic.WithAxon(axon))
				priority := axon.Handlers().Priority(t.Context(), &organic.Synapse{})
				require.Equal(t, math.Float64bits(tt.want), math.Float64bits(priority), "got %v", priority)
			})
		})
	}
}

func TestStopWaitsForAnEntryInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		axon := &organictest.Axon{}
		var s *promptScorer
		s = build(t, promptHooks{OnOrganicEntryFunc: func(
			ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
		) error {
			time.Sleep(10 * time.Second)
			if _, err := s.Enqueue(ctx, "text"); err != nil {
				return err
			}
			return okEntry(ctx, w, synapse)
		}}, organic.WithAxon(axon))
		require.NoError(t, s.Start(t.Context()))
		status := make(chan int, 1)
		go func() {
			code, _ := axon.Ask(t.Context(), &organic.Synapse{})
			status <- code
		}()
		time.Sleep(time.Second)
		begun := time.Now()
		require.NoError(t, s.Stop(t.Context()))
		require.Equal(t, 9*time.Second, time.Since(begun))
		require.Equal(t, http.StatusOK, <-status)
		require.Equal(t, 1, s.Stats().Queued, "its sample is kept for the next run")
	})
}

func TestStopWhoseCtxEndsCancelsEntries(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"OnOrganicEntry", "Blacklist", "Priority", "Verify"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				axon := &organictest.Axon{}
				var cause error
				s := run(t, hooksCalling(name, func(ctx context.Context) {
					<-ctx.Done()
					cause = context.Cause(ctx)
				}), organic.WithAxon(axon))
				go axon.Ask(t.Context(), &organic.Synapse{})
				synctest.Wait()
				require.ErrorIs(t, s.Stop(soon(t, time.Second, errPatience)), errPatience)
				require.NoError(t, s.Stop(t.Context()))
				require.ErrorIs(t, cause, errPatience)
			})
		})
	}
}

func TestHardStopCancelsEntries(t *testing.T) {
	t.Parallel()
	for _, softStop := range []bool{false, true} {
		t.Run(map[bool]string{false: "while running", true: "during a soft stop"}[softStop],
			func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					axon := &organictest.Axon{}
					var cause error
					s := build(t, hooksCalling("OnOrganicEntry", func(ctx context.Context) {
						<-ctx.Done()
						cause = context.Cause(ctx)
					}), organic.WithAxon(axon))
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					require.NoError(t, s.Start(ctx))
					go axon.Ask(t.Context(), &organic.Synapse{})
					synctest.Wait()
					if softStop {
						stopAside(t, s)
						synctest.Wait()
					}
					cancel(errDeploy)
					<-s.Done()
					require.ErrorIs(t, cause, errDeploy)
				})
			})
	}
}

func TestRequesterWhoLeavesDoesNotLoseTheSample(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		axon, starts := &organictest.Axon{}, newJournal()
		hooks := starts.hooks(0)
		var s *promptScorer
		var left bool
		hooks.OnOrganicEntryFunc = func(
			ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse,
		) error {
			<-ctx.Done()
			left = true
			_, err := s.Enqueue(ctx, "text")
			return err
		}
		s = build(t, hooks, organic.WithAxon(axon))
		require.NoError(t, s.Start(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		go axon.Ask(ctx, &organic.Synapse{})
		time.Sleep(time.Second)
		require.False(t, left)
		cancel()
		synctest.Wait()
		require.True(t, left, "the hook sees it")
		require.Equal(t, []time.Duration{time.Second}, starts.times(), "and its sample scored")
		require.Zero(t, s.Stats().EntryFailed)
	})
}

func TestIntakeIsNeverBehindAHook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		axon := &organictest.Axon{}
		hooks := newJournal().hooks(time.Hour)
		hooks.OnOrganicEntryFunc = okEntry
		run(t, hooks, organic.WithAxon(axon), organic.WithSynth(endless))
		synctest.Wait()
		begun := time.Now()
		for range 100 {
			status, _ := axon.Ask(t.Context(), &organic.Synapse{})
			require.Equal(t, http.StatusOK, status)
		}
		require.Zero(t, time.Since(begun))
	})
}

func TestAttachThatFailsFailsNew(t *testing.T) {
	t.Parallel()
	queue := &tellingQueue{}
	axon := &organictest.Axon{AttachErr: errFailed}
	s, err := organic.New(promptHooks{}, organic.WithAxon(axon), organic.WithQueue[string](queue))
	require.ErrorIs(t, err, errFailed)
	require.Nil(t, s)
	require.True(t, queue.unwatched.Load(), "New leaves no watcher behind")
}

func TestAttachIsTheLastThingThatNewDoes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts []organic.Option
	}{
		{name: "bad option after it", opts: []organic.Option{organic.WithConcurrency(0)}},
		{name: "nil option", opts: []organic.Option{nil}},
		{name: "queue of another type", opts: []organic.Option{organic.WithQueue[int](badQueue{})}},
		{name: "ratio without a dataset", opts: []organic.Option{organic.WithSynthRatio(0.5)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			axon := &organictest.Axon{}
			_, err := organic.New(promptHooks{},
				append([]organic.Option{organic.WithAxon(axon)}, tt.opts...)...)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			require.Nil(t, axon.Handlers().Forward, "not attached")
			_, err = organic.New(promptHooks{}, organic.WithAxon(axon))
			require.NoError(t, err, "the axon is still free")
		})
	}
}

type badQueue struct{ organic.Queue[int] }

func TestOneAxonServesOneScorer(t *testing.T) {
	t.Parallel()
	axon, other := &organictest.Axon{}, &organictest.Axon{}
	_, err := organic.New(promptHooks{}, organic.WithAxon(axon), organic.WithAxon(other))
	require.NoError(t, err, "a scorer may have several")
	_, err = organic.New(promptHooks{}, organic.WithAxon(axon))
	require.Error(t, err)
}

func TestEntryThatReturnsTheEndOfItsRequestHasNotFailed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		end    func(ctx context.Context) error
		failed uint64
	}{
		{name: "the ctx's error", end: func(ctx context.Context) error { return ctx.Err() }},
		{
			name: "its cause, wrapped",
			end:  func(ctx context.Context) error { return fmt.Errorf("reading: %w", context.Cause(ctx)) },
		},
		{name: "an error of its own", end: func(context.Context) error { return errFailed }, failed: 1},
		{
			name: "both", end: func(ctx context.Context) error { return errors.Join(errFailed, ctx.Err()) },
			failed: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			axon := &organictest.Axon{}
			s := run(t, promptHooks{OnOrganicEntryFunc: func(
				ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse,
			) error {
				return tt.end(ctx)
			}}, organic.WithAxon(axon))
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(context.Canceled)
			axon.Ask(ctx, &organic.Synapse{})
			require.Equal(t, tt.failed, s.Stats().EntryFailed)

			late, cancelLate := context.WithTimeoutCause(t.Context(), 0, errTired)
			defer cancelLate()
			axon.Ask(late, &organic.Synapse{})
			require.Equal(t, 2*tt.failed, s.Stats().EntryFailed,
				"with a deadline that has a cause of its own")
		})
	}
}

var errTired = errors.New("tired of waiting")

func TestRefusalOfAnErrorThatClaimsToBeEveryOther(t *testing.T) {
	t.Parallel()
	status, message := organic.RefusalOf(boastfulError{as: "refusal"})
	require.Equal(t, http.StatusInternalServerError, status)
	require.Equal(t, "Internal Server Error", message)
}
