package organictest

import (
	"errors"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

func isClosed(err error) bool {
	return errors.Is(err, durable.ErrClosed) || errors.Is(err, durable.ErrLeaseOver)
}

// checkAttempts: Attempt is 1 plus the number of failures, and nothing else
// counts.
func checkAttempts(d *durableProbe) {
	const promise = "Attempt must be 1 plus the number of OutcomeRetry verdicts"
	d.cfg.MaxCrashes = 2
	d.open()
	d.added(1)
	for failures := range 3 {
		for range 4 {
			lease := d.takeAttempt(1+failures, promise)
			d.settle(lease, organic.Verdict{Outcome: organic.OutcomeReturn, Err: errVerdict})
		}
		lease := d.takeAttempt(1+failures, promise)
		d.settle(
			lease,
			organic.Verdict{
				Outcome: organic.OutcomeReturn,
				Delay:   time.Millisecond,
				Err:     errVerdict,
			},
		)
		d.retry(0)
	}
	lease := d.takeAttempt(4, promise)
	d.finish(lease)

	sample := d.samples(1)[0]
	sample.Attempt = 5
	d.add(sample)
	d.retry(0)
	lease = d.takeAttempt(6, "a sample that comes in with failed attempts must keep them")
	d.finish(lease)
	require.Empty(d.t, d.letters(), "only crashes and verdicts may make dead letters")
}

// checkAttemptsSurvive: failures are counted across Close and crashes, which
// themselves do not count.
func checkAttemptsSurvive(d *durableProbe) {
	d.open()
	d.added(1)
	failures := 0
	for range 2 {
		for _, end := range d.ends() {
			d.retry(0)
			failures++
			lease := d.takeAttempt(1+failures, "Attempt must count failures")
			end()
			d.open()
			d.requireAgainAfter(lease, failures)
		}
	}
	require.Empty(d.t, d.letters(), "two crashes must not make a dead letter by default")
}

func (d *durableProbe) requireAgainAfter(before organic.Lease[string], failures int) {
	d.t.Helper()
	lease := d.takeAttempt(
		1+failures,
		"failures must be counted across Close and a crash, which do not count themselves",
	)
	requireAgain(d.t, before.Sample, lease.Sample, 1+failures)
	d.settle(lease, organic.Verdict{Outcome: organic.OutcomeReturn, Err: errVerdict})
}

// checkCrashes: a sample whose leases end with the death of the process is
// given up after MaxCrashes of them, and no other.
func checkCrashes(d *durableProbe) {
	d.cfg.MaxCrashes = 3
	d.open()
	poison := d.added(1)[0]
	d.settle(d.take(), organic.Verdict{Outcome: organic.OutcomeRetry, Err: errVerdict})
	for range d.cfg.MaxCrashes {
		lease := d.takeAttempt(2, "a crash must not count as an attempt")
		require.Equal(d.t, poison.ID, lease.Sample.ID)
		d.crash()
		d.open()
	}
	w := d.watch()
	others := d.added(3)
	d.drain(others)
	poison.Attempt = 2
	w.requireDropped([]organic.Sample[string]{poison}, organic.DroppedDead)
	letter := d.awaitLetters(1)[0]
	require.Equal(d.t, durable.CauseCrashes, letter.Cause)
	require.Equal(d.t, poison.ID, letter.ID)
	require.Equal(d.t, 1, letter.Attempts, "a dead letter must have the number of failed attempts")
	require.NoError(d.t, letter.Err)
	require.Equal(d.t, poison.Payload, letter.Sample.Payload)
}

// checkSettledTwice: the first verdict stands.
func checkSettledTwice(d *durableProbe) {
	d.open()
	for _, first := range []organic.Outcome{organic.OutcomeScored, organic.OutcomeReturn} {
		d.added(1)
		lease := d.take()
		d.settle(lease, organic.Verdict{Outcome: first})
		for _, second := range []organic.Outcome{
			organic.OutcomeRetry, organic.OutcomeDead, organic.OutcomeScored,
		} {
			err := within(d.probe, "Settle", func() error {
				return lease.Settle(
					d.t.Context(),
					organic.Verdict{Outcome: second, Err: errVerdict},
				)
			})
			require.ErrorIs(d.t, err, durable.ErrSettled, "the second verdict on a lease")
		}
		if first == organic.OutcomeReturn {
			d.finish(d.takeAttempt(1, "the second verdict on a lease must do nothing"))
		}
		d.empty()
	}
	require.Empty(d.t, d.letters(), "the second verdict on a lease must do nothing")
}

// checkDurableDuplicates: an ID that the queue holds is refused, in whatever
// state its sample is; what the queue itself takes back is no duplicate.
func checkDurableDuplicates(d *durableProbe) {
	d.open()
	samples := d.added(3)
	refused := func(state string) {
		d.t.Helper()
		for _, sample := range samples {
			require.ErrorIsf(
				d.t,
				d.tryAdd(d.t.Context(), sample),
				organic.ErrDuplicate,
				"Add of an ID that %s",
				state,
			)
		}
	}
	refused("waits")
	leases := []organic.Lease[string]{d.take(), d.take(), d.take()}
	refused("is leased")
	for _, lease := range leases {
		d.settle(
			lease,
			organic.Verdict{Outcome: organic.OutcomeRetry, Delay: time.Hour, Err: errVerdict},
		)
	}
	refused("waits for its delay")
	d.close()
	d.open()
	refused("waits for its delay since before the queue was opened")

	samples = d.added(3)
	d.crash()
	d.open()
	refused("waits since before a crash")
	for range 3 {
		d.settle(d.take(), organic.Verdict{Outcome: organic.OutcomeReturn, Err: errVerdict})
	}
	refused("was given back")
	d.drain(samples)
}

// checkExactRefusal: of many concurrent adders exactly as many succeed as there
// is space for.
func checkExactRefusal(d *durableProbe) {
	d.cfg.Capacity = 20
	d.open()
	leased := []organic.Lease[string]{}
	samples := d.added(5)
	for range 3 {
		leased = append(leased, d.take())
	}
	more := d.samples(64)
	errs := d.addAll(more)
	for i, err := range errs {
		if err == nil {
			samples = append(samples, more[i])
		} else {
			require.ErrorIs(d.t, err, organic.ErrFull, "a full queue must refuse with ErrFull")
		}
	}
	require.Len(
		d.t,
		samples,
		d.cfg.Capacity,
		"a queue must accept as many samples as its capacity, those that are leased included",
	)
	for _, lease := range leased {
		d.settle(lease, organic.Verdict{Outcome: organic.OutcomeReturn, Err: errVerdict})
	}
	d.size(d.cfg.Capacity)
	d.close()
	d.open()
	d.drain(samples)
}

// addAll adds from eight goroutines and returns the errors.
func (d *durableProbe) addAll(samples []organic.Sample[string]) []error {
	d.t.Helper()
	const adders = 8
	errs := make([]error, len(samples))
	within(d.probe, "Add from several goroutines", func() bool {
		var group sync.WaitGroup
		for adder := range adders {
			group.Go(func() {
				for i := adder; i < len(samples); i += adders {
					errs[i] = d.queue.Add(d.t.Context(), samples[i])
				}
			})
		}
		group.Wait()
		return true
	})
	return errs
}

// checkExactDrops: of many concurrent adders all succeed, and exactly what is
// too much is dropped; what is leased or delayed is not.
func checkExactDrops(d *durableProbe) {
	d.cfg.Capacity, d.cfg.DropOldest = 20, true
	d.open()
	w := d.watch()
	kept := d.added(2)
	lease := d.take()
	d.retry(time.Hour)
	for _, err := range d.addAll(d.samples(64)) {
		require.NoError(d.t, err, "a queue that drops must accept")
	}
	d.eventually(
		d.traits.Patience,
		"watchers must be notified of each sample that is dropped",
		func() bool {
			return len(w.heard()) >= 64+len(kept)-d.cfg.Capacity
		},
	)
	for _, dropped := range w.heard() {
		require.Equal(d.t, organic.DroppedFull, dropped.Reason)
		require.NotContains(
			d.t,
			[]string{kept[0].ID, kept[1].ID},
			dropped.ID,
			"what is leased or delayed must not be dropped",
		)
	}
	require.Len(
		d.t,
		w.heard(),
		64+len(kept)-d.cfg.Capacity,
		"exactly what is too much must be dropped",
	)
	d.size(d.cfg.Capacity - len(kept))
	d.finish(lease)
}

// checkBadSamples: an ID that cannot be stored is an error and not a sample.
func checkBadSamples(d *durableProbe) {
	d.open()
	for _, id := range []string{"", "\xff", string(make([]byte, durable.MaxID+1))} {
		sample := d.samples(1)[0]
		sample.ID = id
		require.Error(
			d.t,
			d.tryAdd(d.t.Context(), sample),
			"Add of an ID that is empty, too long or not UTF-8",
		)
	}
	d.empty()
	odd := d.samples(3)
	odd[0].ID, odd[1].ID = "a b\r\n#/%", "Zürich.>*"
	odd[2].ID = string(make([]byte, durable.MaxID))
	d.add(odd...)
	d.close()
	d.open()
	d.drain(odd)
}
