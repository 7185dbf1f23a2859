package organictest_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// fault is one way in which a fakeDurable breaks the contract.
type fault string

// disk is what survives a fakeDurable.
type disk struct {
	shared bool
	fault  fault

	mu      sync.Mutex // guards what follows
	open    []*fakeDurable
	records []*record // in the order in which they were added
	letters []letter
	next    uint64
}

// record is a sample on a disk.
type record struct {
	id        string
	data      []byte
	sealed    bool
	failures  int
	crashes   int
	notBefore time.Time
	holder    *fakeDurable // nil: waits
	lease     int
	until     time.Time
}

type letter struct {
	record
	number uint64
	cause  durable.Cause
	reason []byte
	time   time.Time
}

// fakeDurable is a durable queue on a disk in memory: first in, first out.
type fakeDurable struct {
	disk     *disk
	cfg      organictest.DurableConfig
	coder    durable.Coder[string]
	ended    bool // guarded by disk.mu, as what follows
	watchers []*organic.Watcher
}

func newDisk(shared bool, fault fault) organictest.DurableStore {
	d := &disk{shared: shared, fault: fault}
	return organictest.DurableStore{
		Open: func(_ *testing.T, cfg organictest.DurableConfig) (durable.Queue[string], error) {
			return d.openQueue(cfg)
		},
		Crash: func(_ *testing.T, queue durable.Queue[string]) {
			d.end(queue.(*fakeDurable), true)
		},
	}
}

func (d *disk) openQueue(cfg organictest.DurableConfig) (*fakeDurable, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.open) > 0 && !d.shared && d.fault != "second handle opens" {
		return nil, errors.New("in use")
	}
	if cfg.MaxCrashes == 0 {
		cfg.MaxCrashes = 5
	}
	q := &fakeDurable{
		disk:  d,
		cfg:   cfg,
		coder: durable.Coder[string]{Codec: cfg.Codec, Cipher: cfg.Cipher},
	}
	d.open = append(d.open, q)
	return q, nil
}

// end closes a handle, or kills it.
func (d *disk) end(q *fakeDurable, crash bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q.ended {
		return
	}
	q.ended = true
	d.open = slices.DeleteFunc(d.open, func(open *fakeDurable) bool { return open == q })
	if d.fault == "delays end with the process" {
		for _, r := range d.records {
			r.notBefore = time.Time{}
		}
	}
	d.records = slices.DeleteFunc(d.records, func(r *record) bool {
		held := r.holder == q
		if !held {
			return false
		}
		r.holder = nil
		if crash || d.fault == "Close counts as a crash" {
			r.crashes++
		}
		if crash && d.fault == "crash counts as an attempt" {
			r.failures++
		}
		return crash && d.fault == "loses what is leased"
	})
}

func (q *fakeDurable) Close(context.Context) error {
	q.disk.end(q, false)
	return nil
}

func (q *fakeDurable) lock() (unlock func(), err error) {
	q.disk.mu.Lock()
	if q.ended && q.disk.fault != "works after Close" {
		q.disk.mu.Unlock()
		return nil, durable.ErrClosed
	}
	return q.disk.mu.Unlock, nil
}

func (q *fakeDurable) Add(_ context.Context, sample organic.Sample[string]) error {
	return q.add(sample, q.cfg.DropOldest)
}

func (q *fakeDurable) add(sample organic.Sample[string], drops bool) error {
	data, err := q.coder.Encode(sample)
	if err != nil {
		return err
	}
	if q.disk.fault == "bound by check and act" {
		unlock, err := q.lock()
		if err != nil {
			return err
		}
		full := len(q.disk.records) >= q.cfg.Capacity
		unlock()
		time.Sleep(time.Millisecond)
		if full && !drops {
			return organic.ErrFull
		}
	}
	unlock, err := q.lock()
	if err != nil {
		return err
	}
	dropped, err := q.insert(sample, data, drops)
	unlock()
	q.notify(dropped, err == nil)
	return err
}

func (q *fakeDurable) insert(
	sample organic.Sample[string],
	data []byte,
	drops bool,
) (dropped []organic.Dropped, err error) {
	d := q.disk
	same := func(r *record) bool {
		return r.id == sample.ID && (r.holder == nil || d.fault != "leased ID is accepted")
	}
	if slices.ContainsFunc(d.records, same) {
		return nil, organic.ErrDuplicate
	}
	if len(d.records) >= q.cfg.Capacity && d.fault != "bound by check and act" {
		if !drops {
			return nil, organic.ErrFull
		}
		i := slices.IndexFunc(d.records, func(r *record) bool {
			return r.holder == nil && time.Now().After(r.notBefore) ||
				d.fault == "drops what is leased"
		})
		if i < 0 {
			return nil, organic.ErrFull
		}
		dropped = []organic.Dropped{q.remove(d.records[i], organic.DroppedFull)}
	}
	d.records = append(d.records, &record{
		id: sample.ID, data: data, sealed: q.coder.Sealed(), failures: max(sample.Attempt, 1) - 1,
	})
	return dropped, nil
}

func (q *fakeDurable) remove(r *record, reason organic.DropReason) organic.Dropped {
	q.disk.records = slices.DeleteFunc(
		q.disk.records,
		func(other *record) bool { return other == r },
	)
	sample, _ := q.coder.Decode(r.id, r.data, r.sealed)
	return organic.Dropped{
		ID:       r.id,
		Origin:   sample.Origin,
		Attempt:  r.failures + 1,
		Received: sample.Received,
		Reason:   reason,
	}
}

// notify calls the watchers of all handles.
func (q *fakeDurable) notify(dropped []organic.Dropped, arrived bool) {
	q.disk.mu.Lock()
	var watchers []*organic.Watcher
	for _, open := range q.disk.open {
		watchers = append(watchers, open.watchers...)
	}
	q.disk.mu.Unlock()
	for _, watcher := range watchers {
		for _, drop := range dropped {
			watcher.Dropped(drop)
		}
		if arrived {
			watcher.Arrived()
		}
	}
}

func (q *fakeDurable) Sample(context.Context) (organic.Lease[string], error) {
	unlock, err := q.lock()
	if err != nil {
		return organic.Lease[string]{}, err
	}
	var dropped []organic.Dropped
	defer func() { q.notify(dropped, false) }()
	defer unlock()
	for _, r := range slices.Clone(q.disk.records) {
		q.expireLease(r)
		if r.holder != nil || time.Now().Before(r.notBefore) {
			continue
		}
		if r.crashes >= q.cfg.MaxCrashes && q.disk.fault != "crashes are not bounded" {
			dropped = append(dropped, q.bury(r, durable.CauseCrashes, nil))
			continue
		}
		sample, err := q.coder.Decode(r.id, r.data, r.sealed)
		if errors.Is(err, durable.ErrUnknownKey) && q.disk.fault != "wrong key is poison" {
			return organic.Lease[string]{}, err
		}
		if err != nil {
			dropped = append(dropped, q.bury(r, durable.CauseUndecodable, err))
			continue
		}
		if q.cfg.MaxAge > 0 && time.Since(sample.Received) > q.cfg.MaxAge {
			dropped = append(dropped, q.remove(r, organic.DroppedExpired))
			continue
		}
		return q.leaseOf(r, sample), nil
	}
	return organic.Lease[string]{}, organic.ErrEmpty
}

func (q *fakeDurable) expireLease(r *record) {
	if r.holder == nil || q.cfg.MaxLease == 0 || time.Now().Before(r.until) {
		return
	}
	r.holder = nil
	if q.disk.fault == "expired lease counts" {
		r.failures++
	}
}

func (q *fakeDurable) leaseOf(r *record, sample organic.Sample[string]) organic.Lease[string] {
	r.lease++
	r.holder, r.until = q, time.Now().Add(q.cfg.MaxLease)
	lease, settled := r.lease, false
	sample.Attempt = r.failures + 1
	return organic.Lease[string]{
		Sample: sample,
		Settle: func(_ context.Context, verdict organic.Verdict) error {
			q.disk.mu.Lock()
			switch {
			case settled && q.disk.fault != "second verdict stands":
				q.disk.mu.Unlock()
				return durable.ErrSettled
			case (r.holder != q || r.lease != lease) && q.disk.fault != "second verdict stands":
				q.disk.mu.Unlock()
				return durable.ErrLeaseOver
			}
			settled = true
			back := q.judge(r, verdict)
			q.disk.mu.Unlock()
			if back && verdict.Delay <= 0 {
				q.notify(nil, true)
			}
			return nil
		},
	}
}

func (q *fakeDurable) judge(r *record, verdict organic.Verdict) (back bool) {
	r.holder = nil
	switch verdict.Outcome {
	case organic.OutcomeRetry, organic.OutcomeReturn:
		if verdict.Outcome == organic.OutcomeRetry || q.disk.fault == "returns count" {
			r.failures++
		}
		r.notBefore = time.Now().Add(verdict.Delay)
		return true
	case organic.OutcomeDead:
		q.bury(r, durable.CauseDead, verdict.Err)
	case organic.OutcomeDiscarded:
		q.bury(r, durable.CauseDiscarded, verdict.Err)
	case organic.OutcomeScored:
		q.remove(r, 0)
	}
	return false
}

func (q *fakeDurable) bury(r *record, cause durable.Cause, reason error) organic.Dropped {
	dropped := q.remove(r, organic.DroppedDead)
	data, _ := q.coder.EncodeReason(r.id, reason) // the suite's reasons can be encoded
	q.disk.next++
	if q.disk.fault != "no dead letters" {
		q.disk.letters = append(
			q.disk.letters,
			letter{record: *r, number: q.disk.next, cause: cause, reason: data, time: time.Now()},
		)
	}
	return dropped
}

func (q *fakeDurable) Size() int {
	q.disk.mu.Lock()
	defer q.disk.mu.Unlock()
	return len(q.waiting())
}

func (q *fakeDurable) waiting() []*record {
	return slices.DeleteFunc(slices.Clone(q.disk.records), func(r *record) bool {
		return r.holder != nil || time.Now().Before(r.notBefore)
	})
}

func (q *fakeDurable) OldestWaiting() (age time.Duration) {
	q.disk.mu.Lock()
	defer q.disk.mu.Unlock()
	for _, r := range q.waiting() {
		if sample, err := q.coder.Decode(r.id, r.data, r.sealed); err == nil {
			age = max(age, time.Since(sample.Received))
		}
	}
	return age
}

// Watch also calls Arrived when the first delay that is on the disk is over.
func (q *fakeDurable) Watch(watcher organic.Watcher) (stop func()) {
	q.disk.mu.Lock()
	defer q.disk.mu.Unlock()
	added := &watcher
	q.watchers = append(q.watchers, added)
	for _, r := range q.disk.records {
		if delay := time.Until(r.notBefore); delay > 0 {
			time.AfterFunc(delay, func() { q.notify(nil, true) })
		}
	}
	return func() {
		q.disk.mu.Lock()
		defer q.disk.mu.Unlock()
		q.watchers = slices.DeleteFunc(
			q.watchers,
			func(w *organic.Watcher) bool { return w == added },
		)
	}
}

func (q *fakeDurable) DeadLetters(context.Context) iter.Seq2[durable.DeadLetter[string], error] {
	return func(yield func(durable.DeadLetter[string], error) bool) {
		unlock, err := q.lock()
		if err != nil {
			yield(durable.DeadLetter[string]{}, err)
			return
		}
		letters := slices.Clone(q.disk.letters)
		unlock()
		for _, l := range letters {
			sample, err := q.coder.Decode(l.id, l.data, l.sealed)
			if err == nil {
				sample.Attempt = l.failures + 1
			}
			if !yield(durable.DeadLetter[string]{
				Number:   l.number,
				ID:       l.id,
				Cause:    l.cause,
				Reason:   q.coder.DecodeReason(l.id, l.reason, l.sealed),
				Attempts: l.cause.Attempts(l.failures),
				Time:     l.time,
				Sample:   sample,
				Err:      err,
			}, nil) {
				return
			}
		}
	}
}

func (q *fakeDurable) PutBack(_ context.Context, number uint64) error {
	unlock, err := q.lock()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(q.disk.letters, func(l letter) bool { return l.number == number })
	if i < 0 {
		unlock()
		return durable.ErrNoDeadLetter
	}
	l := q.disk.letters[i]
	unlock()
	sample, err := q.coder.Decode(l.id, l.data, l.sealed)
	if err != nil {
		return err
	}
	if q.cfg.MaxAge > 0 && time.Since(sample.Received) > q.cfg.MaxAge {
		return durable.ErrExpired
	}
	if q.disk.fault != "put back keeps attempts" {
		sample.Attempt = 1
	}
	if err := q.add(sample, q.disk.fault == "put back drops"); err != nil {
		return err
	}
	return q.forget(number)
}

func (q *fakeDurable) Forget(_ context.Context, number uint64) error { return q.forget(number) }

func (q *fakeDurable) forget(number uint64) error {
	unlock, err := q.lock()
	if err != nil {
		return err
	}
	defer unlock()
	before := len(q.disk.letters)
	q.disk.letters = slices.DeleteFunc(
		q.disk.letters,
		func(l letter) bool { return l.number == number },
	)
	if len(q.disk.letters) == before {
		return durable.ErrNoDeadLetter
	}
	return nil
}
