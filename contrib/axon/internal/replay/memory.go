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
// A full memory forgets the oldest entry of the party that has the most, if that is
// more than the sender of a new one has. From then on it refuses what the owner of
// the forgotten entry has signed at that time or before: none of those can be told
// from the forgotten one. So a request is accepted once, also in a full memory, and
// a party that fills it narrows the time in which its own requests are fresh.
type Memory struct {
	perOwner int

	mu      sync.Mutex // guards what follows
	claims  *fair.Pool[[32]byte, *record]
	records map[key]*record
	owners  map[[32]byte]*owner
	expiry  map[int64][]*record // by the second in which they end
	horizon int64               // what ends before this second is forgotten; never moves back
}

// key identifies an entry.
type key struct {
	owner *owner
	id    string
	nonce uint64
}

// record is an entry that is remembered, or was evicted and has not ended yet.
type record struct {
	key
	sent    time.Time
	claim   *fair.Claim[[32]byte, *record]
	evicted bool
}

type owner struct {
	name    [32]byte
	live    int       // records that are remembered
	records int       // those, and the evicted ones
	floor   time.Time // what was signed by then may have been forgotten
}

// New returns a memory for so many entries of one owner and so many in all.
func New(perOwner, total int) *Memory {
	m := &Memory{
		perOwner: perOwner,
		records:  make(map[key]*record),
		owners:   make(map[[32]byte]*owner),
		expiry:   make(map[int64][]*record),
	}
	m.claims = fair.New[[32]byte](total, m.evict)
	return m
}

// Add remembers an entry unless it is there already, in one atomic step.
func (m *Memory) Add(now time.Time, e Entry) Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now.Unix())
	second := e.Until.Unix()
	if second < m.horizon || e.Until.Before(now) {
		return Late
	}
	o := m.owners[e.Owner]
	if o == nil {
		o = &owner{name: e.Owner}
	}
	r := &record{key: key{o, e.ID, e.Nonce}, sent: e.Sent}
	if m.records[r.key] != nil {
		return Seen
	}
	if o.live >= m.perOwner || !o.floor.IsZero() && !e.Sent.After(o.floor) {
		return Full
	}
	r.claim = m.claims.TakeFair(fair.Party[[32]byte]{Network: e.Network, Member: e.Owner}, r)
	if r.claim == nil {
		return Full
	}
	m.owners[e.Owner] = o
	m.records[r.key] = r
	m.expiry[second] = append(m.expiry[second], r)
	o.live++
	o.records++
	return Added
}

// evict forgets a record before its time. It is called while Add holds the lock.
func (m *Memory) evict(r *record) {
	r.evicted = true
	delete(m.records, r.key)
	r.owner.live--
	if r.sent.After(r.owner.floor) {
		r.owner.floor = r.sent
	}
}

// forget drops the records whose second is over. A clock that is set back does not
// bring them back: such an entry is late.
func (m *Memory) forget(second int64) {
	if second <= m.horizon {
		return
	}
	m.horizon = second
	for end, records := range m.expiry {
		if end >= second {
			continue
		}
		delete(m.expiry, end)
		for _, r := range records {
			m.drop(r)
		}
	}
}

func (m *Memory) drop(r *record) {
	r.claim.Release()
	if !r.evicted {
		delete(m.records, r.key)
		r.owner.live--
	}
	if r.owner.records--; r.owner.records == 0 {
		delete(m.owners, r.owner.name)
	}
}

// Len is the number of entries that are remembered, those whose time is up since the
// last Add included.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records)
}
