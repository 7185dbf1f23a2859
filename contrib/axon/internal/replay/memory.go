// Package replay remembers signed requests for as long as they are fresh, so that
// none is accepted twice.
package replay

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/organic-scoring/organic/contrib/axon/internal/fair"
)

// Entry is one request whose signature is verified.
type Entry struct {
	Network netip.Prefix // where it came from
	Owner   [32]byte     // the sender's public key
	ID      string       // the sender's name for the request
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
	seed            maphash.Seed

	mu      sync.Mutex // guards what follows
	records *fair.Slots[[32]byte, record]
	known   map[key]struct{}
	owners  map[[32]byte]*owner
	floored int               // owners that have a floor
	seconds map[int64]*second // what ends in a second
	horizon int64             // what ends before this second is forgotten; never moves back
}

// key identifies an entry: a hash with a secret seed, so that entries are small and have no
// pointers, which the garbage collector would follow again and again. Of 10^14 entries, in a
// full memory of the default size, about one has the key of another. It is refused; no entry
// is ever accepted twice.
type key uint64

func (m *Memory) key(e *Entry) key {
	var h maphash.Hash
	h.SetSeed(m.seed)
	_, _ = h.Write(e.Owner[:]) // never fails
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, e.Nonce))
	_, _ = h.WriteString(e.ID)
	return key(h.Sum64())
}

// record is an entry that is remembered.
type record struct {
	key   key
	sent  int64 // when it was signed, in Unix nanoseconds
	ends  int64 // its second
	index int   // where it stands in that
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
	slots   []int32
	floored []*owner
}

// New returns a memory for so many entries of one owner and so many in all.
func New(perOwner, total int) *Memory {
	m := &Memory{
		perOwner: perOwner,
		seed:     maphash.MakeSeed(),
		total:    total,
		known:    make(map[key]struct{}),
		owners:   make(map[[32]byte]*owner),
		seconds:  make(map[int64]*second),
	}
	m.records = fair.NewSlots[[32]byte, record](total, m.evict)
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
	k := m.key(&e)
	if _, ok := m.known[k]; ok {
		return Seen
	}
	o := m.owners[e.Owner]
	if o == nil {
		o = &owner{name: e.Owner}
	}
	sent := e.Sent.UnixNano()
	if o.live >= m.perOwner || o.floor != 0 && sent <= o.floor {
		return Full
	}
	slot, ok := m.records.Take(fair.Party[[32]byte]{Network: e.Network, Member: e.Owner}, m.mayEvict)
	if !ok {
		return Full
	}
	m.known[k] = struct{}{}
	if o.live++; o.live == 1 {
		m.owners[e.Owner] = o
	}
	m.schedule(slot, record{key: k, sent: sent, ends: e.Until.Unix()})
	return Added
}

// mayEvict reports whether a record may be forgotten before its time.
func (m *Memory) mayEvict(slot int32, isHeavier bool) bool {
	most := m.total / 2
	if isHeavier {
		most = m.total
	}
	return m.floored < most || m.owner(slot).floor != 0
}

func (m *Memory) owner(slot int32) *owner { return m.owners[m.records.Member(slot)] }

func (m *Memory) schedule(slot int32, r record) {
	s := m.second(r.ends)
	r.index = len(s.slots)
	s.slots = append(s.slots, slot)
	*m.records.At(slot) = r
}

func (m *Memory) second(at int64) *second {
	s := m.seconds[at]
	if s == nil {
		s = &second{}
		m.seconds[at] = s
	}
	return s
}

// evict forgets a record before its time.
func (m *Memory) evict(slot int32) {
	r := m.records.At(slot)
	s := m.seconds[r.ends]
	last := s.slots[len(s.slots)-1]
	s.slots[r.index], m.records.At(last).index = last, r.index
	s.slots = s.slots[:len(s.slots)-1]
	o := m.owner(slot)
	if o.floor == 0 {
		m.floored++
		m.second(r.ends).floored = append(m.second(r.ends).floored, o)
	}
	o.floor = max(o.floor, r.sent)
	o.until = max(o.until, r.ends)
	delete(m.known, r.key)
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
		for _, slot := range s.slots {
			o := m.owner(slot)
			delete(m.known, m.records.At(slot).key)
			m.records.Release(slot)
			o.live--
			m.dropUnused(o)
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
	return len(m.known)
}
