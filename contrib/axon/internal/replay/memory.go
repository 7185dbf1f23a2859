// Package replay remembers signed requests for as long as they are fresh, so
// that none is taken twice.
package replay

import (
	"sync"
	"time"
)

// Entry is one request that has proven itself.
type Entry struct {
	Owner [32]byte  // the sender's public key
	ID    string    // what the sender calls the request; kept, so it must not alias a larger text
	Nonce uint64    // the sender's number or time
	Until time.Time // from then on the request is stale for everybody
}

// Outcome says what became of an [Entry].
type Outcome int

// What [Memory.Add] may find.
const (
	Added Outcome = iota + 1 // unseen until now, remembered from now on
	Seen                     // taken before
	Late                     // stale already: not remembered, not to be taken
	Full                     // no room: not remembered, not to be taken
)

// Memory holds entries until their time is up. An entry that still counts is
// never evicted for another: a memory without room refuses. It is safe for
// concurrent use.
//
// Entries lie in one bucket for each second in which they end. That second is
// part of what identifies an entry, so one bucket is all that is looked at, and
// a whole bucket is forgotten at once.
type Memory struct {
	perOwner, total int

	mu      sync.Mutex // guards what follows
	buckets map[int64]*bucket
	owners  map[[32]byte]int // entries by owner, over all buckets
	size    int
	horizon int64 // buckets before this second are forgotten; never moves back
}

type bucket struct {
	entries map[key]struct{}
	owners  map[[32]byte]int
}

type key struct {
	owner [32]byte
	id    string
	nonce uint64
}

// New returns a memory for so many entries of one owner and so many in all.
func New(perOwner, total int) *Memory {
	return &Memory{
		perOwner: perOwner,
		total:    total,
		buckets:  make(map[int64]*bucket),
		owners:   make(map[[32]byte]int),
	}
}

// Add remembers an entry unless it is there already, in one atomic step.
func (m *Memory) Add(now time.Time, e Entry) Outcome {
	k := key{owner: e.Owner, id: e.ID, nonce: e.Nonce}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now.Unix())
	second := e.Until.Unix()
	if second < m.horizon || e.Until.Before(now) {
		return Late
	}
	b := m.buckets[second]
	if b != nil {
		if _, seen := b.entries[k]; seen {
			return Seen
		}
	}
	if m.size >= m.total || m.owners[e.Owner] >= m.perOwner {
		return Full
	}
	if b == nil {
		b = &bucket{entries: make(map[key]struct{}), owners: make(map[[32]byte]int)}
		m.buckets[second] = b
	}
	b.entries[k] = struct{}{}
	b.owners[e.Owner]++
	m.owners[e.Owner]++
	m.size++
	return Added
}

// forget drops the buckets whose second is over. A clock that is set back does
// not bring them back: what would fall into one is late.
func (m *Memory) forget(second int64) {
	if second <= m.horizon {
		return
	}
	m.horizon = second
	for end, b := range m.buckets {
		if end >= second {
			continue
		}
		delete(m.buckets, end)
		m.size -= len(b.entries)
		for owner, n := range b.owners {
			if m.owners[owner] -= n; m.owners[owner] == 0 {
				delete(m.owners, owner)
			}
		}
	}
}

// Len is the number of entries, those whose time is up since the last Add
// included.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.size
}
