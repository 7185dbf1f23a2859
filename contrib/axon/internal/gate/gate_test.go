package gate_test

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon/internal/gate"
)

// party is one of a network and a hotkey of its own.
func party(n byte) gate.Party {
	return gate.Party{
		Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 32),
		Member:  string(rune('a' + n)),
	}
}

// fixed is a request that is not evicted.
func fixed() { panic("evicted") }

// visit is Enter for one of the parties.
func visit(
	ctx context.Context, g *gate.Gate, who byte, priority float64, wait time.Duration, evict func(),
) (*gate.Visit, error) {
	v := &gate.Visit{}
	return v, g.Enter(ctx, v, party(who), priority, time.Now().Add(wait), evict)
}

// enter is Enter for one party, with a function to leave.
func enter(
	ctx context.Context, g *gate.Gate, priority float64, wait time.Duration,
) (leave func(), err error) {
	entered, err := visit(ctx, g, 1, priority, wait, fixed)
	if err != nil {
		return nil, err
	}
	return entered.Leave, nil
}

// fill lets one request of party 1 be served.
func fill(t *testing.T, g *gate.Gate) (leave func()) {
	t.Helper()
	leave, err := enter(t.Context(), g, 0, time.Hour)
	require.NoError(t, err)
	return leave
}

// line lets visitors of these priorities wait before a full gate, and returns
// the order in which they come in once it opens.
func line(g *gate.Gate, open func(), priorities ...float64) []float64 {
	var (
		mu    sync.Mutex
		order []float64
		all   sync.WaitGroup
	)
	for _, priority := range priorities {
		all.Go(func() {
			leave, err := enter(context.Background(), g, priority, time.Hour)
			if err != nil {
				return
			}
			mu.Lock()
			order = append(order, priority)
			mu.Unlock()
			leave()
		})
		synctest.Wait() // one after the other
	}
	open()
	all.Wait()
	return order
}

func TestTheHighestPriorityGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 10)
		leave := fill(t, g)
		require.Equal(t, []float64{8, 5, 2, 1, -3}, line(g, leave, 2, 8, -3, 5, 1))
	})
}

func TestOfEqualsTheFirstGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 10)
		leave := fill(t, g)
		var order []int
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				if leave, err := enter(context.Background(), g, 1, time.Hour); err == nil {
					order = append(order, i) // one at a time is inside
					leave()
				}
			})
			synctest.Wait()
		}
		leave()
		all.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4}, order)
	})
}

func TestFullGateRefusesTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 2)
		leave := fill(t, g)
		require.Equal(t, []float64{9, 5}, line(g, leave, 3, 5, 1, 9),
			"3 was evicted for 9, 1 was refused")
	})
}

func TestOfEqualsTheNewOneFindsNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 1)
		leave := fill(t, g)
		first := make(chan error, 1)
		go func() {
			_, err := enter(context.Background(), g, 4, time.Hour)
			first <- err
		}()
		synctest.Wait()
		_, err := enter(t.Context(), g, 4, time.Hour)
		require.ErrorIs(t, err, gate.ErrFull)
		leave()
		require.NoError(t, <-first)
	})
}

func TestNoRoomToWait(t *testing.T) {
	t.Parallel()
	g := gate.New(1, 0)
	fill(t, g)
	_, err := enter(t.Context(), g, 1, time.Hour)
	require.ErrorIs(t, err, gate.ErrFull)
}

func TestTheWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 10)
		fill(t, g)
		start := time.Now()
		_, err := enter(t.Context(), g, 0, 3*time.Second)
		require.ErrorIs(t, err, gate.ErrTimeout)
		require.Equal(t, 3*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = enter(ctx, g, 0, time.Hour)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		inside, waiting := g.Counts()
		require.Equal(t, []int{1, 0}, []int{inside, waiting}, "who gave up waits no more")
	})
}

// TestNoSlotIsLost lets many visitors come, wait for random times and leave,
// with a slot assigned at the very moment that its visitor gives up.
func TestNoSlotIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots = 3
		g := gate.New(slots, 20)
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
				leave, err := enter(context.Background(), g, priority, wait)
				if err != nil {
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
				leave()
			})
		}
		all.Wait()
		in, waiting := g.Counts()
		require.Zero(t, in+waiting)
		require.Equal(t, slots, most)
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
		leave := fill(t, g)
		order := line(g, leave, priorities...)
		slices.Sort(priorities)
		slices.Reverse(priorities)
		require.Equal(t, priorities, order)
	})
}

// crowd is a gate whose requests stay until they are evicted, or the test ends.
type crowd struct {
	*gate.Gate
	end     context.Context
	all     sync.WaitGroup
	mu      sync.Mutex // guards what follows
	evicted []byte
	refused []byte
}

// withCrowd runs a test with a crowd, in a bubble of fake time.
func withCrowd(t *testing.T, slots, capacity int, test func(t *testing.T, c *crowd)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		end, cancel := context.WithCancel(t.Context())
		c := &crowd{Gate: gate.New(slots, capacity), end: end}
		test(t, c)
		cancel()
		c.all.Wait()
		serving, waiting := c.Counts()
		require.Zero(t, serving+waiting)
	})
}

// come lets a request of a party come, and be served until it is evicted.
func (c *crowd) come(who byte, priority float64) {
	c.all.Go(func() {
		gone := make(chan struct{})
		entered, err := visit(c.end, c.Gate, who, priority, time.Minute, func() { close(gone) })
		if err != nil && c.end.Err() != nil {
			return
		}
		if err != nil {
			c.mu.Lock()
			c.refused = append(c.refused, who)
			c.mu.Unlock()
			return
		}
		select {
		case <-gone:
			c.mu.Lock()
			c.evicted = append(c.evicted, who)
			c.mu.Unlock()
		case <-c.end.Done():
		}
		entered.Leave()
	})
	synctest.Wait()
}

// TestThePartyThatIsServedMostMakesWay has one party whose requests stay for an hour.
func TestThePartyThatIsServedMostMakesWay(t *testing.T) {
	t.Parallel()
	withCrowd(t, 6, 10, func(t *testing.T, c *crowd) {
		t.Helper()
		for range 10 {
			c.come(1, 0)
		}
		var leave []func()
		for who := byte(2); who <= 4; who++ {
			start := time.Now()
			entered, err := visit(t.Context(), c.Gate, who, 0, time.Minute, fixed)
			require.NoError(t, err)
			require.Equal(t, 250*time.Millisecond, time.Since(start))
			leave = append(leave, entered.Leave)
		}
		require.Equal(t, []byte{1, 1, 1}, c.evicted)
		serving, waiting := c.Counts()
		require.Equal(t, []int{6, 4}, []int{serving, waiting}, "the party's own requests wait on")
		entered, err := visit(t.Context(), c.Gate, 2, 0, time.Second, fixed)
		require.NoError(t, err, "party 1 is served more yet")
		leave = append(leave, entered.Leave)
		_, err = visit(t.Context(), c.Gate, 2, 0, time.Second, fixed)
		require.ErrorIs(t, err, gate.ErrTimeout, "it would only change who waits")
		for _, leave := range leave {
			leave()
		}
	})
}

// TestAHigherPriorityStays has requests that may be served before all others.
func TestAHigherPriorityStays(t *testing.T) {
	t.Parallel()
	withCrowd(t, 2, 10, func(t *testing.T, c *crowd) {
		t.Helper()
		c.come(1, 1)
		c.come(1, 1)
		_, err := visit(t.Context(), c.Gate, 2, 0, time.Second, fixed)
		require.ErrorIs(t, err, gate.ErrTimeout)
		entered, err := visit(t.Context(), c.Gate, 2, 1, time.Second, fixed)
		require.NoError(t, err)
		entered.Leave()
	})
}

// TestProgressKeepsARequest touches the older of two.
func TestProgressKeepsARequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(2, 10)
		older, err := visit(t.Context(), g, 1, 0, time.Minute, fixed)
		require.NoError(t, err)
		gone := make(chan struct{})
		younger, err := visit(t.Context(), g, 1, 0, time.Minute, func() { close(gone) })
		require.NoError(t, err)
		older.Touch()
		go func() {
			<-gone
			younger.Leave()
		}()
		third, err := visit(t.Context(), g, 2, 0, time.Minute, fixed)
		require.NoError(t, err)
		third.Leave()
		older.Leave()
	})
}

// TestTheRoomToWaitIsShared has one party's requests wait before those of others.
func TestTheRoomToWaitIsShared(t *testing.T) {
	t.Parallel()
	withCrowd(t, 1, 4, func(t *testing.T, c *crowd) {
		t.Helper()
		for range 5 {
			c.come(1, 0)
		}
		for who := byte(2); who <= 4; who++ {
			c.come(who, 0)
		}
		require.Equal(t, []byte{1, 1, 1}, c.refused)
		c.come(5, 0)
		require.Equal(t, []byte{1, 1, 1, 5}, c.refused, "of equals the last")
		c.come(5, 1)
		require.Equal(t, []byte{1, 1, 1, 5, 4}, c.refused, "the highest priority is refused last")
	})
}

// TestThePartyThatIsServedLeastGoesFirst has one party wait first.
func TestThePartyThatIsServedLeastGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(2, 10)
		leave := fill(t, g)
		second := fill(t, g)
		var all sync.WaitGroup
		var order []byte
		for _, who := range []byte{1, 1, 2, 3} {
			all.Go(func() {
				entered, err := visit(context.Background(), g, who, 0, time.Hour, func() {})
				if err == nil {
					order = append(order, who) // one at a time is let in
					entered.Leave()
				}
			})
			synctest.Wait()
		}
		leave()
		all.Wait()
		second()
		require.Equal(t, []byte{2, 3, 1, 1}, order)
	})
}
