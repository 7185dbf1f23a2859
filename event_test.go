package organic_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

func TestNamesOfConstants(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for kind := organic.EventAccepted; kind <= organic.EventResumed; kind++ {
		require.NotContains(t, []string{"", "unknown"}, kind.String())
		require.Falsef(t, seen[kind.String()], "%v", kind)
		seen[kind.String()] = true
	}
	tests := []struct{ want, got string }{
		{"unknown", organic.EventKind(0).String()},
		{"unknown", (organic.EventResumed + 1).String()},
		{"accepted", organic.EventAccepted.String()},
		{"resumed", organic.EventResumed.String()},
		{"unknown", organic.Stage(0).String()},
		{"sample", organic.StageSample.String()},
		{"query", organic.StageQuery.String()},
		{"reference", organic.StageReference.String()},
		{"rewards", organic.StageRewards.String()},
		{"weights", organic.StageWeights.String()},
		{"log", organic.StageLog.String()},
		{"settle", organic.StageSettle.String()},
		{"dead letter", organic.StageDeadLetter.String()},
		{"entry", organic.StageEntry.String()},
		{"unknown", (organic.StageEntry + 1).String()},
		{"unknown", organic.Outcome(0).String()},
		{"scored", organic.OutcomeScored.String()},
		{"retry", organic.OutcomeRetry.String()},
		{"return", organic.OutcomeReturn.String()},
		{"dead", organic.OutcomeDead.String()},
		{"discarded", organic.OutcomeDiscarded.String()},
		{"unknown", organic.Outcome(6).String()},
		{"random", organic.OrderRandom.String()},
		{"fifo", organic.OrderFIFO.String()},
		{"newest", organic.OrderNewest.String()},
		{"fair", organic.OrderFair.String()},
		{"unknown", organic.Order(4).String()},
		{"unknown", organic.DropReason(0).String()},
		{"full", organic.DroppedFull.String()},
		{"expired", organic.DroppedExpired.String()},
		{"dead", organic.DroppedDead.String()},
		{"organic", organic.Organic.String()},
		{"synthetic", organic.Synthetic.String()},
	}
	for _, test := range tests {
		require.Equal(t, test.want, test.got)
	}
}

// plainEvents strips the events of a bubble of what differs from run to run.
func plainEvents(events []organic.Event) []organic.Event {
	for i, e := range events {
		events[i] = organic.Event{
			Kind: e.Kind, Origin: e.Origin, Source: e.Source, Attempt: e.Attempt, Stage: e.Stage,
			Duration: e.Duration, Size: e.Size, Err: e.Err,
		}
	}
	return events
}

func TestEventsOfAnIterationComeInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, journalHooks(newHookDiary(), map[organic.Stage]time.Duration{
			organic.StageQuery: 2 * time.Second, organic.StageReference: time.Second,
			organic.StageRewards: time.Second,
			organic.StageWeights: time.Second, organic.StageLog: time.Second,
		}), organic.WithConcurrency(3))
		id := s.enqueue("prompt")
		s.enqueue("another", "third")
		time.Sleep(time.Minute)
		s.drain()
		var events []organic.Event
		for _, e := range s.all() {
			if e.ID == id {
				events = append(events, e)
			}
		}
		done := func(stage organic.Stage, after time.Duration) organic.Event {
			return organic.Event{Kind: organic.EventStageDone, Stage: stage, Duration: after, Attempt: 1}
		}
		require.GreaterOrEqual(t, events[1].Size, 0)
		events[1].Size = 0
		require.Equal(t, []organic.Event{
			{Kind: organic.EventAccepted, Attempt: 1, Size: 1},
			{Kind: organic.EventStarted, Attempt: 1, Duration: events[1].Duration},
			done(organic.StageReference, time.Second),
			done(organic.StageQuery, 2*time.Second),
			done(organic.StageRewards, time.Second),
			done(organic.StageWeights, time.Second),
			{Kind: organic.EventScored, Attempt: 1, Duration: 4 * time.Second},
			done(organic.StageLog, time.Second),
		}, plainEvents(events))
		require.GreaterOrEqual(t, events[1].Duration, time.Minute)
	})
}

func TestStartedHasAgeAndSizeOfSamplesOfAnyOrigin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := organic.SynthFunc[string](func(context.Context) (string, error) {
			time.Sleep(time.Second)
			return "made up", nil
		})
		s := newTestScorer(t, promptHooks{}, organic.WithSynth(organic.Named("slow", 1, slow)))
		s.enqueue("first", "second")
		time.Sleep(time.Minute)
		for range 3 {
			_, err := s.Iterate(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, []organic.Event{
			{Kind: organic.EventStarted, Attempt: 1, Duration: time.Minute, Size: 1},
			{Kind: organic.EventStarted, Attempt: 1, Duration: time.Minute},
			{Kind: organic.EventStarted, Attempt: 1, Origin: organic.Synthetic, Source: "slow"},
		}, plainEvents(s.all(organic.EventStarted)))
	})
}

func TestEventsOfAFailureHaveItsConsequence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		err   error
		kinds []organic.EventKind
	}{
		{"retried", errFailed, []organic.EventKind{
			organic.EventStarted, organic.EventStageFailed,
			organic.EventFailed, organic.EventRetried,
		}},
		{
			"returned", organic.RetryAfter(time.Hour, errFailed),
			[]organic.EventKind{
				organic.EventStarted, organic.EventStageFailed, organic.EventFailed,
				organic.EventReturned,
			},
		},
		{
			"discarded", organic.Discard(errFailed),
			[]organic.EventKind{
				organic.EventStarted, organic.EventStageFailed, organic.EventFailed,
				organic.EventDiscarded,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newTestScorer(t, failing(organic.StageRewards, test.err))
			id := s.enqueue("prompt")
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, errFailed)
			var kinds []organic.EventKind
			for _, e := range s.all() {
				if e.Kind == organic.EventAccepted || e.Kind == organic.EventStageDone {
					continue
				}
				kinds = append(kinds, e.Kind)
				require.Equal(t, id, e.ID)
				require.False(t, e.Time.IsZero())
				if e.Kind != organic.EventStarted {
					require.ErrorIs(t, e.Err, errFailed)
				}
			}
			require.Equal(t, test.kinds, kinds)
		})
	}
}

func TestEventsOfTheQueueReportDrops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newMemory(t, organic.MemoryConfig{Capacity: 2, MaxAge: time.Hour})
		s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue))
		first := s.enqueue("first")
		second := s.enqueue("second")
		time.Sleep(time.Minute)
		s.enqueue("third")
		dropped := s.one(organic.EventDropped)
		require.Equal(t, []any{first, time.Minute, 1},
			[]any{dropped.ID, dropped.Duration, dropped.Attempt})
		time.Sleep(time.Hour - time.Second)
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		expired := s.one(organic.EventExpired)
		require.Equal(t, []any{second, time.Hour + 59*time.Second, 1},
			[]any{expired.ID, expired.Duration, expired.Attempt})
		stats := s.stop()
		require.Equal(t, []uint64{1, 1, 1}, []uint64{stats.Dropped, stats.Expired, stats.Scored})
	})
}

func TestEventsOfTheScorerItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, promptHooks{})
		s.Pause()
		s.Pause()
		s.Resume()
		s.Resume()
		s.runFor(time.Second)
		var kinds []organic.EventKind
		for _, e := range s.all() {
			kinds = append(kinds, e.Kind)
			require.Empty(t, e.ID)
		}
		require.Equal(t, []organic.EventKind{
			organic.EventPaused, organic.EventResumed, organic.EventRunning, organic.EventStopping,
			organic.EventStopped,
		}, kinds)
	})
}

func TestEntryHookThatFailsIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		axon, calls := &organictest.Axon{}, 0
		s := newTestScorer(t, promptHooks{OnOrganicEntryFunc: func(
			context.Context, http.ResponseWriter, *organic.Synapse,
		) error {
			if calls++; calls == 1 {
				return organic.Refuse(http.StatusTooManyRequests, "slower")
			}
			time.Sleep(time.Second)
			return errFailed
		}}, organic.WithAxon(axon))
		s.start()
		status, _ := axon.Ask(t.Context(), &organic.Synapse{})
		require.Equal(t, http.StatusTooManyRequests, status)
		status, body := axon.Ask(t.Context(), &organic.Synapse{})
		require.Equal(t, http.StatusInternalServerError, status)
		require.NotContains(t, string(body), errFailed.Error())
		e := s.one(organic.EventEntryFailed)
		require.Equal(t, organic.StageEntry, e.Stage)
		require.Equal(t, time.Second, e.Duration)
		require.ErrorIs(t, e.Err, errFailed)
		require.Equal(t, uint64(1), s.stop().EntryFailed)
	})
}

func TestPanicOfAnObserverIsContained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, promptHooks{},
			organic.WithObserver(func(organic.Event) { panic("M-VALUE") }))
		var after []organic.EventKind
		other := newTestScorer(t, promptHooks{},
			organic.WithObserver(func(organic.Event) { panic("M-VALUE") }),
			organic.WithObserver(func(e organic.Event) { after = append(after, e.Kind) }))
		other.enqueue("prompt")
		require.Equal(t, []organic.EventKind{organic.EventAccepted}, after)
		s.enqueue("prompt")
		require.Equal(t, uint64(1), s.drain().Scored)
		require.Equal(t, len(s.all()), s.logs.FilterMessage("observer panicked").Len())
	})
}

// TestEventsThatAreNotObservedDoNotAllocate does not run in parallel:
// AllocsPerRun counts the allocations of all goroutines.
func TestEventsThatAreNotObservedDoNotAllocate(t *testing.T) {
	measure := func(opts ...organic.Option) float64 {
		scorer, err := organic.New(promptHooks{}, opts...)
		require.NoError(t, err)
		return testing.AllocsPerRun(200, func() {
			_, _ = scorer.Enqueue(t.Context(), "prompt")
			_, _ = scorer.Iterate(t.Context())
		})
	}
	silent := measure()
	require.LessOrEqual(t, silent, 14.0, "there are eight events to an iteration")
	quiet := measure(organic.WithLogger(zap.New(zapcore.NewCore(
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.FatalLevel))))
	require.InDelta(t, silent, quiet, 1, "a disabled level costs no more than no logger")
	observed := measure(organic.WithObserver(func(organic.Event) {}))
	require.InDelta(t, silent, observed, 1, "an observer gets events by value")
}

func TestGaugesFollowTheIterationsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				time.Sleep(time.Minute)
			}
			return nil
		}), organic.WithConcurrency(3), organic.WithSynth(always("made up")), organic.WithTrigger(organic.Seconds{Frequency: 10 * time.Second}))
		require.Zero(t, s.Stats())
		s.enqueue("prompt")
		require.Equal(t, organic.Stats{Accepted: 1, Queued: 1}, s.Stats())
		s.start()
		time.Sleep(25 * time.Second)
		require.Equal(t, organic.Stats{
			Accepted: 1, InFlight: 3, InFlightOrganic: 1, OldestInFlight: 25 * time.Second, Running: true,
		}, s.Stats())
		s.Pause()
		time.Sleep(40 * time.Second)
		stats := s.Stats()
		require.Equal(t, 60*time.Second, stats.LastScored.Sub(s.begun))
		require.Equal(t, []int{2, 0}, []int{stats.InFlight, stats.InFlightOrganic})
		require.InDelta(t, 55, stats.OldestInFlight.Seconds(), 0.5)
		require.True(t, stats.Paused)
		stats = s.stop()
		require.Equal(t, 80*time.Second, stats.LastScored.Sub(s.begun).Round(time.Second),
			"a synthetic sample counts")
		require.Equal(t, []uint64{1, 2}, []uint64{stats.Scored, stats.SyntheticScored})
		require.Zero(t, stats.OldestInFlight)
	})
}

func TestDelayedSamplesAreCountedUntilTheyAreBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, failing(organic.StageQuery, organic.RetryAfter(time.Hour, errFailed)))
		s.enqueue("first", "second")
		s.start()
		time.Sleep(time.Minute)
		stats := s.Stats()
		require.Equal(t, []int{0, 2, 0}, []int{stats.Queued, stats.Delayed, stats.InFlight})
		require.True(t, stats.LastScored.IsZero())
		require.Equal(t, 2, s.stop().Queued)
	})
}

// TestDocumentedDefaultsAreTheRealOnes looks at what the comments promise for
// options that are left out. Those of retries and stages have tests of their
// own.
func TestDocumentedDefaultsAreTheRealOnes(t *testing.T) {
	t.Parallel()
	require.Equal(t, 15*time.Second, organic.Seconds{Frequency: 15 * time.Second}.Wait(0))
	require.Equal(t, 14800*time.Millisecond, organic.Seconds{Frequency: 15 * time.Second}.Wait(1),
		"scaling factor 5")
	require.Equal(t, 2*time.Second, organic.Seconds{Frequency: 15 * time.Second}.Wait(1000),
		"at least 2 s")
	require.Equal(t, time.Second, organic.Seconds{Frequency: time.Second}.Wait(1000), "or Frequency")
	require.Equal(t, []int{15, 14, 2}, []int{
		organic.Steps{Frequency: 15}.Threshold(0), organic.Steps{Frequency: 15}.Threshold(1),
		organic.Steps{Frequency: 15}.Threshold(1000),
	})
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Duration
		inFlight, most := 0, 0
		begun := time.Now()
		scorer, err := organic.New(promptHooks{QueryMinersFunc: func(
			context.Context, promptSample,
		) (map[organic.UID]string, error) {
			starts = append(starts, time.Since(begun))
			inFlight++
			most = max(most, inFlight)
			time.Sleep(50 * time.Second)
			inFlight--
			return map[organic.UID]string{}, nil
		}})
		require.NoError(t, err)
		for range 10_001 {
			_, err := scorer.Enqueue(t.Context(), "prompt")
			require.NoError(t, err)
		}
		require.Equal(t, 10_000, scorer.Stats().Queued, "a memory queue of 10 000")
		require.Equal(t, uint64(1), scorer.Stats().Dropped)
		require.NoError(t, scorer.Start(t.Context()))
		time.Sleep(125 * time.Second)
		require.NoError(t, scorer.Stop(t.Context()))
		require.Equal(t, 1, most, "one iteration at a time")
		require.Equal(t, []time.Duration{0, 50 * time.Second, 100 * time.Second}, starts)
		require.Zero(t, scorer.Stats().SyntheticScored, "no synthetic samples")
	})
}

func TestDefaultTriggerIsFifteenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Duration
		begun := time.Now()
		scorer, err := organic.New(promptHooks{SetWeightsFunc: func(
			context.Context, promptSample, organic.Rewards,
		) error {
			starts = append(starts, time.Since(begun))
			return nil
		}}, organic.WithSynth(always("made up")))
		require.NoError(t, err)
		require.NoError(t, scorer.Start(t.Context()))
		time.Sleep(40 * time.Second)
		require.NoError(t, scorer.Stop(t.Context()))
		require.Equal(t, []time.Duration{0, 15 * time.Second, 30 * time.Second}, starts)
	})
}

// panickingCore is a zap core that fails in every way.
type panickingCore struct{ zapcore.Core }

func (panickingCore) Enabled(zapcore.Level) bool { return true }

func (panickingCore) Check(zapcore.Entry, *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	panic("no disk")
}

func TestLoggerThatPanicsIsContained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, promptHooks{},
			organic.WithLogger(zap.New(panickingCore{zapcore.NewNopCore()})))
		s.enqueue("prompt")
		require.EqualValues(t, 1, s.runFor(time.Minute).Scored)
	})
	_, err := organic.New(promptHooks{}, organic.WithLogger(&zap.Logger{}))
	require.ErrorIs(t, err, organic.ErrInvalidOption)
}

func TestSlogGetsWhatZapGets(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := organic.New(failing(organic.StageQuery, errFailed), organic.WithSlog(logger))
	require.NoError(t, err)
	id, err := s.Enqueue(t.Context(), "prompt")
	require.NoError(t, err)
	_, err = s.Iterate(t.Context())
	require.ErrorIs(t, err, errFailed)
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line), "one line: %s", out.Bytes())
	require.Equal(t, []any{"WARN", "iteration failed", "organic", id, "organic: query: hook failed"},
		[]any{line["level"], line["msg"], line["logger"], line["id"], line["error"]})
	require.NotContains(t, out.String(), `"prompt"`)
}

// leavingCore leaves by runtime.Goexit when it is asked about errors.
type leavingCore struct{ zapcore.Core }

func (leavingCore) Enabled(level zapcore.Level) bool {
	if level == zap.ErrorLevel {
		runtime.Goexit()
	}
	return false
}

func TestLoggerThatLeavesLosesNoCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, jammed := jammedQueue(t)
		g := deadLetters{before: func(context.Context) error { return errFailed }}
		s := run(t, later(time.Hour), organic.WithQueue(queue), g.option(), eager,
			organic.WithLogger(zap.New(leavingCore{zapcore.NewNopCore()})))
		enqueue(t, s, 1)
		time.Sleep(time.Second)
		jammed.Store(true)
		require.NoError(t, s.Stop(t.Context()))
		stats := s.Stats()
		requireAccounted(t, stats)
		require.Equal(t, []uint64{1, 1, 1},
			[]uint64{stats.PutBackFailed, stats.DeadLetterFailed, stats.Dropped})
	})
}

// mixedHooks fail in every way, in turn.
func mixedHooks() promptHooks {
	var calls atomic.Int64
	return fiveHooks(func(_ context.Context, stage organic.Stage) error {
		n := calls.Add(1)
		switch {
		case stage == organic.StageQuery && n%3 == 0, stage == organic.StageWeights && n%4 == 0:
			return errFailed
		case stage == organic.StageRewards && n%7 == 0:
			return organic.RetryAfter(time.Minute, errFailed)
		case stage == organic.StageRewards && n%11 == 0:
			return organic.Discard(errFailed)
		}
		return nil
	})
}

func TestSamplesAreAccountedForAtWhicheverEventAnObserverMisbehaves(t *testing.T) {
	t.Parallel()
	for kind := organic.EventAccepted; kind <= organic.EventResumed; kind++ {
		for name, end := range map[string]func(){
			"goexit": runtime.Goexit,
			"panic":  func() { panic("at the event") },
		} {
			t.Run(kind.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var buried atomic.Int64
					g := deadLetters{before: func(context.Context) error {
						if buried.Add(1)%2 == 0 {
							return errFailed
						}
						return nil
					}}
					queue := newQueue[string](t,
						organic.MemoryConfig{Capacity: 8, MaxAge: 10 * time.Minute, Order: organic.OrderFair})
					s := newTestScorer(t, mixedHooks(), g.option(), organic.WithQueue(queue),
						organic.WithHeldLimit(3),
						organic.WithRetry(organic.RetryPolicy{Attempts: 2}),
						organic.WithTrigger(organic.Seconds{Frequency: 3 * time.Second, Min: time.Second}),
						organic.WithObserver(func(e organic.Event) {
							if e.Kind == kind {
								end()
							}
						}))
					s.start()
					for i := range 80 {
						go func() { // the observer can take this goroutine
							_, _ = s.EnqueueSample(t.Context(), promptSample{Requester: strconv.Itoa(i % 3)})
						}()
						time.Sleep(time.Duration(i%5) * time.Second)
					}
					synctest.Wait()
					s.stop()
				})
			})
		}
	}
}

func TestDurationOfAFailedLogResults(t *testing.T) {
	t.Parallel()
	for _, level := range []zapcore.Level{zap.DebugLevel, zap.WarnLevel} {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(level)
				s := build(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
					if stage != organic.StageLog {
						return nil
					}
					time.Sleep(time.Second)
					return errFailed
				}), organic.WithLogger(zap.New(core)))
				enqueue(t, s, 1)
				_, err := s.Iterate(t.Context())
				require.NoError(t, err)
				lines := logs.FilterMessage("log hook failed").All()
				require.Len(t, lines, 1)
				require.Equal(t, time.Second, lines[0].ContextMap()["duration"])
			})
		})
	}
}

func TestDurationOfAFailedSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newSettlingQueue()
		queue.before = func(organic.Verdict) error {
			time.Sleep(3 * time.Second)
			return errFailed
		}
		s := newTestScorer(t, fiveHooks(func(context.Context, organic.Stage) error {
			time.Sleep(time.Second)
			return nil
		}), organic.WithQueue(queue))
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, s.one(organic.EventSettleFailed).Duration)
	})
}
