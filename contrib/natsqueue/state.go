package natsqueue

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

const (
	// holdFor is how long a sample is held ahead, and how recent the last call
	// of Sample must be for more to be fetched ahead.
	holdFor = 5 * time.Second
	// reportFor is how long another process counts after its last report.
	reportFor = 3500 * time.Millisecond
)

// delivery is one sample that the server has handed to this process.
type delivery[S any] struct {
	remote     *remote
	seq        uint64 // its number in the stream
	deliveries uint64 // how often the server has delivered it
	id         string
	sealed     bool
	body       []byte
	sample     organic.Sample[S]

	record      record // of the goroutine that examines, leases or settles it
	wasLeased   bool
	pessimistic bool // the record counts this lease as a crash

	// Guarded by the lock of the state.
	phase  phase
	since  time.Time // when the phase began
	judged bool      // a verdict was passed

	mu       sync.Mutex    // guards all below
	msg      jetstream.Msg // the last delivery, which verdicts go to
	released bool          // no sign of life may follow: it would undo the delay of a nak
	ending   bool          // its verdict ends it
	alive    time.Time     // when the server was told last that it is held
}

// phase is how far a delivery has come.
type phase uint8

const (
	ahead    phase = iota // fetched and not handed out
	leased                // handed out
	settling              // its verdict is being carried out
	over                  // given back without a verdict, or about to be
)

func (d *delivery[S]) release() jetstream.Msg {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.released = true
	return d.msg
}

// finish is release for a verdict that ends the sample.
func (d *delivery[S]) finish() jetstream.Msg {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.released, d.ending = true, true
	return d.msg
}

func (d *delivery[S]) isEnding() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ending
}

func (d *delivery[S]) renew(msg jetstream.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.msg, d.alive = msg, time.Now()
}

// keepAlive tells the server that the sample is held, when it is time to.
func (d *delivery[S]) keepAlive(now time.Time, every time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.released && now.Sub(d.alive) >= every && d.msg.InProgress() == nil {
		d.alive = now
	}
}

// state is all of a queue that changes. Its methods are the only ones that touch
// its fields; none of them calls the server or a watcher.
type state[S any] struct {
	cfg   *config
	gauge atomic.Int64 // the Size

	mu       sync.Mutex // guards all below
	server   *remote
	closed   bool
	doubtful bool                    // the stream may be gone: to be looked at
	trouble  error                   // why nothing comes
	unknown  error                   // a sample that no key opens was seen
	seen     time.Time               // when
	ahead    []*delivery[S]          // in the order of their arrival
	held     map[uint64]*delivery[S] // by number, in any phase
	asked    time.Time               // when Sample was called last
	eager    bool                    // and the time before was not long ago
	wanted   bool                    // samples are to be fetched
	fetching bool                    // the server is asked what it has and has not answered
	armed    bool                    // it had nothing, and keeps the request for a while
	news     chan struct{}           // closed and replaced when Sample may find something new
	fetch    chan struct{}           // one slot: the fetcher looks again
	keeper   chan struct{}           // one slot: the keeper does
	delays   map[uint64]time.Time    // when samples that any process gave back can be taken
	total    int                     // samples in the stream, as known here
	during   int                     // those that were added since the server was asked
	came     int                     // those that have come since then
	pending  int                     // of these, those that no process was given
	leases   int                     // samples that this process has leased
	others   map[string]report       // what other processes have leased
}

// report is how many samples another process has leased.
type report struct {
	leases int
	at     time.Time
}

func newState[S any](cfg *config, server *remote) *state[S] {
	s := &state[S]{
		cfg: cfg, held: make(map[uint64]*delivery[S]), delays: make(map[uint64]time.Time),
		others: make(map[string]report), news: make(chan struct{}),
		fetch: make(chan struct{}, 1), keeper: make(chan struct{}, 1),
	}
	s.attach(server)
	return s
}

// changed wakes what waits and computes the size. The lock is held.
func (s *state[S]) changed() {
	close(s.news)
	s.news = make(chan struct{})
	s.measure()
}

// measure computes the size. The lock is held.
func (s *state[S]) measure() {
	waiting := s.total - s.leases - len(s.delays)
	for _, other := range s.others {
		waiting -= other.leases
	}
	s.gauge.Store(int64(max(waiting, 0)))
}

// wake has a goroutine look at the state soon.
func wake(channel chan struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

// kick wakes both.
func (s *state[S]) kick() {
	wake(s.fetch)
	wake(s.keeper)
}

// attach makes a queue on the server the one that is used. What is held of
// another one is forgotten: its verdicts come too late.
func (s *state[S]) attach(server *remote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = nil
	if s.server == nil || s.server.identity != server.identity {
		for _, d := range s.held {
			d.phase = over
		}
		clear(s.held)
		clear(s.delays)
		s.ahead, s.leases = nil, 0
		info := server.consumer.CachedInfo()
		s.pending = int(info.NumPending) //nolint:gosec // bounded by the capacity
		s.total, s.during = s.pending+info.NumAckPending, 0
	}
	s.server = server
	s.changed()
}

// lost notes that the stream is gone, or why that is not known.
func (s *state[S]) lost(err error, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = err
	if gone {
		s.total, s.during, s.pending, s.leases = 0, 0, 0, 0
		clear(s.others)
		clear(s.delays)
	}
	s.changed()
}

func (s *state[S]) remote() *remote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server
}

func (s *state[S]) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// suspect has the keeper look whether the stream is gone.
func (s *state[S]) suspect() {
	s.mu.Lock()
	s.doubtful = true
	s.mu.Unlock()
	s.kick()
}

// isDoubtful reports whether that is to be done, once.
func (s *state[S]) isDoubtful() (doubtful bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	doubtful, s.doubtful = s.doubtful, false
	return doubtful
}

// need returns how many samples the fetcher is to fetch now.
func (s *state[S]) need() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := s.cfg.prefetch - len(s.ahead)
	if s.closed || !s.wanted || room > 1 && !s.cfg.shuffle && len(s.ahead) > s.cfg.prefetch/2 {
		return 0 // or rather a handful at a time
	}
	return max(room, 0) // one that was not leased after all may be too many
}

// asking notes that the server is asked what it has.
func (s *state[S]) asking() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetching, s.armed = true, false
}

// answered notes the end of a request, and why there was no answer. Armed is
// whether the server keeps the next one until it has something.
func (s *state[S]) answered(err error, armed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetching, s.armed, s.trouble = false, armed, err
	s.changed()
}

// rejoins returns the delivery of the same sample that this process has not
// given back, or nil. Its verdict then goes to the later delivery.
func (s *state[S]) rejoins(d *delivery[S]) *delivery[S] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.deliveries == 1 {
		s.pending-- // below 0 if Add has not noted it yet
		s.came++
	}
	held := s.held[d.seq]
	if held == nil || held.phase == over {
		return nil
	}
	held.renew(d.msg)
	return held
}

// hold keeps a sample ahead. It returns false if nothing wants it.
func (s *state[S]) hold(d *delivery[S]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.server.identity != d.remote.identity {
		return false
	}
	d.phase, d.since = ahead, time.Now()
	s.ahead = append(s.ahead, d)
	s.held[d.seq] = d
	s.changed()
	return true
}

// cannotOpen notes a sample that no key of this queue opens.
func (s *state[S]) cannotOpen(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown, s.seen = err, time.Now()
}

// take leases a sample that is held ahead. Without one, it returns why, and a
// channel that is closed when it is worth while to look again, or nil.
func (s *state[S]) take(first, patient bool) (d *delivery[S], news <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, durable.ErrClosed
	}
	if !patient {
		s.pending = 0 // it is another's, or not there
	}
	now := time.Now()
	if first {
		s.eager = now.Sub(s.asked) < holdFor || s.cfg.prefetch > 1
		s.asked = now
	}
	onTheWay := s.fetching || s.pending > 0 && s.trouble == nil
	all := !s.cfg.shuffle || !onTheWay || !patient || len(s.ahead) == s.cfg.prefetch
	if len(s.ahead) > 0 && all {
		s.wanted = s.eager
		if s.cfg.shuffle && !s.armed {
			s.fetching = true // as it is about to be
		}
		s.kick()
		return s.lease(now), nil, nil
	}
	if !s.armed {
		s.fetching = true // as it is about to be
	}
	s.wanted = true
	s.kick()
	err = organic.ErrEmpty
	switch {
	case s.trouble != nil:
		err = s.trouble
	case s.unknown != nil && now.Sub(s.seen) < 2*askAgain:
		err = s.unknown
	}
	if patient && (s.fetching || onTheWay) {
		news = s.news
	}
	return nil, news, err
}

// lease hands out one of those ahead. The lock is held.
func (s *state[S]) lease(now time.Time) *delivery[S] {
	i := 0
	if s.cfg.shuffle {
		i = rand.IntN(len(s.ahead))
	}
	d := s.ahead[i]
	s.ahead = slices.Delete(s.ahead, i, i+1)
	d.phase, d.since, d.wasLeased = leased, now, true
	s.leases++
	s.measure()
	return d
}

// unlease undoes a lease that was not handed out.
func (s *state[S]) unlease(d *delivery[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.phase != leased {
		return
	}
	d.phase, d.wasLeased = ahead, false
	s.ahead = slices.Insert(s.ahead, 0, d)
	s.leases--
	s.measure()
}

// settle notes the verdict on a lease, once.
func (s *state[S]) settle(d *delivery[S]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.judged {
		return durable.ErrSettled
	}
	d.judged = true
	if d.phase != leased {
		return durable.ErrLeaseOver
	}
	d.phase, d.since = settling, time.Now()
	return nil
}

// ended notes that a sample is no longer in the stream.
func (s *state[S]) ended(d *delivery[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drop(d) || s.server == d.remote {
		s.total = max(s.total-1, 0)
	}
	s.measure()
	s.kick()
}

// returned notes that a sample was given back, and when it can be taken again.
func (s *state[S]) returned(d *delivery[S], due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(d)
	s.delays[d.seq] = due
	s.measure()
	s.kick()
}

// delayed notes when a sample can be taken that any process has given back.
// Zero is that it was leased again.
func (s *state[S]) delayed(seq uint64, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if due.After(now) {
		s.delays[seq] = due
		s.kick()
	} else if s.delays[seq].After(now) { // otherwise the keeper is about to report it
		delete(s.delays, seq)
	}
	s.measure()
}

// forget notes that a sample is no longer held.
func (s *state[S]) forget(d *delivery[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(d)
	s.measure()
}

// drop is forget. The lock is held.
func (s *state[S]) drop(d *delivery[S]) (held bool) {
	if s.held[d.seq] != d {
		return false
	}
	delete(s.held, d.seq)
	if d.wasLeased {
		s.leases = max(s.leases-1, 0)
	}
	return true
}

// oldestAhead takes the oldest sample out of those that are held ahead, to make
// room for another.
func (s *state[S]) oldestAhead() *delivery[S] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ahead) == 0 {
		return nil
	}
	d := slices.MinFunc(s.ahead, bySeq)
	s.ahead = slices.DeleteFunc(s.ahead, func(other *delivery[S]) bool { return other == d })
	d.phase = over
	return d
}

// tick is what the keeper has to do now.
type tick[S any] struct {
	alive   []*delivery[S] // held: the server is to be told
	expired []*delivery[S] // too old while they were held ahead
	back    []*delivery[S] // to be given back
	late    int            // of these, leases that took too long
	arrived bool           // a sample that was given back can be taken again
	leases  int
}

// keep sorts what is held.
func (s *state[S]) keep(
	now time.Time, isExpired func(*organic.Sample[S], time.Duration) bool,
) (t tick[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.held {
		age := now.Sub(d.since)
		switch {
		case d.phase == ahead && isExpired(&d.sample, 0):
			d.phase, t.expired = over, append(t.expired, d)
		case d.phase == ahead && age > holdFor && (s.fetching || s.armed):
			s.wanted = false // it would come back to the request that is open
			t.alive = append(t.alive, d)
		case d.phase == ahead && age > holdFor:
			d.phase, s.wanted, t.back = over, false, append(t.back, d)
		case d.phase == leased && age > s.cfg.maxLease:
			d.phase, t.late, t.back = over, t.late+1, append(t.back, d)
		case d.phase == settling && age > s.cfg.maxLease:
			s.drop(d) // the server has not confirmed the verdict, and has given it to another
		default:
			t.alive = append(t.alive, d)
		}
	}
	s.ahead = slices.DeleteFunc(s.ahead, func(d *delivery[S]) bool { return d.phase == over })
	slices.SortFunc(t.back, bySeq)
	before := len(s.delays)
	maps.DeleteFunc(s.delays, func(_ uint64, due time.Time) bool { return !due.After(now) })
	maps.DeleteFunc(s.others, func(_ string, r report) bool { return now.Sub(r.at) > reportFor })
	t.arrived, t.leases = len(s.delays) < before, s.leases
	s.measure()
	return t
}

// next returns when the keeper has something to do, at the latest after limit.
func (s *state[S]) next(now time.Time, limit time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, due := range s.delays {
		limit = min(limit, max(due.Sub(now), time.Millisecond))
	}
	return limit
}

// report notes what another process has leased.
func (s *state[S]) report(process string, leases int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others[process] = report{leases, time.Now()}
	s.measure()
}

// added notes a sample that this process has stored.
func (s *state[S]) added() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	s.during++
	s.pending++
	s.measure()
	wake(s.keeper)
}

// looking notes that the server is asked for its numbers.
func (s *state[S]) looking() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.during, s.came = 0, 0
}

// looked takes over the server's numbers. A sample that was added since it was
// asked may be counted twice until the next time, but never not at all. More
// reports whether there are more to take than was known.
func (s *state[S]) looked(info *jetstream.ConsumerInfo) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := int(info.NumPending) + s.during //nolint:gosec // bounded by the capacity
	more = pending-s.came > s.pending
	s.pending, s.total = pending-s.came, pending+info.NumAckPending
	if s.during > 0 {
		s.kick()
	}
	s.measure()
	return more
}

// close ends the queue and returns all that is to be given back, also what an
// earlier call could not give back and the server has not taken back itself.
func (s *state[S]) close() (back []*delivery[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.ahead = true, nil
	now := time.Now()
	for _, d := range s.held {
		switch {
		case d.phase == settling:
			continue
		case d.phase != over:
			d.phase, d.since = over, now
		case now.Sub(d.since) > s.cfg.ackWait:
			s.drop(d)
			continue
		}
		back = append(back, d)
	}
	slices.SortFunc(back, bySeq)
	s.changed()
	return back
}

func bySeq[S any](a, b *delivery[S]) int { return cmp.Compare(a.seq, b.seq) }

// awaitNews waits for samples that are on their way to the fetcher. It returns
// false if there can be none.
func (s *state[S]) awaitNews(limit time.Duration) bool {
	s.mu.Lock()
	wanted, news := s.wanted, s.news
	s.mu.Unlock()
	if !wanted {
		return false
	}
	select {
	case <-news:
	case <-time.After(limit):
	}
	return true
}
