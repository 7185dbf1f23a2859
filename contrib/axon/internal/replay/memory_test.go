package replay_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon/internal/replay"
)

var (
	alice = [32]byte{1}
	bob   = [32]byte{2}
	carol = [32]byte{3}
	noon  = time.Unix(1_750_000_000, 0)
)

func entry(owner [32]byte, id string, nonce uint64, after time.Duration) replay.Entry {
	return replay.Entry{
		Network: network(owner[0]), Owner: owner, ID: id, Nonce: nonce,
		Sent: noon.Add(after - 16*time.Second), Until: noon.Add(after),
	}
}

func network(n byte) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 32)
}

func TestAnEntryIsTakenOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		next replay.Entry
		want replay.Outcome
	}{
		{"the same", entry(alice, "a", 1, 16*time.Second), replay.Seen},
		{"another nonce", entry(alice, "a", 2, 16*time.Second), replay.Added},
		{"another id", entry(alice, "b", 1, 16*time.Second), replay.Added},
		{"another owner", entry(bob, "a", 1, 16*time.Second), replay.Added},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := replay.New(10, 10)
			require.Equal(t, replay.Added, m.Add(noon, entry(alice, "a", 1, 16*time.Second)))
			require.Equal(t, tt.want, m.Add(noon, tt.next))
		})
	}
}

func TestAnEntryIsKnownUntilItsTimeIsUp(t *testing.T) {
	t.Parallel()
	m := replay.New(10, 10)
	e := entry(alice, "a", 1, 16*time.Second)
	require.Equal(t, replay.Added, m.Add(noon, e))
	require.Equal(t, replay.Seen, m.Add(noon.Add(16*time.Second), e), "its last moment")
	require.Equal(t, replay.Late, m.Add(noon.Add(16*time.Second+1), e),
		"later it is stale, known or not")
	require.Equal(t, replay.Late, m.Add(noon.Add(time.Hour), e))
}

func TestAClockThatIsSetBackBringsNothingBack(t *testing.T) {
	t.Parallel()
	m := replay.New(10, 10)
	e := entry(alice, "a", 1, 16*time.Second)
	require.Equal(t, replay.Added, m.Add(noon, e))
	require.Equal(t, replay.Added, m.Add(noon.Add(time.Minute), entry(alice, "b", 2, 76*time.Second)))
	require.Equal(t, replay.Late, m.Add(noon, e), "it was forgotten, so it may not be taken again")
}

func TestAFullMemoryForgetsAnEntryOfTheLargestOwner(t *testing.T) {
	t.Parallel()
	m := replay.New(2, 4)
	require.Equal(t, replay.Added, m.Add(noon, entry(alice, "a", 1, 10*time.Second)))
	require.Equal(t, replay.Added, m.Add(noon, entry(alice, "a", 2, 20*time.Second)))
	require.Equal(t, replay.Full, m.Add(noon, entry(alice, "a", 3, 20*time.Second)),
		"no more for one owner")
	require.Equal(t, replay.Added, m.Add(noon, entry(bob, "a", 1, 20*time.Second)))
	require.Equal(t, replay.Added, m.Add(noon, entry(bob, "a", 2, 20*time.Second)))
	require.Equal(t, replay.Added, m.Add(noon, entry(carol, "a", 1, 20*time.Second)),
		"one of the others' is forgotten")
	require.Equal(t, replay.Full, m.Add(noon, entry(alice, "a", 1, 10*time.Second)),
		"and not accepted again for that")
	require.Equal(t, replay.Full, m.Add(noon, entry(alice, "a", 9, 9*time.Second)),
		"nor what was signed before it")
	require.Equal(t, replay.Seen, m.Add(noon, entry(alice, "a", 2, 20*time.Second)),
		"what is there is known")
	require.Equal(t, 4, m.Len())

	later := noon.Add(21 * time.Second)
	require.Equal(t, replay.Added, m.Add(later, entry(alice, "a", 4, 31*time.Second)))
	require.Equal(t, 1, m.Len(), "all others have ended")
}

// TestAPartyThatFillsTheMemoryForgetsItsOwn adds more than there is memory for, in the
// order of signing.
func TestAPartyThatFillsTheMemoryForgetsItsOwn(t *testing.T) {
	t.Parallel()
	m := replay.New(1000, 100)
	for nonce := range uint64(500) {
		e := entry(alice, "a", nonce, 16*time.Second+time.Duration(nonce)*time.Millisecond)
		require.Equal(t, replay.Added, m.Add(noon, e))
		require.Equal(t, replay.Seen, m.Add(noon, e))
	}
	require.Equal(t, 100, m.Len())
	for nonce := range uint64(500) {
		e := entry(alice, "a", nonce, 16*time.Second+time.Duration(nonce)*time.Millisecond)
		require.NotEqual(t, replay.Added, m.Add(noon, e))
	}
	require.Equal(t, replay.Full,
		m.Add(noon, entry(alice, "b", 399, 16*time.Second+399*time.Millisecond)), "signed too early")
	require.Equal(t, replay.Added,
		m.Add(noon, entry(alice, "b", 400, 16*time.Second+400*time.Millisecond)))
}

// TestManyHotkeysOfOneNetworkAreOneParty has one sender with a key for each entry:
// every one that is forgotten leaves a floor behind, and there are as many floors as
// entries.
func TestManyHotkeysOfOneNetworkAreOneParty(t *testing.T) {
	t.Parallel()
	const total = 100
	m := replay.New(total, total)
	fresh := func(n int) replay.Entry {
		return entry([32]byte{0, byte(n), byte(n >> 8)}, "a", 1,
			16*time.Second)
	}
	for n := range total + total/2 {
		require.Equal(t, replay.Added, m.Add(noon, fresh(n)))
	}
	require.Equal(t, replay.Full, m.Add(noon, fresh(total+total/2)),
		"half of the floors are for others")
	for nonce := range uint64(total / 2) {
		require.Equal(t, replay.Added, m.Add(noon, entry(alice, "a", nonce, 16*time.Second)))
	}
	require.Equal(t, replay.Full, m.Add(noon, entry(bob, "a", 1, 16*time.Second)),
		"there is no floor left")
	for n := range total + total/2 {
		require.NotEqual(t, replay.Added, m.Add(noon, fresh(n)))
	}
	later := noon.Add(17 * time.Second)
	require.Equal(t, replay.Added, m.Add(later, entry(bob, "a", 1, 33*time.Second)))
	require.Equal(t, 1, m.Len())
}

// TestNothingIsAcceptedTwice adds entries at random, many of them more than once, and
// keeps what was accepted in a list.
func TestNothingIsAcceptedTwice(t *testing.T) {
	t.Parallel()
	const perOwner, total = 14, 20
	random := rand.New(rand.NewPCG(5, 6))
	m := replay.New(perOwner, total)
	accepted := make(map[replay.Entry]bool)
	now := noon
	outcomes := make(map[replay.Outcome]int)
	for range 30_000 {
		now = now.Add(time.Duration(random.IntN(60)) * time.Millisecond)
		e := replay.Entry{
			Network: network(byte(random.IntN(3))),
			Owner:   [32]byte{byte(random.IntN(3))},
			ID:      fmt.Sprint(random.IntN(3)),
			Nonce:   uint64(now.Unix()) - 4 + random.Uint64N(8),
		}
		e.Sent = time.Unix(int64(e.Nonce), 0)
		e.Until = e.Sent.Add(4 * time.Second)
		seen := e
		seen.Network = netip.Prefix{} // where a request comes from does not identify it
		got := m.Add(now, e)
		outcomes[got]++
		switch {
		case e.Until.Before(now):
			require.Equal(t, replay.Late, got)
		case accepted[seen]:
			require.Contains(t, []replay.Outcome{replay.Seen, replay.Full}, got)
		default:
			require.Contains(t, []replay.Outcome{replay.Added, replay.Full}, got)
		}
		accepted[seen] = accepted[seen] || got == replay.Added
		require.LessOrEqual(t, m.Len(), total)
	}
	require.Len(t, outcomes, 4, "each must have come up: %v", outcomes)
}

// TestFreshOwnersKeepNobodyOut fills a memory of the default size from owners that
// were not seen before, each with an address of its own.
func TestFreshOwnersKeepNobodyOut(t *testing.T) {
	t.Parallel()
	for _, fresh := range []int{500, 1000, 20_000} {
		t.Run(fmt.Sprint(fresh), func(t *testing.T) {
			t.Parallel()
			const total = 100_000
			m := replay.New(10_000, total)
			at := func(owner [32]byte, from int, nonce uint64) replay.Entry {
				addr := netip.AddrFrom4([4]byte{10, byte(from >> 16), byte(from >> 8), byte(from)})
				sent := noon.Add(time.Duration(nonce) * time.Microsecond)
				return replay.Entry{
					Network: netip.PrefixFrom(addr, 32), Owner: owner, Nonce: nonce, Sent: sent,
					Until: sent.Add(16 * time.Second),
				}
			}
			for i := range total + total/10 {
				owner := i % fresh
				e := at([32]byte{0, byte(owner), byte(owner >> 8)}, owner, uint64(i))
				if got := m.Add(noon, e); got != replay.Added {
					require.Equal(t, replay.Added, got, i)
				}
			}
			require.Equal(t, total, m.Len())
			for i := range 100 {
				for n := range 10 {
					e := at([32]byte{1, byte(n)}, 1<<20+n, uint64(i))
					require.Equal(t, replay.Added, m.Add(noon, e))
					require.Equal(t, replay.Seen, m.Add(noon, e))
				}
			}
			require.Equal(t, total, m.Len())
		})
	}
}

// TestASmallOwnerIsNeverRefused has large owners add as often as they like.
func TestASmallOwnerIsNeverRefused(t *testing.T) {
	t.Parallel()
	const large, total, small = 10, 1000, 50
	m := replay.New(total, total)
	now := noon
	for second := range 60 {
		now = now.Add(time.Second)
		after := now.Sub(noon) + 16*time.Second
		for i := range 500 {
			m.Add(now, entry([32]byte{2, byte(i % large)}, "b", uint64(second*500+i), after))
			e := entry([32]byte{3 + byte(i%large)}, "b", uint64(second*500+i), after)
			m.Add(now, e)
		}
		for i := range small / 16 {
			require.Equal(t, replay.Added, m.Add(now, entry(alice, "a", uint64(second*small+i), after)))
		}
	}
}

func TestOfManyAtOnceOneIsTaken(t *testing.T) {
	t.Parallel()
	m := replay.New(1000, 1000)
	var taken atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for nonce := range uint64(500) {
				if m.Add(noon, entry(alice, "a", nonce, time.Second)) == replay.Added {
					taken.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 500, taken.Load())
}
