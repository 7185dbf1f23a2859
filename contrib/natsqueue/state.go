package natsqueue

import (
	"cmp"
	"errors"
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
	// of Sample must be for one to be fetched ahead.
	holdFor = 5 * time.Second
	// reportFor is how long another process counts after its last report.
	reportFor = 3500 * time.Millisecond
)

// request is what the fetcher asks the server.
type request uint8

const (
	idle   request = iota // nothing
	asking                // what it has now; it has not answered
	open                  // it had nothing, and sends what it gets
)

// link is a connection to a queue on the server.
type link struct {
	remote     *remote
	reconnects uint64
}

// report is how many samples another process has leased.
type report struct {
	leases int
	at     time.Time
}

// state is what a queue knows of its samples. Only its methods touch its fields,
// and they call neither the server nor a watcher. What is held and not ahead is
// leased, or being ended or given back.
type state[S any] struct {
	cfg  *config
	size atomic.Int64

	mu     sync.Mutex // guards all below
	server *remote
	closed bool
	calls  sync.WaitGroup // what Close waits for; none is added when closed
	stats  Stats

	trouble      error // why nothing comes
	troubleUntil time.Time

	held  map[uint64]*delivery[S] // what is not to be handed out again, by number
	ahead []*delivery[S]          // of these, what can be handed out, in the order of arrival

	asked   time.Time // when Sample was called last
	wanted  bool      // samples are to be fetched
	request request
	added   uint64        // the last sample that this process has added
	came    uint64        // the last one that has come; those up to added are on their way
	news    chan struct{} // closed and replaced when Sample may find something new
	fetch   chan struct{} // one slot: the fetcher looks again

	total    int                  // samples in the stream, as known here
	delays   map[uint64]time.Time // when samples that any process gave back can be taken
	others   map[string]report    // what other processes have leased
	followed link                 // over which all records are known
	records  map[uint64]bool      // the samples that have one
}

func newState[S any](cfg *config, server *remote) *state[S] {
	s := &state[S]{
		cfg: cfg, held: make(map[uint64]*delivery[S]), delays: make(map[uint64]time.Time),
		others: make(map[string]report), records: make(map[uint64]bool),
		news: make(chan struct{}), fetch: make(chan struct{}, 1),
	}
	s.attach(server)
	return s
}

// unlock unlocks a state that has changed: it computes the size.
func (s *state[S]) unlock() {
	waiting := s.total - (len(s.held) - len(s.ahead)) - len(s.delays)
	for _, other := range s.others {
		waiting -= other.leases
	}
	if errors.Is(s.trouble, organic.ErrGone) {
		waiting = 0
	}
	s.size.Store(int64(max(waiting, 0)))
	s.mu.Unlock()
}

// changed has waiting calls of Sample look again. The lock is held.
func (s *state[S]) changed() {
	close(s.news)
	s.news = make(chan struct{})
}

func (s *state[S]) count(change func(stats *Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

// attach makes a queue on the server the one that is used. What is held of
// another one is forgotten: its verdicts come too late.
func (s *state[S]) attach(server *remote) {
	s.mu.Lock()
	defer s.unlock()
	if s.server == nil || s.server.identity != server.identity {
		clear(s.held)
		clear(s.delays)
		clear(s.records)
		info := server.consumer.CachedInfo()
		s.ahead, s.added, s.came, s.total = nil, 0, 0, waitingIn(info)
	}
	s.server, s.trouble = server, nil
	s.changed()
}

// waitingIn is the number of samples in the stream.
func waitingIn(info *jetstream.ConsumerInfo) int {
	return int(info.NumPending) + info.NumAckPending //nolint:gosec // bounded by the capacity
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

// enter begins a call that Close waits for until leave is called.
func (s *state[S]) enter() (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, durable.ErrClosed
	}
	s.calls.Add(1)
	return s.calls.Done, nil
}

// awaitCalls waits for the calls that were under way when the queue was closed.
func (s *state[S]) awaitCalls() { s.calls.Wait() }

// fail notes why nothing comes. That is over at the next answer of the server,
// but not before it has lasted so long.
func (s *state[S]) fail(err error, lasts time.Duration) {
	s.mu.Lock()
	defer s.unlock()
	s.trouble, s.troubleUntil = err, time.Now().Add(lasts)
	s.changed()
}

// clearTrouble ends a trouble. The lock is held.
func (s *state[S]) clearTrouble() {
	if time.Now().After(s.troubleUntil) {
		s.trouble = nil
	}
}

// ask notes a call of Sample. It reports whether a sample is to be fetched ahead
// for the next one.
func (s *state[S]) ask() (eager bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	eager = now.Sub(s.asked) < holdFor || s.cfg.prefetch > 1
	s.asked = now
	return eager
}

// take takes a sample that is held ahead, to be leased by handOut or put back by
// unlease. Without one it returns why, and a channel that is closed when there may
// be one, or nil if none is on its way.
func (s *state[S]) take(eager, patient bool) (d *delivery[S], news <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.unlock()
	if s.closed {
		return nil, nil, durable.ErrClosed
	}
	if !patient {
		s.came = s.added // another process has it
	}
	coming := s.added > s.came
	isWhole := !patient || len(s.ahead) == s.cfg.prefetch || s.request != asking && !coming
	if !s.cfg.shuffle || isWhole { // what it is chosen from
		d = s.lease()
	}
	s.want(eager || d == nil)
	if d == nil && patient && (s.request == asking || coming) {
		news = s.news
	}
	if d == nil {
		err = cmp.Or(s.trouble, organic.ErrEmpty)
	}
	return d, news, err
}

// want has the fetcher look whether it is to ask. The lock is held.
func (s *state[S]) want(wanted bool) {
	s.wanted = wanted
	if wanted && s.request == idle {
		s.request = asking // as it is about to be
	}
	select {
	case s.fetch <- struct{}{}:
	default:
	}
}

// lease takes one of those ahead. The fetcher ends those that have expired.
// The lock is held.
func (s *state[S]) lease() *delivery[S] {
	for len(s.ahead) > 0 {
		i := 0
		if s.cfg.shuffle {
			i = rand.IntN(len(s.ahead))
		}
		d := s.ahead[i]
		s.ahead = slices.Delete(s.ahead, i, i+1)
		if !s.cfg.isExpired(d.sample.Received, 0) {
			d.phase, d.since = leasing, time.Now()
			return d
		}
	}
	return nil
}

// handOut leases a sample, unless the queue was closed meanwhile: Close gives it
// back then.
func (s *state[S]) handOut(d *delivery[S]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.phase, d.since = leased, time.Now()
	if s.closed {
		return durable.ErrClosed
	}
	return nil
}

// unlease undoes a lease that was not handed out.
func (s *state[S]) unlease(d *delivery[S]) {
	s.mu.Lock()
	defer s.unlock()
	if s.held[d.seq] != d {
		return
	}
	d.phase = ahead
	s.ahead = slices.Insert(s.ahead, 0, d)
}

// plan returns what the fetcher has to do: how many samples to fetch, and which
// of those ahead have expired or were not taken in time.
func (s *state[S]) plan() (missing int, expired, stale []*delivery[S]) {
	s.mu.Lock()
	defer s.unlock()
	now := time.Now()
	for _, d := range s.held {
		switch {
		case d.phase != ahead || s.closed:
			continue
		case s.cfg.isExpired(d.sample.Received, 0):
			expired = append(expired, d)
		case now.Sub(d.since) > holdFor:
			stale = append(stale, d)
			s.wanted = false // it would come back
		default:
			continue
		}
		d.phase, d.since = settling, now
	}
	s.ahead = slices.DeleteFunc(s.ahead, func(d *delivery[S]) bool { return d.phase != ahead })
	slices.SortFunc(stale, bySeq)
	missing = s.cfg.prefetch - len(s.ahead)
	if s.closed || !s.wanted || missing > 1 && !s.cfg.shuffle && len(s.ahead) > s.cfg.prefetch/2 {
		missing = 0 // rather a handful at a time
	}
	s.request = asking
	if missing <= 0 {
		missing, s.request = 0, idle
	}
	return missing, expired, stale
}

// answered notes that the server has nothing now, and sends what it gets.
func (s *state[S]) answered() {
	s.mu.Lock()
	defer s.unlock()
	s.request = open
	s.clearTrouble()
	s.changed()
}

// rejoin reports whether a delivery is of a sample that this process holds, and
// whether that has ended. Its verdict goes to the later delivery.
func (s *state[S]) rejoin(d *delivery[S]) (held, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Delivered++
	if d.deliveries == 1 {
		s.came = max(s.came, d.seq)
	}
	before := s.held[d.seq]
	if before == nil || s.server.identity != d.remote.identity {
		return false, false
	}
	s.stats.Rejoined++
	before.renew(d.msg)
	return true, before.phase == unconfirmed
}

// hold keeps a sample ahead. It returns false for one of a stream that is gone.
func (s *state[S]) hold(d *delivery[S]) bool {
	s.mu.Lock()
	defer s.unlock()
	if s.server.identity != d.remote.identity {
		return false
	}
	d.phase, d.since = ahead, time.Now()
	s.ahead = append(s.ahead, d)
	s.held[d.seq] = d
	delete(s.delays, d.seq)
	s.clearTrouble()
	s.changed()
	return true
}

// takeOldest takes the oldest of those ahead, to be dropped.
func (s *state[S]) takeOldest() *delivery[S] {
	s.mu.Lock()
	defer s.unlock()
	if len(s.ahead) == 0 {
		return nil
	}
	d := slices.MinFunc(s.ahead, bySeq)
	s.ahead = slices.DeleteFunc(s.ahead, func(other *delivery[S]) bool { return other == d })
	d.phase, d.since = settling, time.Now()
	return d
}

// settle notes that a lease gets its verdict. Close waits until leave is called.
func (s *state[S]) settle(d *delivery[S]) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.held[d.seq] != d || d.phase != leased {
		return nil, durable.ErrLeaseOver
	}
	d.phase, d.since = settling, time.Now()
	s.calls.Add(1)
	return s.calls.Done, nil
}

// ended notes that a sample is no longer in the stream.
func (s *state[S]) ended(d *delivery[S]) {
	s.mu.Lock()
	defer s.unlock()
	if s.server.identity == d.remote.identity {
		s.total = max(s.total-1, 0)
		delete(s.records, d.seq)
	}
	s.drop(d)
}

// unended notes that the server has not confirmed the end of a sample. It may
// deliver it again.
func (s *state[S]) unended(d *delivery[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.phase, d.since = unconfirmed, time.Now()
}

// returned notes that a sample is given back, and when it can be taken again.
func (s *state[S]) returned(d *delivery[S], due time.Time) {
	s.mu.Lock()
	defer s.unlock()
	if s.server.identity == d.remote.identity {
		s.delays[d.seq] = due
	}
	s.drop(d)
}

// forget notes that a sample is no longer held.
func (s *state[S]) forget(d *delivery[S]) {
	s.mu.Lock()
	defer s.unlock()
	s.drop(d)
}

// abandon is forget, but one that was ended is still known if it comes again.
func (s *state[S]) abandon(d *delivery[S]) {
	s.mu.Lock()
	defer s.unlock()
	if d.phase != unconfirmed {
		s.drop(d)
	}
}

// drop is forget. The lock is held.
func (s *state[S]) drop(d *delivery[S]) {
	if s.held[d.seq] == d {
		delete(s.held, d.seq)
	}
}

// tick returns what is held, of which the server is to be told, leases that took
// too long, and the number of leases.
func (s *state[S]) tick(now time.Time) (alive, late []*delivery[S], leases int) {
	s.mu.Lock()
	defer s.unlock()
	for seq, d := range s.held {
		isLate := now.Sub(d.since) > s.cfg.maxLease
		switch {
		case d.phase == leased && isLate:
			late = append(late, d)
			delete(s.held, seq)
		case d.phase > leased && isLate: // it is another's by now
			delete(s.held, seq)
		case d.phase != unconfirmed:
			alive = append(alive, d)
		}
	}
	s.stats.LeasesOver += int64(len(late))
	maps.DeleteFunc(s.delays, func(_ uint64, due time.Time) bool { return !due.After(now) })
	maps.DeleteFunc(s.others, func(_ string, r report) bool { return now.Sub(r.at) > reportFor })
	return alive, late, len(s.held) - len(s.ahead)
}

// stored notes a sample that this process has added.
func (s *state[S]) stored(seq uint64) {
	s.mu.Lock()
	defer s.unlock()
	s.stats.Added++
	s.total++
	s.added = max(s.added, seq)
}

// looked takes over the server's numbers. Before is how many samples this process
// had added when it asked: the later ones may be counted twice until the next
// time, but never not at all.
func (s *state[S]) looked(info *jetstream.ConsumerInfo, before int64) {
	s.mu.Lock()
	defer s.unlock()
	s.total = waitingIn(info) + int(s.stats.Added-before)
	maps.DeleteFunc(s.records, func(seq uint64, _ bool) bool { return seq <= info.AckFloor.Stream })
}

// report notes what another process has leased.
func (s *state[S]) report(process string, leases int) {
	s.mu.Lock()
	defer s.unlock()
	s.others[process] = report{leases, time.Now()}
}

// recorded notes a record that any process has stored.
func (s *state[S]) recorded(seq uint64, due time.Time) {
	s.mu.Lock()
	defer s.unlock()
	s.records[seq] = true
	if due.After(time.Now()) {
		s.delays[seq] = due
	} else {
		delete(s.delays, seq)
	}
}

// follows reports whether all records are known over a link. If that is false, they
// are to be read: some may have been missed over another link, or there are more
// than twice what the stream of records holds, for what another process has ended
// is still known. Those are forgotten first.
func (s *state[S]) follows(over link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) > 4*s.cfg.capacity {
		clear(s.records)
		s.followed = link{}
	}
	return s.followed == over
}

// follow notes that all records are known over a link.
func (s *state[S]) follow(over link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followed = over
}

// mayHaveRecord reports whether the record of a delivery is to be read. A server
// that was killed may deliver a sample again as if it were the first time.
func (s *state[S]) mayHaveRecord(d *delivery[S], over link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.deliveries > 1 || s.followed != over || s.records[d.seq]
}

// close ends the queue.
func (s *state[S]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed()
}

// rest returns what is to be given back when the queue is closed and no call is
// under way.
func (s *state[S]) rest() (back []*delivery[S]) {
	s.mu.Lock()
	defer s.unlock()
	for _, d := range s.held {
		if d.phase <= leased {
			back = append(back, d)
		}
	}
	s.ahead = nil
	slices.SortFunc(back, bySeq)
	return back
}

func bySeq[S any](a, b *delivery[S]) int { return cmp.Compare(a.seq, b.seq) }
