package organic_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// interruptionEndings are what a hook can end in when its ctx is cancelled by
// a hard stop.
var interruptionEndings = []struct {
	name  string
	end   func(ctx context.Context) error
	check func(t *testing.T, err error) // nil: nothing is told
	stack int                           // log lines that have one
}{
	{name: "nothing"},
	{name: "the error of its ctx", end: func(ctx context.Context) error { return ctx.Err() }},
	{name: "the cause of its ctx", end: context.Cause},
	{name: "the error of its ctx, wrapped", end: func(ctx context.Context) error { return fmt.Errorf("asking miners: %w", ctx.Err()) }},
	{name: "the error of its ctx, twice", end: func(ctx context.Context) error { return errors.Join(ctx.Err(), context.Canceled) }},
	{name: "an error of its own", end: func(context.Context) error { return errMishap }, check: requireMishap},
	{name: "an error of its own and that of its ctx", end: func(ctx context.Context) error { return errors.Join(ctx.Err(), errMishap) }, check: requireMishap},
	{name: "an error to try later", end: func(context.Context) error { return organic.RetryAfter(time.Hour, errMishap) }, check: requireMishap},
	{name: "a panic", end: func(context.Context) error { panic("at the disco") }, stack: 1, check: func(t *testing.T, err error) {
		t.Helper()
		panicked, ok := errors.AsType[*organic.PanicError](err)
		require.True(t, ok, "%v", err)
		require.Contains(t, string(panicked.Stack()), "interruptedcause_test.go", "the stack is that of the panic")
		require.NotContains(t, err.Error(), "disco")
	}},
}

func requireMishap(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, errMishap)
}

// endingAtTheStop makes hooks of which one waits for the hard stop.
func endingAtTheStop(stage organic.Stage, end func(ctx context.Context) error) promptHooks {
	return fiveHooks(func(ctx context.Context, at organic.Stage) error {
		if at != stage {
			return nil
		}
		<-ctx.Done()
		if end == nil {
			return nil
		}
		return end(ctx)
	})
}

func TestInterruptionTellsWhatAHookEndedIn(t *testing.T) {
	t.Parallel()
	for _, stage := range []organic.Stage{organic.StageQuery, organic.StageReference, organic.StageRewards, organic.StageWeights} {
		for _, origin := range []organic.Origin{organic.Organic, organic.Synthetic} {
			for i, ending := range interruptionEndings {
				if ending.end == nil && stage == organic.StageWeights {
					continue // the sample is scored
				}
				t.Run(fmt.Sprint(stage, " ", origin, " ", ending.name), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { interrupt(t, stage, origin, i) })
				})
			}
		}
	}
}

func interrupt(t *testing.T, stage organic.Stage, origin organic.Origin, i int) {
	t.Helper()
	ending := interruptionEndings[i]
	var opts []organic.Option
	if origin == organic.Synthetic {
		opts = append(opts, organic.WithSynth(always("made up")))
	}
	s := newStand(t, endingAtTheStop(stage, ending.end), opts...)
	if origin == organic.Organic {
		s.enqueue("prompt")
	}
	kill := s.start()
	time.Sleep(time.Second)
	kill()
	s.stop()
	e := s.one(organic.EventInterrupted)
	require.Equal(t, origin, e.Origin)
	require.Equal(t, time.Second, e.Duration)
	told := 0
	if ending.check == nil {
		require.NoError(t, e.Err)
	} else {
		told = 1
		ending.check(t, e.Err)
		require.Equal(t, []organic.Stage{stage}, stagesOf(e.Err))
	}
	require.Equal(t, told, s.logs.FilterFieldKey("error").Len(), "logged once")
	require.Equal(t, told, s.logs.FilterMessage("iteration interrupted").FilterFieldKey("error").Len())
	require.Equal(t, ending.stack, s.logs.FilterFieldKey("stack").Len())
	require.Empty(t, s.all(organic.EventFailed))
}
