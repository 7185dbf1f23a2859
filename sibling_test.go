package organic_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

var errSibling = errors.New("sibling failed by itself")

// endings are the ways in which a hook can fail.
var endings = []struct {
	name  string
	end   func() error
	check func(t *testing.T, err error)
}{
	{"error", func() error { return errMishap }, func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, errMishap)
	}},
	{"panic", func() error { panic("at the disco") }, requirePanic},
	{"goexit", func() error {
		runtime.Goexit()
		return nil
	}, func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, organic.ErrGoexit)
	}},
}

// requirePanic checks that a panic was caught where it happened.
func requirePanic(t *testing.T, err error) {
	t.Helper()
	panicked, ok := errors.AsType[*organic.PanicError](err)
	require.True(t, ok)
	require.Equal(t, "at the disco", panicked.Value())
	require.Contains(t, string(panicked.Stack()), "sibling_test.go", "the stack is that of the panic")
	require.NotContains(t, err.Error(), "disco")
}

func TestFirstErrorCancelsTheSiblingAndBothAreWaitedFor(t *testing.T) {
	t.Parallel()
	siblings := []struct {
		name  string
		end   func(ctx context.Context) error
		check func(t *testing.T, err error) // nil: not reported
	}{
		{"returns nil", func(context.Context) error { return nil }, nil},
		{"returns its ctx's error", func(ctx context.Context) error { return ctx.Err() }, nil},
		{"returns the cause", context.Cause, nil},
		{"fails by itself", func(context.Context) error { return errSibling }, func(t *testing.T, err error) {
			t.Helper()
			require.ErrorIs(t, err, errSibling)
		}},
		{"panics", func(context.Context) error { panic("at the disco") }, requirePanic},
		{"leaves", func(context.Context) error {
			runtime.Goexit()
			return nil
		}, func(t *testing.T, err error) {
			t.Helper()
			require.ErrorIs(t, err, organic.ErrGoexit)
		}},
	}
	for _, first := range []organic.Stage{organic.StageQuery, organic.StageReference} {
		for _, ending := range endings {
			for _, sibling := range siblings {
				t.Run(first.String()+" "+ending.name+", sibling "+sibling.name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
							if stage == first {
								time.Sleep(time.Second)
								return ending.end()
							}
							<-ctx.Done()
							time.Sleep(2 * time.Second)
							return sibling.end(ctx)
						}))
						s.enqueue("prompt")
						s.runFor(4 * time.Second)
						failed := s.one(organic.EventFailed)
						require.Equal(t, 3*time.Second, failed.Duration)
						ending.check(t, failed.Err)
						stages := stagesOf(failed.Err)
						require.NotErrorIs(t, failed.Err, context.Canceled)
						if sibling.check == nil {
							require.Equal(t, []organic.Stage{first}, stages)
							return
						}
						sibling.check(t, failed.Err)
						slices.Sort(stages)
						require.Equal(t, []organic.Stage{organic.StageQuery, organic.StageReference}, stages)
					})
				})
			}
		}
	}
}

func TestBothErrorsAreReportedWhenNeitherHeedsTheOther(t *testing.T) {
	t.Parallel()
	for _, slow := range []organic.Stage{organic.StageQuery, organic.StageReference} {
		t.Run(slow.String()+" is slower", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
					if stage == slow {
						time.Sleep(time.Minute)
						return errSibling
					}
					return errMishap
				}))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.ErrorIs(t, err, errMishap)
				require.ErrorIs(t, err, errSibling)
				require.Equal(t, []organic.Stage{organic.StageQuery, organic.StageReference}, stagesOf(err))
				require.Len(t, s.all(organic.EventFailed), 1)
			})
		})
	}
}

func TestCancelledSiblingIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				time.Sleep(time.Second)
				return errMishap
			}
			j.add(stage.String())
			<-ctx.Done()
			return ctx.Err()
		}), organic.WithStage(organic.StageReference, organic.StagePolicy{Tries: 5}))
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.Equal(t, []organic.Stage{organic.StageQuery}, stagesOf(err))
		require.Equal(t, []string{"reference"}, j.noted())
	})
}

func TestHardStopDuringQueryIsAnInterruption(t *testing.T) {
	t.Parallel()
	for _, ending := range []struct {
		name string
		err  error
	}{{"that returns nil", nil}, {"that fails", errMishap}, {"that is cancelled", context.Canceled}} {
		t.Run(ending.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := newMemory(t)
				s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
					if stage == organic.StageQuery {
						<-ctx.Done()
						return ending.err
					}
					return nil
				}), organic.WithQueue(queue))
				s.enqueue("prompt")
				kill := s.start()
				time.Sleep(time.Second)
				kill()
				stats := s.stop()
				require.Equal(t, uint64(1), stats.Returned)
				require.Zero(t, stats.Failed)
				require.Equal(t, time.Second, s.one(organic.EventInterrupted).Duration)
				require.Equal(t, 1, queue.TakeAll()[0].Attempt)
				logged := 0
				if ending.err == errMishap { //nolint:errorlint // the very same
					logged = 1
				}
				require.Equal(t, logged, s.logs.FilterFieldKey("error").Len(), "a hard stop is no error, what a hook says of its own is")
			})
		})
	}
}
