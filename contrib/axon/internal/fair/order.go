package fair

// cell is the claims of one party that can be evicted, the one that was touched
// longest ago first. It stands in two groups, by each of the party's names.
type cell[M comparable, V any] struct {
	party          Party[M]
	groups         [2]*group[M, V]
	index          [2]int // where the cell stands in the order of each group
	count          int
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

// group is the cells that share one name.
type group[M comparable, V any] struct {
	cells   seats[M, V]
	count   int    // claims in the cells
	touched uint64 // when the claim that loses first was touched
	index   int    // where the group stands in the pool's order; negative before it does
}

// first is the cell that loses first.
func (g *group[M, V]) first() *cell[M, V] { return g.cells[0].cell }

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

// seat is a cell in one of its two groups.
type seat[M comparable, V any] struct {
	cell *cell[M, V]
	side int
}

// seats is a heap, the cell that loses first on top.
type seats[M comparable, V any] []seat[M, V]

// Len is part of [heap.Interface], as are the methods below.
func (s *seats[M, V]) Len() int           { return len(*s) }
func (s *seats[M, V]) Less(i, j int) bool { return (*s)[i].cell.losesBefore((*s)[j].cell) }

// Swap keeps the cells' indices right.
func (s *seats[M, V]) Swap(i, j int) {
	a := *s
	a[i], a[j] = a[j], a[i]
	a[i].cell.index[a[i].side], a[j].cell.index[a[j].side] = i, j
}

// Push adds a cell at the end.
func (s *seats[M, V]) Push(x any) {
	added := x.(seat[M, V]) //nolint:forcetypeassert // the heap holds seats only
	added.cell.index[added.side] = len(*s)
	*s = append(*s, added)
}

// Pop takes the cell at the end.
func (s *seats[M, V]) Pop() any {
	a := *s
	last := len(a) - 1
	out := a[last]
	a[last] = seat[M, V]{}
	*s = a[:last]
	return out
}
