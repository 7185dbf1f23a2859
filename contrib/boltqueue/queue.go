package boltqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

// Queue is a durable queue in one file. It implements [durable.Queue]. All
// methods are safe for concurrent use.
type Queue[S any] struct {
	cfg      *Config[S]
	coder    *durable.Coder[S]
	store    *store
	journal  *journal
	commits  *committer
	watchers atomic.Pointer[[]*organic.Watcher]

	stop     chan struct{} // closed by Close
	wake     chan struct{} // one slot: tend has something to do before wakeAt
	drained  chan struct{} // closed when no call and no goroutine is active after Close
	released sync.Once
	closeErr error // of what released has done

	mu      sync.Mutex // guards what follows; not held while the file is read or written
	index   *index
	letters []uint64  // numbers of the dead letters, ascending
	next    uint64    // number of the next sample or dead letter
	wakeAt  time.Time // when tend runs next; zero: not before it is woken
	tending bool      // the goroutine of tend was started
	active  int       // calls and goroutines that use the file
	closed  bool
}

var _ durable.Queue[string] = (*Queue[string])(nil)

// Open opens the queue in the file at path and creates the file if there is
// none; its folder must exist. Beside the file stands a journal, path with
// ".journal" appended. If path is a symbolic link, both are where it points to.
//
// Open reads the whole file, checks it, and returns an error that wraps
// [ErrCorrupt] if anything that was stored is missing or changed. Other errors
// wrap [ErrInUse], durable.ErrUnknownKey if samples are sealed with another key,
// organic.ErrGone if the file does not exist and its journal or a link to it
// does, or organic.ErrInvalidOption; that one names all that is wrong with cfg.
// All others name the file.
func Open[S any](path string, cfg Config[S]) (*Queue[S], error) {
	cfg, err := cfg.withDefaults()
	if path == "" {
		err = errors.Join(err, invalid("Open: path is empty"))
	}
	if err != nil {
		return nil, err
	}
	q, err := open(path, cfg)
	if err != nil {
		return nil, fmt.Errorf("boltqueue: open %s: %w", path, err)
	}
	return q, nil
}

func open[S any](path string, cfg Config[S]) (*Queue[S], error) {
	path, err := resolve(path)
	if err != nil {
		return nil, err
	}
	journal, known, err := openJournal(path)
	if err != nil {
		return nil, err
	}
	store, err := openStore(path, known.transaction, cfg.NoSync)
	if err != nil {
		return nil, errors.Join(err, journal.abandon())
	}
	journal.noSync = cfg.NoSync
	q := &Queue[S]{
		cfg: &cfg, coder: &durable.Coder[S]{Codec: cfg.Codec, Cipher: cfg.Cipher},
		store: store, journal: journal,
		stop: make(chan struct{}), wake: make(chan struct{}, 1), drained: make(chan struct{}),
		index: newIndex(cfg.limits()),
	}
	q.commits = &committer{apply: q.apply}
	if err := q.start(known); err != nil {
		return nil, errors.Join(err, store.close(), journal.abandon())
	}
	return q, nil
}

// start fills the index and counts the crashes of what was leased.
func (q *Queue[S]) start(known lastRun) error {
	entries, err := q.load()
	if err != nil {
		return err
	}
	identity := q.store.total.Identity
	if known.identity != 0 && known.identity != identity {
		return corrupt("it is not the file that its journal belongs to (if it is a backup of " +
			"another queue, remove its journal)")
	}
	if ops := countCrashes(entries, known); len(ops) > 0 {
		// On a full disk they are counted in memory alone.
		if err := q.store.apply([]*write{{ops: ops}}); q.store.failed.Load() != nil {
			return err
		}
	}
	now := time.Now()
	for _, e := range entries {
		e.state.resume(now)
		q.index.hold(e)
		q.index.giveBack(e, now)
	}
	q.next = q.store.total.Next
	return q.journal.begin(identity, q.store.transaction)
}

// countCrashes counts a crash for each sample that was leased and returns the ops
// that store it. A process that is killed before it begins its own journal leaves
// the last one; Counted, equal to its transaction, shows that its leases are counted.
func countCrashes(entries map[uint64]*entry, known lastRun) (ops []op) {
	for _, number := range known.leased {
		e := entries[number]
		if e == nil || known.transaction > 0 && e.state.Counted == known.transaction {
			continue
		}
		e.state.Crashes++
		e.state.Counted = known.transaction
		e.stored = true
		ops = append(ops, put(stateBucket, number, pack(e.state, nil)))
	}
	return ops
}

// apply makes one transaction of several writes. It forgets the dead letters
// that are too many with those of the batch; only here their number is exact.
func (q *Queue[S]) apply(batch []*write) error {
	added := lettersIn(batch)
	excess := q.bury(added)
	forget := new(write)
	for _, number := range excess {
		forget.ops = append(forget.ops, op{in: letterBucket, key: number})
	}
	if err := q.store.apply(append(slices.Clone(batch), forget)); err != nil {
		q.unbury(added, excess)
		return err
	}
	q.journal.committed(q.store.transaction)
	return nil
}

// load reads the file.
func (q *Queue[S]) load() (map[uint64]*entry, error) {
	states := make(map[uint64]state)
	entries := make(map[uint64]*entry)
	var unopened error // the first
	err := q.store.load(func(in bucket, number uint64, stored []byte) (err error) {
		switch in {
		case stateBucket:
			var s state
			_, err = unpack(in, number, stored, &s)
			states[number] = s
		case sampleBucket:
			var e *entry
			e, err = q.loadSample(number, stored)
			if errors.Is(err, durable.ErrUnknownKey) {
				unopened, err = cmp.Or(unopened, err), nil
			}
			entries[number] = e
		default:
			_, err = unpack(in, number, stored, &letterHeader{})
			q.letters = append(q.letters, number)
		}
		if err != nil {
			return corrupt("record %d of %q: %w", number, in, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if unopened != nil {
		return nil, unopened
	}
	for number, state := range states {
		if e := entries[number]; e != nil {
			e.state, e.stored = state, true
		}
	}
	return entries, nil
}

// loadSample makes the entry of a record. One that cannot be decoded becomes a
// dead letter when Sample comes to it.
func (q *Queue[S]) loadSample(number uint64, stored []byte) (*entry, error) {
	var h sampleHeader
	body, err := unpack(sampleBucket, number, stored, &h)
	if err != nil {
		return nil, err
	}
	sample, err := q.coder.Decode(h.ID, slices.Clone(body), h.Sealed)
	if errors.Is(err, durable.ErrUnknownKey) {
		return nil, err
	}
	if err != nil {
		sample.Received = time.Now()
	}
	sample.ID = h.ID
	e := newEntry(&sample, len(stored))
	e.number = number
	return e, nil
}

// newEntry copies what it keeps: a string may be part of a large one, such as
// the body of the request.
func newEntry[S any](sample *organic.Sample[S], size int) *entry {
	return &entry{
		id: strings.Clone(sample.ID), requester: strings.Clone(sample.Requester),
		origin: sample.Origin, received: sample.Received, size: int64(size),
	}
}

// enter begins a call that uses the file; leave ends it.
func (q *Queue[S]) enter() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return durable.ErrClosed
	}
	q.active++
	return nil
}

func (q *Queue[S]) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.active--
	if q.closed && q.active == 0 {
		close(q.drained)
	}
}

// Close waits for calls that are under way, ends all leases and releases the
// file, so that it can be opened again. Stop the scorer first: a verdict that
// comes after Close returns durable.ErrClosed, and its sample is handed out
// again after the next Open, without a crash being counted. If ctx ends first,
// Close returns its cause and may be called again.
func (q *Queue[S]) Close(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.stop)
		if q.active == 0 {
			close(q.drained)
		}
	}
	q.mu.Unlock()
	select {
	case <-q.drained:
	case <-ctx.Done():
		select {
		case <-q.drained:
		default:
			return context.Cause(ctx)
		}
	}
	q.released.Do(func() { q.closeErr = errors.Join(q.store.close(), q.journal.close()) })
	return q.closeErr
}

// Format writes the path of the file, whatever the verb: what the queue holds is
// not printed.
func (q *Queue[S]) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "boltqueue %s", q.store.path)
}

// Size returns the number of samples that Sample can hand out. Those that are
// leased or delayed do not count.
func (q *Queue[S]) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.index.size()
}

// OldestWaiting returns the age of the oldest sample that Sample can hand out,
// counted from its Received; 0 if there is none.
func (q *Queue[S]) OldestWaiting() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.index.oldestWaiting(time.Now())
}

// Stats is what a queue holds at one moment. It is a plain value.
type Stats struct {
	Waiting     int   // samples that Sample can hand out
	Delayed     int   // samples that wait for a delay
	Leased      int   // samples that wait for a verdict
	Leaving     int   // samples that were given up and whose removal is not stored yet
	Bytes       int64 // of the records of all but those that are leaving
	DeadLetters int
}

// Stats returns what the queue holds.
func (q *Queue[S]) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{
		Waiting: q.index.size(), Delayed: q.index.due.len(), Leased: q.index.leased,
		Leaving: len(q.index.ids) - q.index.held, Bytes: q.index.bytes, DeadLetters: len(q.letters),
	}
}

// Watch registers a watcher until stop is called. Nothing expires before the
// first Watch or Sample.
func (q *Queue[S]) Watch(watcher organic.Watcher) (stop func()) {
	added := &watcher
	q.mu.Lock()
	defer q.mu.Unlock()
	q.setWatchers(append(slices.Clone(q.watching()), added))
	q.startTending()
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		isAdded := func(w *organic.Watcher) bool { return w == added }
		q.setWatchers(slices.DeleteFunc(slices.Clone(q.watching()), isAdded))
	}
}

func (q *Queue[S]) setWatchers(watchers []*organic.Watcher) { q.watchers.Store(&watchers) }

func (q *Queue[S]) watching() []*organic.Watcher {
	if watchers := q.watchers.Load(); watchers != nil {
		return *watchers
	}
	return nil
}

// notify calls the watchers. The lock is not held. Watchers are user code: a
// panic or runtime.Goexit must not end the caller, which has samples in hand.
func (q *Queue[S]) notify(dropped []organic.Dropped, arrived bool) {
	for _, watcher := range q.watching() {
		for _, drop := range dropped {
			callIsolated(func() { watcher.Dropped(drop) })
		}
		if arrived {
			callIsolated(watcher.Arrived)
		}
	}
}

// callIsolated calls fn in a goroutine of its own, for which it waits, and
// ignores a panic.
func callIsolated(fn func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = recover() }()
		fn()
	}()
	<-ended
}
