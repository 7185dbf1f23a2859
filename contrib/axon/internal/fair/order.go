package fair

// cell is the claims of one party that count, in a list of the pool's own. It stands in two
// groups, by each of the party's names.
type cell[M comparable, L any] struct {
	party  Party[M]
	number int32 // in the ledger
	groups [2]*group[M, L]
	index  [2]int // where the cell stands in the order of each group
	count  int
	kept   bool   // it is in the ledger's ring, since it was empty at one time
	first  uint64 // when the claim that loses first was touched
	list   L
}

// load is the number of claims in the larger of the cell's groups.
func (b *cell[M, L]) load() int { return max(b.groups[0].count, b.groups[1].count) }

// shares reports whether the larger group of the cell is one of the other's.
func (b *cell[M, L]) shares(other *cell[M, L]) bool {
	for side, g := range b.groups {
		if g.count == b.load() && g == other.groups[side] {
			return true
		}
	}
	return false
}

// isHeavier reports whether the cell's party holds more than the other's, or in the
// network or member that both share, more of that.
func (b *cell[M, L]) isHeavier(other *cell[M, L]) bool {
	if load := other.load(); b.load() != load {
		return b.load() > load
	}
	return b.shares(other) && b.count > other.count
}

// losesBefore orders cells: the larger one first, of equals the one whose claim was
// touched longest ago.
func (b *cell[M, L]) losesBefore(other *cell[M, L]) bool {
	if b.count != other.count {
		return b.count > other.count
	}
	return b.first < other.first
}

// The sides of a cell: the names of its party.
const (
	byNetwork = iota
	byMember
)

// group is the cells that share one name.
type group[M comparable, L any] struct {
	cells   seats[M, L] // that are not empty
	names   int         // cells in all
	count   int         // claims in the cells
	touched uint64      // when the claim that loses first was touched
	index   int         // where the group stands in the pool's order; negative before it does
}

// first is the cell that loses first.
func (g *group[M, L]) first() *cell[M, L] { return g.cells.order[0] }

// groups is a heap, the group that loses first on top.
type groups[M comparable, L any] []*group[M, L]

// Len is part of [heap.Interface], as are the methods below.
func (g *groups[M, L]) Len() int { return len(*g) }

// Less orders groups as cells are.
func (g *groups[M, L]) Less(i, j int) bool {
	a, b := (*g)[i], (*g)[j]
	if a.count != b.count {
		return a.count > b.count
	}
	return a.touched < b.touched
}

// Swap keeps the groups' indices right.
func (g *groups[M, L]) Swap(i, j int) {
	s := *g
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push adds a group at the end.
func (g *groups[M, L]) Push(x any) {
	added := x.(*group[M, L]) //nolint:forcetypeassert // the heap holds groups only
	added.index = len(*g)
	*g = append(*g, added)
}

// Pop takes the group at the end.
func (g *groups[M, L]) Pop() any {
	s := *g
	last := len(s) - 1
	out := s[last]
	s[last] = nil
	*g = s[:last]
	return out
}

// seats is a heap of the cells of a group, the one that loses first on top.
type seats[M comparable, L any] struct {
	side  int // which of the cells' two groups it is
	order []*cell[M, L]
}

// Len is part of [heap.Interface], as are the methods below.
func (s *seats[M, L]) Len() int           { return len(s.order) }
func (s *seats[M, L]) Less(i, j int) bool { return s.order[i].losesBefore(s.order[j]) }

// Swap keeps the cells' indices right.
func (s *seats[M, L]) Swap(i, j int) {
	s.order[i], s.order[j] = s.order[j], s.order[i]
	s.order[i].index[s.side], s.order[j].index[s.side] = i, j
}

// Push adds a cell at the end.
func (s *seats[M, L]) Push(x any) {
	added := x.(*cell[M, L]) //nolint:forcetypeassert // the heap holds cells only
	added.index[s.side] = len(s.order)
	s.order = append(s.order, added)
}

// Pop takes the cell at the end.
func (s *seats[M, L]) Pop() any {
	last := len(s.order) - 1
	out := s.order[last]
	s.order[last] = nil
	s.order = s.order[:last]
	return out
}
