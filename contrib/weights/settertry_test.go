package weights_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// scripted is a chain whose answers a test chooses. Its height follows the clock.
type scripted struct {
	began  time.Time
	pos    weights.Position // at the beginning
	set    func(ctx context.Context, report func(weights.Submission)) (weights.Submission, error)
	follow func(earlier weights.Submission) (weights.Submission, error)
	tries  int
}

func newScripted() *scripted {
	return &scripted{
		began: time.Now(),
		pos: weights.Position{
			Block: 1000, LastUpdate: 900, Tempo: 360, NextEpoch: 1080, BlockTime: blockTime,
		},
	}
}

func (c *scripted) SetWeights(
	ctx context.Context, _ weights.Vector, report func(weights.Submission),
) (weights.Submission, error) {
	c.tries++
	return c.set(ctx, report)
}

func (c *scripted) Follow(
	_ context.Context, earlier weights.Submission,
) (weights.Submission, error) {
	if c.follow == nil {
		return earlier, nil
	}
	return c.follow(earlier)
}

func (c *scripted) Position(context.Context) (weights.Position, error) {
	pos := c.pos
	pos.Block += uint64(time.Since(c.began) / blockTime)
	pos.NextEpoch = (pos.Block/pos.Tempo + 1) * pos.Tempo
	return pos, nil
}

func (c *scripted) sent() weights.Submission {
	return weights.Submission{State: weights.Submitted, Hash: "0x1", Signed: 1000, Expires: 1064}
}

// endlessError is an error whose tree has no end.
type endlessError struct{}

func (e *endlessError) Error() string   { return "again" }
func (e *endlessError) Unwrap() []error { return []error{e} }

// hostileErrors are errors that cannot be inspected.
func hostileErrors() map[string]error {
	return map[string]error{
		"typed nil":       (*weights.ChainError)(nil),
		"contains itself": &endlessError{},
	}
}

func vectorSource(context.Context) (weights.Vector, error) {
	return weights.Vector{
		UIDs: []organic.UID{0}, Weights: []uint16{math.MaxUint16}, Path: weights.Normal,
	}, nil
}

func TestErrorsThatCannotBeInspectedAreFailedTries(t *testing.T) {
	for name, hostile := range hostileErrors() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chain := newScripted()
				chain.set = func(
					context.Context, func(weights.Submission),
				) (weights.Submission, error) {
					return weights.Submission{}, hostile
				}
				setter := newSetter(t, chain, vectorSource, weights.Blocks{Every: 1})
				runFor(t, setter, time.Minute)
				require.Positive(t, setter.Status().Failures)
				require.Error(t, setter.Status().Err)
			})
		})
	}
}

func TestObserversAndLoggersThatPanicEndNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := newScripted()
		chain.set = func(ctx context.Context, _ func(weights.Submission)) (weights.Submission, error) {
			time.Sleep(time.Minute) // overdue
			return weights.Submission{}, weights.ErrRetry
		}
		setter := newSetter(t, chain, vectorSource, weights.Blocks{Every: 1},
			weights.WithTimeout(time.Second), weights.WithLogger(new(zap.Logger)),
			weights.WithObserver(func(weights.SetterEvent) { panic("no") }))
		runFor(t, setter, 5*time.Minute)
		require.Positive(t, setter.Status().Failures)
	})
}

func TestEventsComeOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := newScripted()
		chain.set = func(_ context.Context, report func(weights.Submission)) (weights.Submission, error) {
			time.Sleep(time.Second + 10*time.Second + time.Millisecond) // just overdue
			report(chain.sent())
			return chain.sent(), nil
		}
		busy := 0 // the race detector sees two at once
		together := false
		setter := newSetter(t, chain, vectorSource, weights.Blocks{Every: 1},
			weights.WithTimeout(time.Second),
			weights.WithObserver(func(weights.SetterEvent) {
				busy++
				together = together || busy > 1
				time.Sleep(time.Second)
				busy--
			}))
		runFor(t, setter, time.Minute)
		require.False(t, together)
	})
}

func TestALoggerThatPanicsLosesNoReward(t *testing.T) {
	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1),
		weights.WithLogger(new(zap.Logger)))
	require.NoError(t, err)
	require.NoError(t, scores.SetMetagraph(weights.Hotkeys("a")))
	round := weights.Round{Origin: organic.Organic, Received: time.Now()}
	tally, err := scores.Update(round, organic.Rewards{0: 7}) // outside the range: a log line
	require.NoError(t, err)
	require.Equal(t, 1, tally.Clamped)
	require.Len(t, scores.Standings(), 1) // idle guards: a log line
}

func TestALongTimeoutIsNotOverdueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := newScripted()
		chain.set = func(context.Context, func(weights.Submission)) (weights.Submission, error) {
			time.Sleep(time.Minute)
			return weights.Submission{}, weights.ErrRetry
		}
		var events seen
		setter := newSetter(t, chain, vectorSource, weights.Blocks{Every: 1},
			weights.WithTimeout(math.MaxInt64), weights.WithObserver(events.add))
		runFor(t, setter, 2*time.Minute)
		require.NotContains(t, events.kinds(), weights.SetterOverdue)
	})
}

func TestAPanicAfterTheReportIsNoProofThatNothingWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := newScripted()
		chain.set = func(_ context.Context, report func(weights.Submission)) (weights.Submission, error) {
			report(chain.sent())
			panic("cannot decode the block")
		}
		setter := newSetter(t, chain, vectorSource, weights.Blocks{Every: 1})
		runFor(t, setter, 10*time.Minute)
		require.Equal(t, 1, chain.tries, "the first may be in a block")
		require.Len(t, setter.Status().Pending, 1)
		require.Positive(t, setter.Status().Failures)
	})
}

func TestAReportIsNoEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := newScripted()
		chain.set = func(_ context.Context, report func(weights.Submission)) (weights.Submission, error) {
			report(chain.sent())
			included := chain.sent()
			included.State, included.Block = weights.Included, 1001
			report(included)
			return included, nil
		}
		setter := newSetter(t, chain, vectorSource, weights.Blocks{Every: 1})
		runFor(t, setter, 10*time.Minute)
		require.Zero(t, setter.Status().Sets, "the last update has not moved")
		require.Equal(t, 1, chain.tries)
	})
}

func TestARefreshThatFailsIsRepeatedBeforeTheNextVector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := newScripted()
		chain.set = func(context.Context, func(weights.Submission)) (weights.Submission, error) {
			return weights.Submission{}, &weights.ChainError{Kind: weights.ErrVector}
		}
		refreshes := 0
		setter := newSetter(t, chain, vectorSource, weights.Blocks{Every: 1},
			weights.WithRefresh(func(context.Context) error {
				if refreshes++; refreshes < 3 {
					return errors.New("no connection")
				}
				return nil
			}))
		runFor(t, setter, time.Hour)
		require.Equal(t, 3, refreshes)
		require.Equal(t, 2, chain.tries, "the second refusal of a vector stops it")
		require.True(t, setter.Status().Stopped)
	})
}

func TestWaitsBeyondAllBlocksDoNotWrapAround(t *testing.T) {
	for name, test := range map[string]struct {
		schedule weights.Schedule
		limit    uint64
		tries    int
	}{
		"interval":   {schedule: weights.Interval{Every: math.MaxInt64}},
		"blocks":     {schedule: weights.Blocks{Every: math.MaxUint64}},
		"rate limit": {schedule: weights.Blocks{Every: 1}, limit: math.MaxUint64},
		"refusal":    {schedule: weights.Blocks{Every: 1}, tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chain := newScripted()
				chain.pos.RateLimit = test.limit
				chain.set = func(
					context.Context, func(weights.Submission),
				) (weights.Submission, error) {
					return weights.Submission{},
						&weights.ChainError{Kind: weights.ErrTooSoon, Blocks: math.MaxUint64}
				}
				setter := newSetter(t, chain, vectorSource, test.schedule)
				runFor(t, setter, time.Hour)
				require.Equal(t, test.tries, chain.tries)
			})
		})
	}
}

func TestAnEraWithoutEndIsNotOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := newScripted()
		chain.set = func(_ context.Context, report func(weights.Submission)) (weights.Submission, error) {
			sent := chain.sent()
			sent.Expires = math.MaxUint64
			report(sent)
			return sent, nil
		}
		setter := newSetter(t, chain, vectorSource, weights.Blocks{Every: 1})
		runFor(t, setter, 10*time.Minute)
		require.Zero(t, setter.Status().Lost)
		require.Equal(t, 1, chain.tries)
	})
}

func TestAnEmptyAnswerLosesNoHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := newScripted()
		chain.set = func(_ context.Context, report func(weights.Submission)) (weights.Submission, error) {
			report(chain.sent())
			return weights.Submission{}, nil
		}
		chain.follow = func(weights.Submission) (weights.Submission, error) {
			return weights.Submission{}, nil
		}
		setter := newSetter(t, chain, vectorSource, weights.Blocks{Every: 1})
		runFor(t, setter, 10*time.Minute)
		require.Len(t, setter.Status().Pending, 1)
		require.Equal(t, "0x1", setter.Status().Pending[0].Hash)
	})
}
