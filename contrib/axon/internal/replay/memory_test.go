package replay_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
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
	noon  = time.Unix(1_750_000_000, 0)
)

func entry(owner [32]byte, id string, nonce uint64, after time.Duration) replay.Entry {
	return replay.Entry{Owner: owner, ID: id, Nonce: nonce, Until: noon.Add(after)}
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
	require.Equal(t, replay.Late, m.Add(noon.Add(16*time.Second+1), e), "later it is stale, known or not")
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

func TestAFullMemoryRefuses(t *testing.T) {
	t.Parallel()
	m := replay.New(2, 3)
	require.Equal(t, replay.Added, m.Add(noon, entry(alice, "a", 1, 10*time.Second)))
	require.Equal(t, replay.Added, m.Add(noon, entry(alice, "a", 2, 20*time.Second)))
	require.Equal(t, replay.Full, m.Add(noon, entry(alice, "a", 3, 20*time.Second)), "no more for one owner")
	require.Equal(t, replay.Added, m.Add(noon, entry(bob, "a", 1, 20*time.Second)))
	require.Equal(t, replay.Full, m.Add(noon, entry(bob, "a", 2, 20*time.Second)), "no more in all")
	require.Equal(t, replay.Seen, m.Add(noon, entry(alice, "a", 1, 10*time.Second)), "what is there is still known")

	later := noon.Add(11 * time.Second)
	require.Equal(t, replay.Added, m.Add(later, entry(alice, "a", 4, 21*time.Second)), "one has made room")
	require.Equal(t, replay.Full, m.Add(later, entry(alice, "a", 5, 21*time.Second)))
	require.Equal(t, 3, m.Len())
}

// TestMemoryAgainstModel compares with a list that is searched from end to end.
func TestMemoryAgainstModel(t *testing.T) {
	t.Parallel()
	const perOwner, total = 12, 25
	random := rand.New(rand.NewPCG(5, 6))
	m := replay.New(perOwner, total)
	var model []replay.Entry
	now := noon
	outcomes := make(map[replay.Outcome]int)
	for range 20_000 {
		now = now.Add(time.Duration(random.IntN(200)) * time.Millisecond)
		e := replay.Entry{
			Owner: [32]byte{byte(random.IntN(3))},
			ID:    fmt.Sprint(random.IntN(3)),
			Nonce: uint64(now.Unix()) - 4 + random.Uint64N(16),
		}
		e.Until = time.Unix(int64(e.Nonce), 0).Add(2 * time.Second)

		kept := model[:0]
		for _, old := range model {
			if old.Until.Unix() >= now.Unix() {
				kept = append(kept, old)
			}
		}
		model = kept
		want := replay.Added
		owned := 0
		for _, old := range model {
			if old.Owner == e.Owner {
				owned++
			}
		}
		switch {
		case e.Until.Before(now):
			want = replay.Late
		case slices.Contains(model, e):
			want = replay.Seen
		case owned >= perOwner || len(model) >= total:
			want = replay.Full
		default:
			model = append(model, e)
		}
		got := m.Add(now, e)
		require.Equal(t, want, got)
		require.Equal(t, len(model), m.Len())
		outcomes[got]++
	}
	require.Len(t, outcomes, 4, "each must have come up: %v", outcomes)
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
