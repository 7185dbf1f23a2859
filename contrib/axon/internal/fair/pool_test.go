package fair_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon/internal/fair"
)

type (
	party = fair.Party[string]
	claim = fair.Claim[string, int]
)

func network(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 32)
}

// alone is a party whose names are its own.
func alone(n int) party { return party{network(n), fmt.Sprint("member", n)} }

// desk is a pool that notes which claims were evicted.
type desk struct {
	*fair.Pool[string, int]
	evicted []int
}

func (d *desk) take(who party, value int) *claim {
	c := &claim{Value: value, Party: who}
	return takenOr(c, d.Take(c, nil))
}

func (d *desk) takeFair(who party, value int) *claim {
	c := &claim{Value: value, Party: who}
	return takenOr(c, d.TakeFair(c, nil))
}

func (d *desk) takeFree(who party, value int) *claim {
	c := &claim{Value: value, Party: who}
	return takenOr(c, d.TakeFree(c))
}

// takenOr is the claim, or nil if it was not taken.
func takenOr(c *claim, taken bool) *claim {
	if !taken {
		return nil
	}
	return c
}

func newDesk(capacity int) *desk {
	d := &desk{}
	d.Pool = fair.New[string, int](capacity, 0, func(n int) { d.evicted = append(d.evicted, n) })
	return d
}

func always(int) bool { return true }

func TestOnePartyMayHoldAll(t *testing.T) {
	t.Parallel()
	d := newDesk(4)
	for n := range 4 {
		require.NotNil(t, d.take(alone(1), n))
	}
	require.Empty(t, d.evicted)
	held, _ := d.Len()
	require.Equal(t, 4, held)
	load, _ := d.Load(alone(1))
	require.Equal(t, 4, load)
	require.Nil(t, d.takeFree(alone(1), 4))
	require.Nil(t, d.takeFair(alone(1), 4))
}

func TestTheLargestHolderLosesItsOldestClaim(t *testing.T) {
	t.Parallel()
	d := newDesk(4)
	claims := []*claim{d.take(alone(2), 20)}
	for n := range 3 {
		claims = append(claims, d.take(alone(1), n))
	}
	claims[1].Touch()
	require.NotNil(t, d.take(alone(3), 30))
	require.Equal(t, []int{1}, d.evicted,
		"the touched claim stays, and so does the other party's older one")
	require.NotNil(t, d.takeFair(alone(4), 40))
	require.Equal(t, []int{1, 2}, d.evicted)
	require.Nil(t, d.takeFair(alone(5), 50), "all are equal now")
	require.NotNil(t, d.take(alone(5), 50))
	require.Equal(t, []int{1, 2, 20}, d.evicted, "of equals the oldest")
	require.Nil(t, d.takeFair(alone(1), 5), "the party itself would be the largest")
	require.False(t, d.Take(&claim{Party: alone(1)}, func(int) bool { return false }))
	require.Equal(t, []int{1, 2, 20}, d.evicted)
}

func TestAPartyIsAsHeavyAsTheLargerOfItsNames(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(n int) party{
		"many members of one network": func(n int) party { return party{network(1), fmt.Sprint(n)} },
		"one member of many networks": func(n int) party { return party{network(100 + n), "one"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(8)
			d.take(alone(2), 20)
			d.take(alone(2), 21)
			for n := range 6 {
				d.take(of(n), n)
			}
			for n := range 4 {
				require.NotNil(t, d.takeFair(alone(30+n), 30+n))
			}
			require.Equal(t, []int{0, 1, 2, 3}, d.evicted)
			require.Nil(t, d.takeFair(of(7), 7))
		})
	}
}

// TestBehindOneNetworkMembersShare has all parties in one network.
func TestBehindOneNetworkMembersShare(t *testing.T) {
	t.Parallel()
	d := newDesk(4)
	for n := range 4 {
		d.take(party{network(1), "greedy"}, n)
	}
	require.NotNil(t, d.takeFair(party{network(1), "other"}, 10))
	require.NotNil(t, d.takeFair(party{network(1), "other"}, 11))
	require.Equal(t, []int{0, 1}, d.evicted)
	require.Nil(t, d.takeFair(party{network(1), "other"}, 12))
}

func TestAPinnedClaimIsKept(t *testing.T) {
	t.Parallel()
	d := newDesk(2)
	first := d.take(alone(1), 0)
	second := d.take(alone(1), 1)
	first.Pin()
	first.Pin()
	require.NotNil(t, d.take(alone(2), 2))
	require.Equal(t, []int{1}, d.evicted)
	second.Release()
	first.Unpin()
	require.NotNil(t, d.take(alone(3), 3))
	require.Equal(t, []int{1, 2}, d.evicted, "there is a pin yet")
	first.Unpin()
	load, _ := d.Load(alone(1))
	require.Equal(t, 1, load)
}

// TestAPinnedClaimKeepsItsParty has other parties come and go, more than are kept.
func TestAPinnedClaimKeepsItsParty(t *testing.T) {
	t.Parallel()
	d := newDesk(4)
	pinned := d.take(alone(1), 0)
	pinned.Pin()
	for n := range 200 {
		d.take(alone(2+n), 2+n).Release()
	}
	require.NotNil(t, d.take(alone(1), 1))
	pinned.Unpin()
	load, _ := d.Load(alone(1))
	require.Equal(t, 2, load)
}

func TestHalfOfTheClaimsCanBePinned(t *testing.T) {
	t.Parallel()
	d := newDesk(4)
	var claims []*claim
	for n := range 4 {
		claims = append(claims, d.take(alone(1), n))
		claims[n].Pin()
	}
	require.NotNil(t, d.take(alone(2), 4))
	require.Equal(t, []int{2}, d.evicted)
	claims[0].Release()
	claims[3].Unpin()
	claims[3].Pin()
	require.NotNil(t, d.take(alone(2), 5))
	require.NotNil(t, d.take(alone(2), 6))
	require.Equal(t, []int{2, 4}, d.evicted)
}

// TestEvictedClaimsAreBounded evicts and releases none.
func TestEvictedClaimsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(2)
	claims := make(map[int]*claim)
	for n := range 4 {
		claims[n] = d.take(alone(n), n)
		require.NotNil(t, claims[n])
	}
	require.Nil(t, d.take(alone(4), 4))
	require.Equal(t, []int{0, 1}, d.evicted)
	claims[0].Release()
	require.NotNil(t, d.take(alone(4), 4))
}

func TestAPreemptedClaimIsFreeWhenItIsReleased(t *testing.T) {
	t.Parallel()
	d := newDesk(2)
	first, second := d.takeFree(alone(1), 0), d.takeFree(alone(1), 1)
	require.False(t, d.Preempt(alone(1), always), "not for itself")
	require.False(t, d.Preempt(alone(2), func(int) bool { return false }))
	require.True(t, d.Preempt(alone(2), always))
	require.Equal(t, []int{0}, d.evicted)
	require.Nil(t, d.takeFree(alone(2), 2))
	first.Release()
	require.NotNil(t, d.takeFree(alone(2), 2))
	require.False(t, d.Preempt(alone(3), always), "nobody has more than one")
	second.Release()
	held, leaving := d.Len()
	require.Equal(t, 1, held)
	require.Zero(t, leaving)
}

// TestRecentProgressDoesNotCount has a pool with a grace, in fake time.
func TestRecentProgressDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		d.Pool = fair.New[string, int](6, time.Second, func(n int) { d.evicted = append(d.evicted, n) })
		var busy []*claim
		for n := range 4 {
			busy = append(busy, d.take(alone(1), n))
		}
		d.take(alone(2), 20)
		d.take(alone(3), 30)
		progress := func() {
			time.Sleep(900 * time.Millisecond)
			for _, c := range busy {
				c.Touch()
			}
		}
		progress()
		progress()
		require.NotNil(t, d.take(alone(4), 40))
		require.NotNil(t, d.take(alone(4), 41))
		require.Equal(t, []int{20, 30}, d.evicted, "those without progress, small as their parties are")
		require.NotNil(t, d.take(alone(5), 50))
		require.Equal(t, []int{20, 30, 0}, d.evicted, "all make progress: the largest party loses")
	})
}

// TestPreemptSparesRecentProgress has a party that is large and busy, and one that is
// not.
func TestPreemptSparesRecentProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		d.Pool = fair.New[string, int](6, time.Second, func(n int) { d.evicted = append(d.evicted, n) })
		var busy []*claim
		for n := range 4 {
			busy = append(busy, d.takeFree(alone(1), n))
		}
		d.takeFree(alone(2), 20)
		d.takeFree(alone(2), 21)
		time.Sleep(2 * time.Second)
		for _, c := range busy {
			c.Touch()
		}
		load, _ := d.Load(alone(1))
		require.Zero(t, load)
		require.True(t, d.Preempt(alone(3), always))
		require.Equal(t, []int{20}, d.evicted)
		require.True(t, d.Preempt(alone(3), always),
			"the other one is as heavy as the new one: one of the busy party goes")
		require.Equal(t, []int{20, 0}, d.evicted)
	})
}

// held is a claim as the model keeps it.
type held struct {
	*claim
	party   party
	touched int
	pins    int
	pinned  bool
	evicted bool
}

// model is the pool again, by searching a list.
type model struct {
	capacity int
	claims   []*held
	now      int
}

func (m *model) count(fits func(*held) bool) int {
	n := 0
	for _, h := range m.claims {
		if fits(h) {
			n++
		}
	}
	return n
}

func (m *model) load(p party) (networkLoad, memberLoad, cell int) {
	isLoose := func(h *held) bool { return !h.evicted && !h.pinned }
	networkLoad = m.count(func(h *held) bool { return isLoose(h) && h.party.Network == p.Network })
	memberLoad = m.count(func(h *held) bool { return isLoose(h) && h.party.Member == p.Member })
	return networkLoad, memberLoad, m.count(func(h *held) bool { return isLoose(h) && h.party == p })
}

// loser is the claim that must be evicted for one of this party that was added last.
func (m *model) loser(isFair bool) *held {
	added := m.claims[len(m.claims)-1]
	var loser *held
	for _, h := range m.claims {
		if h.evicted || h.pinned {
			continue
		}
		if loser == nil || m.losesBefore(h, loser) {
			loser = h
		}
	}
	if loser == nil || loser == added || isFair && !m.isHeavier(loser, added) {
		return nil
	}
	return loser
}

// losesBefore compares the parties' larger names, then the parties, then the touch.
// Where two groups are equal the pool goes by their oldest claims, and so does this.
func (m *model) losesBefore(a, b *held) bool {
	return slices.Compare(m.rank(a), m.rank(b)) < 0
}

// rank is what the order goes by, least first.
func (m *model) rank(h *held) []int {
	networkLoad, memberLoad, cell := m.load(h.party)
	byNetwork := []int{
		-networkLoad,
		m.oldestOf(func(o *held) bool { return o.party.Network == h.party.Network }), -cell, h.touched,
	}
	byMember := []int{
		-memberLoad,
		m.oldestOf(func(o *held) bool { return o.party.Member == h.party.Member }), -cell, h.touched,
	}
	if slices.Compare(byNetwork, byMember) < 0 {
		return byNetwork
	}
	return byMember
}

// oldestOf is the oldest touch in the cell that loses first of a group.
func (m *model) oldestOf(in func(*held) bool) int {
	most, oldest := 0, 0
	for _, h := range m.claims {
		if h.evicted || h.pinned || !in(h) {
			continue
		}
		_, _, cell := m.load(h.party)
		if cell > most || cell == most && h.touched < oldest {
			most, oldest = cell, h.touched
		}
	}
	return oldest
}

func (m *model) isHeavier(loser, added *held) bool {
	n, l, cell := m.load(loser.party)
	an, al, addedCell := m.load(added.party)
	if max(n, l) != max(an, al) {
		return max(n, l) > max(an, al)
	}
	shared := n == max(n, l) && loser.party.Network == added.party.Network || l == max(n,
		l) && loser.party.Member == added.party.Member
	return shared && cell > addedCell
}

// requireModel runs operations that are read from bytes on a pool and on the model.
func requireModel(tb testing.TB, script []byte) {
	tb.Helper()
	const capacity = 6
	m, d := &model{capacity: capacity}, newDesk(capacity)
	for i := 0; i+1 < len(script); i += 2 {
		op, arg := script[i]%8, int(script[i+1])
		who := party{network(arg % 3), fmt.Sprint(arg / 3 % 4)}
		if script[0]%2 == 1 { // more parties than the pool keeps when they hold nothing
			who = party{network(arg % 90), fmt.Sprint(arg / 2)}
		}
		before := len(d.evicted)
		m.now++
		switch {
		case op < 4:
			m.requireTake(tb, d, op, who)
		case len(m.claims) == 0:
		default:
			m.apply(op, arg%len(m.claims))
		}
		live := m.count(func(h *held) bool { return !h.evicted })
		n, gone := d.Len()
		require.Equal(tb, live, n)
		require.Equal(tb, len(m.claims)-live, gone)
		require.LessOrEqual(tb, live, capacity)
		if arg%8 == 0 { // seldom, since it makes all claims count
			ofNetwork, ofMember, _ := m.load(who)
			larger, smaller := d.Load(who)
			require.Equal(tb, []int{max(ofNetwork, ofMember), min(ofNetwork, ofMember)},
				[]int{larger, smaller})
		}
		require.LessOrEqual(tb, len(d.evicted)-before, 1)
	}
}

// requireTake takes a claim in one of the four ways.
func (m *model) requireTake(tb testing.TB, d *desk, op byte, who party) {
	tb.Helper()
	live := m.count(func(h *held) bool { return !h.evicted })
	leaving := len(m.claims) - live
	added := &held{party: who, touched: m.now}
	before := len(d.evicted)
	m.claims = append(m.claims, added)
	loser := m.loser(op != 0)
	takes := live < m.capacity || loser != nil && leaving < m.capacity
	evicts := live >= m.capacity && takes
	switch op {
	case 0:
		added.claim = d.take(who, m.now)
	case 1:
		added.claim = d.takeFair(who, m.now)
	case 2:
		added.claim = d.takeFree(who, m.now)
		takes, evicts = live+leaving < m.capacity, false
	case 3:
		require.Equal(tb, loser != nil, d.Preempt(who, always))
		takes, evicts = false, loser != nil
	}
	require.Equal(tb, takes, added.claim != nil, "operation %d", op)
	if !takes {
		m.claims = m.claims[:len(m.claims)-1]
	}
	if evicts {
		loser.evicted = true
		require.Equal(tb, []int{loser.Value}, d.evicted[before:], "operation %d", op)
	} else {
		require.Empty(tb, d.evicted[before:])
	}
}

// apply changes a claim in one of the four ways.
func (m *model) apply(op byte, at int) {
	h := m.claims[at]
	switch {
	case op == 4:
		h.Touch()
		h.touched = m.now
	case op == 5 && h.pins < 2:
		h.Pin()
		h.pins++
		isPinned := func(h *held) bool { return h.pinned }
		switch {
		case h.pinned || h.evicted:
		case m.count(isPinned) < m.capacity/2:
			h.pinned = true
		default:
			h.touched = m.now
		}
	case op == 6 && h.pins > 0:
		h.Unpin()
		if h.pins--; h.pins == 0 && h.pinned {
			h.touched, h.pinned = m.now, false
		}
	case op == 7:
		h.Release()
		m.claims = slices.Delete(m.claims, at, at+1)
	}
}

func TestPoolAgainstModel(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		script := make([]byte, 600)
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		requireModel(t, script)
	}
}

func FuzzPool(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 0, 2, 4, 0, 3, 5, 7, 0, 1, 7, 2, 9})
	f.Fuzz(func(t *testing.T, script []byte) { requireModel(t, script[:min(len(script), 1000)]) })
}

// TestASmallPartyIsNeverEvicted has greedy parties take as often as they like: a
// party that holds no more than an equal part of the claims keeps all of them.
func TestASmallPartyIsNeverEvicted(t *testing.T) {
	t.Parallel()
	const capacity, greedy, small = 60, 8, 5
	random := rand.New(rand.NewPCG(9, 10))
	d := newDesk(capacity)
	claims := make(map[int]*claim)
	var kept []*claim
	for n := range 20_000 {
		claims[n] = d.take(alone(random.IntN(greedy)), n)
		require.NotNil(t, claims[n])
		if n%100 == 99 {
			for range small {
				kept = append(kept, d.takeFair(alone(1000), -1))
				require.NotNil(t, kept[len(kept)-1])
			}
		}
		if n%100 == 98 {
			for _, c := range kept {
				c.Release()
			}
			kept = nil
		}
		for _, e := range d.evicted {
			require.GreaterOrEqual(t, e, 0, "a claim of the small party")
			claims[e].Release()
			delete(claims, e)
		}
		d.evicted = nil
	}
	held, _ := d.Len()
	require.Equal(t, capacity, held)
}
