package organictest_test

import (
	"context"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

func brokenLeases() []broken {
	return []broken{
		{
			name: "does not settle", plan: random,
			traits: func(q *organictest.QueueTraits) { q.Settles = true }, check: "lease",
			message: "must carry Settle",
		},
		{
			name: "settles unasked", plan: settles,
			traits: func(q *organictest.QueueTraits) { q.Settles = false }, check: "whole",
			message: "must carry Settle",
		},
		{
			name: "counts deliveries", plan: settles, check: "return",
			message: "must be 1 plus the number of failures", bend: func(b *bent) {
				deliveries := map[string]int{}
				b.alter(func(s *organic.Sample[string]) {
					deliveries[s.ID]++
					s.Attempt = deliveries[s.ID]
				})
			},
		},
		{
			name: "does not count failures", plan: settles, check: "retry",
			message: "must be 1 plus the number of failures", bend: func(b *bent) {
				b.alter(func(s *organic.Sample[string]) { s.Attempt = 1 })
			},
		},
		{
			name: "leases to two", plan: settles, check: "lease", message: "another consumer",
			bend: func(b *bent) {
				b.alter(func(s *organic.Sample[string]) {
					if s.ID != "" && b.every(3) {
						_ = b.fullQueue.Add(context.Background(), *s)
					}
				})
			},
		},
		{
			name: "counts leases as waiting", plan: settles, check: "lease", message: "Size must be",
			bend: func(b *bent) { b.size = func() int { return b.fullQueue.Size() + 3 } },
		},
		{
			name: "fails to settle after a drop", plan: settles, check: "settled after drop",
			message: "must succeed", bend: failWhenFull,
		},
		{
			name: "brings back what was dropped", plan: settles, check: "settled after drop",
			message: "never be handed out again", bend: reviveWhenFull,
		},
		{name: "holds others up", plan: settles, check: "retry", message: "hold others up", bend: holdUp},
	}
}

func brokenVerdicts() []broken {
	verdict := func(change func(*organic.Verdict) bool) func(*bent) {
		return func(b *bent) { b.misjudge(change) }
	}
	redeliver := func(outcome organic.Outcome) func(*bent) {
		return verdict(func(v *organic.Verdict) bool {
			if v.Outcome == outcome {
				v.Outcome = organic.OutcomeReturn
			}
			return true
		})
	}
	forget := func(outcome organic.Outcome) func(*bent) {
		return verdict(func(v *organic.Verdict) bool { return v.Outcome != outcome })
	}
	const early, again, lost = "before its delay is over", "never be handed out again", "lost or late"
	return []broken{
		{
			name: "forgets delays of retries", plan: settles, check: "retry", message: early,
			bend: verdict(func(v *organic.Verdict) bool { v.Delay = 0; return true }),
		},
		{
			name: "forgets delays of returns", plan: settles, check: "return", message: early,
			bend: verdict(func(v *organic.Verdict) bool { v.Delay = 0; return true }),
		},
		{
			name: "halves delays", plan: settles, check: "retry", message: early,
			bend: verdict(func(v *organic.Verdict) bool { v.Delay /= 2; return true }),
		},
		{
			name: "delays for ever", plan: settles, check: "retry", message: lost,
			bend: verdict(func(v *organic.Verdict) bool { v.Delay *= 1000; return true }),
		},
		{
			name: "brings scored back", plan: settles, check: "settled for good", message: again,
			bend: redeliver(organic.OutcomeScored),
		},
		{
			name: "brings dead back", plan: settles, check: "settled for good", message: again,
			bend: redeliver(organic.OutcomeDead),
		},
		{
			name: "brings discarded back", plan: settles, check: "settled for good", message: again,
			bend: redeliver(organic.OutcomeDiscarded),
		},
		{
			name: "loses retries", plan: settles, check: "retry", message: lost,
			bend: forget(organic.OutcomeRetry),
		},
		{
			name: "loses returns", plan: settles, check: "return", message: lost,
			bend: forget(organic.OutcomeReturn),
		},
	}
}

// brokenReturns lose or mix up what comes back.
func brokenReturns() []broken {
	refusing := settles
	refusing.refuses = true
	const lost = "it is lost"
	return []broken{
		{
			name: "loses what comes back to a full queue", plan: refusing, check: "settled after drop",
			message: lost, bend: loseWhenFull,
		},
		{
			name: "drops what comes back and tells nobody", plan: settles, check: "settled after drop",
			message: lost, bend: loseWhenFull,
		},
		{
			name: "keeps one delay for all", plan: settles, check: "retries of several",
			message: "lost or late", bend: delayOne,
		},
		{
			name: "counts failures of all together", plan: settles, check: "retries of several",
			message: "counted by themselves", bend: func(b *bent) {
				failures := 0
				b.misjudge(func(v *organic.Verdict) bool {
					if v.Outcome == organic.OutcomeRetry {
						failures++
					}
					return true
				})
				sample := b.sample
				b.sample = func(ctx context.Context) (organic.Lease[string], error) {
					lease, err := sample(ctx)
					lease.Sample.Attempt = 1 + failures
					return lease, err
				}
			},
		},
	}
}

// loseWhenFull forgets each verdict on a sample while the queue is full.
func loseWhenFull(b *bent) {
	b.misjudge(func(*organic.Verdict) bool { return b.fullQueue.Size() < b.capacity })
}

// delayOne has one timer: a delay ends the one before, and its sample is lost.
func delayOne(b *bent) {
	timer := time.AfterFunc(time.Hour, func() {})
	b.sample = func(ctx context.Context) (organic.Lease[string], error) {
		lease, err := b.fullQueue.Sample(ctx)
		settle := lease.Settle
		lease.Settle = func(ctx context.Context, verdict organic.Verdict) error {
			if verdict.Delay == 0 {
				return settle(ctx, verdict)
			}
			timer.Stop()
			delay := verdict.Delay
			verdict.Delay = 0
			timer = time.AfterFunc(delay, func() { _ = settle(context.WithoutCancel(ctx), verdict) })
			return nil
		}
		return lease, err
	}
}

// failWhenFull lets Settle fail in a full queue.
func failWhenFull(b *bent) {
	b.sample = func(ctx context.Context) (organic.Lease[string], error) {
		lease, err := b.fullQueue.Sample(ctx)
		settle := lease.Settle
		lease.Settle = func(ctx context.Context, verdict organic.Verdict) error {
			if b.fullQueue.Size() == b.capacity {
				return errOwn
			}
			return settle(ctx, verdict)
		}
		return lease, err
	}
}

// reviveWhenFull brings the first sample back that is scored in a full queue.
func reviveWhenFull(b *bent) {
	b.misjudge(func(v *organic.Verdict) bool {
		if b.fullQueue.Size() == b.capacity && b.calls.Add(1) == 1 {
			v.Outcome = organic.OutcomeReturn
		}
		return true
	})
}

// holdUp gives nothing out while a sample is delayed, and that one first.
func holdUp(b *bent) {
	delayed := make(chan time.Time, 1)
	b.order = organic.OrderFIFO
	b.sample = func(ctx context.Context) (organic.Lease[string], error) {
		select {
		case until := <-delayed:
			if time.Now().Before(until) {
				delayed <- until
				return organic.Lease[string]{}, organic.ErrEmpty
			}
		default:
		}
		lease, err := b.fullQueue.Sample(ctx)
		settle := lease.Settle
		lease.Settle = func(ctx context.Context, verdict organic.Verdict) error {
			if verdict.Delay > 0 {
				delayed <- time.Now().Add(verdict.Delay + 20*time.Millisecond)
			}
			return settle(ctx, verdict)
		}
		return lease, err
	}
}

func brokenWatchers() []broken {
	under, deafened := random, settles
	under.tellUnder, deafened.deaf = true, true
	return []broken{
		{
			name: "calls watchers under the lock", plan: under, check: "watcher locks",
			message: "outside the queue's locks",
		},
		{
			name: "never tells of arrivals", plan: random, check: "watcher arrivals",
			message: "Arrived must be called",
			bend:    replaceWatcher(func(w *organic.Watcher) { w.Arrived = func() {} }),
		},
		{
			name: "never tells of drops", plan: random, check: "bound", message: "notified of each sample",
			bend: replaceWatcher(func(w *organic.Watcher) { w.Dropped = func(organic.Dropped) {} }),
		},
		{
			name: "tells of other drops", plan: random, check: "bound", message: "of no others",
			bend: replaceWatcher(func(w *organic.Watcher) {
				tell := w.Dropped
				w.Dropped = func(d organic.Dropped) { d.ID = "another"; tell(d) }
			}),
		},
		{
			name: "takes expired for full", plan: random, check: "maximum age", message: "of no others",
			bend: replaceWatcher(func(w *organic.Watcher) {
				tell := w.Dropped
				w.Dropped = func(d organic.Dropped) { d.Reason = organic.DroppedFull; tell(d) }
			}),
		},
		{
			name: "never tells of what comes back", plan: deafened, check: "watcher delays",
			message: "delayed sample can be taken again",
		},
		{
			name: "tells of the first arrival only", plan: random, check: "watcher arrivals",
			message: "while another waits", bend: func(b *bent) {
				b.watch = func(w organic.Watcher) func() {
					arrived := w.Arrived
					w.Arrived = func() {
						if b.fullQueue.Size() == 1 {
							arrived()
						}
					}
					return b.fullQueue.Watch(w)
				}
			},
		},
		{
			name: "never tells of what is returned", plan: settles, check: "watcher delays",
			message: "delayed sample can be taken again", bend: func(b *bent) {
				b.misjudge(func(v *organic.Verdict) bool {
					b.deaf = v.Outcome == organic.OutcomeReturn
					return true
				})
			},
		},
		{
			name: "never stops telling", plan: random, check: "watcher stop", message: "must not be called",
			bend: func(b *bent) {
				b.watch = func(w organic.Watcher) func() { b.fullQueue.Watch(w); return func() {} }
			},
		},
		{
			name: "stops telling all", plan: random, check: "watcher stop",
			message: "must not stop the others", bend: func(b *bent) {
				b.watch = func(w organic.Watcher) func() {
					b.fullQueue.Watch(w)
					return func() { b.mu.Lock(); defer b.mu.Unlock(); clear(b.watchers) }
				}
			},
		},
		{
			name: "tells the last watcher only", plan: random, check: "watcher arrivals", message: "Arrived",
			bend: func(b *bent) {
				b.watch = func(w organic.Watcher) func() {
					func() { b.mu.Lock(); defer b.mu.Unlock(); clear(b.watchers) }()
					return b.fullQueue.Watch(w)
				}
			},
		},
	}
}

func replaceWatcher(change func(*organic.Watcher)) func(*bent) {
	return func(b *bent) {
		b.watch = func(w organic.Watcher) func() { change(&w); return b.fullQueue.Watch(w) }
	}
}
