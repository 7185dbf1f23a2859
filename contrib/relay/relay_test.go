package relay_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/relay"
)

func TestBadOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opt  relay.Option
		want string
	}{
		{"nil", nil, "option 1 is nil"},
		{"max open", relay.WithMaxOpen(0), "WithMaxOpen(0): must be at least 1"},
		{"max in flight", relay.WithMaxInFlight(0), "WithMaxInFlight(0): must be at least 1"},
		{"parallel", relay.WithParallel(0), "WithParallel(0): must be at least 1"},
		{"timeout", relay.WithTimeout(0), "WithTimeout(0s): must be above 0"},
		{"first chunk", relay.WithFirstChunk(-time.Second), "WithFirstChunk(-1s): must be above 0"},
		{"idle", relay.WithIdle(0), "WithIdle(0s): must be above 0"},
		{"stream idle", relay.WithStreamIdle(-1), "WithStreamIdle(-1ns): must be above 0"},
		{"max bytes", relay.WithMaxAnswer(0, 1), "WithMaxAnswer(0, 1): both must be at least 1"},
		{"max chunks", relay.WithMaxAnswer(1, 0), "WithMaxAnswer(1, 0): both must be at least 1"},
		{"lag", relay.WithMaxLag(0), "WithMaxLag(0): must be at least 1"},
		{"write timeout", relay.WithWriteTimeout(0), "WithWriteTimeout(0s): must be above 0"},
		{"keep alive", relay.WithKeepAlive(0), "WithKeepAlive(0s): must be above 0"},
		{"keep bytes", relay.WithKeep(-1, 0), "WithKeep(-1, 0s): neither may be below 0"},
		{"keep age", relay.WithKeep(0, -1), "WithKeep(0, -1ns): neither may be below 0"},
		{"done retry", relay.WithDoneRetry(0), "WithDoneRetry(0s): must be above 0"},
		{"done failed", relay.WithDoneFailed(nil), "WithDoneFailed(nil): must be a function"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := relay.New(tt.opt, relay.WithMaxOpen(-7))
			require.Nil(t, r)
			require.ErrorIs(t, err, relay.ErrInvalidOption)
			require.ErrorContains(t, err, "relay: invalid option: ")
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, "WithMaxOpen(-7)", "all at once")
		})
	}
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		query relay.Query
		want  string
	}{
		{"no miners", relay.Query{}, "Miners is empty"},
		{"nil miner", relay.Query{Miners: miners{3: nil}}, "Miners[3] is nil"},
		{
			"unknown choice",
			relay.Query{Miners: miners{3: says().ask}, View: relay.One(4)},
			"One(4) is not among Miners",
		},
		{
			"zero is a UID",
			relay.Query{Miners: miners{3: says().ask}, View: relay.One(0)},
			"One(0) is not among Miners",
		},
		{
			"timeout",
			relay.Query{Miners: miners{3: says().ask}, Timeout: -1},
			"Timeout is -1ns, must not be below 0",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, w := newStand(t), &requester{}
			err := s.serve(t.Context(), w, tt.query)
			require.ErrorIs(t, err, relay.ErrInvalidQuery)
			require.ErrorIs(t, err, relay.ErrNotAsked)
			require.ErrorContains(t, err, "relay: invalid query: "+tt.want)
			status, _ := organic.RefusalOf(err)
			require.Equal(t, len(tt.query.Miners) == 0, status == http.StatusServiceUnavailable)
			require.Empty(t, w.stream())
			require.Zero(t, s.relay.Stats())
		})
	}
}

func TestTooManyRelaysAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, relay.WithMaxOpen(1), relay.WithTimeout(time.Minute))
		overstaying := says("a").hanging()
		overstaying.overstay = time.Minute
		require.NoError(
			t, s.serve(t.Context(), &requester{}, relay.Query{Miners: miners{1: overstaying.ask}}),
		)
		refused := func() error {
			return s.serve(t.Context(), &requester{}, relay.Query{Miners: miners{1: says("a").ask}})
		}
		err := refused()
		require.ErrorIs(t, err, relay.ErrBusy, "as long as a miner function runs")
		require.ErrorIs(t, err, relay.ErrNotAsked)
		status, message := organic.RefusalOf(err)
		require.Equal(t, 503, status)
		require.Equal(t, "busy, try again later", message)
		_, err = s.relay.Ask(t.Context(), relay.Query{Miners: miners{1: says("a").ask}})
		require.ErrorIs(t, err, relay.ErrBusy)

		s.result()
		err = refused()
		require.ErrorIs(t, err, relay.ErrClosed)
		status, _ = organic.RefusalOf(err)
		require.Equal(t, 503, status)
		stats := s.relay.Stats()
		require.EqualValues(t, 1, stats.Begun)
		require.EqualValues(t, 3, stats.Refused)
		require.EqualValues(t, 1, stats.Completed)
		require.EqualValues(t, 1, stats.Failed)
	})
}

func TestTimeOfOneQuery(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]time.Duration{
		0: time.Minute, time.Second: time.Second, time.Hour: time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStand(t, relay.WithTimeout(time.Minute))
			require.NoError(
				t,
				s.serve(
					t.Context(), &requester{},
					relay.Query{Miners: miners{1: says().hanging().ask}, Timeout: timeout},
				),
			)
			require.Equal(t, want, s.result().Took)
		})
	}
}

func TestOneRelayPerID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		query := relay.Query{
			ID: "id", Miners: miners{1: says("a").ask, 2: says("b").every(time.Minute).ask},
			View: relay.One(1),
		}
		require.NoError(t, s.serve(t.Context(), &requester{}, query))
		require.ErrorIs(t, s.serve(t.Context(), &requester{}, query), relay.ErrDuplicate)
		time.Sleep(2 * time.Minute)
		_, err := s.relay.Ask(t.Context(), query)
		require.NoError(t, err, "it has ended")
		s.result()
	})
}

func TestCloseCutsShortWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, relay.WithParallel(1))
		var served sync.WaitGroup
		w := &requester{}
		slow := says("a", "b").every(time.Minute)
		slow.overstay = time.Second
		served.Go(func() {
			require.NoError(
				t,
				s.serve(
					t.Context(), w,
					relay.Query{Miners: miners{1: slow.ask, 2: says("c").ask}, View: relay.One(1)},
				),
			)
		})
		time.Sleep(90 * time.Second)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errMishap)
		defer cancel()
		require.ErrorIs(t, s.relay.Close(ctx), errMishap)
		result := s.result()
		served.Wait()
		require.Equal(t, events("a", failure(relay.BrokenOff)), w.stream())
		require.Equal(t, relay.Cancelled, result.Answers[1].Ending)
		require.Equal(t, "a", result.Answers[1].Text())
		require.Equal(t, relay.NeverStarted, result.Answers[2].Ending)
		require.ErrorIs(t, result.Answers[2].Err, relay.ErrClosed)
		require.NoError(t, s.relay.Close(t.Context()), "again")
		require.NoError(t, s.relay.Close(ctx), "nothing is left to wait for")
	})
}

func TestCloseWaitsForWhatIsOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		require.NoError(t, s.serve(t.Context(), &requester{}, relay.Query{
			Miners: miners{1: says("a").ask, 2: says("b").every(time.Minute).ask}, View: relay.One(
				1,
			),
		}))
		start := time.Now()
		require.Equal(t, "b", s.result().Answers[2].Text())
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestDoneThatFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		done func(ctx context.Context, result *relay.Result) error
		want func(t *testing.T, err error)
	}{
		{
			"error", func(context.Context, *relay.Result) error { return errMishap },
			func(t *testing.T, err error) {
				t.Helper()
				require.ErrorIs(t, err, errMishap)
			},
		},
		{
			"panic", func(context.Context, *relay.Result) error { panic("secret") },
			func(t *testing.T, err error) {
				t.Helper()
				requirePanic(t, err)
			},
		},
		{
			"goexit", func(context.Context, *relay.Result) error { runtime.Goexit(); return nil },
			func(t *testing.T, err error) {
				t.Helper()
				require.ErrorContains(t, err, "Goexit")
			},
		},
		{"too long", func(
			ctx context.Context, _ *relay.Result,
		) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}, func(t *testing.T, err error) {
			t.Helper()
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				failed := make(chan error, 1)
				r, err := relay.New(relay.WithDoneFailed(func(result *relay.Result, err error) {
					require.Equal(t, "a", result.Answers[1].Text(), "the last place to save it")
					failed <- err
					panic("as well")
				}))
				require.NoError(t, err)
				query := relay.Query{ID: "id", Miners: miners{1: says("a").ask}, Done: tt.done}
				require.NoError(t, r.Serve(t.Context(), &requester{}, query))
				require.NoError(t, r.Close(t.Context()))
				tt.want(t, <-failed)
				require.EqualValues(t, 1, r.Stats().DoneFailed)
			})
		})
	}
}

func TestDoneThatFailsIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, err := relay.New()
		require.NoError(t, err)
		query := relay.Query{
			Miners: miners{1: says("a").ask},
			Done:   func(context.Context, *relay.Result) error { return errMishap },
		}
		require.NoError(t, r.Serve(t.Context(), &requester{}, query))
		require.NoError(t, r.Close(t.Context()))
		require.EqualValues(t, 1, r.Stats().DoneFailed)
	})
}

func TestDoneIsCalledAgainUntilItSucceeds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		opts         []relay.Option
		succeeds     int // at which call; 0: never
		panics       bool
		calls        int
		took         time.Duration
		failed, last uint64
	}{
		{"once by default", nil, 2, false, 1, 0, 1, 1},
		{
			"at the third call",
			[]relay.Option{relay.WithDoneRetry(time.Second)},
			3, false, 3,
			3 * time.Second, 0, 0,
		},
		{"never", []relay.Option{relay.WithDoneRetry(time.Second)}, 0, false, 4, 10 * time.Second, 1, 4},
		{"panic", []relay.Option{relay.WithDoneRetry(time.Second)}, 2, true, 1, 0, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var last error
				s := newStand(t, append(tt.opts, relay.WithDoneFailed(func(_ *relay.Result, err error) {
					last = err
				}))...)
				calls, began := 0, time.Now()
				require.NoError(t, s.relay.Collect(t.Context(), relay.Query{
					Miners: miners{1: says("a").ask},
					Done: func(_ context.Context, result *relay.Result) error {
						require.Equal(t, "a", result.Answers[1].Text())
						if calls++; calls == tt.succeeds {
							return nil
						}
						if tt.panics {
							panic("mishap")
						}
						return fmt.Errorf("failure %d", calls)
					},
				}))
				require.NoError(t, s.relay.Close(t.Context()))
				require.Equal(t, tt.calls, calls)
				require.Equal(t, tt.took, time.Since(began))
				require.Equal(t, tt.failed, s.relay.Stats().DoneFailed)
				if tt.last > 0 {
					require.EqualError(t, last, fmt.Sprint("failure ", tt.last))
				}
			})
		})
	}
}

// A queue on a server may have stored a sample although Add has failed.
func TestDoneIsCalledAgainOnlyIfThatHelps(t *testing.T) {
	t.Parallel()
	unconfirmed := errors.New("was sent and is not confirmed")
	for _, tt := range []struct {
		name   string
		errs   []error // of the calls in their order
		failed uint64
	}{
		{"stored by the call that failed", []error{unconfirmed, organic.ErrDuplicate}, 0},
		{"stored before", []error{organic.ErrDuplicate}, 1},
		{"too large", []error{fmt.Errorf("add: %w", durable.ErrTooLarge)}, 1},
		{"closed at last", []error{unconfirmed, organic.ErrClosed}, 1},
		{"closed queue", []error{durable.ErrClosed}, 1},
		{"not built", []error{organic.ErrNotBuilt}, 1},
		{"invalid", []error{organic.ErrInvalidOption}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, relay.WithDoneRetry(time.Second))
				calls := 0
				require.NoError(t, s.relay.Collect(t.Context(), relay.Query{
					Miners: miners{1: says("a").ask},
					Done: func(context.Context, *relay.Result) error {
						calls++
						return tt.errs[min(calls, len(tt.errs))-1]
					},
				}))
				require.NoError(t, s.relay.Close(t.Context()))
				require.Equal(t, len(tt.errs), calls)
				require.Equal(t, tt.failed, s.relay.Stats().DoneFailed)
			})
		})
	}
}

func TestCollectRefusesToLoseTheAnswers(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	err := s.relay.Collect(t.Context(), relay.Query{Miners: miners{1: says("a").ask}})
	require.ErrorIs(t, err, relay.ErrInvalidQuery)
	require.ErrorIs(t, err, relay.ErrNotAsked)
	require.Zero(t, s.relay.Stats().Begun)
	require.NoError(t, s.relay.Collect(t.Context(), relay.Query{
		ID: "sample", Miners: miners{1: says("a").ask},
	}))
	answers, err := s.relay.Answers(t.Context(), "sample")
	require.NoError(t, err)
	require.Equal(t, "a", answers[1].Text())
}

func TestCollectHandsOverWithoutARequester(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		require.NoError(t, s.relay.Collect(ctx, relay.Query{
			ID: "sample", Done: s.done,
			Miners: miners{1: says("a").ask, 2: says("b", "c").every(time.Second).ask},
			View:   relay.One(77), StopOnLeave: true, // ignored
		}))
		require.Zero(t, time.Since(began), "returns at once")
		require.ErrorIs(t, s.relay.Collect(ctx, relay.Query{
			ID: "sample", Miners: miners{1: says("a").ask},
		}), relay.ErrDuplicate)
		cancel()
		result := s.result()
		require.NoError(t, result.Err())
		require.Equal(t, "a", result.Answers[1].Text())
		require.Equal(t, "bc", result.Answers[2].Text(), "heard to the end")
		stats := s.relay.Stats()
		require.Equal(t, relay.Stats{Begun: 1, Completed: 1, Kept: 1, KeptBytes: stats.KeptBytes}, stats)

		err := s.relay.Collect(t.Context(), relay.Query{Miners: miners{1: says("a").ask}, Done: s.done})
		require.ErrorIs(t, err, relay.ErrClosed)
		require.ErrorIs(t, err, relay.ErrNotAsked)
	})
}

func TestAskCollectsWithoutARequester(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, err := relay.New()
		require.NoError(t, err)
		slow := says("b", "c").every(time.Minute)
		slow.overstay = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		answers, err := r.Ask(ctx, relay.Query{
			Miners: miners{1: says("a").ask, 2: slow.ask, 3: says().hanging().ask},
			View:   relay.One(77), // ignored
			Done:   func(context.Context, *relay.Result) error { return errors.New("not called") },
		})
		require.NoError(t, err)
		require.Equal(t, "a", answers[1].Text())
		require.Equal(t, relay.TimedOut, answers[2].Ending)
		require.Equal(t, "b", answers[2].Text())
		require.Equal(t, relay.Silent, answers[3].Ending)
		require.Equal(t, 90*time.Second, answers[3].Ended)
		require.Equal(t, 1, r.Stats().Open, "one overstays")
		require.NoError(t, r.Close(t.Context()))
		require.Zero(t, r.Stats().DoneFailed)

		cancelled, give := context.WithCancelCause(t.Context())
		give(errMishap)
		r, err = relay.New()
		require.NoError(t, err)
		answers, err = r.Ask(cancelled, relay.Query{Miners: miners{1: says("a").ask}})
		require.ErrorIs(t, err, errMishap, "beside the answers")
		require.Equal(t, relay.NeverStarted, answers[1].Ending)
		require.ErrorIs(t, answers[1].Err, errMishap)
		require.NoError(t, r.Close(t.Context()))
	})
}
