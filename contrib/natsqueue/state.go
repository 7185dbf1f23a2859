package natsqueue

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
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

// state is what a queue knows of its samples. Only its methods touch its fields
// and the phases of deliveries, and they call neither the server nor a watcher.
type state[S any] struct {
	cfg   *config
	calls sync.WaitGroup // what Close waits for; none is added when closed

	mu     sync.Mutex // guards all below
	server *remote
	closed bool
	stats  Stats

	trouble      error // why nothing comes
	troubleUntil time.Time

	held map[uint64]*delivery[S] // what is not to be handed out again, by number

	asked  time.Time     // when Sample was called last
	eager  bool          // it is called often enough for a sample to be fetched ahead
	wanted bool          // samples are to be fetched
	vain   int           // how many wait and do not come, others hold them; -1: not known
	news   chan struct{} // closed and replaced when Sample may find something new
	fetch  chan struct{} // one slot: the fetcher looks again

	total    int                  // samples in the stream, as known here
	records  map[uint64]time.Time // when the samples that have a record can be taken
	followed link                 // over which all records are known
	others   map[string]report    // what other processes have leased
}

func newState[S any](cfg *config, server *remote) *state[S] {
	s := &state[S]{
		cfg: cfg, held: make(map[uint64]*delivery[S]), records: make(map[uint64]time.Time),
		others: make(map[string]report), news: make(chan struct{}), fetch: make(chan struct{}, 1),
	}
	s.attach(server)
	return s
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

// numbers is counts with the lock.
func (s *state[S]) numbers() (waiting, leases int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts()
}

// counts returns how many samples can be taken, and how many this process has
// leased or is about to end or give back. The lock is held.
func (s *state[S]) counts() (waiting, leases int) {
	for _, d := range s.held {
		if d.phase > ahead {
			leases++
		}
	}
	waiting = s.total - leases
	now := time.Now()
	for _, due := range s.records {
		if due.After(now) {
			waiting--
		}
	}
	for _, other := range s.others {
		waiting -= other.leases
	}
	if errors.Is(s.trouble, organic.ErrGone) {
		waiting = 0
	}
	return max(waiting, 0), leases
}

// attach makes a queue on the server the one that is used. What is held of
// another one is forgotten: its verdicts come too late.
func (s *state[S]) attach(server *remote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil || s.server.identity != server.identity {
		clear(s.held)
		clear(s.records)
		s.total = waitingIn(server.consumer.CachedInfo())
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

// fail notes why nothing comes, or with nil that the server has answered. A reason
// stays for so long at least.
func (s *state[S]) fail(err error, lasts time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); err != nil || now.After(s.troubleUntil) {
		s.trouble, s.troubleUntil = err, now.Add(lasts)
	}
	s.changed()
}

// take takes a sample that is held ahead as leased, to be handed out. It is called
// first for each call of Sample, and while that is patient. Without a sample it
// returns why, and a channel that is closed when there may be one, or nil if none is
// on its way.
func (s *state[S]) take(first, patient bool) (d *delivery[S], news <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if first {
		s.eager = now.Sub(s.asked) < holdFor || s.cfg.prefetch > 1
		s.asked = now
	}
	have := s.ahead()
	coming := (len(have) == 0 || s.cfg.shuffle) && s.coming(len(have), first && !s.wanted, patient)
	switch {
	case len(have) == 0:
	case !s.cfg.shuffle:
		d = slices.MinFunc(have, bySeq)
	case len(have) == s.cfg.prefetch || !coming: // all that it is chosen from
		d = have[rand.IntN(len(have))]
	}
	s.wanted = s.eager || d == nil
	select {
	case s.fetch <- struct{}{}:
	default:
	}
	if d != nil {
		d.phase, d.since = leased, now.Add(noteTime) // when its lease is noted, at the latest
		return d, nil, nil
	}
	if coming {
		news = s.news
	}
	return nil, news, cmp.Or(s.trouble, organic.ErrEmpty)
}

// coming reports whether more samples than those ahead are on their way: the server
// is not asked yet, or one came and no call has waited in vain since, or more wait
// than did in vain. The lock is held.
func (s *state[S]) coming(have int, unasked, patient bool) bool {
	waiting, _ := s.counts()
	waiting = max(waiting-have, 0)
	switch {
	case !patient:
		s.vain = waiting
	case unasked:
		s.vain = -1
	default:
		s.vain = min(s.vain, waiting)
	}
	return waiting > s.vain
}

// ahead is what is held ahead and has not expired: the fetcher ends the others.
// The lock is held.
func (s *state[S]) ahead() (waiting []*delivery[S]) {
	for _, d := range s.held {
		if d.phase == ahead && !s.cfg.isExpired(d.sample.Received, 0) {
			waiting = append(waiting, d)
		}
	}
	return waiting
}

func bySeq[S any](a, b *delivery[S]) int { return cmp.Compare(a.seq, b.seq) }

// takeOldest takes the oldest of those ahead, to be dropped.
func (s *state[S]) takeOldest() *delivery[S] {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.ahead()
	if len(waiting) == 0 {
		return nil
	}
	d := slices.MinFunc(waiting, bySeq)
	d.phase, d.since = settling, time.Now()
	return d
}

// handOut hands out a sample that was taken, unless its lease could not be noted:
// then it is ahead again. Close gives back what it finds leased.
func (s *state[S]) handOut(d *delivery[S], err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return durable.ErrClosed
	case errors.Is(err, durable.ErrLeaseOver): // another process has it
		s.release(d)
		return organic.ErrEmpty
	case err != nil:
		d.phase = ahead
		return err
	}
	d.since = time.Now()
	s.stats.Leased++
	return nil
}

// plan returns what the fetcher has to do: how many samples to fetch, which of
// those ahead have expired, and what is to be given back since it was not taken or
// not settled in time.
func (s *state[S]) plan() (missing int, expired, back []*delivery[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, have := time.Now(), 0
	for seq, d := range s.held {
		age := now.Sub(d.since)
		switch {
		case d.phase == ahead && s.cfg.isExpired(d.sample.Received, 0):
			expired = append(expired, d)
		case d.phase == ahead && age > holdFor:
			back = append(back, d)
			s.wanted = false // it would come back
		case d.phase == leased && age > s.cfg.maxLease:
			back = append(back, d)
			s.stats.LeasesOver++
		case d.phase > leased && age > s.cfg.maxLease: // it is another's by now
			delete(s.held, seq)
			continue
		case d.phase == ahead:
			have++
			continue
		default:
			continue
		}
		d.phase, d.since = settling, now
	}
	missing = s.cfg.prefetch - have
	if s.closed || !s.wanted || missing > 1 && !s.cfg.shuffle && have > s.cfg.prefetch/2 {
		missing = 0 // rather a handful at a time
	}
	return max(missing, 0), expired, back
}

// idle waits until samples may be wanted.
func (s *state[S]) idle(ctx context.Context) {
	select {
	case <-s.fetch:
	case <-time.After(lookEvery):
	case <-ctx.Done():
	}
}

// arrive holds a delivery that came over a link, to be examined. It is not new if
// this process holds the sample, whose verdict goes to the later delivery then, or
// has ended it, or if the stream is gone.
func (s *state[S]) arrive(d *delivery[S], over link) (isNew, hasEnded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Delivered++
	if s.server.identity != d.remote.identity {
		return false, false
	}
	if before := s.held[d.seq]; before != nil {
		s.stats.Rejoined++
		before.renew(d.msg)
		return false, before.phase == unconfirmed
	}
	_, hasRecord := s.records[d.seq]
	d.mayHaveRecord = hasRecord || d.deliveries > 1 || s.followed != over
	s.held[d.seq] = d
	return true, false
}

// keep keeps a delivery that was examined ahead. It returns false for one of a
// stream that is gone.
func (s *state[S]) keep(d *delivery[S]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[d.seq] != d {
		return false
	}
	d.phase, d.since = ahead, time.Now()
	s.vain = 0
	if !s.cfg.shuffle { // the one behind it may be on its way, whatever the last numbers say
		s.vain = -1
	}
	s.changed()
	return true
}

// settle begins the verdict on a lease, for which Close waits until leave is called.
func (s *state[S]) settle(d *delivery[S]) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.judged {
		return nil, durable.ErrSettled
	}
	d.judged = true
	if s.closed || s.held[d.seq] != d || d.phase != leased {
		return nil, durable.ErrLeaseOver
	}
	d.phase, d.since = settling, time.Now()
	s.calls.Add(1)
	return s.calls.Done, nil
}

// ended notes that a sample is no longer in the stream, or with an error that the
// server has not confirmed it and may deliver it again.
func (s *state[S]) ended(d *delivery[S], err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.stats.Unsettled++
		d.phase, d.since = unconfirmed, time.Now()
	case s.release(d):
		s.total = max(s.total-1, 0)
		delete(s.records, d.seq)
	}
}

// returned notes that a sample is given back, and when it can be taken again.
func (s *state[S]) returned(d *delivery[S], due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.release(d) {
		s.records[d.seq] = due
	}
}

// kept notes that a sample could not be given back: it comes again after
// WithAckWait. Close tries again, unless another process has the sample.
func (s *state[S]) kept(d *delivery[S], err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Unsettled++
	if !s.closed || errors.Is(err, durable.ErrLeaseOver) {
		s.release(d)
	}
}

// release ends the holding of a delivery. It returns false for one of a stream that
// is gone. The lock is held.
func (s *state[S]) release(d *delivery[S]) bool {
	if s.held[d.seq] != d {
		return false
	}
	delete(s.held, d.seq)
	return true
}

// tick returns the deliveries of which the server is to be told that they are held.
func (s *state[S]) tick(now time.Time) (alive []*delivery[S]) {
	alive = s.list(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.others, func(_ string, r report) bool { return now.Sub(r.at) > reportFor })
	return alive
}

// stored notes a sample that this process has added.
func (s *state[S]) stored() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Added++
	s.total++
}

// looked takes over the server's numbers. Before is how many samples this process
// had added when it asked: the later ones may be counted twice until the next
// time, but never not at all.
func (s *state[S]) looked(info *jetstream.ConsumerInfo, before int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total = waitingIn(info) + int(s.stats.Added-before)
	if errors.Is(s.trouble, organic.ErrGone) { // it was missing for a while
		s.trouble = nil
	}
	hasEnded := func(seq uint64, _ time.Time) bool { return seq <= info.AckFloor.Stream }
	maps.DeleteFunc(s.records, hasEnded)
}

// report notes what another process has leased.
func (s *state[S]) report(process string, leases int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others[process] = report{leases, time.Now()}
}

// recorded notes a record that any process has stored.
func (s *state[S]) recorded(seq uint64, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[seq] = due
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

// close ends the queue.
func (s *state[S]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed()
}

// list returns what is held and has ended, which the server has not confirmed, or
// what is held and has not ended.
func (s *state[S]) list(hasEnded bool) (list []*delivery[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.held {
		if (d.phase == unconfirmed) == hasEnded {
			list = append(list, d)
		}
	}
	return list
}
