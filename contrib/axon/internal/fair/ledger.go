package fair

import (
	"container/heap"
	"net/netip"
)

// ledger knows how many claims each party holds, and which party loses first.
type ledger[M comparable, L any] struct {
	cells    map[Party[M]]*cell[M, L]
	networks map[netip.Prefix]*group[M, L]
	members  map[M]*group[M, L]
	order    groups[M, L]  // all groups
	numbered []*cell[M, L] // by their numbers
	free     []int32       // numbers without a cell

	kept   [mostKept]*cell[M, L] // cells that were empty at one time, in a ring
	oldest int                   // the one in the ring that was kept first
}

// mostKept is how many empty cells are kept, since a party often comes back.
const mostKept = 64

func newLedger[M comparable, L any]() ledger[M, L] {
	return ledger[M, L]{
		cells:    make(map[Party[M]]*cell[M, L]),
		networks: make(map[netip.Prefix]*group[M, L]),
		members:  make(map[M]*group[M, L]),
	}
}

// first is the cell that loses first.
func (l *ledger[M, L]) first() *cell[M, L] { return l.order[0].first() }

// cell is the cell of a party.
func (l *ledger[M, L]) cell(party Party[M]) *cell[M, L] {
	if b := l.cells[party]; b != nil {
		return b
	}
	return l.newCell(party)
}

func (l *ledger[M, L]) newCell(party Party[M]) *cell[M, L] {
	network, member := l.networks[party.Network], l.members[party.Member]
	if network == nil {
		network = &group[M, L]{index: -1, cells: seats[M, L]{side: byNetwork}}
		l.networks[party.Network] = network
	}
	if member == nil {
		member = &group[M, L]{index: -1, cells: seats[M, L]{side: byMember}}
		l.members[party.Member] = member
	}
	b := &cell[M, L]{party: party, groups: [2]*group[M, L]{network, member}}
	network.names++
	member.names++
	l.cells[party] = b
	if last := len(l.free) - 1; last >= 0 {
		b.number, l.free = l.free[last], l.free[:last]
		l.numbered[b.number] = b
		return b
	}
	b.number = int32(len(l.numbered)) //nolint:gosec // no memory holds more
	l.numbered = append(l.numbered, b)
	return b
}

// keep keeps a cell that is empty, in place of the one that was kept first.
func (l *ledger[M, L]) keep(b *cell[M, L]) {
	if b.kept {
		return
	}
	out := l.kept[l.oldest]
	b.kept, l.kept[l.oldest] = true, b
	l.oldest = (l.oldest + 1) % mostKept
	if out == nil {
		return
	}
	if out.kept = false; out.count == 0 {
		l.forget(out)
	}
}

// forget drops a cell, and the groups that it was the last one of.
func (l *ledger[M, L]) forget(b *cell[M, L]) {
	delete(l.cells, b.party)
	l.numbered[b.number] = nil
	l.free = append(l.free, b.number)
	network, member := b.groups[byNetwork], b.groups[byMember]
	if network.names--; network.names == 0 {
		delete(l.networks, b.party.Network)
	}
	if member.names--; member.names == 0 {
		delete(l.members, b.party.Member)
	}
}

// reorder moves a cell, whose list has so many claims more, and its groups to where they
// stand now.
func (l *ledger[M, L]) reorder(b *cell[M, L], change int) {
	b.count += change
	for side, g := range b.groups {
		switch b.count {
		case 0:
			heap.Remove(&g.cells, b.index[side])
		case change: // it was empty
			heap.Push(&g.cells, b)
		default:
			heap.Fix(&g.cells, b.index[side])
		}
		g.count += change
		switch {
		case g.count == 0:
			heap.Remove(&l.order, g.index)
			g.index = -1
		case g.index < 0:
			g.touched = g.first().first
			heap.Push(&l.order, g)
		default:
			g.touched = g.first().first
			heap.Fix(&l.order, g.index)
		}
	}
	if b.count == 0 {
		l.keep(b)
	}
}
