package service_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/service"
)

// diary notes in which order things happen.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// fakeScorer notes what is called.
type fakeScorer struct {
	diary
	startErr error
	stop     func(ctx context.Context) error
}

func (s *fakeScorer) Start(ctx context.Context) error {
	context.AfterFunc(ctx, func() { s.add("hard stop") })
	s.add("start")
	return s.startErr
}

func (s *fakeScorer) Stop(ctx context.Context) error {
	s.add("stop")
	if s.stop == nil {
		return nil
	}
	return s.stop(ctx)
}

// beside notes the end of its ctx.
func (s *fakeScorer) beside(ctx context.Context) error {
	<-ctx.Done()
	s.add("beside ends")
	return nil
}

func TestStopsInOrderWhenCtxEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeScorer{}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- service.Run(ctx, s, service.Config{
				Collect: func(context.Context) error { s.add("collect"); return nil },
				Beside: []func(context.Context) error{
					s.beside,
					func(context.Context) error { return nil },
					func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
				},
			})
		}()
		synctest.Wait()
		require.Equal(t, []string{"start"}, s.lines)
		cancel()
		require.NoError(t, <-ended)
		require.Equal(t, []string{"start", "stop", "collect", "beside ends"}, s.lines)
	})
}

func TestStopsWhenAPartFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeScorer{}
		failed, late := errors.New("failed"), errors.New("late")
		err := service.Run(t.Context(), s, service.Config{Beside: []func(context.Context) error{
			s.beside,
			func(context.Context) error { time.Sleep(time.Hour); return failed },
			func(ctx context.Context) error { <-ctx.Done(); return late },
		}})
		require.ErrorIs(t, err, failed)
		require.ErrorIs(t, err, late)
		require.Equal(t, []string{"start", "stop", "beside ends"}, s.lines)
	})
}

// endlessError is an error whose tree has no end.
type endlessError struct{}

func (e *endlessError) Error() string   { return "again" }
func (e *endlessError) Unwrap() []error { return []error{e} }

func TestPanicsStopEverythingInOrder(t *testing.T) {
	t.Parallel()
	mishaps := map[string]func(context.Context) error{
		"panic":                func(context.Context) error { panic("no") },
		"error without an end": func(context.Context) error { return &endlessError{} },
		"left by goexit":       func(context.Context) error { runtime.Goexit(); return nil },
		"panic after the end":  func(ctx context.Context) error { <-ctx.Done(); panic("no") },
		"hostile after the end": func(ctx context.Context) error {
			<-ctx.Done()
			return &endlessError{}
		},
	}
	for name, mishap := range mishaps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				s := &fakeScorer{stop: func(context.Context) error { panic("stop") }}
				err := service.Run(ctx, s, service.Config{
					Beside:  []func(context.Context) error{s.beside, mishap},
					Collect: func(context.Context) error { s.add("collect"); panic("collect") },
				})
				require.Error(t, err)
				_, panicked := errors.AsType[*organic.PanicError](err)
				require.True(t, panicked)
				require.Equal(t, []string{"start", "stop", "collect", "beside ends"}, s.lines)
			})
		})
	}
}

func TestCancelsWhatTakesLongerThanTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeScorer{}
		begun, calls := time.Now(), 0
		s.stop = func(ctx context.Context) error {
			if calls++; calls == 1 {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := service.Run(ctx, s, service.Config{Deadline: time.Minute})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "service: scorer cancelled after 1m0s")
		require.Equal(t, time.Minute, time.Since(begun))
		require.Equal(t, []string{"start", "stop", "stop"}, s.lines, "the second one waits")
	})
}

func TestAnErrorOfStopIsNotRepeated(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := &fakeScorer{stop: func(context.Context) error { return broken }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	lost := errors.New("lost")
	err := service.Run(ctx, s, service.Config{Collect: func(context.Context) error { return lost }})
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, err, lost)
	require.Equal(t, []string{"start", "stop"}, s.lines)
}

func TestStartsNothingThatCannotWork(t *testing.T) {
	t.Parallel()
	beside := func(context.Context) error { panic("must not run") }
	s := &fakeScorer{startErr: organic.ErrRunning}
	err := service.Run(t.Context(), s, service.Config{Beside: []func(context.Context) error{beside}})
	require.ErrorIs(t, err, organic.ErrRunning)
	err = service.Run(t.Context(), s, service.Config{Beside: []func(context.Context) error{nil}})
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	err = service.Run(t.Context(), s, service.Config{Deadline: -1})
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	var none *fakeScorer
	for _, scorer := range []service.Scorer{nil, none} {
		err = service.Run(t.Context(), scorer, service.Config{})
		require.ErrorIs(t, err, organic.ErrInvalidOption)
	}
	require.Equal(t, []string{"start"}, s.lines)

	all := service.Config{Beside: []func(context.Context) error{nil, nil}, Deadline: -1}
	err = service.Run(t.Context(), nil, all)
	for _, want := range []string{"scorer", "Beside[0]", "Beside[1]", "Deadline"} {
		require.ErrorContains(t, err, want, "all at once")
	}
}

// A hook that takes longer than the deadline is cancelled, and its sample is in the queue again
// when Run returns.
func TestWhatIsCancelledGoesBackToTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scorer, err := organic.New(organictest.HookFuncs[string, string]{
			QueryMinersFunc: func(ctx context.Context, _ organic.Sample[string]) (map[organic.UID]string,
				error,
			) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- service.Run(ctx, scorer, service.Config{}) }()
		synctest.Wait()
		_, err = scorer.Enqueue(t.Context(), "Peru?")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Equal(t, 1, scorer.Stats().InFlightOrganic)
		cancel()
		require.ErrorIs(t, <-ended, context.DeadlineExceeded)
		require.Equal(t, 1, scorer.Stats().Queued)
	})
}

// Hooks that ask through a relay do so until the scorer has stopped, and what the relay collects
// after that is in the queue when Run returns.
func TestHooksCanUseTheRelayToTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, err := relay.New()
		require.NoError(t, err)
		slow := func(_ context.Context, emit func(relay.Chunk) error) error {
			time.Sleep(time.Second)
			return emit(relay.Chunk{Text: "Lima"})
		}
		miners := map[organic.UID]relay.Miner{1: slow}
		scorer, err := organic.New(organictest.HookFuncs[string, relay.Answer]{
			QueryMinersFunc: func(
				ctx context.Context, _ organic.Sample[string],
			) (map[organic.UID]relay.Answer, error) {
				time.Sleep(time.Second) // the stop begins meanwhile
				return r.Ask(ctx, relay.Query{Miners: miners})
			},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- service.Run(ctx, scorer, service.Config{Collect: r.Close}) }()
		synctest.Wait()
		_, err = scorer.Enqueue(t.Context(), "Peru?")
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, r.Collect(t.Context(), relay.Query{
			Miners: map[organic.UID]relay.Miner{1: func(
				_ context.Context, emit func(relay.Chunk) error,
			) error {
				time.Sleep(time.Minute)
				return emit(relay.Chunk{Text: "Lima"})
			}},
			Done: func(ctx context.Context, _ *relay.Result) error {
				_, err := scorer.Enqueue(ctx, "Chile?")
				return err
			},
		}))
		cancel()
		require.NoError(t, <-ended)
		stats := scorer.Stats()
		require.EqualValues(t, 1, stats.Scored)
		require.Zero(t, stats.Failed)
		require.Equal(t, 1, stats.Queued)
	})
}
