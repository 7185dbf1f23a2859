package gate_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon/internal/gate"
)

// line lets visitors of these priorities wait before a full gate, and returns
// the order in which they come in once it opens.
func line(g *gate.Gate, priorities ...float64) []float64 {
	var (
		mu    sync.Mutex
		order []float64
		all   sync.WaitGroup
	)
	for _, priority := range priorities {
		all.Go(func() {
			if g.Enter(context.Background(), priority, time.Hour) != nil {
				return
			}
			mu.Lock()
			order = append(order, priority)
			mu.Unlock()
			g.Leave()
		})
		synctest.Wait() // one after the other
	}
	g.Leave()
	all.Wait()
	return order
}

func TestTheHighestPriorityGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 10)
		require.NoError(t, g.Enter(t.Context(), 0, time.Hour))
		require.Equal(t, []float64{8, 5, 2, 1, -3}, line(g, 2, 8, -3, 5, 1))
	})
}

func TestOfEqualsTheFirstGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 10)
		require.NoError(t, g.Enter(t.Context(), 0, time.Hour))
		var order []int
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				if g.Enter(context.Background(), 1, time.Hour) == nil {
					order = append(order, i) // one at a time is inside
					g.Leave()
				}
			})
			synctest.Wait()
		}
		g.Leave()
		all.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4}, order)
	})
}

func TestAFullRoomSendsTheLastAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 2)
		require.NoError(t, g.Enter(t.Context(), 0, time.Hour))
		require.Equal(t, []float64{9, 5}, line(g, 3, 5, 1, 9), "3 made room for 9, 1 found none")
	})
}

func TestOfEqualsTheNewOneFindsNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 1)
		require.NoError(t, g.Enter(t.Context(), 0, time.Hour))
		first := make(chan error, 1)
		go func() { first <- g.Enter(context.Background(), 4, time.Hour) }()
		synctest.Wait()
		require.ErrorIs(t, g.Enter(t.Context(), 4, time.Hour), gate.ErrFull)
		g.Leave()
		require.NoError(t, <-first)
	})
}

func TestNoRoomToWait(t *testing.T) {
	t.Parallel()
	g := gate.New(1, 0)
	require.NoError(t, g.Enter(t.Context(), 0, time.Hour))
	require.ErrorIs(t, g.Enter(t.Context(), 1, time.Hour), gate.ErrFull)
}

func TestTheWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 10)
		require.NoError(t, g.Enter(t.Context(), 0, time.Hour))
		start := time.Now()
		require.ErrorIs(t, g.Enter(t.Context(), 0, 3*time.Second), gate.ErrTimeout)
		require.Equal(t, 3*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, g.Enter(ctx, 0, time.Hour), context.DeadlineExceeded)

		inside, waiting := g.Counts()
		require.Equal(t, []int{1, 0}, []int{inside, waiting}, "who gave up waits no more")
	})
}

// TestNoPlaceIsLost lets many visitors come, wait for random times and leave,
// with the place given away at the very moment that somebody gives up.
func TestNoPlaceIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const places = 3
		g := gate.New(places, 20)
		random := rand.New(rand.NewPCG(1, 2))
		var all sync.WaitGroup
		var mu sync.Mutex
		inside, most, served := 0, 0, 0
		for range 2000 {
			pause := time.Duration(random.IntN(4)) * time.Millisecond
			wait := time.Duration(random.IntN(4)) * time.Millisecond
			stay := time.Duration(random.IntN(3)) * time.Millisecond
			priority := float64(random.IntN(5))
			time.Sleep(pause / 4)
			all.Go(func() {
				if g.Enter(context.Background(), priority, wait) != nil {
					return
				}
				mu.Lock()
				inside++
				served++
				most = max(most, inside)
				mu.Unlock()
				time.Sleep(stay)
				mu.Lock()
				inside--
				mu.Unlock()
				g.Leave()
			})
		}
		all.Wait()
		in, waiting := g.Counts()
		require.Zero(t, in+waiting)
		require.Equal(t, places, most)
		require.Greater(t, served, 500)
		require.Less(t, served, 2000, "some must have given up")
	})
}

func TestOrderOfManyIsByPriorityAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(3, 4))
		priorities := make([]float64, 200)
		for i := range priorities {
			priorities[i] = random.NormFloat64()
		}
		g := gate.New(1, len(priorities))
		require.NoError(t, g.Enter(t.Context(), 0, time.Hour))
		order := line(g, priorities...)
		slices.Sort(priorities)
		slices.Reverse(priorities)
		require.Equal(t, priorities, order)
	})
}
