package usercode_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/usercode"
)

var (
	errOwn    = errors.New("own")
	errGoexit = errors.New("goexit")
)

// panicError is a panic as an error.
type panicError struct{ value any }

func (e panicError) Error() string { return fmt.Sprint("panic: ", e.value) }

func onPanic(value any) error { return panicError{value} }

// hostile panics in the method that it names.
type hostile string

func (h hostile) in(method hostile) bool {
	if h == method {
		panic(string(h))
	}
	return false
}

func (h hostile) Error() string { h.in("Error"); return "hostile" }
func (h hostile) Is(error) bool { return h.in("Is") }
func (h hostile) As(any) bool   { return h.in("As") }
func (h hostile) Unwrap() error { h.in("Unwrap"); return nil }

func TestCallAndCallIsolated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		fn   func() error
		want error
	}{
		{"nil", func() error { return nil }, nil},
		{"error", func() error { return errOwn }, errOwn},
		{"panic", func() error { panic("loud") }, panicError{"loud"}},
		{"hostile Error", func() error { return hostile("Error") }, panicError{"Error"}},
		{"hostile Is", func() error { return hostile("Is") }, panicError{"Is"}},
		{"hostile As", func() error { return hostile("As") }, panicError{"As"}},
		{
			"hostile Unwrap", func() error { return errors.Join(errOwn, hostile("Unwrap")) },
			panicError{"Unwrap"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, usercode.Call(tt.fn, onPanic))
			require.Equal(t, tt.want, usercode.CallIsolated(tt.fn, onPanic, errGoexit))
		})
	}
	leave := func() error {
		runtime.Goexit()
		return nil
	}
	require.Equal(t, errGoexit, usercode.CallIsolated(leave, onPanic, errGoexit))
}

func TestSequenceGoesOnAfterGoexit(t *testing.T) {
	t.Parallel()
	var calls []int
	ended := make(chan struct{})
	survived := false
	go func() {
		defer close(ended)
		usercode.Sequence(usercode.StepFunc(func() bool {
			n := len(calls)
			calls = append(calls, n)
			if n == 1 || n == 3 {
				runtime.Goexit()
			}
			return n < 5
		}))
		survived = true
	}()
	<-ended
	require.Equal(t, []int{0, 1, 2, 3, 4, 5}, calls)
	require.False(t, survived, "the goroutine that was left ends after the sequence")
}

func TestInspectionsOfHostileErrorsFindNothing(t *testing.T) {
	t.Parallel()
	require.False(t, usercode.Is(hostile("Is"), errOwn))
	_, ok := usercode.As[panicError](hostile("As"))
	require.False(t, ok)
	require.Empty(t, usercode.Text(hostile("Error")))
	require.True(t, usercode.Is(fmt.Errorf("wrapped: %w", errOwn), errOwn))
	found, ok := usercode.As[panicError](fmt.Errorf("wrapped: %w", panicError{7}))
	require.True(t, ok)
	require.Equal(t, 7, found.value)
	require.Equal(t, "own", usercode.Text(errOwn))
	boastful, ok := usercode.As[*probed](boastful{})
	require.False(t, ok, "it has set nothing")
	require.Nil(t, boastful)
}

// boastful is every error, it says.
type boastful struct{}

func (boastful) Error() string { return "boastful" }
func (boastful) As(any) bool   { return true }

// probed is an error that is found by its pointer.
type probed struct{}

func (*probed) Error() string { return "probed" }

func TestCallAbandonable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var gauge atomic.Int64
		release := make(chan struct{})
		for _, tt := range []struct {
			name     string
			fn       func() error
			returned bool
			want     error
			took     time.Duration
		}{
			{"returns", func() error { return errOwn }, true, errOwn, 0},
			{"panics", func() error { panic("loud") }, true, panicError{"loud"}, 0},
			{"leaves", func() error { runtime.Goexit(); return nil }, true, errGoexit, 0},
			{"returns within the patience", func() error {
				time.Sleep(3 * time.Second)
				return errOwn
			}, true, errOwn, 3 * time.Second},
			{"does not return", func() error { <-release; return nil }, false, nil, 4 * time.Second},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			begun := time.Now()
			returned, err := usercode.CallAbandonable(
				ctx, 2*time.Second, &gauge, tt.fn, onPanic, errGoexit)
			cancel()
			require.Equal(t, tt.returned, returned, tt.name)
			require.Equal(t, tt.want, err, tt.name)
			require.Equal(t, tt.took, time.Since(begun), tt.name)
		}
		require.EqualValues(t, 1, gauge.Load())
		close(release)
		synctest.Wait()
		require.Zero(t, gauge.Load())
	})
}

func TestIsEcho(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	uncomparable := joined{errOwn, cause}
	for _, tt := range []struct {
		name       string
		err, cause error
		want       bool
	}{
		{"cancelled", context.Canceled, cause, true},
		{"wrapped", fmt.Errorf("ask: %w", context.Canceled), cause, true},
		{"the cause", fmt.Errorf("ask: %w", cause), cause, true},
		{"all joined", errors.Join(context.Canceled, cause), cause, true},
		{"another one", errOwn, cause, false},
		{"another one joined", errors.Join(context.Canceled, errOwn), cause, false},
		{"deadline", context.DeadlineExceeded, cause, false},
		{"nothing joined", joined{}, cause, false},
		{"cause that cannot be compared", context.Canceled, uncomparable, true},
		{"hostile", hostile("Is"), cause, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(tt.cause)
			require.Equal(t, tt.want, usercode.IsEcho(ctx, tt.err))
		})
	}
	late, cancel := context.WithTimeoutCause(t.Context(), 0, cause)
	defer cancel()
	require.True(t, usercode.IsEcho(late, fmt.Errorf("ask: %w", late.Err())))
	require.True(t, usercode.IsEcho(late, errors.Join(cause, context.Canceled)))
	require.False(t, usercode.IsEcho(late, errOwn))
	require.False(t, usercode.IsEcho(late, nil))
	require.False(t, usercode.IsEcho(t.Context(), errOwn), "it has not ended")
	require.True(t, usercode.IsSame(cause, cause))
	require.False(t, usercode.IsSame(nil, nil))
	require.False(t, usercode.IsSame(fmt.Errorf("ask: %w", cause), cause))
}

// joined is an error that cannot be compared.
type joined []error

func (j joined) Error() string   { return "joined" }
func (j joined) Unwrap() []error { return j }
