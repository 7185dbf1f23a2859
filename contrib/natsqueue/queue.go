package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
)

// Queue is an [organic.Queue] on NATS JetStream. It implements
// [organic.Watched], and its leases carry Settle.
//
// A Queue is safe for concurrent use. It has goroutines of its own from the
// first call of Add, Sample or Watch on, until Close.
type Queue[S any] struct {
	cfg   config
	codec Codec[S]
	js    jetstream.JetStream
	conn  *nats.Conn
	parts
	prefix  string // of the server's own subjects
	subject string // what samples are published to
	next    string // what samples are asked for

	watchers atomic.Pointer[[]*organic.Watcher]
	gauge    atomic.Int64 // what Size says
	counts   counters

	start   sync.Once
	ended   context.CancelFunc
	workers sync.WaitGroup
	closing chan struct{} // one slot: held by the one Close at a time
	owed    []owed        // what Close has given back and the server has not confirmed; of who holds closing
	kicked  chan struct{} // one slot: the backlog is to be looked at soon
	urgent  chan struct{} // one slot: at once, for somebody waits

	mu      sync.Mutex // guards all below
	closed  bool
	buffer  []*delivery[S]          // landed and not leased, in their order of landing
	held    map[uint64]*delivery[S] // these and the leased, by their number in the stream
	delayed map[uint64]time.Time    // given back by this process: when they can be taken again
	done    map[uint64]string       // settled for good, but the server has not confirmed it: their message IDs
	moves   uint64                  // changes of held
	backlog backlog
	requests
	landing chan struct{} // closed and replaced when there is something new for Sample
	waiting int           // calls of Sample that wait for it
}

var (
	_ organic.Queue[any] = (*Queue[any])(nil)
	_ organic.Watched    = (*Queue[any])(nil)
)

// New opens the queue of this name on the server, and makes it where it does
// not exist. Front-ends that only add and processes that score open it alike,
// with the same options but for those about their own behaviour.
//
// All bad options are reported at once and wrap [organic.ErrInvalidOption]. A
// stream that exists with other settings is [ErrMismatch]. ctx bounds the
// calls to the server, 5 s each where it has no end, and is not kept. The
// connection of js stays the caller's, to be closed after Close; let it
// reconnect for ever (nats.MaxReconnects(-1)), and let its writes end within
// the time of [WithAddTimeout] (nats.FlusherTimeout, a minute by default): one
// to a server that has gone without a word holds up everything else meanwhile.
func New[S any](ctx context.Context, js jetstream.JetStream, opts ...Option) (*Queue[S], error) {
	cfg, err := configured(opts)
	codec, codecErr := codecOf[S](cfg.codec)
	if isNil(js) {
		err = errors.Join(err, invalid("New", "js is nil"))
	}
	if err = errors.Join(err, codecErr); err != nil {
		return nil, err
	}
	parts, err := provide(ctx, js, &cfg)
	if err != nil {
		return nil, err
	}
	conn := js.Conn()
	q := &Queue[S]{
		cfg: cfg, codec: codec, js: js, conn: conn, parts: parts,
		subject: subjectName(cfg.name),
		prefix:  prefixOf(js),
		next:    fmt.Sprintf("%sCONSUMER.MSG.NEXT.%s.%s", prefixOf(js), streamName(cfg.name), consumerName),
		closing: make(chan struct{}, 1),
		kicked:  make(chan struct{}, 1),
		urgent:  make(chan struct{}, 1),
		held:    make(map[uint64]*delivery[S]), delayed: make(map[uint64]time.Time), done: make(map[uint64]string),
		landing: make(chan struct{}),
	}
	q.backlog.pending = int(parts.consumer.CachedInfo().NumPending) //nolint:gosec // bounded by the capacity
	q.measure()
	return q, nil
}

// prefixOf is what the subjects of the server's API begin with.
func prefixOf(js jetstream.JetStream) string {
	switch options := js.Options(); {
	case options.APIPrefix != "":
		return trimmed(options.APIPrefix) + "."
	case options.Domain != "":
		return "$JS." + options.Domain + ".API."
	default:
		return jetstream.DefaultAPIPrefix
	}
}

func trimmed(prefix string) string {
	if n := len(prefix); n > 0 && prefix[n-1] == '.' {
		return prefix[:n-1]
	}
	return prefix
}

// Size is the number of samples that wait: those that no process has been
// given, those held ahead by this process, and those that this process has
// given back and that wait for their next attempt. What other processes hold
// or have given back does not count. It never blocks. What this process does
// shows at once, and may be told too high for some 50 ms; what others do shows
// after a second at most.
func (q *Queue[S]) Size() int { return int(q.gauge.Load()) }

// Watch registers a watcher until stop is called. Arrived is called for what
// any process adds; Dropped only for what this process has given up, by
// [WithDropOldest], by [WithMaxAge], or because it was delivered too often or
// cannot be decoded: such samples are kept as dead letters.
func (q *Queue[S]) Watch(watcher organic.Watcher) (stop func()) {
	added := &watcher
	q.mu.Lock()
	q.setWatchers(append(slices.Clone(q.watching()), added))
	q.mu.Unlock()
	q.work()
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.setWatchers(slices.DeleteFunc(slices.Clone(q.watching()), func(w *organic.Watcher) bool { return w == added }))
	}
}

func (q *Queue[S]) setWatchers(watchers []*organic.Watcher) { q.watchers.Store(&watchers) }

func (q *Queue[S]) watching() []*organic.Watcher {
	if watchers := q.watchers.Load(); watchers != nil {
		return *watchers
	}
	return nil
}

// arrived tells the watchers. The lock is not held.
func (q *Queue[S]) arrived() {
	for _, watcher := range q.watching() {
		watcher.Arrived()
	}
}

// dropped counts a sample that was given up, and tells the watchers. The lock
// is not held.
func (q *Queue[S]) dropped(d *delivery[S], reason organic.DropReason, attempts int) {
	switch reason {
	case organic.DroppedExpired:
		q.counts.expired.Add(1)
	case organic.DroppedFull:
		q.counts.dropped.Add(1)
	}
	drop := organic.Dropped{
		ID: sampleID(d.header), Origin: d.sample.Origin, Attempt: attempts, Received: d.sample.Received, Reason: reason,
	}
	for _, watcher := range q.watching() {
		watcher.Dropped(drop)
	}
}

// Close gives back at once what this process holds, leased or ahead, and ends
// its goroutines. Nil means that the server has confirmed it all and none of
// them is left. Stop the scorer first: an iteration that is still running has
// lost its lease.
//
// When ctx ends first, Close returns its cause; what it has not given back
// comes back after [WithAckWait], and so does what was given back to a server
// that stops right after, as one inside the process does. Until then it is not
// in Size. Close may be called again.
func (q *Queue[S]) Close(ctx context.Context) error {
	select {
	case q.closing <- struct{}{}:
		defer func() { <-q.closing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	q.start.Do(func() { q.ended = func() {} }) // work never begins
	drained := q.shut()
	if q.ended(); drained != nil {
		select {
		case <-drained:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := q.giveBackAll(ctx); err != nil {
		return err
	}
	return waitFor(ctx, &q.workers)
}

// waitFor waits for goroutines, at most until ctx ends.
func waitFor(ctx context.Context, workers *sync.WaitGroup) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		workers.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// owed is a sample that was given back and is not confirmed.
type owed struct {
	reply string
	since time.Time
}

// giveBackAll ends all leases and all that is held ahead, and keeps what the
// server has not confirmed for the next time. What the server has taken back by
// itself meanwhile is not given back again, for another process may hold it.
func (q *Queue[S]) giveBackAll(ctx context.Context) error {
	q.mu.Lock()
	held := make([]*delivery[S], 0, len(q.held))
	for _, d := range q.held {
		held = append(held, d)
	}
	q.buffer = nil
	q.mu.Unlock()
	slices.SortFunc(held, func(a, b *delivery[S]) int { return int(a.seq) - int(b.seq) }) //nolint:gosec // an order will do
	for _, d := range held {
		if reply, ok := d.revoke(); ok {
			q.owed = append(q.owed, owed{reply, time.Now()})
		}
		q.release(d)
	}
	q.owed = slices.DeleteFunc(q.owed, func(o owed) bool { return time.Since(o.since) > q.cfg.ackWait })
	var group sync.WaitGroup
	errs := make([]error, len(q.owed))
	for i, o := range q.owed {
		group.Go(func() { errs[i] = q.confirm(ctx, o.reply, nak(0)) })
	}
	group.Wait()
	var left []owed
	for i, o := range q.owed {
		if errs[i] != nil {
			left = append(left, o)
		}
	}
	q.owed = left
	return errors.Join(errs...)
}
