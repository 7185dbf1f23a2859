package organic_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

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
			Kind: e.Kind, Origin: e.Origin, Source: e.Source, Attempt: e.Attempt, Stage: e.Stage, Duration: e.Duration, Size: e.Size, Err: e.Err,
		}
	}
	return events
}

func TestEventsOfAnIterationComeInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, journalHooks(newHookDiary(), map[organic.Stage]time.Duration{
			organic.StageQuery: 2 * time.Second, organic.StageReference: time.Second, organic.StageRewards: time.Second,
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

func TestStartedTellsAgeAndSizeOfSamplesOfAnyOrigin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := organic.SynthFunc[string](func(context.Context) (string, error) {
			time.Sleep(time.Second)
			return "made up", nil
		})
		s := newStand(t, promptHooks{}, organic.WithSynth(organic.Named("slow", 1, slow)))
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

func TestEventsOfAFailureTellWhatComesOfIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		err   error
		kinds []organic.EventKind
	}{
		{"retried", errMishap, []organic.EventKind{organic.EventStarted, organic.EventStageFailed, organic.EventFailed, organic.EventRetried}},
		{"returned", organic.RetryAfter(time.Hour, errMishap), []organic.EventKind{organic.EventStarted, organic.EventStageFailed, organic.EventFailed, organic.EventReturned}},
		{"discarded", organic.Discard(errMishap), []organic.EventKind{organic.EventStarted, organic.EventStageFailed, organic.EventFailed, organic.EventDiscarded}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, failing(organic.StageRewards, test.err))
			id := s.enqueue("prompt")
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, errMishap)
			var kinds []organic.EventKind
			for _, e := range s.all() {
				if e.Kind == organic.EventAccepted || e.Kind == organic.EventStageDone {
					continue
				}
				kinds = append(kinds, e.Kind)
				require.Equal(t, id, e.ID)
				require.False(t, e.Time.IsZero())
				if e.Kind != organic.EventStarted {
					require.ErrorIs(t, e.Err, errMishap)
				}
			}
			require.Equal(t, test.kinds, kinds)
		})
	}
}

func TestEventsOfTheQueueTellWhatIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newMemory(t, organic.MemoryConfig{Capacity: 2, MaxAge: time.Hour})
		s := newStand(t, promptHooks{}, organic.WithQueue(queue))
		first := s.enqueue("first")
		second := s.enqueue("second")
		time.Sleep(time.Minute)
		s.enqueue("third")
		dropped := s.one(organic.EventDropped)
		require.Equal(t, []any{first, time.Minute, 1}, []any{dropped.ID, dropped.Duration, dropped.Attempt})
		time.Sleep(time.Hour - time.Second)
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		expired := s.one(organic.EventExpired)
		require.Equal(t, []any{second, time.Hour + 59*time.Second, 1}, []any{expired.ID, expired.Duration, expired.Attempt})
		stats := s.stop()
		require.Equal(t, []uint64{1, 1, 1}, []uint64{stats.Dropped, stats.Expired, stats.Scored})
	})
}

func TestEventsOfTheScorerItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, promptHooks{})
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
			organic.EventPaused, organic.EventResumed, organic.EventRunning, organic.EventStopping, organic.EventStopped,
		}, kinds)
	})
}

func TestEntryHookThatFailsIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		axon, calls := &organictest.Axon{}, 0
		s := newStand(t, promptHooks{OnOrganicEntryFunc: func(context.Context, http.ResponseWriter, *organic.Synapse) error {
			if calls++; calls == 1 {
				return organic.Refuse(http.StatusTooManyRequests, "slower")
			}
			return errMishap
		}}, organic.WithAxon(axon))
		s.start()
		status, _ := axon.Ask(t.Context(), &organic.Synapse{})
		require.Equal(t, http.StatusTooManyRequests, status)
		status, body := axon.Ask(t.Context(), &organic.Synapse{})
		require.Equal(t, http.StatusInternalServerError, status)
		require.NotContains(t, string(body), errMishap.Error())
		e := s.one(organic.EventEntryFailed)
		require.Equal(t, organic.StageEntry, e.Stage)
		require.ErrorIs(t, e.Err, errMishap)
		require.Equal(t, uint64(1), s.stop().EntryFailed)
	})
}

func TestPanicOfAnObserverIsContained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, promptHooks{}, organic.WithObserver(func(organic.Event) { panic("M-VALUE") }))
		var after []organic.EventKind
		other := newStand(t, promptHooks{}, organic.WithObserver(func(organic.Event) { panic("M-VALUE") }),
			organic.WithObserver(func(e organic.Event) { after = append(after, e.Kind) }))
		other.enqueue("prompt")
		require.Equal(t, []organic.EventKind{organic.EventAccepted}, after)
		s.enqueue("prompt")
		require.Equal(t, uint64(1), s.drain().Scored)
		require.Equal(t, len(s.all()), s.logs.FilterMessage("observer panicked").Len())
	})
}

// TestEventsThatNobodyWantsDoNotAllocate does not run in parallel:
// AllocsPerRun counts the allocations of all goroutines.
func TestEventsThatNobodyWantsDoNotAllocate(t *testing.T) {
	measure := func(opts ...organic.Option) float64 {
		scorer, err := organic.New(promptHooks{}, append(opts, organic.WithSynth(always("made up")))...)
		require.NoError(t, err)
		return testing.AllocsPerRun(200, func() { _, _ = scorer.Iterate(t.Context()) })
	}
	silent := measure()
	require.LessOrEqual(t, silent, 14.0, "there are eight events to an iteration")
	quiet := measure(organic.WithLogger(zap.New(zapcore.NewCore(
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.FatalLevel))))
	require.InDelta(t, silent, quiet, 1, "a disabled level costs no more than no logger")
	observed := measure(organic.WithObserver(func(organic.Event) {}))
	require.InDelta(t, silent, observed, 1, "an observer gets events by value")
}
