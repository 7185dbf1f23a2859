package fair

// cell is the claims of one party that can be evicted, the one that was touched
// longest ago first. It stands in two groups, by each of the party's names.
type cell[M comparable, V any] struct {
	party          Party[M]
	groups         [2]*group[M, V]
	index          [2]int // where the cell stands in the order of each group
	count          int
	claims         int  // of the party, those that cannot be evicted included
	kept           bool // it is in the pool's ring, since at one time no claim needed it
	oldest, newest *Claim[M, V]
}

func (b *cell[M, V]) append(c *Claim[M, V]) {
	c.older, c.newer = b.newest, nil
	if b.newest == nil {
		b.oldest = c
	} else {
		b.newest.newer = c
	}
	b.newest = c
	b.count++
}

func (b *cell[M, V]) remove(c *Claim[M, V]) {
	if c.older == nil {
		b.oldest = c.newer
	} else {
		c.older.newer = c.newer
	}
	if c.newer == nil {
		b.newest = c.older
	} else {
		c.newer.older = c.older
	}
	c.older, c.newer = nil, nil
	b.count--
}

// load is the number of claims in the larger of the cell's groups.
func (b *cell[M, V]) load() int { return max(b.groups[0].count, b.groups[1].count) }

// shares reports whether the larger group of the cell is one of the other's.
func (b *cell[M, V]) shares(other *cell[M, V]) bool {
	for side, g := range b.groups {
		if g.count == b.load() && g == other.groups[side] {
			return true
		}
	}
	return false
}

// losesBefore orders cells: the larger one first, of equals the one whose claim was
// touched longest ago.
func (b *cell[M, V]) losesBefore(other *cell[M, V]) bool {
	if b.count != other.count {
		return b.count > other.count
	}
	return b.oldest.touched < other.oldest.touched
}

// The sides of a cell: the names of its party.
const (
	byNetwork = iota
	byMember
)

// group is the cells that share one name.
type group[M comparable, V any] struct {
	cells   seats[M, V] // that are not empty
	names   int         // cells in all
	count   int         // claims in the cells
	touched uint64      // when the claim that loses first was touched
	index   int         // where the group stands in the pool's order; negative before it does
}

// first is the cell that loses first.
func (g *group[M, V]) first() *cell[M, V] { return g.cells.order[0] }

// groups is a heap, the group that loses first on top.
type groups[M comparable, V any] []*group[M, V]

// Len is part of [heap.Interface], as are the methods below.
func (g *groups[M, V]) Len() int { return len(*g) }

// Less orders groups as cells are.
func (g *groups[M, V]) Less(i, j int) bool {
	a, b := (*g)[i], (*g)[j]
	if a.count != b.count {
		return a.count > b.count
	}
	return a.touched < b.touched
}

// Swap keeps the groups' indices right.
func (g *groups[M, V]) Swap(i, j int) {
	s := *g
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push adds a group at the end.
func (g *groups[M, V]) Push(x any) {
	added := x.(*group[M, V]) //nolint:forcetypeassert // the heap holds groups only
	added.index = len(*g)
	*g = append(*g, added)
}

// Pop takes the group at the end.
func (g *groups[M, V]) Pop() any {
	s := *g
	last := len(s) - 1
	out := s[last]
	s[last] = nil
	*g = s[:last]
	return out
}

// seats is a heap of the cells of a group, the one that loses first on top.
type seats[M comparable, V any] struct {
	side  int // which of the cells' two groups it is
	order []*cell[M, V]
}

// Len is part of [heap.Interface], as are the methods below.
func (s *seats[M, V]) Len() int           { return len(s.order) }
func (s *seats[M, V]) Less(i, j int) bool { return s.order[i].losesBefore(s.order[j]) }

// Swap keeps the cells' indices right.
func (s *seats[M, V]) Swap(i, j int) {
	s.order[i], s.order[j] = s.order[j], s.order[i]
	s.order[i].index[s.side], s.order[j].index[s.side] = i, j
}

// Push adds a cell at the end.
func (s *seats[M, V]) Push(x any) {
	added := x.(*cell[M, V]) //nolint:forcetypeassert // the heap holds cells only
	added.index[s.side] = len(s.order)
	s.order = append(s.order, added)
}

// Pop takes the cell at the end.
func (s *seats[M, V]) Pop() any {
	last := len(s.order) - 1
	out := s.order[last]
	s.order[last] = nil
	s.order = s.order[:last]
	return out
}
