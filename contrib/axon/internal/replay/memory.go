// Package replay remembers signed requests for as long as they are fresh, so that
// none is accepted twice.
package replay

import (
	"net/netip"
	"sync"
	"time"

	"github.com/organic-scoring/organic/contrib/axon/internal/fair"
)

// Entry is one request whose signature is verified.
type Entry struct {
	Network netip.Prefix // where it came from
	Owner   [32]byte     // the sender's public key
	ID      string       // the sender's name for the request; kept, so it must not alias a larger text
	Nonce   uint64       // the sender's number or time
	Sent    time.Time    // when it was signed
	Until   time.Time    // from then on the request is stale on every route
}

// Outcome is the result for an [Entry].
type Outcome int

// The results of [Memory.Add].
const (
	Added Outcome = iota + 1 // unseen until now, remembered from now on
	Seen                     // accepted before
	Late                     // stale already: not remembered, not to be accepted
	Full                     // no memory left for it: not remembered, not to be accepted
)

// Memory holds entries until their time is up. It is safe for concurrent use.
//
// A full memory forgets the oldest entry of the party that has most. From then on it
// refuses what the owner of that entry has signed at that time or before: none of
// those can be told from the forgotten one. So a request is accepted once, also with
// a full memory, and a party that fills it narrows the time in which its own requests
// are fresh. As many owners as the memory holds entries can have lost some at a time;
// the last half of these is kept for entries that are forgotten for smaller parties.
type Memory struct {
	perOwner, total int

	mu      sync.Mutex // guards what follows
	claims  *fair.Pool[[32]byte, *record]
	records map[key]*record
	owners  map[[32]byte]*owner
	evicted *record           // the one that claim has evicted
	floored int               // owners that have a floor
	seconds map[int64]*second // what ends in a second
	horizon int64             // what ends before this second is forgotten; never moves back
}

// key identifies an entry.
type key struct {
	owner *owner
	id    string
	nonce uint64
}

// record is an entry that is remembered.
type record struct {
	key
	sent  int64 // when it was signed, in Unix nanoseconds
	ends  int64 // its second
	index int   // where it stands in that
	claim fair.Claim[[32]byte, *record]
}

// owner is a sender of whom something is remembered.
type owner struct {
	name  [32]byte
	live  int   // its records
	floor int64 // Unix nanoseconds, zero if none: what was signed by then may be forgotten
	until int64 // the second in which the last forgotten record ends
}

// second is the records that end in it, and the owners whose floor may.
type second struct {
	records []*record
	floored []*owner
}

// New returns a memory for so many entries of one owner and so many in all.
func New(perOwner, total int) *Memory {
	m := &Memory{
		perOwner: perOwner,
		total:    total,
		records:  make(map[key]*record),
		owners:   make(map[[32]byte]*owner),
		seconds:  make(map[int64]*second),
	}
	m.claims = fair.New[[32]byte](total, 0, m.evict)
	return m
}

// Add remembers an entry unless it is there already, in one atomic step.
func (m *Memory) Add(now time.Time, e Entry) Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now.Unix())
	if e.Until.Unix() < m.horizon || e.Until.Before(now) {
		return Late
	}
	o := m.owners[e.Owner]
	if o == nil {
		o = &owner{name: e.Owner}
	}
	r := &record{key: key{o, e.ID, e.Nonce}, sent: e.Sent.UnixNano(), ends: e.Until.Unix()}
	if m.records[r.key] != nil {
		return Seen
	}
	if o.live >= m.perOwner || o.floor != 0 && r.sent <= o.floor {
		return Full
	}
	if !m.claim(e, r) {
		return Full
	}
	m.owners[e.Owner] = o
	m.records[r.key] = r
	m.schedule(r)
	o.live++
	return Added
}

// claim makes sure that there is memory for a record.
func (m *Memory) claim(e Entry, r *record) bool {
	party := fair.Party[[32]byte]{Network: e.Network, Member: e.Owner}
	mayFor := func(floored int) func(loser *record) bool {
		return func(loser *record) bool { return loser.owner.floor != 0 || m.floored < floored }
	}
	r.claim.Value = r
	taken := m.claims.TakeFair(&r.claim, party, mayFor(m.total)) ||
		m.claims.Take(&r.claim, party, mayFor(m.total/2))
	if m.evicted != nil {
		m.evicted.claim.Release()
		m.evicted = nil
	}
	return taken
}

func (m *Memory) schedule(r *record) {
	s := m.second(r.ends)
	r.index = len(s.records)
	s.records = append(s.records, r)
}

func (m *Memory) second(at int64) *second {
	s := m.seconds[at]
	if s == nil {
		s = &second{}
		m.seconds[at] = s
	}
	return s
}

// evict forgets a record before its time. It is called while Add holds the lock.
func (m *Memory) evict(r *record) {
	m.evicted = r
	s := m.seconds[r.ends]
	last := s.records[len(s.records)-1]
	s.records[r.index], last.index = last, r.index
	s.records = s.records[:len(s.records)-1]
	o := r.owner
	if o.floor == 0 {
		m.floored++
		m.second(r.ends).floored = append(m.second(r.ends).floored, o)
	}
	o.floor = max(o.floor, r.sent)
	o.until = max(o.until, r.ends)
	delete(m.records, r.key)
	o.live--
}

// forget drops the records whose second is over. A clock that is set back does not
// bring them back: such an entry is late.
func (m *Memory) forget(now int64) {
	if now <= m.horizon {
		return
	}
	m.horizon = now
	for end, s := range m.seconds {
		if end >= now {
			continue
		}
		delete(m.seconds, end)
		for _, r := range s.records {
			delete(m.records, r.key)
			r.claim.Release()
			r.owner.live--
			m.dropUnused(r.owner)
		}
		for _, o := range s.floored {
			m.liftFloor(o)
		}
	}
}

// liftFloor takes the floor of an owner away, unless it has lost records that end
// later.
func (m *Memory) liftFloor(o *owner) {
	if o.until >= m.horizon {
		s := m.second(o.until)
		s.floored = append(s.floored, o)
		return
	}
	o.floor = 0
	m.floored--
	m.dropUnused(o)
}

func (m *Memory) dropUnused(o *owner) {
	if o.live == 0 && o.floor == 0 {
		delete(m.owners, o.name)
	}
}

// Len is the number of entries that are remembered, those whose time is up since the
// last Add included.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records)
}
