package hookctx_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/hookctx"
)

type otherKey struct{}

func TestCallerKnowsItsContexts(t *testing.T) {
	t.Parallel()
	own, other := new(hookctx.Caller), new(hookctx.Caller)
	outside := context.WithValue(t.Context(), otherKey{}, "value")
	ofHook := hookctx.New(outside, own)
	for _, ctx := range []context.Context{
		&ofHook, own.Mark(outside), hookctx.WithDeadline(&ofHook, time.Time{}),
		context.WithValue(&ofHook, otherKey{}, "value"), other.Mark(&ofHook),
	} {
		require.True(t, own.Has(ctx))
		require.Equal(t, "value", ctx.Value(otherKey{}))
	}
	require.False(t, own.Has(outside))
	require.False(t, other.Has(&ofHook))
}

func TestAnnotationsUntilTheyAreFrozen(t *testing.T) {
	t.Parallel()
	caller := new(hookctx.Caller)
	ctx := hookctx.New(t.Context(), caller)
	require.Nil(t, hookctx.Annotations(&ctx))
	var group sync.WaitGroup
	for _, key := range []string{"a", "b", "c"} {
		group.Go(func() { hookctx.Annotate(context.WithValue(&ctx, otherKey{}, 1), key, 1) })
	}
	group.Wait()
	hookctx.Annotations(&ctx)["d"] = 1 // of a copy
	want := map[string]any{"a": 1, "b": 1, "c": 1}
	require.Equal(t, want, hookctx.Annotations(&ctx))
	require.Equal(t, want, ctx.Freeze())
	hookctx.Annotate(&ctx, "late", 1)
	require.Equal(t, want, hookctx.Annotations(&ctx))

	for _, without := range []context.Context{t.Context(), caller.Mark(t.Context())} {
		hookctx.Annotate(without, "key", 1)
		require.Nil(t, hookctx.Annotations(without))
	}
}

// timed is what Timed and the contexts of the standard library must agree in.
type timed struct {
	ctx context.Context
	end func()
}

func newTimed(ctx context.Context, deadline time.Time) timed {
	ofHook := hookctx.New(ctx, new(hookctx.Caller))
	own := hookctx.WithDeadline(&ofHook, deadline)
	return timed{own, own.End}
}

func newStandard(ctx context.Context, deadline time.Time) timed {
	if deadline.IsZero() {
		ctx, cancel := context.WithCancel(ctx)
		return timed{ctx, cancel}
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	return timed{ctx, cancel}
}

var errParent = errors.New("parent ended")

func TestTimedIsLikeTheStandardLibrarys(t *testing.T) {
	t.Parallel()
	use := map[string]func(ctx context.Context) context.Context{
		"unused": func(ctx context.Context) context.Context { return ctx },
		"asked":  func(ctx context.Context) context.Context { ctx.Done(); return ctx },
		"value": func(ctx context.Context) context.Context {
			return context.WithValue(ctx, otherKey{},
				1)
		},
		"child": func(ctx context.Context) context.Context {
			child, cancel := context.WithCancel(ctx)
			context.AfterFunc(ctx, cancel)
			return child
		},
	}
	for _, tt := range []struct {
		name          string
		timeout       time.Duration // 0: none
		parentTimeout time.Duration // 0: none
		cancelParent  time.Duration // 0: never
		end           time.Duration // 0: never
	}{
		{name: "deadline", timeout: time.Second},
		{name: "earlier deadline of the parent", timeout: 2 * time.Second, parentTimeout: time.Second},
		{name: "later deadline of the parent", timeout: time.Second, parentTimeout: 2 * time.Second},
		{name: "no deadline"},
		{name: "cancelled parent", timeout: 2 * time.Second, cancelParent: time.Second},
		{name: "cancelled parent without deadline", cancelParent: time.Second},
		{name: "ended", timeout: 2 * time.Second, end: time.Second},
		{name: "ended without deadline", end: time.Second},
		{name: "ended late", timeout: time.Second, end: 2 * time.Second},
		{name: "deadline that is over", timeout: -time.Second},
	} {
		for how, using := range use {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					run := func(newOne func(ctx context.Context, deadline time.Time) timed) (seen [][]any) {
						parent, cancel := context.WithCancelCause(context.Background())
						defer cancel(nil)
						if tt.parentTimeout != 0 {
							var stop context.CancelFunc
							parent, stop = context.WithTimeout(parent, tt.parentTimeout)
							defer stop()
						}
						var deadline time.Time
						begun := time.Now()
						if tt.timeout != 0 {
							deadline = begun.Add(tt.timeout)
						}
						own := newOne(parent, deadline)
						defer own.end()
						ctx := using(own.ctx)
						for range 6 {
							if elapsed := time.Since(begun); elapsed > 0 && elapsed == tt.cancelParent {
								cancel(errParent)
							} else if elapsed > 0 && elapsed == tt.end {
								own.end()
							}
							synctest.Wait()
							due, ok := ctx.Deadline()
							until := time.Duration(0)
							if ok {
								until = due.Sub(begun)
							}
							cause := context.Cause(own.ctx)
							seen = append(seen, []any{until, ok, cause, ctx.Err(), own.ctx.Err()})
							time.Sleep(time.Second / 2)
						}
						return seen
					}
					require.Equal(t, run(newStandard), run(newTimed))
				})
			})
		}
	}
}

func TestTimedTellsTheCauseAndClosesDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancelCause(t.Context())
		own := newTimed(parent, time.Now().Add(time.Hour))
		cancel(errParent)
		<-own.ctx.Done()
		require.Equal(t, errParent, context.Cause(own.ctx))

		own = newTimed(t.Context(), time.Now().Add(time.Minute))
		begun := time.Now()
		<-own.ctx.Done()
		require.Equal(t, time.Minute, time.Since(begun))
		require.Equal(t, context.DeadlineExceeded, context.Cause(own.ctx))
		own.end()

		own = newTimed(t.Context(), time.Now().Add(time.Minute))
		own.end()
		<-own.ctx.Done()
		require.Equal(t, context.Canceled, own.ctx.Err())
	})
}

func TestCtxPrintsNoAnnotation(t *testing.T) {
	t.Parallel()
	ctx := hookctx.New(t.Context(), new(hookctx.Caller))
	hookctx.Annotate(&ctx, "key", "secret")
	timed := hookctx.WithDeadline(&ctx, time.Now().Add(time.Hour))
	defer timed.End()
	derived := context.WithValue(timed, new(int), "value")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%q"} {
		for _, printed := range []context.Context{&ctx, timed, derived} {
			require.NotContains(t, fmt.Sprintf(verb, printed), "secret", "%s of %T", verb, printed)
		}
	}
	require.Equal(t, "ctx of a hook", fmt.Sprint(timed))
}
