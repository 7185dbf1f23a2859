package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/lifecycle"
	"github.com/organic-scoring/organic/internal/notify"
)

func newUnit() (unit *lifecycle.Unit, ctx context.Context) {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &lifecycle.Unit{Cancel: cancel, Started: time.Now()}, ctx
}

func start(t *testing.T, m *lifecycle.Machine) (stopping, done <-chan struct{}) {
	t.Helper()
	stopping, done, err := m.Start(func(error) {})
	require.NoError(t, err)
	return stopping, done
}

func TestRunFromStartToFinish(t *testing.T) {
	t.Parallel()
	m := lifecycle.New()
	require.True(t, m.Idle())
	stopping, done := start(t, m)
	require.True(t, m.Running())
	_, _, err := m.Start(func(error) {})
	require.ErrorIs(t, err, lifecycle.ErrRunning)

	unit, _ := newUnit()
	require.NoError(t, m.AdmitFromLoop(unit))
	require.Equal(t, 1, m.InFlight())
	count, oldest := m.Work()
	require.Equal(t, []any{1, unit.Started}, []any{count, oldest})

	stopped, mustFinish := m.RequestStop()
	require.False(t, mustFinish, "the owner of the run finishes it")
	require.True(t, notify.Closed(stopping))
	require.True(t, notify.Closed(unit.Stopping()))
	late, _ := newUnit()
	require.ErrorIs(t, m.Admit(late, nil), lifecycle.ErrStopping)
	require.ErrorIs(t, m.AdmitFromLoop(late), lifecycle.ErrNotRunning)
	require.ErrorIs(t, m.AdmitRequest(late), lifecycle.ErrNotRunning)

	m.End(unit)
	require.Zero(t, m.InFlight())
	require.False(t, notify.Closed(stopped))
	m.Finish()
	require.True(t, notify.Closed(stopped))
	require.True(t, notify.Closed(done))
	require.True(t, m.Idle())

	start(t, m)
	require.False(t, notify.Closed(m.Done()), "the channel of the new run")
}

func TestStopOfAnIdleMachineIsFinishedByItsCaller(t *testing.T) {
	t.Parallel()
	m := lifecycle.New()
	done := m.Done()
	unit, _ := newUnit()
	require.NoError(t, m.Admit(unit, nil))
	require.False(t, m.Idle())
	_, first := m.RequestStop()
	stopped, second := m.RequestStop()
	require.True(t, first)
	require.False(t, second, "one caller finishes")
	m.End(unit)
	m.Finish()
	require.True(t, notify.Closed(stopped))
	require.False(t, notify.Closed(done), "no run has ended")
}

func TestUnitThatWaitedOverAStopIsRefused(t *testing.T) {
	t.Parallel()
	m := lifecycle.New()
	before := m.Stopping()
	m.RequestStop()
	m.Finish()
	unit, _ := newUnit()
	require.ErrorIs(t, m.Admit(unit, before), lifecycle.ErrStopping)
	require.NoError(t, m.Admit(unit, m.Stopping()))
}

func TestKillCancelsTheRunAndAllUnits(t *testing.T) {
	t.Parallel()
	m := lifecycle.New()
	var killed error
	_, _, err := m.Start(func(cause error) { killed = cause })
	require.NoError(t, err)
	work, workCtx := newUnit()
	request, requestCtx := newUnit()
	require.NoError(t, m.Admit(work, nil))
	require.NoError(t, m.AdmitRequest(request))
	cause := errors.New("deploy")
	m.Kill(cause)
	require.Equal(t, cause, killed)
	require.Equal(t, cause, context.Cause(workCtx))
	require.Equal(t, cause, context.Cause(requestCtx))
}

func TestPauseHoldsTheLoopOnly(t *testing.T) {
	t.Parallel()
	m := lifecycle.New()
	start(t, m)
	require.True(t, m.SetPaused(true))
	require.False(t, m.SetPaused(true), "no change")
	require.True(t, m.Paused())
	unit, _ := newUnit()
	require.ErrorIs(t, m.AdmitFromLoop(unit), lifecycle.ErrPaused)
	require.NoError(t, m.Admit(unit, nil))
	m.SetPaused(false)
	other, _ := newUnit()
	require.NoError(t, m.AdmitFromLoop(other))
}

func TestListenersSeeTheEndOfUnits(t *testing.T) {
	t.Parallel()
	m := lifecycle.New()
	ended, stop := m.Listen()
	defer stop()
	unit, _ := newUnit()
	require.NoError(t, m.Admit(unit, nil))
	m.End(unit)
	<-ended
	m.Touch()
	<-ended
}

func TestUnitsEndInAnyOrder(t *testing.T) {
	t.Parallel()
	m := lifecycle.New()
	var units []*lifecycle.Unit
	for range 9 {
		unit, _ := newUnit()
		require.NoError(t, m.Admit(unit, nil))
		units = append(units, unit)
	}
	for _, i := range []int{4, 0, 8, 1, 7, 3, 2, 5} {
		m.End(units[i])
	}
	_, oldest := m.Work()
	require.Equal(t, units[6].Started, oldest)
	m.End(units[6])
	require.Zero(t, m.InFlight())
}

func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	m := lifecycle.New()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				unit, _ := newUnit()
				if m.Admit(unit, nil) == nil {
					m.End(unit)
				}
				if stopped, mustFinish := m.RequestStop(); mustFinish {
					for m.InFlight() > 0 {
						ended, stop := m.Listen()
						if m.InFlight() > 0 {
							<-ended
						}
						stop()
					}
					m.Finish()
				} else {
					<-stopped
				}
			}
		})
	}
	group.Wait()
	require.True(t, m.Idle())
}
