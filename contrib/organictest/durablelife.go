package organictest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

// checkReopened: what was added and not settled is there after Close.
func checkReopened(d *durableProbe) {
	d.open()
	samples := d.samples(20)
	samples[3].Requester = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
	samples[4].Origin, samples[4].Source = organic.Synthetic, "dataset"
	d.add(samples...)
	done := d.take()
	d.finish(done)
	d.close()

	d.open()
	want := make(map[string]organic.Sample[string], len(samples))
	for _, sample := range samples {
		want[sample.ID] = sample
	}
	delete(want, done.Sample.ID)
	d.size(len(want))
	for range len(samples) - 1 {
		lease := d.take()
		require.Contains(
			d.t,
			want,
			lease.Sample.ID,
			"a sample that is scored must not come back after Close, and no other twice",
		)
		requireSame(d.t, want[lease.Sample.ID], lease.Sample)
		delete(want, lease.Sample.ID)
		d.finish(lease)
	}
	d.close()

	d.open()
	d.empty()
}

// checkCrashed: what was added and not settled is there after a crash, also
// what was leased; what was settled is not.
func checkCrashed(d *durableProbe) {
	d.open()
	samples := d.added(20)
	gone := make(map[string]bool)
	for i := range 10 {
		lease := d.take()
		if i%2 == 0 {
			d.finish(lease)
			gone[lease.Sample.ID] = true
		}
	}
	var left []organic.Sample[string]
	for _, sample := range samples {
		if !gone[sample.ID] {
			left = append(left, sample)
		}
	}
	d.crash()

	d.open()
	d.drain(left)
	d.crash()

	d.open()
	d.empty()
}

// checkClosedWithLeases: Close gives leased samples back, and that is neither
// an attempt nor a crash, however often.
func checkClosedWithLeases(d *durableProbe) {
	d.cfg.MaxCrashes = 2
	d.open()
	samples := d.added(2)
	for range 4 {
		first := d.takeAttempt(1, "a lease that Close has given back must not count as an attempt")
		d.take()
		d.close()
		err := first.Settle(d.t.Context(), organic.Verdict{Outcome: organic.OutcomeScored})
		if err != nil {
			require.True(
				d.t,
				isClosed(err),
				"Settle after Close must return ErrLeaseOver or ErrClosed",
			)
		}
		require.Error(
			d.t,
			err,
			"Settle after Close must return an error: the sample was given back",
		)
		d.open()
	}
	require.Empty(d.t, d.letters(), "a lease that Close has given back must not count as a crash")
	d.drain(samples)
}

// checkClosed: a queue that is closed refuses everything.
func checkClosed(d *durableProbe) {
	d.open()
	d.added(1)
	queue, ctx := d.queue, d.t.Context()
	d.close()
	d.close()
	require.ErrorIs(d.t, queue.Add(ctx, d.samples(1)[0]), durable.ErrClosed, "Add after Close")
	_, err := queue.Sample(ctx)
	require.ErrorIs(d.t, err, durable.ErrClosed, "Sample after Close")
	require.ErrorIs(d.t, queue.PutBack(ctx, 1), durable.ErrClosed, "PutBack after Close")
	require.ErrorIs(d.t, queue.Forget(ctx, 1), durable.ErrClosed, "Forget after Close")
	for _, err := range queue.DeadLetters(ctx) {
		require.ErrorIs(d.t, err, durable.ErrClosed, "DeadLetters after Close")
	}
	queue.Size()
	queue.OldestWaiting()
	queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(organic.Dropped) {}})()
}

// checkSecondRefused: a second handle is refused at once and harms nothing.
func checkSecondRefused(d *durableProbe) {
	d.open()
	samples := d.added(5)
	lease := d.take()
	second := within(d.probe, "Open of a store that is in use", func() error {
		queue, err := d.store.Open(d.t, d.cfg)
		if err == nil {
			err = queue.Close(d.t.Context())
			require.FailNow(
				d.t,
				"a second handle on the store must be refused",
				"Close returned %v",
				err,
			)
		}
		return err
	})
	require.Error(d.t, second)
	d.settle(lease, organic.Verdict{Outcome: organic.OutcomeReturn, Err: errVerdict})
	samples = append(samples, d.added(5)...)
	d.close()
	d.open()
	d.drain(samples)
}

// checkSecondShares: two handles share the samples, and one gets what the
// other held when it died.
func checkSecondShares(d *durableProbe) {
	d.open()
	first := d.queue
	samples := d.added(10)
	held := d.take()
	d.queue = d.another()
	d.probe.queue = d.queue
	d.size(9)
	samples = append(samples, d.added(10)...)
	d.size(19)
	d.store.Crash(d.t, first)
	d.drain(samples)
	_ = held.Settle(
		d.t.Context(),
		organic.Verdict{Outcome: organic.OutcomeRetry, Err: errVerdict},
	) // of a dead process
	d.quiet("a verdict of a process that is dead must do nothing")
}

// checkDelaysSurvive: neither Close nor a crash ends a delay.
func checkDelaysSurvive(d *durableProbe) {
	d.open()
	for _, outcome := range []organic.Outcome{organic.OutcomeRetry, organic.OutcomeReturn} {
		for _, end := range d.ends() {
			const delay = 3 * quietFor
			d.added(1)
			lease := d.take()
			due := time.Now().Add(delay)
			d.settle(lease, organic.Verdict{Outcome: outcome, Delay: delay, Err: errVerdict})
			end()
			d.open()
			lease = d.takeDue(due)
			d.finish(lease)
		}
	}
	d.empty()
}

// takeDue takes a sample whose delay was set before the queue was opened.
func (d *durableProbe) takeDue(due time.Time) organic.Lease[string] {
	d.t.Helper()
	w := d.watch()
	lease, ok := d.trySample(d.t.Context())
	if !ok {
		w.requireArrived(
			time.Until(due)+d.traits.Patience,
			"Arrived must be called when a delay that was set before the queue was opened is over",
		)
		lease = d.take()
	}
	require.False(
		d.t,
		time.Now().Before(due),
		"a delay must be kept when the queue is opened again",
	)
	return lease
}

// checkLeaseExpiry: a lease that is not settled in time ends, without an
// attempt; a verdict that comes too late does nothing.
func checkLeaseExpiry(d *durableProbe) {
	d.cfg.MaxLease = 2 * quietFor
	d.open()
	d.added(1)
	late := d.take()
	lease := d.takeAttempt(1, "a lease that has expired must not count as an attempt")
	err := late.Settle(
		d.t.Context(),
		organic.Verdict{Outcome: organic.OutcomeRetry, Err: errVerdict},
	)
	require.ErrorIs(d.t, err, durable.ErrLeaseOver, "Settle of a lease that has expired")
	d.settle(lease, organic.Verdict{Outcome: organic.OutcomeReturn, Err: errVerdict})
	lease = d.takeAttempt(1, "a verdict that comes too late must not count")
	d.finish(lease)
	d.empty()
}

// checkExpiredWhileClosed: what is too old by then is not handed
// out, and watchers are notified.
func checkExpiredWhileClosed(d *durableProbe) {
	d.cfg.MaxAge = time.Hour
	d.open()
	old, young := d.samples(3), d.samples(3)
	expires := time.Now().Add(2*quietFor - time.Hour).Truncate(time.Microsecond)
	for i := range old {
		old[i].Received = expires
	}
	d.add(old...)
	d.add(young...)
	d.close()
	<-time.After(time.Until(expires.Add(time.Hour + quietFor/5)))
	d.open()
	w := d.watch()
	d.drain(young)
	w.requireDropped(old, organic.DroppedExpired)
}

// checkOldestWaiting: the age is that of the oldest sample that can be taken.
func checkOldestWaiting(d *durableProbe) {
	d.open()
	require.Zero(d.t, d.queue.OldestWaiting(), "OldestWaiting of an empty queue")
	d.added(3)
	d.eventually(
		d.traits.Patience,
		"OldestWaiting must become the age of the oldest sample that waits",
		func() bool {
			age := d.queue.OldestWaiting()
			require.LessOrEqual(
				d.t,
				age,
				time.Since(d.start),
				"OldestWaiting must not be above the age of the oldest sample",
			)
			return age > 0
		},
	)
	for range 3 {
		d.finish(d.take())
	}
	d.eventually(
		d.traits.Patience,
		"OldestWaiting of an empty queue must become 0",
		func() bool { return d.queue.OldestWaiting() == 0 },
	)
}
