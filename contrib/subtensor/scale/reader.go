package scale

import (
	"encoding/binary"
)

// reader reads the primitives of SCALE. The first error sticks: later reads return zeros, so that
// a long run of reads is checked once, at its end.
type reader struct {
	data []byte // what is not read yet
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = malformed(format, args...)
	}
}

// take returns the next n bytes. They share memory with the input.
func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.data) {
		r.fail("%d bytes wanted, %d left", n, len(r.data))
		return nil
	}
	taken := r.data[:n:n]
	r.data = r.data[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) bool() bool {
	switch b := r.byte(); b {
	case 0:
		return false
	case 1:
		return true
	default:
		r.fail("a bool is %d", b)
		return false
	}
}

// uint reads a little-endian number of at most 8 bytes.
func (r *reader) uint(width int) uint64 {
	var wide [8]byte
	copy(wide[:], r.take(width))
	return binary.LittleEndian.Uint64(wide[:])
}

// compact reads a compact number. One that is not written in the shortest form is refused, as the
// chain does.
func (r *reader) compact() uint64 {
	if len(r.data) == 0 {
		r.take(1)
		return 0
	}
	switch r.data[0] & 3 {
	case 0:
		return r.uint(1) >> 2
	case 1:
		return r.atLeast(1<<6, r.uint(2)>>2)
	case 2:
		return r.atLeast(1<<14, r.uint(4)>>2)
	}
	width := int(r.byte()>>2) + 4
	if width > 8 {
		r.fail("a compact number of %d bytes does not fit 64 bits", width)
		return 0
	}
	return r.atLeast(max(1<<30, uint64(1)<<(8*width-8)), r.uint(width))
}

func (r *reader) atLeast(least, n uint64) uint64 {
	if n < least {
		r.fail("a compact number is longer than needed")
	}
	return n
}

// compactBytes reads a compact number of up to 16 bytes, little-endian.
func (r *reader) compactBytes() (wide [16]byte) {
	if len(r.data) == 0 || r.data[0]&3 != 3 || r.data[0]>>2 <= 4 {
		binary.LittleEndian.PutUint64(wide[:], r.compact())
		return wide
	}
	width := int(r.byte()>>2) + 4
	if width > len(wide) {
		r.fail("a compact number of %d bytes does not fit 128 bits", width)
		return wide
	}
	copy(wide[:], r.take(width))
	if r.err == nil && wide[width-1] == 0 {
		r.fail("a compact number is longer than needed")
	}
	return wide
}

// count reads how many items follow. Each of them takes at least a byte, so that a count above what
// is left cannot be true.
func (r *reader) count() int {
	n := r.compact()
	if n > uint64(len(r.data)) {
		r.fail("%d items announced, %d bytes left", n, len(r.data))
		return 0
	}
	return int(n) //nolint:gosec // at most len(r.data)
}

// bytes reads a Vec<u8>. It shares memory with the input.
func (r *reader) bytes() []byte { return r.take(r.count()) }

func (r *reader) string() string { return string(r.bytes()) }

// end refuses what is left over.
func (r *reader) end() error {
	if r.err == nil && len(r.data) > 0 {
		r.fail("%d bytes left over", len(r.data))
	}
	return r.err
}

// list reads a vector, item by item.
func list[T any](r *reader, item func(*reader) T) []T {
	var items []T
	for range r.count() {
		read := item(r)
		if r.err != nil {
			return nil
		}
		items = append(items, read)
	}
	return items
}

// AppendCompact appends a number in SCALE's compact form.
func AppendCompact(to []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return appendLittle(to, n<<2, 1)
	case n < 1<<14:
		return appendLittle(to, n<<2|1, 2)
	case n < 1<<30:
		return appendLittle(to, n<<2|2, 4)
	}
	width := uint64(4)
	for n>>(8*width) > 0 {
		width++
	}
	return appendLittle(appendLittle(to, (width-4)<<2|3, 1), n, width)
}

// appendLittle appends the lowest bytes of a number, little-endian.
func appendLittle(to []byte, n, width uint64) []byte {
	var all [8]byte
	binary.LittleEndian.PutUint64(all[:], n)
	return append(to, all[:width]...)
}

// AppendBytes appends a Vec<u8>.
func AppendBytes(to, data []byte) []byte {
	return append(AppendCompact(to, uint64(len(data))), data...)
}

// appendWideCompact appends a little-endian number of any width in compact form.
func appendWideCompact(to, wide []byte) []byte {
	width := uint64(len(wide))
	for width > 0 && wide[width-1] == 0 {
		width--
	}
	if width <= 8 {
		var narrow [8]byte
		copy(narrow[:], wide[:width])
		return AppendCompact(to, binary.LittleEndian.Uint64(narrow[:]))
	}
	to = appendLittle(to, (width-4)<<2|3, 1)
	return append(to, wide[:width]...)
}
