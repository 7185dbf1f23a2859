// Package gate lets a limited number of visitors in at once, those with the
// highest priority first.
package gate

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"
)

var (
	// ErrFull says that too many wait already, and none with less priority.
	ErrFull = errors.New("gate: too many wait")

	// ErrTimeout says that the visitor waited for as long as it could.
	ErrTimeout = errors.New("gate: waited too long")
)

// Gate has places for visitors and a waiting room before it. It is safe for
// concurrent use.
type Gate struct {
	places, room int

	mu      sync.Mutex // guards what follows, and the fields of all visitors
	inside  int
	waiting queue
	arrived uint64 // counts those who had to wait, for the order among equals
}

// visitor is somebody in the waiting room.
type visitor struct {
	priority float64
	number   uint64 // order of arrival
	index    int    // place in the heap
	call     chan error
}

// New returns a gate with so many places and room for so many to wait.
func New(places, room int) *Gate {
	return &Gate{places: places, room: room}
}

// Enter returns nil when the visitor is inside; it must [Gate.Leave] then. Of
// those who wait the one with the highest priority goes first, of equals the
// one who has waited longest. When the waiting room is full, the visitor who
// would go last of all, be it the new one, gets ErrFull. Whoever has not got
// in after so long a wait gets ErrTimeout; the end of ctx is the other way
// out, with its error.
func (g *Gate) Enter(ctx context.Context, priority float64, wait time.Duration) error {
	v, err := g.arrive(priority)
	if v == nil {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case err := <-v.call:
		return err
	case <-timer.C:
		return g.giveUp(v, ErrTimeout)
	case <-ctx.Done():
		return g.giveUp(v, ctx.Err())
	}
}

// arrive takes a place, or returns the visitor that has to wait.
func (g *Gate) arrive(priority float64) (*visitor, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside < g.places {
		g.inside++
		return nil, nil //nolint:nilnil // neither a wait nor an error: the visitor is inside
	}
	if len(g.waiting) >= g.room && !g.makeRoom(priority) {
		return nil, ErrFull
	}
	g.arrived++
	v := &visitor{priority: priority, number: g.arrived, call: make(chan error, 1)}
	heap.Push(&g.waiting, v)
	return v, nil
}

// makeRoom sends away the last of those who wait if it has less priority.
func (g *Gate) makeRoom(priority float64) bool {
	if len(g.waiting) == 0 {
		return false
	}
	last := g.waiting[0]
	for _, v := range g.waiting {
		if last.before(v) {
			last = v
		}
	}
	if last.priority >= priority {
		return false
	}
	heap.Remove(&g.waiting, last.index)
	last.call <- ErrFull
	return true
}

// giveUp leaves the waiting room, unless the call came first.
func (g *Gate) giveUp(v *visitor, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case called := <-v.call:
		return called
	default:
		heap.Remove(&g.waiting, v.index)
		return err
	}
}

// Leave frees a place, for the next in the waiting room if there is one.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.inside--
		return
	}
	next := heap.Pop(&g.waiting).(*visitor) //nolint:forcetypeassert // the queue holds visitors only
	next.call <- nil
}

// Counts returns how many are inside and how many wait.
func (g *Gate) Counts() (inside, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside, len(g.waiting)
}

// before tells whether v goes in before o.
func (v *visitor) before(o *visitor) bool {
	if v.priority != o.priority {
		return v.priority > o.priority
	}
	return v.number < o.number
}

// queue is a heap of visitors, the next one on top.
type queue []*visitor

// Len is part of [heap.Interface], as are the methods below.
func (q *queue) Len() int           { return len(*q) }
func (q *queue) Less(i, j int) bool { return (*q)[i].before((*q)[j]) }

// Swap keeps the visitors' own notes of their places true.
func (q *queue) Swap(i, j int) {
	visitors := *q
	visitors[i], visitors[j] = visitors[j], visitors[i]
	visitors[i].index, visitors[j].index = i, j
}

// Push adds a visitor at the end.
func (q *queue) Push(x any) {
	v := x.(*visitor) //nolint:forcetypeassert // the queue holds visitors only
	v.index = len(*q)
	*q = append(*q, v)
}

// Pop takes the visitor at the end.
func (q *queue) Pop() any {
	last := len(*q) - 1
	v := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return v
}
