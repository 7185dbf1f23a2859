package pool

// IndexHeap orders indices by what they stand for. Any index can be removed, or
// moved after its value has changed, in logarithmic time. Less compares two
// indices; the one that comes first is at the top. It is not synchronised.
type IndexHeap struct {
	Less func(a, b int32) bool

	heap      []int32
	positions []int32 // by index; -1: not in the heap
}

// Top returns the index that comes first, which must exist.
func (h *IndexHeap) Top() int32 { return h.heap[0] }

// Push adds an index that is not in the heap.
func (h *IndexHeap) Push(index int32) {
	for len(h.positions) <= int(index) {
		h.positions = append(h.positions, -1)
	}
	h.positions[index] = int32(len(h.heap)) //nolint:gosec // as many as indices
	h.heap = append(h.heap, index)
	h.Fix(index)
}

// Remove removes an index.
func (h *IndexHeap) Remove(index int32) {
	position := h.positions[index]
	last := len(h.heap) - 1
	moved := h.heap[last]
	h.heap = h.heap[:last]
	h.positions[index] = -1
	if moved != index {
		h.set(position, moved)
		h.Fix(moved)
	}
}

// Rename puts an index in the place of another one, whose value it has taken
// over.
func (h *IndexHeap) Rename(from, to int32) {
	for len(h.positions) <= int(to) {
		h.positions = append(h.positions, -1)
	}
	h.set(h.positions[from], to)
	h.positions[from] = -1
}

// Fix moves an index to where it belongs after its value has changed.
func (h *IndexHeap) Fix(index int32) {
	position := h.positions[index]
	for position > 0 && h.Less(index, h.heap[(position-1)/2]) {
		h.set(position, h.heap[(position-1)/2])
		position = (position - 1) / 2
	}
	h.set(position, index)
	for {
		child := 2*position + 1
		if int(child) >= len(h.heap) {
			break
		}
		if int(child)+1 < len(h.heap) && h.Less(h.heap[child+1], h.heap[child]) {
			child++
		}
		if !h.Less(h.heap[child], index) {
			break
		}
		h.set(position, h.heap[child])
		position = child
	}
	h.set(position, index)
}

func (h *IndexHeap) set(position, index int32) {
	h.heap[position] = index
	h.positions[index] = position
}
