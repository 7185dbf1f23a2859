// Package lifecycle is a start/stop state machine. It admits units of work,
// knows which are in flight, and cancels them at a hard stop. It does not know
// what the units do, starts no goroutine and calls nothing but the units'
// cancel functions.
package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/organic-scoring/organic/internal/notify"
)

// The errors of a machine.
var (
	ErrRunning    = errors.New("already running")
	ErrStopping   = errors.New("stopping")
	ErrPaused     = errors.New("paused")
	ErrNotRunning = errors.New("not running")
)

// Machine is idle, running or stopping. It is safe for concurrent use.
//
// A stop that is requested while the machine runs is finished by the owner of
// the run, and one that is requested while it is idle by its caller:
// they wait for the units in flight and then call Finish.
type Machine struct {
	finished notify.Broadcast // sent when a unit has ended

	mu       sync.Mutex // guards the fields below
	state    state
	paused   bool
	stopping chan struct{} // closed when the next stop is requested
	stopped  chan struct{} // closed when that stop has finished
	done     chan struct{} // closed when the current or coming run has ended
	ran      bool          // whether the next Finish ends a run
	cancel   context.CancelCauseFunc
	requests list
	work     list
}

type state uint8

const (
	idle state = iota
	running
	stopping
)

// Unit is something that a stop waits for. Cancel must be set before the unit
// is admitted.
type Unit struct {
	Cancel  context.CancelCauseFunc
	Started time.Time

	stopping       <-chan struct{}
	list           *list
	previous, next *Unit
}

// Stopping returns a channel that is closed when the stop that waits for the
// unit is requested.
func (u *Unit) Stopping() <-chan struct{} { return u.stopping }

// New returns an idle machine.
func New() *Machine {
	return &Machine{
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
		done:     make(chan struct{}),
	}
}

// Start begins a run. Cancel is called by a hard stop. The caller, who owns the
// run, must call Finish after the stop that the returned channel announces.
func (m *Machine) Start(
	cancel context.CancelCauseFunc,
) (stopping, done <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != idle {
		return nil, nil, ErrRunning
	}
	m.state, m.ran, m.cancel = running, true, cancel
	if notify.Closed(m.done) {
		m.done = make(chan struct{})
	}
	return m.stopping, m.done, nil
}

// RequestStop closes the intake. Stopped is closed when the stop has finished.
// If mustFinish is true nothing was running, and the caller must wait for the
// units in flight and call Finish.
func (m *Machine) RequestStop() (stopped <-chan struct{}, mustFinish bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mustFinish = m.state == idle
	if m.state != stopping {
		m.state = stopping
		close(m.stopping)
	}
	return m.stopped, mustFinish
}

// Finish ends a stop: the machine is idle again.
func (m *Machine) Finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = idle
	close(m.stopped)
	if m.ran {
		close(m.done)
	}
	m.ran, m.cancel = false, nil
	m.stopping, m.stopped = make(chan struct{}), make(chan struct{})
}

// Kill is the hard stop of everything that is in flight. It calls the cancel
// functions without its lock, since contexts can be user code.
func (m *Machine) Kill(cause error) {
	for _, cancel := range m.cancels() {
		cancel(cause)
	}
}

func (m *Machine) cancels() []context.CancelCauseFunc {
	m.mu.Lock()
	defer m.mu.Unlock()
	var cancels []context.CancelCauseFunc
	if m.cancel != nil {
		cancels = append(cancels, m.cancel)
	}
	for _, l := range []*list{&m.requests, &m.work} {
		for u := l.first; u != nil; u = u.next {
			cancels = append(cancels, u.Cancel)
		}
	}
	return cancels
}

// AdmitRequest lets a unit begin while the machine runs.
func (m *Machine) AdmitRequest(u *Unit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != running {
		return ErrNotRunning
	}
	m.admit(u, &m.requests)
	return nil
}

// AdmitFromLoop lets a unit of work begin while the machine runs and is not
// paused.
func (m *Machine) AdmitFromLoop(u *Unit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.state != running:
		return ErrNotRunning
	case m.paused:
		return ErrPaused
	}
	m.admit(u, &m.work)
	return nil
}

// Admit lets a unit of work begin at any time except during a stop. A unit that
// has waited begins only if the channel that Stopping returned before the wait
// is still open; nil stands for no wait.
func (m *Machine) Admit(u *Unit, stoppingBefore <-chan struct{}) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == stopping || stoppingBefore != nil && stoppingBefore != m.stopping {
		return ErrStopping
	}
	m.admit(u, &m.work)
	return nil
}

func (m *Machine) admit(u *Unit, l *list) {
	u.stopping = m.stopping
	l.add(u)
}

// End ends a unit.
func (m *Machine) End(u *Unit) {
	u.Cancel(nil)
	m.mu.Lock()
	u.list.remove(u)
	m.mu.Unlock()
	m.finished.Send()
}

// Listen returns a signal that is set when a unit ends or Touch is called,
// until stop is called.
func (m *Machine) Listen() (signal notify.Signal, stop func()) { return m.finished.Listen() }

// Touch wakes all that listen.
func (m *Machine) Touch() { m.finished.Send() }

// Stopping returns a channel that is closed when the next stop is requested.
func (m *Machine) Stopping() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopping
}

// Done returns a channel that is closed when the current or coming run ends.
func (m *Machine) Done() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.done
}

// Running reports whether the machine runs and no stop is requested.
func (m *Machine) Running() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state == running
}

// Idle reports whether nothing runs and no unit is in flight.
func (m *Machine) Idle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state == idle && m.requests.count+m.work.count == 0
}

// InFlight returns the number of units.
func (m *Machine) InFlight() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.requests.count + m.work.count
}

// Work returns the number of units of work and when the oldest began.
func (m *Machine) Work() (count int, oldest time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.work.first != nil {
		oldest = m.work.first.Started
	}
	return m.work.count, oldest
}

// SetPaused pauses or resumes the admission of units from the loop, and reports
// whether that is a change.
func (m *Machine) SetPaused(paused bool) (changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed = m.paused != paused
	m.paused = paused
	return changed
}

// Paused reports whether the machine is paused.
func (m *Machine) Paused() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.paused
}

// list is a linked list of units in the order of their admission.
type list struct {
	first, last *Unit
	count       int
}

func (l *list) add(u *Unit) {
	u.list, u.previous = l, l.last
	if l.last == nil {
		l.first = u
	} else {
		l.last.next = u
	}
	l.last = u
	l.count++
}

func (l *list) remove(u *Unit) {
	if u.previous == nil {
		l.first = u.next
	} else {
		u.previous.next = u.next
	}
	if u.next == nil {
		l.last = u.previous
	} else {
		u.next.previous = u.previous
	}
	u.previous, u.next = nil, nil
	l.count--
}
