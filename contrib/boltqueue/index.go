package boltqueue

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"go.etcd.io/bbolt"
)

// entry is what is known of a stored sample without its payload.
type entry struct {
	number    uint64
	id        string
	requester string
	origin    organic.Origin
	received  time.Time
	size      int64 // of its record
	state     state
	stored    bool // whether state is stored

	inAge, inNewest, inDue, inGroup int // positions in the heaps of the index
}

func (e *entry) dropped(reason organic.DropReason) organic.Dropped {
	return organic.Dropped{
		ID:       e.id,
		Origin:   e.origin,
		Attempt:  e.state.Failures + 1,
		Received: e.received,
		Reason:   reason,
	}
}

// isOlder orders samples by age, and by arrival where they have the same.
func isOlder(a, b *entry) bool {
	if a.received.Equal(b.received) {
		return a.number < b.number
	}
	return a.received.Before(b.received)
}

// group is the waiting samples of one requester, for OrderFair.
type group struct {
	requester string
	samples   ordered[*entry] // the oldest first
	inGroups  int
}

// retirement is a sample that will not be handed out again and is to be
// removed from the file.
type retirement struct {
	entry  *entry
	cause  durable.Cause // of the dead letter; empty: it becomes none
	reason error
	drop   organic.DropReason // reported to watchers; 0: it is not
}

// limits bound an index.
type limits struct {
	capacity int
	maxBytes int64 // 0: none
	order    organic.Order
	maxAge   time.Duration // 0: none
}

// index knows all samples of the file and which is next. A sample is held from
// reserve to release: being added, waiting, delayed or leased. It is not safe
// for concurrent use.
type index struct {
	limits

	ids     map[string]*entry // also of samples whose removal is not stored yet
	held    int
	bytes   int64 // of the records of what is held
	leased  int
	waiting struct {
		age    ordered[*entry] // the oldest first
		newest ordered[*entry] // the newest first, for OrderNewest alone
		groups ordered[*group] // the largest first, for OrderFair alone
		of     map[string]*group
		bytes  int64
	}
	due     ordered[*entry] // delayed samples, the one due first first
	retired []retirement
}

func newIndex(l limits) *index {
	x := &index{limits: l, ids: make(map[string]*entry)}
	x.waiting.age = ordered[*entry]{less: isOlder, at: func(e *entry) *int { return &e.inAge }}
	x.waiting.newest = ordered[*entry]{
		less: func(a, b *entry) bool { return isOlder(b, a) },
		at:   func(e *entry) *int { return &e.inNewest },
	}
	x.waiting.groups = ordered[*group]{
		less: func(a, b *group) bool { return a.samples.len() > b.samples.len() },
		at:   func(g *group) *int { return &g.inGroups },
	}
	x.waiting.of = make(map[string]*group)
	x.due = ordered[*entry]{
		less: func(a, b *entry) bool { return a.state.NotBefore.Before(b.state.NotBefore) },
		at:   func(e *entry) *int { return &e.inDue },
	}
	return x
}

// reserve holds a sample that is about to be stored. It returns the samples
// that it has dropped for it, of which one can be the new sample itself, which
// is then not held.
func (x *index) reserve(e *entry, refuse bool) (dropped []*entry, err error) {
	if e.size > bbolt.MaxValueSize || x.maxBytes > 0 && e.size > x.maxBytes {
		return nil, durable.ErrTooLarge
	}
	if x.ids[e.id] != nil {
		return nil, organic.ErrDuplicate
	}
	if !x.fits(e) {
		if refuse || !x.canFit(e) {
			return nil, organic.ErrFull
		}
		dropped = x.makeSpace(e)
		if dropped == nil {
			return []*entry{e}, nil
		}
	}
	x.hold(e)
	return dropped, nil
}

// hold counts a sample and knows its ID.
func (x *index) hold(e *entry) {
	x.ids[e.id] = e
	x.held++
	x.bytes += e.size
}

// release is the opposite of hold, but for the ID, which is known until the
// removal is stored.
func (x *index) release(e *entry) {
	x.held--
	x.bytes -= e.size
}

func (x *index) forget(e *entry) { delete(x.ids, e.id) }

func (x *index) fits(e *entry) bool {
	return x.held < x.capacity && (x.maxBytes == 0 || x.bytes+e.size <= x.maxBytes)
}

// canFit reports whether the sample fits if all waiting samples are dropped.
func (x *index) canFit(e *entry) bool {
	return x.held-x.size() < x.capacity &&
		(x.maxBytes == 0 || x.bytes-x.waiting.bytes+e.size <= x.maxBytes)
}

// makeSpace drops waiting samples until the new one fits. It returns nil and
// drops nothing if the new one is itself the one to be dropped.
func (x *index) makeSpace(e *entry) (dropped []*entry) {
	for !x.fits(e) {
		victim := x.victim(e)
		if victim == e {
			x.restore(dropped)
			return nil
		}
		x.unwait(victim)
		x.release(victim)
		dropped = append(dropped, victim)
	}
	return dropped
}

// victim returns the sample to be dropped: the oldest, with OrderFair that of
// the requester who holds most.
func (x *index) victim(e *entry) *entry {
	oldest := x.waiting.age.first()
	if x.order == organic.OrderFair {
		largest := x.waiting.groups.first()
		if own := x.waiting.of[e.requester]; own != nil &&
			own.samples.len()+1 > largest.samples.len() {
			largest = own
		}
		oldest = largest.samples.first()
		if largest.requester != e.requester {
			return oldest
		}
	}
	if isOlder(e, oldest) {
		return e
	}
	return oldest
}

// restore takes back samples whose removal could not be stored.
func (x *index) restore(dropped []*entry) {
	for _, e := range dropped {
		x.hold(e)
		x.wait(e)
	}
}

// wait lets a sample that is held be handed out.
func (x *index) wait(e *entry) {
	x.waiting.age.push(e)
	x.waiting.bytes += e.size
	switch x.order {
	case organic.OrderNewest:
		x.waiting.newest.push(e)
	case organic.OrderFair:
		x.joinGroup(e)
	default:
	}
}

func (x *index) unwait(e *entry) {
	x.waiting.age.remove(e)
	x.waiting.bytes -= e.size
	switch x.order {
	case organic.OrderNewest:
		x.waiting.newest.remove(e)
	case organic.OrderFair:
		x.leaveGroup(e)
	default:
	}
}

func (x *index) joinGroup(e *entry) {
	g := x.waiting.of[e.requester]
	if g == nil {
		g = &group{requester: e.requester}
		g.samples = ordered[*entry]{less: isOlder, at: func(e *entry) *int { return &e.inGroup }}
		x.waiting.of[e.requester] = g
		x.waiting.groups.push(g)
	}
	g.samples.push(e)
	x.waiting.groups.fix(g)
}

func (x *index) leaveGroup(e *entry) {
	g := x.waiting.of[e.requester]
	g.samples.remove(e)
	if g.samples.len() > 0 {
		x.waiting.groups.fix(g)
		return
	}
	x.waiting.groups.remove(g)
	delete(x.waiting.of, e.requester)
}

// giveBack lets a held sample wait, or delays it until its notBefore.
func (x *index) giveBack(e *entry, now time.Time) {
	if e.state.NotBefore.After(now) {
		x.due.push(e)
		return
	}
	x.wait(e)
}

// take leases a sample, or returns nil.
func (x *index) take(now time.Time) *entry {
	for x.size() > 0 {
		e := x.choose()
		x.unwait(e)
		if !x.isExpired(e, now) {
			x.leased++
			return e
		}
		x.retire(retirement{entry: e, drop: organic.DroppedExpired})
	}
	return nil
}

// choose returns the sample that is next in the order.
func (x *index) choose() *entry {
	switch w := &x.waiting; x.order {
	case organic.OrderFIFO:
		return w.age.first()
	case organic.OrderNewest:
		return w.newest.first()
	case organic.OrderFair:
		return w.groups.items[rand.IntN(w.groups.len())].samples.first()
	default:
		return w.age.items[rand.IntN(w.age.len())]
	}
}

// expiry is the last moment at which a sample is not too old.
func (x *index) expiry(e *entry) time.Time { return e.received.Add(x.maxAge) }

func (x *index) isExpired(e *entry, now time.Time) bool {
	return x.maxAge > 0 && now.After(x.expiry(e))
}

// retire gives up a sample that neither waits nor is delayed.
func (x *index) retire(r retirement) {
	x.release(r.entry)
	x.retired = append(x.retired, r)
}

// retiring takes at most n samples out of those that are to be removed.
func (x *index) retiring(n int) []retirement {
	n = min(n, len(x.retired))
	batch := slices.Clone(x.retired[:n])
	x.retired = slices.Delete(x.retired, 0, n)
	return batch
}

// endDelays lets samples wait whose delay is over and reports whether there are
// any.
func (x *index) endDelays(now time.Time) (ended bool) {
	for x.due.len() > 0 && !x.due.first().state.NotBefore.After(now) {
		e := x.due.first()
		x.due.remove(e)
		x.wait(e)
		ended = true
	}
	return ended
}

// expire retires at most n samples that are too old.
func (x *index) expire(now time.Time, n int) {
	for ; n > 0 && x.size() > 0 && x.isExpired(x.waiting.age.first(), now); n-- {
		e := x.waiting.age.first()
		x.unwait(e)
		x.retire(retirement{entry: e, drop: organic.DroppedExpired})
	}
}

// next returns when endDelays, expire or retiring has something to do, or a
// zero time.
func (x *index) next(now time.Time) time.Time {
	if len(x.retired) > 0 {
		return now
	}
	var at time.Time
	if x.due.len() > 0 {
		at = x.due.first().state.NotBefore
	}
	if x.maxAge > 0 && x.size() > 0 {
		expired := x.expiry(x.waiting.age.first()).Add(1)
		if at.IsZero() || expired.Before(at) {
			at = expired
		}
	}
	return at
}

// adding is the number of samples that are held and not stored yet.
func (x *index) adding() int { return x.held - x.size() - x.due.len() - x.leased }

// size is the number of waiting samples.
func (x *index) size() int { return x.waiting.age.len() }

// oldestWaiting is the age of the oldest waiting sample.
func (x *index) oldestWaiting(now time.Time) time.Duration {
	if x.size() == 0 {
		return 0
	}
	return max(0, now.Sub(x.waiting.age.first().received))
}
