package fair_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon/internal/fair"
)

// TestSlotsShareAsPoolsDo takes and releases at random, in slots and in a pool.
func TestSlotsShareAsPoolsDo(t *testing.T) {
	t.Parallel()
	for _, capacity := range []int{1, 2, 7, 40, 600} {
		for _, isFair := range []bool{false, true} {
			t.Run(fmt.Sprint(capacity, isFair), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(uint64(capacity), 1))
				d := newDesk(capacity)
				evicted := int32(-1)
				slots := fair.NewSlots[string, int](capacity, func(slot int32) { evicted = slot })
				claims := make(map[int32]*claim)
				members := make(map[int32]string)
				for step := range 5000 {
					if len(claims) > 0 && random.IntN(8) == 0 {
						held := make([]int32, 0, len(claims))
						for slot := range claims {
							held = append(held, slot)
						}
						slices.Sort(held)
						slot := held[random.IntN(len(held))]
						require.Equal(t, members[slot], slots.Member(slot))
						require.Equal(t, claims[slot].Value, *slots.At(slot))
						slots.Release(slot)
						claims[slot].Release()
						delete(claims, slot)
						continue
					}
					who := party{network(random.IntN(4)), fmt.Sprint(random.IntN(4))}
					take := d.take
					if isFair {
						take = d.takeFair
					}
					d.evicted, evicted = nil, -1
					c := take(who, step)
					slot, ok := slots.Take(who, func(_ int32, isHeavier bool) bool { return isHeavier || !isFair })
					require.Equal(t, c != nil, ok)
					if evicted >= 0 {
						require.Equal(t, []int{claims[evicted].Value}, d.evicted)
						claims[evicted].Release()
						delete(claims, evicted)
					} else {
						require.Empty(t, d.evicted)
					}
					if ok {
						require.NotContains(t, claims, slot)
						require.LessOrEqual(t, int(slot), capacity)
						require.Zero(t, *slots.At(slot))
						claims[slot], members[slot], *slots.At(slot) = c, who.Member, step
					}
				}
			})
		}
	}
}
