package organic

import (
	"context"
	"math"
	"net/http"
)

// handlers returns the entry hooks as an axon calls them.
func (s *OrganicScorer[S, R]) handlers() Handlers {
	return Handlers{
		Open: s.life.isRunning,
		Blacklist: func(ctx context.Context, synapse *Synapse) error {
			return s.enter(ctx, func(ctx context.Context) error { return s.hooks.Blacklist(ctx, synapse) })
		},
		Verify: func(ctx context.Context, synapse *Synapse) error {
			return s.enter(ctx, func(ctx context.Context) error { return s.hooks.Verify(ctx, synapse) })
		},
		Priority: func(ctx context.Context, synapse *Synapse) (priority float64) {
			_ = s.enter(ctx, func(ctx context.Context) error {
				priority = s.hooks.Priority(ctx, synapse)
				return nil
			})
			if math.IsNaN(priority) {
				return 0
			}
			return priority
		},
		Forward: func(ctx context.Context, w http.ResponseWriter, synapse *Synapse) error {
			return s.enter(ctx, func(ctx context.Context) error { return s.hooks.OnOrganicEntry(ctx, w, synapse) })
		},
	}
}

// enter calls an entry hook while the scorer runs, as a flight that a stop
// waits for.
func (s *OrganicScorer[S, R]) enter(ctx context.Context, hook func(ctx context.Context) error) (err error) {
	ctx, cancel := context.WithCancelCause(s.life.mark(ctx))
	f := &flight{kind: entryFlight, cancel: cancel}
	if err := s.life.admit(f); err != nil {
		cancel(nil)
		return Refuse(http.StatusServiceUnavailable, "not serving now")
	}
	defer s.life.land(f)
	conclude(ctx, StageEntry, hook, func(e error) {
		err = e
		if e != nil && !isRefusal(e) {
			s.reporter.report(&Event{Kind: EventEntryFailed, Stage: StageEntry, Err: e})
		}
	})
	return err
}
