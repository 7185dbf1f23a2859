package pool

import "cmp"

// Sorted holds values sorted by their keys. A value that comes in the order of
// the keys, as nearly all do, costs constant time. A value that comes late, with
// a key below that of one that came before, costs logarithmic time. Values of
// the same key keep the order in which they came. It is not synchronised.
type Sorted[T any] struct {
	highest  int64 // key so far, since the pool was last empty
	inOrder  pool[T]
	late     []T       // of two values with the same key, the one in order came first
	lateAt   []stamp   // of late
	sequence uint64    // late values so far
	oldest   IndexHeap // of late
	newest   IndexHeap // of late, from when the newest value is first asked for
	asked    bool      // the newest value was asked for
}

// stamp is by what late values are sorted: by key, and by the order in which
// they came where keys are equal.
type stamp struct {
	key      int64
	sequence uint64
}

func (s stamp) before(other stamp) bool {
	return s.key < other.key || s.key == other.key && s.sequence < other.sequence
}

// NewSorted returns an empty pool.
func NewSorted[T any]() *Sorted[T] {
	s := &Sorted[T]{}
	s.oldest.Less = func(a, b int32) bool { return s.lateAt[a].before(s.lateAt[b]) }
	s.newest.Less = func(a, b int32) bool { return s.lateAt[b].before(s.lateAt[a]) }
	return s
}

// Len returns the number of values.
func (s *Sorted[T]) Len() int { return s.inOrder.len() + len(s.late) }

// Add adds a value.
func (s *Sorted[T]) Add(key int64, value *T) {
	if key >= s.highest || s.Len() == 0 {
		s.highest = key
		s.inOrder.push(key, value)
		return
	}
	index := int32(len(s.late)) //nolint:gosec // bounded as in pool
	s.sequence++
	s.late = append(s.late, *value)
	s.lateAt = append(s.lateAt, stamp{key, s.sequence})
	s.oldest.Push(index)
	if s.asked {
		s.newest.Push(index)
	}
}

// ReplaceOldest adds a value in place of the oldest one, which must exist, and
// moves that one into replaced if that is not nil. A value that sorts before all
// others is not added, and ReplaceOldest returns false.
func (s *Sorted[T]) ReplaceOldest(key int64, value, replaced *T) (added bool) {
	if len(s.late) == 0 && key >= s.highest {
		if replaced != nil {
			*replaced = s.inOrder.values[s.inOrder.oldest()]
		}
		s.highest = key
		s.inOrder.rotate(key, value)
		return true
	}
	if key < s.OldestKey() {
		return false
	}
	var first T
	s.TakeOldest(cmp.Or(replaced, &first))
	s.Add(key, value)
	return true
}

// OldestKey returns the lowest key. There must be a value.
func (s *Sorted[T]) OldestKey() int64 {
	if s.oldestIsLate() {
		return s.lateAt[s.oldest.Top()].key
	}
	return s.inOrder.oldestKey()
}

// NewestKey returns the highest key. There must be a value.
func (s *Sorted[T]) NewestKey() int64 {
	if s.newestIsLate() {
		return s.lateAt[s.newestLate()].key
	}
	return s.inOrder.newestKey()
}

// TakeOldest moves the value of the lowest key out of the pool.
func (s *Sorted[T]) TakeOldest(into *T) {
	if s.oldestIsLate() {
		s.takeLate(s.oldest.Top(), into)
		return
	}
	s.inOrder.take(s.inOrder.oldest(), into)
}

// TakeNewest moves the value of the highest key out of the pool.
func (s *Sorted[T]) TakeNewest(into *T) {
	if s.newestIsLate() {
		s.takeLate(s.newestLate(), into)
		return
	}
	s.inOrder.take(s.inOrder.newest(), into)
}

// Take moves a value out of the pool by its index, from 0 to Len()-1. Indices
// say nothing about the order, and change with each removal.
func (s *Sorted[T]) Take(index int, into *T) {
	if n := s.inOrder.len(); index >= n {
		s.takeLate(int32(index-n), into) //nolint:gosec // bounded as in pool
		return
	}
	s.inOrder.take(int32(index), into) //nolint:gosec // bounded as in pool
}

func (s *Sorted[T]) oldestIsLate() bool {
	switch {
	case len(s.late) == 0:
		return false
	case s.inOrder.len() == 0:
		return true
	default:
		return s.lateAt[s.oldest.Top()].key < s.inOrder.oldestKey()
	}
}

func (s *Sorted[T]) newestIsLate() bool {
	switch {
	case len(s.late) == 0:
		return false
	case s.inOrder.len() == 0:
		return true
	default:
		return s.lateAt[s.newestLate()].key >= s.inOrder.newestKey()
	}
}

// newestLate returns the index of the newest late value. Most pools are never
// asked for it, and do without its order.
func (s *Sorted[T]) newestLate() int32 {
	if !s.asked {
		s.asked = true
		for index := range s.late {
			s.newest.Push(int32(index))
		}
	}
	return s.newest.Top()
}

// takeLate moves the last of the late values into the hole.
func (s *Sorted[T]) takeLate(index int32, into *T) {
	var none T
	last := int32(len(s.late) - 1) //nolint:gosec // bounded as in pool
	s.oldest.Remove(index)
	if s.asked {
		s.newest.Remove(index)
	}
	*into = s.late[index]
	if index != last {
		s.late[index], s.lateAt[index] = s.late[last], s.lateAt[last]
		s.oldest.Rename(last, index)
		if s.asked {
			s.newest.Rename(last, index)
		}
	}
	s.late[last] = none
	s.late, s.lateAt = s.late[:last], s.lateAt[:last]
}
