package organic_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// typedNil is an error that is not nil and cannot be looked into: its Unwrap
// reads from a nil pointer.
func typedNil() error {
	var e *net.OpError
	return e
}

// requireLooked requires that a typed nil was found out before it did harm.
func requireLooked(t *testing.T, err error) {
	t.Helper()
	staged, ok := errors.AsType[*organic.StageError](err)
	require.True(t, ok, "%T", err)
	_, ok = errors.AsType[*organic.PanicError](staged.Err)
	require.True(t, ok, "%T", staged.Err)
}

// misleading makes a function that returns typed nils three times.
func misleading(wrap func(err error) error) func() error {
	var calls atomic.Int64
	return func() error {
		if calls.Add(1) <= 3 {
			return wrap(typedNil())
		}
		return nil
	}
}

func TestTypedNilErrorsAreFailuresAndNoMore(t *testing.T) {
	t.Parallel()
	wraps := []struct {
		name string
		wrap func(err error) error
	}{
		{"bare", func(err error) error { return err }},
		{"joined", func(err error) error { return errors.Join(errMishap, err) }},
		{"retry after", func(err error) error { return organic.RetryAfter(time.Second, err) }},
	}
	for _, place := range append(hookPlaces(), otherPlaces()...) {
		for _, w := range wraps {
			t.Run(place.name+" "+w.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					hooks, opts := place.build(t, misleading(w.wrap))
					s := newStand(t, hooks, opts...)
					s.enqueue("first")
					s.start()
					time.Sleep(5 * time.Minute)
					s.enqueue("second", "third")
					time.Sleep(5 * time.Minute)
					requireMisbehaved(t, s, place, requireLooked)
				})
			})
		}
	}
}

func TestTypedNilErrorIsTriedAgainWithinTheStage(t *testing.T) {
	t.Parallel()
	for _, stage := range hookStages {
		t.Run(stage.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fail := misleading(func(err error) error { return err })
				s := newStand(t, fiveHooks(func(_ context.Context, at organic.Stage) error {
					if at == stage {
						return fail()
					}
					return nil
				}), organic.WithStage(stage, organic.StagePolicy{Tries: 4, Timeout: time.Minute}))
				s.enqueue("prompt")
				stats := s.drain()
				require.EqualValues(t, 1, stats.Scored)
				require.Zero(t, stats.Failed)
				require.Len(t, s.all(organic.EventStageRetried), 3)
			})
		})
	}
}

func TestTypedNilErrorsOfQueryAndReferenceTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery || stage == organic.StageReference {
				return typedNil()
			}
			return nil
		}), organic.WithRetry(organic.RetryPolicy{Attempts: 2}))
		s.enqueue("prompt")
		stats := s.drain()
		require.EqualValues(t, 1, stats.Dead)
		require.EqualValues(t, 2, stats.Failed)
		for _, e := range s.all(organic.EventFailed) {
			requireLooked(t, e.Err)
		}
	})
}

func TestTypedNilErrorOfAnEntryHook(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"blacklist", "verify", "forward"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var seen calls
				axon := &organictest.Axon{}
				s := newStand(t, seen.entryHooks(name, typedNil()), organic.WithAxon(axon))
				s.start()
				for range 3 {
					status, body := axon.Ask(t.Context(), &organic.Synapse{})
					require.Equal(t, http.StatusInternalServerError, status)
					require.Equal(t, http.StatusText(status), string(body))
				}
				events := s.all(organic.EventEntryFailed)
				require.Len(t, events, 3)
				requireLooked(t, events[0].Err)
				s.stop()
			})
		})
	}
}

func TestTypedNilErrorAtEnqueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fail := misleading(func(err error) error { return err })
		queue := newFaultyQueue(t)
		queue.beforeAdd = func(context.Context) error { return fail() }
		s := newStand(t, promptHooks{}, organic.WithQueue(queue))
		for range 3 {
			_, err := s.Enqueue(t.Context(), "prompt")
			require.Error(t, err)
			require.NotErrorIs(t, err, organic.ErrFull, "it can be looked into")
		}
		s.enqueue("prompt")
		stats := s.drain()
		require.EqualValues(t, 3, stats.Refused)
		require.EqualValues(t, 1, stats.Scored)
	})
}

func TestTypedNilErrorsAtTheStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var refuses atomic.Bool
		queue := newFaultyQueue(t)
		queue.beforeAdd = func(context.Context) error {
			if refuses.Load() {
				return typedNil()
			}
			return nil
		}
		g := grave{before: func(context.Context) error { return typedNil() }}
		s := newStand(t, later(time.Hour), organic.WithQueue(queue), g.option())
		s.enqueue("first", "second")
		refuses.Store(true)
		stats := s.runFor(time.Minute)
		require.EqualValues(t, 2, stats.Dropped)
		for _, e := range s.all(organic.EventPutBackFailed) {
			requireLooked(t, e.Err)
		}
	})
}

func TestTypedNilErrorAtAHardStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage != organic.StageQuery {
				return nil
			}
			<-ctx.Done()
			return typedNil()
		}))
		s.enqueue("prompt")
		kill := s.start()
		time.Sleep(time.Second)
		kill()
		require.Equal(t, 1, s.stop().Queued)
		requireLooked(t, s.one(organic.EventReturned).Err)
	})
}
