package organic_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// stress uses a scorer from many goroutines, and from inside its hooks, in
// every way at once.
type stress struct {
	*textScorer

	axon    *organictest.Axon
	queue   *organic.MemoryQueue[string]
	spend   func()       // what a hook does besides
	inHooks atomic.Int64 // hooks that run
	called  atomic.Int64 // hooks that were called
	misled  atomic.Int64 // answers that no caller should get
}

func newStress(t *testing.T, spend func(), opts ...organic.Option) *stress {
	t.Helper()
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{Capacity: 20, MaxAge: time.Minute})
	require.NoError(t, err)
	st := &stress{axon: &organictest.Axon{}, queue: queue, spend: spend}
	st.textScorer, err = organic.New(st.hooks(), append(opts,
		organic.WithQueue(queue), organic.WithAxon(st.axon), organic.WithConcurrency(3), organic.WithSynth(endless),
		organic.WithSynthRatio(0.1), organic.WithRetry(organic.RetryPolicy{Attempts: 3, Delay: time.Millisecond}),
		organic.WithStage(organic.StageWeights, organic.StagePolicy{Tries: 2, Backoff: time.Millisecond, Timeout: time.Minute}),
		organic.WithDeadLetter(func(ctx context.Context, _ textSample, _ error) error { return st.hook(ctx) }),
	)...)
	require.NoError(t, err)
	return st
}

func (st *stress) hooks() textHooks {
	return textHooks{
		QueryMinersFunc: func(ctx context.Context, _ textSample) (map[organic.UID]string, error) {
			return map[organic.UID]string{}, st.hook(ctx)
		},
		GenerateReferenceFunc: func(ctx context.Context, _ textSample) (string, error) { return "", st.hook(ctx) },
		GenerateRewardsFunc: func(ctx context.Context, _ textSample, _ map[organic.UID]string, _ string) (organic.Rewards, error) {
			return organic.Rewards{}, st.hook(ctx)
		},
		SetWeightsFunc: func(ctx context.Context, _ textSample, _ organic.Rewards) error { return st.hook(ctx) },
		LogResultsFunc: func(ctx context.Context, _ *organic.Result[string, string]) error { return st.hook(ctx) },
		OnOrganicEntryFunc: func(ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse) error {
			_, err := st.Enqueue(ctx, "from a requester")
			return errors.Join(err, st.hook(ctx))
		},
		BlacklistFunc: func(ctx context.Context, _ *organic.Synapse) error { return st.hook(ctx) },
	}
}

// hook calls something of the scorer and then ends in one way or another.
func (st *stress) hook(ctx context.Context) error {
	st.inHooks.Add(1)
	st.called.Add(1)
	defer st.inHooks.Add(-1)
	st.fromInside(ctx)
	st.spend()
	switch rand.N(50) {
	case 0:
		panic("hook")
	case 1:
		runtime.Goexit()
	case 2:
		return organic.Discard(errHook)
	case 3:
		return organic.RetryAfter(time.Duration(rand.N(2))*time.Millisecond, errHook)
	case 4, 5:
		return errHook
	}
	return nil
}

func (st *stress) fromInside(ctx context.Context) {
	switch rand.N(100) {
	case 0:
		st.want(st.Stop(ctx), organic.ErrStopInHook)
	case 1:
		st.want(st.Start(ctx), organic.ErrRunning, organic.ErrInHook)
	case 2:
		st.want(st.Run(ctx), organic.ErrInHook)
	case 3:
		st.want(st.Drain(ctx), organic.ErrInHook)
	case 4:
		_, err := st.Iterate(ctx)
		st.want(err, organic.ErrInHook)
	case 5:
		st.Pause()
		st.Resume()
	case 6:
		_, err := st.Enqueue(ctx, "from a hook")
		st.want(err, nil)
	default:
		st.IncrementStep()
	}
}

// fromOutside does something with the scorer, waiting a moment at most.
func (st *stress) fromOutside(ctx context.Context) {
	moment, cancel := context.WithTimeout(ctx, time.Duration(rand.N(3))*time.Millisecond)
	defer cancel()
	switch rand.N(40) {
	case 0, 1, 2:
		st.want(st.Start(ctx), nil, organic.ErrRunning)
	case 3:
		st.want(st.Run(moment), nil, organic.ErrRunning)
	case 4:
		st.want(st.Stop(ctx), nil)
	case 5:
		st.want(st.Stop(moment), nil, context.DeadlineExceeded)
	case 6:
		st.Pause()
		st.Resume()
	case 7, 8:
		_, _ = st.Iterate(moment) // may be anything, and may end the goroutine
	case 9:
		_, _ = st.Iterate(ctx)
	case 10:
		st.want(st.Drain(moment), nil, context.DeadlineExceeded)
	case 11, 12, 13:
		st.axon.Ask(moment, &organic.Synapse{})
	case 14:
		st.Stats()
		st.Done()
		st.SetStep(1000)
	default:
		_, err := st.Enqueue(ctx, "from outside")
		st.want(err, nil)
		st.IncrementStep()
	}
}

// want counts an answer that is none of these.
func (st *stress) want(err error, allowed ...error) {
	for _, want := range allowed {
		if errors.Is(err, want) || err == nil && want == nil {
			return
		}
	}
	st.misled.Add(1)
}

// run makes its calls and brings the scorer to rest.
func (st *stress) run(t *testing.T, goroutines, calls int) {
	t.Helper()
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for range calls {
				var call sync.WaitGroup
				call.Go(func() { st.fromOutside(t.Context()) })
				call.Wait()
			}
		})
	}
	group.Wait()
	require.NoError(t, st.Stop(t.Context()))
	require.Zero(t, st.inHooks.Load(), "no hook runs when Stop has returned nil")
	require.Zero(t, st.misled.Load())
	require.NotZero(t, st.called.Load())
	stats := st.Stats()
	requireAccounted(t, stats)
	require.False(t, stats.Running)
	require.Zero(t, stats.Overdue)
}

var stressTriggers = []struct {
	name    string
	trigger organic.Trigger
}{
	{name: "seconds", trigger: organic.Seconds{Frequency: time.Microsecond}},
	{name: "steps", trigger: organic.Steps{Frequency: 2}},
}

func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range stressTriggers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st := newStress(t, runtime.Gosched, organic.WithTrigger(tt.trigger))
			st.run(t, 8, 500)
			called := st.called.Load()
			st.IncrementStep()
			require.NoError(t, st.Stop(t.Context()))
			require.Equal(t, called, st.called.Load())
		})
	}
}

func TestEverythingAtOnceLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, tt := range stressTriggers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
				st := newStress(t, func() { time.Sleep(time.Duration(rand.N(3)) * time.Millisecond) }, organic.WithTrigger(tt.trigger))
				for range 3 {
					st.run(t, 8, 200)
					called := st.called.Load()
					time.Sleep(time.Hour)
					require.Equal(t, called, st.called.Load(), "no hook is called at rest")
				}
			})
		})
	}
}
