package organic

import (
	"context"
	"time"
)

// flight is a stretch of user code that a stop waits for.
type flight struct {
	kind      flightKind
	synthetic bool                    // an iteration over a dataset's sample; guarded by lifecycle.mu
	cancel    context.CancelCauseFunc // the hard stop
	stopping  <-chan struct{}         // closed when a soft stop is requested
	started   time.Time               // of an iteration

	previous, next *flight // in the list
}

type flightKind uint8

const (
	loopFlight flightKind = iota
	iterationFlight
	entryFlight
)

// flightList is a linked list of flights in no particular order.
type flightList struct {
	first *flight
	count int
}

func (l *flightList) add(f *flight) {
	f.next = l.first
	if l.first != nil {
		l.first.previous = f
	}
	l.first = f
	l.count++
}

func (l *flightList) remove(f *flight) {
	if f.previous != nil {
		f.previous.next = f.next
	} else {
		l.first = f.next
	}
	if f.next != nil {
		f.next.previous = f.previous
	}
	f.previous, f.next = nil, nil
	l.count--
}
