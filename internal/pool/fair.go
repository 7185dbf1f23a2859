package pool

// Fair holds values by party, and those of each party sorted by their keys. All
// operations take logarithmic time. It is not synchronised.
type Fair[T any] struct {
	total    int
	byName   map[string]int32 // indices of parties
	parties  []*party[T]      // those that have values, dense
	byCount  IndexHeap        // who holds most comes first
	byOldest IndexHeap        // who has the oldest value comes first
	byNewest IndexHeap        // who has the newest value comes first
}

type party[T any] struct {
	*Sorted[T]

	name string
}

// NewFair returns an empty pool.
func NewFair[T any]() *Fair[T] {
	f := &Fair[T]{byName: make(map[string]int32)}
	f.byCount.Less = func(a, b int32) bool { return f.parties[a].Len() > f.parties[b].Len() }
	f.byOldest.Less = func(a, b int32) bool {
		return f.parties[a].OldestKey() < f.parties[b].OldestKey()
	}
	f.byNewest.Less = func(a, b int32) bool {
		return f.parties[a].NewestKey() > f.parties[b].NewestKey()
	}
	return f
}

// heaps returns the orders of the parties.
func (f *Fair[T]) heaps() [3]*IndexHeap {
	return [3]*IndexHeap{&f.byCount, &f.byOldest, &f.byNewest}
}

// Len returns the number of values.
func (f *Fair[T]) Len() int { return f.total }

// Parties returns the number of parties that have values.
func (f *Fair[T]) Parties() int { return len(f.parties) }

// Add adds a value of a party.
func (f *Fair[T]) Add(name string, key int64, value *T) {
	f.total++
	if index, ok := f.byName[name]; ok {
		f.parties[index].Add(key, value)
		for _, heap := range f.heaps() {
			heap.Fix(index)
		}
		return
	}
	index := int32(len(f.parties)) //nolint:gosec // bounded as in pool
	added := &party[T]{Sorted: NewSorted[T](), name: name}
	added.Add(key, value)
	f.parties = append(f.parties, added)
	f.byName[name] = index
	for _, heap := range f.heaps() {
		heap.Push(index)
	}
}

// OldestKey returns the lowest key. There must be a value.
func (f *Fair[T]) OldestKey() int64 { return f.parties[f.byOldest.Top()].OldestKey() }

// NewestKey returns the highest key. There must be a value.
func (f *Fair[T]) NewestKey() int64 { return f.parties[f.byNewest.Top()].NewestKey() }

// TakeOldest moves the value of the lowest key out of the pool.
func (f *Fair[T]) TakeOldest(into *T) { f.takeOldestOf(f.byOldest.Top(), into) }

// TakeNewest moves the value of the highest key out of the pool.
func (f *Fair[T]) TakeNewest(into *T) {
	index := f.byNewest.Top()
	f.parties[index].TakeNewest(into)
	f.taken(index)
}

// TakeOldestOfLargest moves the oldest value of the party out of the pool that
// has most.
func (f *Fair[T]) TakeOldestOfLargest(into *T) { f.takeOldestOf(f.byCount.Top(), into) }

// TakeOldestOf moves the oldest value of a party out of the pool. The index, from
// 0 to Parties()-1, says nothing about the party.
func (f *Fair[T]) TakeOldestOf(index int, into *T) {
	f.takeOldestOf(int32(index), into) //nolint:gosec // bounded as in pool
}

func (f *Fair[T]) takeOldestOf(index int32, into *T) {
	f.parties[index].TakeOldest(into)
	f.taken(index)
}

// taken restores the order after a value of a party was taken. The last party
// moves to the index of one that has none left.
func (f *Fair[T]) taken(index int32) {
	f.total--
	empty := f.parties[index]
	if empty.Len() > 0 {
		for _, heap := range f.heaps() {
			heap.Fix(index)
		}
		return
	}
	for _, heap := range f.heaps() {
		heap.Remove(index)
	}
	delete(f.byName, empty.name)
	last := int32(len(f.parties) - 1) //nolint:gosec // bounded as in pool
	if index != last {
		f.parties[index] = f.parties[last]
		f.byName[f.parties[index].name] = index
		for _, heap := range f.heaps() {
			heap.Rename(last, index)
		}
	}
	f.parties[last] = nil
	f.parties = f.parties[:last]
}
