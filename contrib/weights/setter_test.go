package weights_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

var errChain = errors.New("no connection to the chain")

// fakeChain takes weights, or does not.
type fakeChain struct {
	begun time.Time
	fail  atomic.Int32  // how many calls fail
	busy  time.Duration // how long a call takes

	mu      sync.Mutex // guards what follows
	calls   []time.Duration
	vectors []weights.Vector
	now     int // calls in progress
	most    int
}

func newFakeChain(fail int) *fakeChain {
	c := &fakeChain{begun: time.Now()}
	c.fail.Store(int32(fail))
	return c
}

func (c *fakeChain) SetWeights(ctx context.Context, vector weights.Vector, report func(weights.Submission)) (weights.Submission, error) {
	return weights.ChainFunc(c.set).SetWeights(ctx, vector, report)
}

func (c *fakeChain) Follow(ctx context.Context, earlier weights.Submission) (weights.Submission, error) {
	return weights.ChainFunc(c.set).Follow(ctx, earlier)
}

func (c *fakeChain) Position(ctx context.Context) (weights.Position, error) {
	return weights.ChainFunc(c.set).Position(ctx)
}

func (c *fakeChain) set(ctx context.Context, vector weights.Vector) error {
	c.mu.Lock()
	c.calls, c.vectors = append(c.calls, time.Since(c.begun)), append(c.vectors, vector)
	c.now++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now--
	}()
	if c.busy > 0 {
		select {
		case <-time.After(c.busy):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if c.fail.Add(-1) >= 0 {
		return errChain
	}
	return nil
}

// seconds returns when it was called.
func (c *fakeChain) seconds() (seconds []float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.calls {
		seconds = append(seconds, call.Seconds())
	}
	return seconds
}

func someWeights(context.Context) (weights.Vector, error) {
	return weights.Convert(upTo(2), []float64{1, 3}, 2)
}

func newSetter(t *testing.T, chain weights.Chain, source weights.Source, schedule weights.Schedule, opts ...weights.SetterOption) *weights.Setter {
	t.Helper()
	setter, err := weights.NewSetter(chain, source, schedule, opts...)
	require.NoError(t, err)
	return setter
}

// running runs a setter in a bubble; stop ends it and waits.
func running(t *testing.T, setter *weights.Setter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- setter.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

var everyMinute = weights.Interval{Every: time.Minute}

func TestBadSettersAreRefused(t *testing.T) {
	t.Parallel()
	chain, source := newFakeChain(0), weights.Source(someWeights)
	tests := []struct {
		name     string
		chain    weights.Chain
		source   weights.Source
		schedule weights.Schedule
		opt      weights.SetterOption
		want     string
	}{
		{name: "chain", source: source, schedule: everyMinute, want: "chain must not be nil"},
		{name: "nil pointer", chain: (*fakeChain)(nil), source: source, schedule: everyMinute, want: "chain must not be nil"},
		{name: "nil function", chain: weights.ChainFunc(nil), source: source, schedule: everyMinute, want: "chain must not be nil"},
		{name: "source", chain: chain, schedule: everyMinute, want: "source must not be nil"},
		{name: "schedule", chain: chain, source: source, want: "schedule is a <nil>"},
		{name: "pointer to a schedule", chain: chain, source: source, schedule: &everyMinute, want: "must be Interval or Blocks, by value"},
		{name: "no interval", chain: chain, source: source, schedule: weights.Interval{}, want: "Interval.Every is 0s"},
		{name: "limit above interval", chain: chain, source: source, schedule: weights.Interval{Every: 1, RateLimit: 2}, want: "Interval.RateLimit is 2ns"},
		{name: "no blocks", chain: chain, source: source, schedule: weights.Blocks{}, want: "Blocks.Every is 0"},
		{name: "limit above blocks", chain: chain, source: source, schedule: weights.Blocks{Every: 1, RateLimit: 2}, want: "Blocks.RateLimit is 2"},
		{name: "backoff", chain: chain, source: source, schedule: everyMinute, opt: weights.WithBackoff(0, 1), want: "WithBackoff"},
		{name: "backoff limit", chain: chain, source: source, schedule: everyMinute, opt: weights.WithBackoff(2, 1), want: "WithBackoff"},
		{name: "timeout", chain: chain, source: source, schedule: everyMinute, opt: weights.WithTimeout(0), want: "WithTimeout"},
		{name: "logger", chain: chain, source: source, schedule: everyMinute, opt: weights.WithLogger(nil), want: "WithLogger(nil)"},
		{name: "nil option", chain: chain, source: source, schedule: everyMinute, want: "option 1 must not be nil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			setter, err := weights.NewSetter(tt.chain, tt.source, tt.schedule, tt.opt)
			require.ErrorIs(t, err, weights.ErrInvalidOption)
			require.ErrorContains(t, err, tt.want)
			require.Nil(t, setter)
		})
	}
}

func TestWeightsAreSetOncePerInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(0)
		chain.busy = 10 * time.Second
		setter := newSetter(t, chain, someWeights, everyMinute)
		require.Zero(t, setter.Status())
		stop := running(t, setter)
		require.True(t, setter.Status().Running)
		require.ErrorIs(t, setter.Run(t.Context()), weights.ErrRunning)
		time.Sleep(215 * time.Second)
		stop()
		require.Equal(t, []float64{60, 130, 200}, chain.seconds(), "not in the first minute, and from success to try")
		status := setter.Status()
		require.Equal(t, 210*time.Second, status.LastSuccess.Sub(chain.begun))
		require.Equal(t, weights.Status{LastSuccess: status.LastSuccess, LastTry: status.LastSuccess, Entries: 2}, status)
		require.Equal(t, []uint16{21845, 65535}, chain.vectors[0].Weights)
		running(t, setter)() // and again
	})
}

// TestScoresAreKeptUntilTheWeightsAreSet: one hand-written validator cleared
// them though setting had failed. What is sent is made anew for each try.
func TestScoresAreKeptUntilTheWeightsAreSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(2)
		scores := newScores(t, weights.Hold(0.5), []string{"a", "b"})
		update(t, scores, weights.Round{}, organic.Rewards{0: 1, 1: 0.5})
		setter := newSetter(t, chain, func(context.Context) (weights.Vector, error) { return scores.Convert() }, everyMinute)
		stop := running(t, setter)
		time.Sleep(61 * time.Second)
		require.Equal(t, []float64{0.5, 0.25}, scores.Values())
		status := setter.Status()
		require.Equal(t, 1, status.Failures)
		require.ErrorIs(t, status.Err, errChain)
		require.Zero(t, status.LastSuccess)
		update(t, scores, weights.Round{}, organic.Rewards{0: 1, 1: 1.5})
		time.Sleep(time.Minute)
		stop()
		require.InDeltaSlice(t, []float64{0.75, 0.875}, scores.Values(), 1e-12)
		require.Equal(t, []uint16{65535, 32768}, chain.vectors[0].Weights)
		require.Equal(t, []uint16{56173, 65535}, chain.vectors[2].Weights)
		require.Zero(t, setter.Status().Failures)
		require.NoError(t, setter.Status().Err)
	})
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts []weights.SetterOption
		want []float64 // seconds
	}{
		{name: "default", want: []float64{60, 72, 96, 144, 240, 432, 732, 1032, 1092}},
		{name: "own", opts: []weights.SetterOption{weights.WithBackoff(time.Second, 3*time.Second)}, want: []float64{60, 61, 63, 66, 69, 72, 75, 78, 138}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chain := newFakeChain(7)
				stop := running(t, newSetter(t, chain, someWeights, everyMinute, tt.opts...))
				for len(chain.seconds()) < len(tt.want) {
					time.Sleep(time.Second)
				}
				stop()
				require.Equal(t, tt.want, chain.seconds())
			})
		})
	}
}

// TestTriesNeverOverlap: one hand-written validator started a goroutine per
// tick.
func TestTriesNeverOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(3)
		chain.busy = 100 * time.Second // longer than the interval
		setter := newSetter(t, chain, someWeights, everyMinute)
		stop := running(t, setter)
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() { _ = setter.Set(t.Context()) })
		}
		group.Wait()
		stop()
		require.Equal(t, 1, chain.most)
		require.GreaterOrEqual(t, len(chain.calls), 10)
	})
}

func TestSetWaitsForItsTurnNoLongerThanItsCtx(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(0)
		chain.busy = time.Minute
		setter := newSetter(t, chain, someWeights, everyMinute)
		var group sync.WaitGroup
		group.Go(func() { _ = setter.Set(t.Context()) })
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, setter.Set(impatient), context.DeadlineExceeded)
		group.Wait()
		require.Len(t, chain.seconds(), 1)
	})
}

func TestTimeoutEndsATry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(0)
		chain.busy = time.Hour
		setter := newSetter(t, chain, someWeights, everyMinute)
		require.ErrorIs(t, setter.Set(t.Context()), context.DeadlineExceeded)
		require.Equal(t, 2*time.Minute, time.Since(chain.begun))
		require.Equal(t, 1, setter.Status().Failures)
		setter = newSetter(t, chain, someWeights, everyMinute, weights.WithTimeout(time.Second))
		require.ErrorIs(t, setter.Set(t.Context()), context.DeadlineExceeded)
		require.Equal(t, 121*time.Second, time.Since(chain.begun))
	})
}

func TestEndOfRunIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		chain := newFakeChain(0)
		chain.busy = time.Hour
		setter := newSetter(t, chain, someWeights, everyMinute, weights.WithLogger(zap.New(core)))
		stop := running(t, setter)
		time.Sleep(61 * time.Second)
		stop()
		require.Len(t, chain.seconds(), 1)
		require.Zero(t, setter.Status())
		require.Empty(t, logs.All())
	})
}

// TestRateLimitIsRespected: two hand-written validators set weights too soon.
func TestRateLimitIsRespected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(0)
		setter := newSetter(t, chain, someWeights, weights.Interval{Every: time.Hour, RateLimit: time.Hour})
		require.NoError(t, setter.Set(t.Context()), "no success yet")
		time.Sleep(time.Hour)
		require.ErrorIs(t, setter.Set(t.Context()), weights.ErrTooSoon, "more than the limit must have passed")
		require.Zero(t, setter.Status().Failures)
		time.Sleep(time.Nanosecond)
		require.NoError(t, setter.Set(t.Context()))
		require.Len(t, chain.seconds(), 2)
		stop := running(t, setter)
		time.Sleep(time.Hour)
		require.Len(t, chain.seconds(), 2)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Len(t, chain.seconds(), 3)
		stop()
	})
}

func TestUnsoundVectorsAreNotSent(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	tests := []struct {
		name   string
		vector weights.Vector
		err    error
		want   error
	}{
		{name: "empty", want: weights.ErrEmpty},
		{name: "too few", vector: weights.Vector{UIDs: upTo(1), Weights: []uint16{1}, TooFew: true}, want: weights.ErrTooFew},
		{name: "unequal", vector: weights.Vector{UIDs: upTo(2), Weights: []uint16{1}}, want: weights.ErrLength},
		{name: "source fails", err: own, want: own},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			chain := newFakeChain(0)
			setter := newSetter(t, chain, func(context.Context) (weights.Vector, error) { return tt.vector, tt.err }, everyMinute)
			require.ErrorIs(t, setter.Set(t.Context()), tt.want)
			require.Empty(t, chain.seconds())
			require.ErrorIs(t, setter.Status().Err, tt.want)
		})
	}
}

func TestPanicsAreFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		setter := newSetter(t, weights.ChainFunc(func(context.Context, weights.Vector) error {
			if calls++; calls == 1 {
				panic("private text")
			}
			return nil
		}), someWeights, everyMinute)
		stop := running(t, setter)
		time.Sleep(61 * time.Second)
		var panicked *organic.PanicError
		require.ErrorAs(t, setter.Status().Err, &panicked)
		require.NotContains(t, panicked.Error(), "private")
		time.Sleep(time.Minute)
		require.NotZero(t, setter.Status().LastSuccess)
		stop()
	})
}

func TestDryRunSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		chain := newFakeChain(0)
		setter := newSetter(t, chain, someWeights, everyMinute, weights.WithDryRun(), weights.WithLogger(zap.New(core)))
		stop := running(t, setter)
		time.Sleep(121 * time.Second)
		stop()
		require.Empty(t, chain.seconds())
		require.Zero(t, setter.Status().LastSuccess)
		require.NotZero(t, setter.Status().LastTry)
		require.Equal(t, 2, logs.FilterMessage("dry run, weights not sent").Len())
	})
}

func TestSetterLogsWhatMinersAskFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		setter := newSetter(t, newFakeChain(1), someWeights, weights.Blocks{Every: 10}, weights.WithLogger(zap.New(core)))
		setter.Block(100)
		require.Error(t, setter.Set(t.Context()))
		require.NoError(t, setter.Set(t.Context()))
		failed, done := logs.All()[0], logs.All()[1]
		require.Equal(t, "weights", done.LoggerName)
		require.Equal(t, map[string]any{"error": errChain.Error(), "failures": int64(1), "retry_in": 12 * time.Second}, failed.ContextMap())
		require.Equal(t, uint64(100), done.ContextMap()["block"])
		require.Len(t, done.ContextMap()["rows"], 2)
	})
}
