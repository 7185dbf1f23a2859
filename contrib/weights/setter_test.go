package weights_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
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

func newSetter(
	t *testing.T, chain weights.Chain, source weights.Source, schedule weights.Schedule,
	opts ...weights.SetterOption,
) *weights.Setter {
	t.Helper()
	setter, err := weights.NewSetter(chain, source, schedule, opts...)
	require.NoError(t, err)
	return setter
}

// running runs a setter, and returns how it is stopped.
func running(t *testing.T, setter *weights.Setter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- setter.Run(ctx) }()
	synctest.Wait()
	return func() {
		t.Helper()
		cancel()
		require.NoError(t, <-done)
	}
}

// pass lets time pass, and all goroutines of the bubble come to their next wait.
func pass(length time.Duration) {
	time.Sleep(length)
	synctest.Wait()
}

// runFor runs a setter for some time.
func runFor(t *testing.T, setter *weights.Setter, length time.Duration) {
	t.Helper()
	stop := running(t, setter)
	pass(length)
	stop()
}

// seen keeps the kinds of events. It is safe for concurrent use.
type seen struct {
	mu  sync.Mutex
	all []weights.SetterEventKind
}

func (s *seen) add(event weights.SetterEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, event.Kind)
}

func (s *seen) kinds() []weights.SetterEventKind {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// client is the client of a chain with the current software.
func client(chain *fakeChain) sender { return sender{chain, 1 << 40} }

func (c *fakeChain) sets() (blocks []uint64) {
	c.change(func(c *fakeChain) {
		for _, e := range c.extrinsics {
			if e.set(c.timelock) {
				blocks = append(blocks, e.block)
			}
		}
	})
	return blocks
}

// heights are those of the calls of SetWeights.
func (c *fakeChain) heights() (heights []uint64) {
	c.change(func(c *fakeChain) { heights = slices.Clone(c.tries) })
	return heights
}

func TestBadSettersAreReportedTogether(t *testing.T) {
	t.Parallel()
	every := weights.Interval{Every: time.Minute}
	var none *weights.HTTP
	for name, tt := range map[string]struct {
		chain    weights.Chain
		source   weights.Source
		schedule weights.Schedule
		opt      weights.SetterOption
		want     string
	}{
		"nil chain":   {nil, someWeights, every, weights.WithDryRun(), "chain must not be nil"},
		"nil pointer": {none, someWeights, every, weights.WithDryRun(), "chain must not be nil"},
		"nil function": {
			weights.ChainFunc(nil), someWeights, every, weights.WithDryRun(),
			"chain must not be nil",
		},
		"nil source":   {client(nil), nil, every, weights.WithDryRun(), "source must not be nil"},
		"nil schedule": {client(nil), someWeights, nil, weights.WithDryRun(), "schedule is a <nil>"},
		"pointer":      {client(nil), someWeights, &every, weights.WithDryRun(), "by value"},
		"no interval": {
			client(nil), someWeights,
			weights.Interval{},
			weights.WithDryRun(),
			"Interval.Every is 0s",
		},
		"no blocks": {
			client(nil), someWeights,
			weights.Blocks{},
			weights.WithDryRun(),
			"Blocks.Every is 0",
		},
		"no block before": {
			client(nil), someWeights,
			weights.Epoch{},
			weights.WithDryRun(),
			"Epoch.Before is 0",
		},
		"nil option": {client(nil), someWeights, every, nil, "option 1 must not be nil"},
		"back-off":   {client(nil), someWeights, every, weights.WithBackoff(2, 1), "WithBackoff"},
		"timeout":    {client(nil), someWeights, every, weights.WithTimeout(0), "WithTimeout"},
		"saver":      {client(nil), someWeights, every, weights.WithSaver(nil), "WithSaver(nil)"},
		"warm-up": {
			client(nil), someWeights, every, weights.WithWarmUp(nil, 2, 0, 0),
			"WithWarmUp(scores, 2, 0, 0s)",
		},
		"refresh": {
			client(nil), someWeights, every, weights.WithRefresh(nil),
			"WithRefresh(nil)",
		},
		"observer": {
			client(nil), someWeights, every, weights.WithObserver(nil),
			"WithObserver(nil)",
		},
		"logger": {client(nil), someWeights, every, weights.WithLogger(nil), "WithLogger(nil)"},
	} {
		_, err := weights.NewSetter(tt.chain, tt.source, tt.schedule, tt.opt)
		require.ErrorIs(t, err, weights.ErrInvalidOption, name)
		require.ErrorContains(t, err, tt.want, name)
	}
}

func TestSchedulesSetWhenTheChainIsDue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		schedule weights.Schedule
		tell     bool     // heads by Block
		want     []uint64 // the blocks of the sets, from block 1000 on, where the last update is 1000
	}{
		{weights.Interval{Every: 40 * time.Minute}, false, []uint64{1201, 1402, 1603}},
		{weights.Blocks{Every: 150}, false, []uint64{1151, 1302, 1453, 1604}},
		{weights.Blocks{Every: 150}, true, []uint64{1151, 1302, 1453, 1604}},
		{
			weights.Blocks{Every: 10},
			false,
			[]uint64{1101, 1202, 1303, 1404, 1505, 1606},
		}, // the rate limit is 100
		{
			weights.Epoch{Before: 20},
			false,
			[]uint64{1421},
		}, // epochs begin at 1080 and 1440; before 1080 it is too soon
		{
			weights.Epoch{Before: 300},
			false,
			[]uint64{1141, 1501},
		}, // block 1000 counts for the first epoch
		{
			weights.Epoch{Before: 9999},
			false,
			[]uint64{1101, 1441},
		}, // all of the epoch
	} {
		t.Run(fmt.Sprintf("%T %v", tt.schedule, tt.schedule), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chain := newFakeChain(1)
				setter := newSetter(t, client(chain), someWeights, tt.schedule)
				stop := running(t, setter)
				for range 700 {
					pass(blockTime)
					if tt.tell {
						setter.Block(chain.height())
					}
				}
				stop()
				require.Equal(t, tt.want, chain.sets())
			})
		})
	}
}

func TestASetIsCountedWhenTheChainShowsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(1)
		chain.timelock = true
		core, logs := observer.New(zap.InfoLevel)
		var events seen
		setter := newSetter(t, client(chain), someWeights, weights.Blocks{Every: 100},
			weights.WithLogger(zap.New(core)),
			weights.WithObserver(events.add))
		stop := running(t, setter)
		pass(102 * blockTime) // committed in block 1101, revealed in block 1800
		status := setter.Status()
		require.Zero(t, status.Sets)
		require.Zero(t, status.LastSet)
		require.Len(t, status.Pending, 1)
		require.Equal(t, weights.Committed, status.Pending[0].State)
		require.EqualValues(t, 1101, status.Pending[0].Block)
		require.EqualValues(t, 1800, status.Pending[0].RevealBlock)
		require.EqualValues(t, 1201, status.NextBlock)
		require.Equal(t, []weights.SetterEventKind{weights.SetterSubmitted, weights.SetterCommitted},
			events.kinds())
		pass(700 * blockTime)
		status = setter.Status()
		require.Positive(t, status.Sets)
		require.Equal(t, weights.Revealed, status.LastSubmission.State)
		require.Equal(t, 2, status.Entries)
		require.Contains(t, events.kinds(), weights.SetterRevealed)
		require.NotZero(t, logs.FilterMessage("weights revealed").Len())
		require.NotZero(t, logs.FilterMessage("weights sent").Len())
		stop()
	})
}

// TestAClientThatOnlyClaimsSuccessIsNotBelieved: the last update decides.
func TestAClientThatOnlyClaimsSuccessIsNotBelieved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(1)
		chain.liar = true
		lost := 0
		setter := newSetter(t, client(chain), someWeights, weights.Interval{Every: 20 * time.Minute},
			weights.WithObserver(func(event weights.SetterEvent) {
				if event.Kind == weights.SetterLost {
					lost++
				}
			}))
		runFor(t, setter, 6*time.Hour)
		status := setter.Status()
		require.Zero(t, status.Sets)
		require.Zero(t, status.LastSet)
		require.Positive(t, lost)
		require.Equal(t, lost, status.Lost)
	})
}

func TestALostAnswerIsLookedUpAndNotSentTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(1)
		chain.faults.lostAnswer = 1
		setter := newSetter(t, client(chain), someWeights, weights.Interval{Every: 20 * time.Minute})
		runFor(t, setter, 6*time.Hour)
		require.Len(t, chain.sets(), 17) // one in 101 blocks, in 1800
		require.Equal(t, 17, setter.Status().Sets)
		require.Zero(t, setter.Status().Failures)
	})
}

func TestACallThatHangsIsBoundedAndVisible(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(1)
		chain.hang = true
		setter := newSetter(t, client(chain), someWeights, weights.Interval{Every: 20 * time.Minute})
		stop := running(t, setter)
		pass(time.Minute)
		status := setter.Status()
		require.Equal(t, "Position", status.Call)
		require.Equal(t, time.Minute, time.Since(status.CallSince))
		pass(70 * time.Second)
		status = setter.Status()
		require.Equal(t, 1, status.Failures)
		require.NotZero(t, status.LastTry)
		require.Equal(t, status.LastTry, status.TryingSince)
		require.ErrorContains(t, status.Err, "no answer")
		stop()
	})
}

func TestACallThatIgnoresItsContextIsVisible(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var events seen
		chain := weights.ChainFunc(func(context.Context, weights.Vector) error {
			time.Sleep(time.Hour)
			return nil
		})
		setter := newSetter(t, chain, someWeights, weights.Interval{Every: 3 * time.Hour},
			weights.WithObserver(events.add))
		stop := running(t, setter)
		pass(2*time.Minute + 11*time.Second)
		require.True(t, setter.Status().Overdue)
		require.Equal(t, "SetWeights", setter.Status().Call)
		pass(time.Hour)
		require.False(t, setter.Status().Overdue)
		require.Equal(t, []weights.SetterEventKind{
			weights.SetterSubmitted, weights.SetterOverdue, weights.SetterIncluded,
		}, events.kinds())
		stop()
	})
}

func TestRefusalsDecideWhenTheNextTryIs(t *testing.T) {
	t.Parallel()
	kind := func(kind error) error { return &weights.ChainError{Kind: kind} }
	tests := []struct {
		name    string
		refusal error
		tries   []uint64 // in 600 blocks, from block 1100 on, which weights are due at
		stopped bool
	}{
		{
			"too soon, 40 blocks", &weights.ChainError{Kind: weights.ErrTooSoon, Blocks: 40},
			[]uint64{1100, 1140, 1180, 1220},
			false,
		},
		{"not registered", kind(weights.ErrNotRegistered), []uint64{1100}, true},
		{"version key", kind(weights.ErrVersionKey), []uint64{1100}, true},
		{"unsupported", kind(weights.ErrUnsupported), []uint64{1100}, true},
		{"subnet", kind(weights.ErrSubnet), []uint64{1100}, true},
		{"stake", kind(weights.ErrNoStake), []uint64{1100, 1440}, false},
		{"permit", kind(weights.ErrNoPermit), []uint64{1100, 1440}, false},
		{"vector", kind(weights.ErrVector), []uint64{1100, 1101}, true},
		{"refused", kind(weights.ErrRefused), []uint64{1100, 1400}, false},
		{"clock", kind(weights.ErrClock), []uint64{1100, 1101, 1103, 1107, 1115}, false},
		{"retry", kind(weights.ErrRetry), []uint64{1100, 1101, 1103, 1107, 1115}, false},
		{"another error", errors.New("no idea"), []uint64{1100, 1101, 1103, 1107, 1115}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chain := newFakeChain(1)
				chain.refuse = tt.refusal
				var events seen
				var refreshed atomic.Int32
				setter := newSetter(t, client(chain), someWeights, weights.Blocks{Every: 100},
					weights.WithRefresh(func(context.Context) error { refreshed.Add(1); return nil }),
					weights.WithObserver(events.add))
				stop := running(t, setter)
				pass(500*blockTime + time.Second)
				status := setter.Status()
				require.ErrorIs(t, status.Err, tt.refusal)
				require.Equal(t, tt.stopped, status.Stopped)
				require.Equal(t, tt.tries, chain.heights()[:len(tt.tries)])
				require.Equal(t, errors.Is(tt.refusal, weights.ErrVector), refreshed.Load() == 1)
				if tt.stopped {
					require.Len(t, chain.heights(), len(tt.tries), "no try follows")
					require.Contains(t, events.kinds(), weights.SetterStopped)
					setter.Recheck()
					pass(blockTime)
					require.Greater(t, len(chain.heights()), len(tt.tries), "but one after Recheck")
				}
				chain.change(func(c *fakeChain) { c.refuse = nil })
				setter.Recheck()
				pass(2 * blockTime)
				require.Equal(t, 1, setter.Status().Sets)
				require.False(t, setter.Status().Stopped)
				require.NoError(t, setter.Status().Err)
				stop()
			})
		})
	}
}

func TestSetMakesOneTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(1)
		setter := newSetter(t, client(chain), someWeights, weights.Interval{Every: 24 * time.Hour})
		_, err := setter.Set(t.Context())
		require.ErrorIs(t, err, weights.ErrTooSoon)
		require.Empty(t, chain.heights())
		require.Zero(t, setter.Status().Failures)
		pass(100 * blockTime)
		submission, err := setter.Set(t.Context())
		require.NoError(t, err)
		require.Equal(t, weights.Included, submission.State)
		require.Equal(t, submission, setter.Status().LastSubmission)
		_, err = setter.Set(t.Context())
		require.ErrorIs(t, err, weights.ErrTooSoon)

		pass(100 * blockTime)
		chain.faults.dropped = 1
		submission, err = setter.Set(t.Context())
		require.NoError(t, err)
		require.Equal(t, weights.Submitted, submission.State)
		_, err = setter.Set(t.Context())
		require.ErrorIs(t, err, weights.ErrTooSoon, "where it is must be known first")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = setter.Set(ended)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestAnIntervalSurvivesRestarts: a process that is restarted every 15 minutes set nothing at all.
func TestAnIntervalSurvivesRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sets atomic.Int32
		chain := weights.ChainFunc(func(
			context.Context, weights.Vector,
		) error {
			sets.Add(1)
			return nil
		})
		path := filepath.Join(t.TempDir(), "scores.json")
		for range 96 { // a day
			saver := open(t, path, newPair(t))
			setter := newSetter(t, chain, someWeights, weights.Interval{Every: 20 * time.Minute},
				weights.WithSaver(saver))
			runFor(t, setter, 15*time.Minute)
			require.NoError(t, saver.Close())
		}
		require.InDelta(t, 72, sets.Load(), 1)
	})
}

func TestSchedulesThatNeedThePositionStopWithoutIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := weights.ChainFunc(func(context.Context, weights.Vector) error { return nil })
		for _, schedule := range []weights.Schedule{weights.Blocks{Every: 1}, weights.Epoch{Before: 1}} {
			setter := newSetter(t, chain, someWeights, schedule)
			runFor(t, setter, time.Hour)
			require.True(t, setter.Status().Stopped)
			require.ErrorIs(t, setter.Status().Err, weights.ErrUnsupported)
			require.Equal(t, 1, setter.Status().Failures)
		}
	})
}

func TestVectorsThatAreNotByScoreAreRefused(t *testing.T) {
	t.Parallel()
	vector := func(path weights.Path, entries ...uint16) weights.Vector {
		return weights.Vector{UIDs: upTo(len(entries)), Weights: entries, Path: path}
	}
	tooFew := vector(weights.Normal, 1)
	tooFew.TooFew = true
	for _, tt := range []struct {
		vector weights.Vector
		opts   []weights.SetterOption
		want   error
	}{
		{vector: vector(weights.Normal, 1, 2)},
		{vector: vector(0, 1, 2)}, // made by hand
		{vector: vector(weights.UniformNoScores, 1, 1), want: weights.ErrPath},
		{vector: vector(weights.UniformSmallSubnet, 1, 1), want: weights.ErrPath},
		{vector: vector(weights.UniformCap, 1, 1), want: weights.ErrPath},
		{vector: vector(weights.Padded, 2, 1), want: weights.ErrPath},
		{
			vector: vector(weights.Padded, 2, 1),
			opts:   []weights.SetterOption{weights.WithPaths(weights.Padded)},
		},
		{
			vector: vector(weights.Normal, 2, 1),
			opts:   []weights.SetterOption{weights.WithPaths(weights.Padded)},
		},
		{vector: vector(weights.Normal), want: weights.ErrEmpty},
		{vector: vector(weights.Normal, 0, 0), want: weights.ErrEmpty},
		{vector: tooFew, want: weights.ErrTooFew},
		{vector: weights.Vector{UIDs: upTo(2), Weights: []uint16{1}}, want: weights.ErrLength},
	} {
		sent := 0
		chain := weights.ChainFunc(func(context.Context, weights.Vector) error { sent++; return nil })
		source := func(context.Context) (weights.Vector, error) { return tt.vector, nil }
		setter := newSetter(t, chain, source, weights.Interval{Every: 1}, tt.opts...)
		submission, err := setter.Set(t.Context())
		if tt.want != nil {
			require.ErrorIs(t, err, tt.want)
			require.Zero(t, sent)
			require.Equal(t, 1, setter.Status().Failures)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, 1, sent)
		require.True(t, submission.State.Set())
	}
}

func TestPanicsAreFailedTries(t *testing.T) {
	t.Parallel()
	setter := newSetter(t, client(newFakeChain(1)),
		func(context.Context) (weights.Vector, error) { panic("oops") }, weights.Blocks{Every: 1})
	chain := weights.ChainFunc(func(context.Context, weights.Vector) error { panic("oops") })
	for _, setter := range []*weights.Setter{
		setter,
		newSetter(t, chain, someWeights, weights.Interval{Every: 1}),
	} {
		_, err := setter.Set(t.Context())
		if errors.Is(err, weights.ErrTooSoon) {
			continue
		}
		var panicked *organic.PanicError
		require.ErrorAs(t, err, &panicked)
		require.Empty(t, setter.Status().Call)
		require.Empty(t, setter.Status().Pending)
	}
}

func TestADryRunSendsNothingAndKeepsToTheSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, position := range []bool{false, true} {
			core, logs := observer.New(zap.InfoLevel)
			fake := newFakeChain(1)
			var chain weights.Chain = client(fake)
			if !position {
				chain = weights.ChainFunc(func(
					context.Context, weights.Vector,
				) error {
					t.Error("was sent")
					return nil
				})
			}
			setter := newSetter(t, chain, someWeights, weights.Interval{Every: 30 * time.Minute},
				weights.WithDryRun(), weights.WithLogger(zap.New(core)))
			runFor(t, setter, 10*time.Hour)
			require.Empty(t, fake.heights())
			require.Zero(t, setter.Status().Sets)
			require.InDelta(t, 20, logs.FilterMessage("dry run, weights not sent").Len(), 1)
		}
	})
}

func TestTheFirstVectorWaitsForCoverage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scores := newScores(t, weights.Hold(0.1), []string{"a", "b", "c", "d"})
		chain := newFakeChain(1)
		chain.lastUpdate = 0
		var events seen
		setter := newSetter(t, client(chain),
			func(context.Context) (weights.Vector, error) { return scores.Convert() },
			weights.Blocks{Every: 100}, weights.WithWarmUp(scores, 0.75, 3, 6*time.Hour),
			weights.WithObserver(events.add))
		stop := running(t, setter)
		ask := func(n int, uids ...organic.UID) {
			for range n {
				update(t, scores, weights.Round{Origin: organic.Synthetic, Asked: uids}, nil)
			}
		}
		pass(time.Hour)
		ask(1, 0, 1, 2, 3)
		ask(5, 0, 1)
		pass(time.Hour)
		require.Empty(t, chain.heights())
		require.Equal(t, "50 % of the miners that were asked have 3 rewards, 75 % are needed",
			setter.Status().Held)
		require.Equal(t, []weights.SetterEventKind{weights.SetterHeld}, events.kinds())
		update(t, scores, weights.Round{Origin: organic.Synthetic}, organic.Rewards{2: 1})
		update(t, scores, weights.Round{Origin: organic.Synthetic}, organic.Rewards{2: 1})
		pass(2 * time.Minute)
		require.Len(t, chain.sets(), 1)
		require.Empty(t, setter.Status().Held)
		stop()
	})
}

func TestTheWarmUpHasADeadlineThatRestartsDoNotMove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(1)
		chain.lastUpdate = 0
		path := filepath.Join(t.TempDir(), "scores.json")
		begun := time.Now()
		for range 10 {
			scores := newScores(t, weights.Hold(0.1), []string{"a", "dead"})
			saver := open(t, path, scores)
			setter := newSetter(t, client(chain),
				func(context.Context) (weights.Vector, error) { return scores.Convert() },
				weights.Blocks{Every: 1000}, weights.WithSaver(saver), weights.WithWarmUp(scores, 1, 1000,
					6*time.Hour))
			update(t, scores, weights.Round{Origin: organic.Synthetic}, organic.Rewards{0: 1, 1: 0})
			runFor(t, setter, time.Hour)
			require.NoError(t, saver.Close())
			if life := time.Since(begun); life != 6*time.Hour {
				require.Equal(t, life > 6*time.Hour, len(chain.sets()) > 0, life)
			}
		}
	})
}

func TestASetterCanRunAgainAndNotTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(1)
		setter := newSetter(t, client(chain), someWeights, weights.Blocks{Every: 100})
		for range 3 {
			stop := running(t, setter)
			require.True(t, setter.Status().Running)
			require.ErrorIs(t, setter.Run(t.Context()), weights.ErrRunning)
			pass(250 * blockTime)
			stop()
			require.False(t, setter.Status().Running)
		}
		require.Len(t, chain.sets(), 7)
	})
}

// TestASideCarIsCheckedByTheLastUpdate: with the position, answers need not be believed.
func TestASideCarIsCheckedByTheLastUpdate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		answer string
		isSet  bool // whether the weights are set, in the next block
		cut    bool // whether the connection ends without an answer
		want   weights.State
	}{
		{name: "set", status: 200, answer: `{"success": true}`, isSet: true, want: weights.Included},
		{name: "claimed", status: 200, answer: `{"success": true}`, want: weights.Lost},
		{name: "accepted and set", status: 202, isSet: true, want: weights.Included},
		{name: "accepted and forgotten", status: 202, want: weights.Lost},
		{name: "no answer and set", cut: true, isSet: true, want: weights.Included},
		{name: "no answer and not set", cut: true, want: weights.Lost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pos := weights.Position{
				Block: 5000, LastUpdate: 4000, RateLimit: 100, Tempo: 360,
				NextEpoch: 5040, BlockTime: time.Millisecond,
			}
			var block, last atomic.Uint64
			block.Store(pos.Block)
			last.Store(pos.LastUpdate)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if block.Add(1); tt.isSet {
					last.Store(block.Load())
				}
				if tt.cut {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.answer))
			}))
			t.Cleanup(server.Close)
			chain := newHTTP(t, server.URL,
				weights.WithPosition(func(context.Context) (weights.Position, error) {
					now := pos
					now.Block, now.LastUpdate = block.Add(2), last.Load()
					now.NextEpoch = now.Block + 10
					return now, nil
				}))
			var events []weights.State
			setter := newSetter(t, chain, someWeights, weights.Blocks{Every: 1 << 30},
				weights.WithObserver(func(event weights.SetterEvent) {
					if event.Submission.State.Final() {
						events = append(events, event.Submission.State)
					}
				}))
			_, _ = setter.Set(t.Context())
			for range 200 {
				_, err := setter.Set(t.Context()) // follows the first, and sends no other before that
				if len(events) > 0 {
					break
				}
				require.ErrorIs(t, err, weights.ErrTooSoon)
			}
			require.Equal(t, []weights.State{tt.want}, events)
		})
	}
}
