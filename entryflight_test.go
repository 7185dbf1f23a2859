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

func TestStopWaitsForAnEntryInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		axon := &organictest.Axon{}
		var s *textScorer
		s = build(t, textHooks{OnOrganicEntryFunc: func(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
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
		t.Run(map[bool]string{false: "while running", true: "during a soft stop"}[softStop], func(t *testing.T) {
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
		var s *textScorer
		var left bool
		hooks.OnOrganicEntryFunc = func(ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse) error {
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
		require.True(t, left, "the hook is told")
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
	axon := &organictest.Axon{AttachErr: errHook}
	s, err := organic.New(textHooks{}, organic.WithAxon(axon), organic.WithQueue[string](queue))
	require.ErrorIs(t, err, errHook)
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
			_, err := organic.New(textHooks{}, append([]organic.Option{organic.WithAxon(axon)}, tt.opts...)...)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			require.Nil(t, axon.Handlers().Forward, "not attached")
			_, err = organic.New(textHooks{}, organic.WithAxon(axon))
			require.NoError(t, err, "the axon is still free")
		})
	}
}

type badQueue struct{ organic.Queue[int] }

func TestOneAxonServesOneScorer(t *testing.T) {
	t.Parallel()
	axon, other := &organictest.Axon{}, &organictest.Axon{}
	_, err := organic.New(textHooks{}, organic.WithAxon(axon), organic.WithAxon(other))
	require.NoError(t, err, "a scorer may have several")
	_, err = organic.New(textHooks{}, organic.WithAxon(axon))
	require.Error(t, err)
}
