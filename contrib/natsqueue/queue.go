package natsqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

// Queue is a [durable.Queue] on NATS JetStream. A Queue is safe for concurrent
// use. It has goroutines of its own from the first call of a method until
// Close.
type Queue[S any] struct {
	cfg      config
	process  string // names this Queue
	coder    durable.Coder[S]
	js       jetstream.JetStream
	conn     *nats.Conn
	state    *state[S]
	watchers sync.Map      // of *organic.Watcher
	oldest   atomic.Int64  // when the oldest waiting sample was stored, in Unix nanoseconds
	ageAsked atomic.Bool   // OldestWaiting is called
	dropping chan struct{} // one slot: held by the Add that drops

	start     sync.Once
	cancel    context.CancelFunc
	closing   chan struct{} // one slot: held by the one Close at a time
	unflushed atomic.Bool   // the server has not confirmed all that was given back
}

var _ durable.Queue[any] = (*Queue[any])(nil)

// New opens the queue on the server, and creates it if it does not exist.
// Front-ends that only add and processes that score open it alike, with the
// same options except those about their own behaviour.
//
// The error names all bad options and wraps [organic.ErrInvalidOption]. It is
// [ErrMismatch] for a queue that exists with other settings, [ErrPermission] for
// a user that may not open it, and [ErrOldServer] for a server before
// [MinServer]. ctx bounds the calls to the server, each to 5 s if it has no end.
//
// The caller owns the connection of js and closes it after Close. Let it
// reconnect for ever (nats.MaxReconnects(-1)) and bound its writes by the time
// of [WithAddTimeout] (nats.FlusherTimeout, a minute by default).
func New[S any](ctx context.Context, js jetstream.JetStream, opts ...Option) (*Queue[S], error) {
	cfg, coder, err := configured[S](opts)
	if isNil(js) {
		err = errors.Join(err, invalid("New", "js is nil"))
	}
	if err != nil {
		return nil, err
	}
	q := &Queue[S]{
		cfg: cfg, process: rand.Text(), coder: coder, js: js, conn: js.Conn(),
		dropping: make(chan struct{}, 1), closing: make(chan struct{}, 1),
	}
	if err := checkVersion(q.conn.ConnectedServerVersion()); err != nil {
		return nil, err
	}
	server, err := provide(ctx, js, &cfg)
	if err != nil {
		return nil, err
	}
	q.state = newState[S](&q.cfg, server)
	return q, nil
}

// checkVersion accepts a version that it cannot read.
func checkVersion(version string) error {
	var have, least [2]int
	_, err := fmt.Sscanf(version, "%d.%d", &have[0], &have[1])
	_, leastErr := fmt.Sscanf(MinServer, "%d.%d", &least[0], &least[1])
	if err == nil && leastErr == nil && slices.Compare(have[:], least[:]) < 0 {
		return fmt.Errorf("%w: have version %s, want %s", ErrOldServer, version, MinServer)
	}
	return nil
}

// Size is the number of samples that can be taken: those that no process has
// leased and that wait for no delay. Those that are fetched ahead count. What
// this process does shows at once; what others do shows within a second. It is
// 0 if the stream is gone. Size never blocks.
func (q *Queue[S]) Size() int {
	q.work()
	waiting, _ := q.state.numbers()
	return waiting
}

// OldestWaiting is the age of the oldest sample in the stream that was not
// given to a process, or if others wait (they were given back) of the oldest
// sample in the stream, counted from Add. It lags by a second.
func (q *Queue[S]) OldestWaiting() time.Duration {
	q.ageAsked.Store(true)
	if stored := q.oldest.Load(); q.Size() > 0 && stored != 0 {
		return max(time.Since(time.Unix(0, stored)), 0)
	}
	return 0
}

// Watch registers a watcher until stop is called. Arrived is called for samples
// that any process adds; Dropped only for those that this process has dropped:
// by [WithDropOldest], by [WithMaxAge], or as dead letters of the queue itself.
func (q *Queue[S]) Watch(watcher organic.Watcher) (stop func()) {
	q.work()
	q.watchers.Store(&watcher, nil)
	return func() { q.watchers.Delete(&watcher) }
}

// notify calls the watchers. They are user code: one that panics or ends its goroutine
// harms nothing else.
func (q *Queue[S]) notify(call func(watcher *organic.Watcher)) {
	q.watchers.Range(func(key, _ any) bool {
		if watcher, ok := key.(*organic.Watcher); ok {
			var group sync.WaitGroup
			group.Go(func() {
				defer func() { _ = recover() }()
				call(watcher)
			})
			group.Wait()
		}
		return true
	})
}

func (q *Queue[S]) arrived() {
	q.notify(func(watcher *organic.Watcher) { watcher.Arrived() })
}

// dropped counts a sample that the queue has given up, and reports it.
func (q *Queue[S]) dropped(d *delivery[S], reason organic.DropReason) {
	q.state.count(func(s *Stats) {
		switch reason {
		case organic.DroppedExpired:
			s.Expired++
		case organic.DroppedFull:
			s.DroppedFull++
		case organic.DroppedDead: // bury has counted it
		}
	})
	drop := organic.Dropped{
		ID: d.id, Origin: d.sample.Origin, Attempt: d.record.Failures + 1,
		Received: d.sample.Received, Reason: reason,
	}
	q.notify(func(watcher *organic.Watcher) { watcher.Dropped(drop) })
}

// begin begins a call that Close waits for until leave is called.
func (q *Queue[S]) begin(ctx context.Context) (leave func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	q.work()
	return q.state.enter()
}

// work starts the goroutines of the queue, at the first call.
func (q *Queue[S]) work() {
	q.start.Do(func() {
		ctx, cancel := context.WithCancel(context.Background()) //nolint:gosec // Close calls it
		q.cancel = cancel
		for _, run := range []func(ctx context.Context){q.fetchAll, q.keepAll, q.lookAll} {
			q.state.calls.Go(func() { run(ctx) })
		}
	})
}

// Format writes the name of the queue, whatever the verb: neither its cipher nor
// what it holds is printed.
func (q *Queue[S]) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "natsqueue %s", q.cfg.name)
}

const (
	// lookEvery is how often the server is asked for the numbers of samples, and
	// other processes are told how many are leased.
	lookEvery = 500 * time.Millisecond
	// mostTick bounds how often a process looks at what it holds.
	mostTick = 250 * time.Millisecond
)

// keepAll tells the server what is held, and reports arrivals.
func (q *Queue[S]) keepAll(ctx context.Context) {
	for size := 0; ctx.Err() == nil; pause(ctx, min(q.cfg.ackWait/6, mostTick)) {
		now := time.Now()
		for _, d := range q.state.tick(now) {
			d.keepAlive(now, q.cfg.ackWait/3)
		}
		before := size
		if size = q.Size(); size > before {
			q.arrived()
		}
	}
}

// lookAll keeps the numbers of samples, and exchanges with other processes what is
// leased and given back.
func (q *Queue[S]) lookAll(ctx context.Context) {
	for subject, hear := range map[string]nats.MsgHandler{
		q.cfg.leasesSubject(): q.hearLeases, q.cfg.allRecords(): q.hearRecord,
	} {
		if sub, err := q.conn.Subscribe(subject, hear); err == nil {
			defer func() { _ = sub.Unsubscribe() }()
		}
	}
	for reported := 0; ctx.Err() == nil; pause(ctx, lookEvery) {
		if _, leases := q.state.numbers(); leases > 0 || reported > 0 {
			q.reportLeases(leases)
			reported = leases
		}
		over := link{q.state.remote(), q.conn.Stats().Reconnects}
		if !q.state.follows(over) && q.readRecords(ctx, over.remote) == nil {
			q.state.follow(over)
		}
		q.endAgain(ctx)
		q.look(ctx)
	}
}

// endAgain ends what the server has not confirmed as ended: it may have done it.
func (q *Queue[S]) endAgain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	for _, d := range q.state.list(true) {
		if d.message().DoubleAck(ctx) != nil {
			return
		}
		q.state.ended(d, nil)
	}
}

func (q *Queue[S]) reportLeases(leases int) {
	_ = q.conn.Publish(q.cfg.leasesSubject(), []byte(q.process+" "+strconv.Itoa(leases)))
}

// hearLeases takes in what another process has leased.
func (q *Queue[S]) hearLeases(msg *nats.Msg) {
	process, number, _ := strings.Cut(string(msg.Data), " ")
	leases, err := strconv.Atoi(number)
	if err == nil && leases >= 0 && process != q.process && len(process) == len(q.process) {
		q.state.report(process, leases)
	}
}

// look asks the server for the numbers of samples, and finds out whether the
// stream is gone.
func (q *Queue[S]) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	server, added := q.state.remote(), q.Stats().Added
	info, err := server.consumer.Info(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		_ = q.refresh(ctx) // Sample reports it
	}
	if err != nil {
		return // Size is what is known
	}
	q.state.looked(info, added)
	if q.ageAsked.Load() {
		q.lookForOldest(ctx, server, info)
	}
}

// lookForOldest reads when the oldest waiting sample was stored.
func (q *Queue[S]) lookForOldest(
	ctx context.Context, server *remote, info *jetstream.ConsumerInfo,
) {
	first := info.Delivered.Stream + 1
	if q.Size() > int(info.NumPending) { //nolint:gosec // bounded by the capacity
		first = info.AckFloor.Stream + 1
	}
	next := jetstream.WithGetMsgSubject(q.cfg.allSamples())
	raw, err := server.samples.GetMsg(ctx, first, next)
	switch {
	case err == nil:
		q.oldest.Store(raw.Time.UnixNano())
	case errors.Is(err, jetstream.ErrMsgNotFound):
		q.oldest.Store(0)
	}
}

// Close ends the goroutines of the queue, waits for the calls that are under way,
// and gives back what this process has leased or fetched
// ahead. Nil means that the server has confirmed it all and no goroutine is left.
// Stop the scorer first.
//
// If ctx ends first, Close returns its cause and may be called again. What was
// not given back comes back after [WithAckWait], and so does what was given
// back to a server that stops right after, as one inside the process does.
func (q *Queue[S]) Close(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case q.closing <- struct{}{}:
		defer func() { <-q.closing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	q.start.Do(func() { q.cancel = func() {} }) // work never begins
	q.state.close()
	q.cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		q.state.calls.Wait()
	}()
	select {
	case <-ended:
		return q.giveRestBack(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// giveRestBack gives back what is held when nothing else uses it, and waits until
// the server has confirmed it.
func (q *Queue[S]) giveRestBack(ctx context.Context) error {
	err := q.giveAllBack(ctx, q.state.list(false))
	if err != nil || !q.unflushed.Load() {
		return err
	}
	q.reportLeases(0)
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	if err := q.conn.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	q.unflushed.Store(false)
	return nil
}

// Stats counts what one process has done with a queue, since New. Its counters
// only grow. It is a plain value.
type Stats struct {
	Added        int64 // samples that Add has stored
	Refused      int64 // samples that Add has refused with ErrFull or ErrDuplicate
	Delivered    int64 // deliveries that have come from the server
	Leased       int64 // samples that Sample has handed out
	Scored       int64 // leases settled as scored
	GivenBack    int64 // leases settled as retry or return
	DeadLettered int64 // samples moved to the dead letters, by verdict or by the queue itself
	DroppedFull  int64 // samples dropped from a full queue
	Expired      int64 // samples dropped for their age
	LeasesOver   int64 // leases given back because they took too long
	Unsettled    int64 // verdicts that the server has not confirmed
	Rejoined     int64 // deliveries of samples that this process still held, or had ended
}

// Stats returns the counters of this process.
func (q *Queue[S]) Stats() (stats Stats) {
	q.state.count(func(s *Stats) { stats = *s })
	return stats
}
