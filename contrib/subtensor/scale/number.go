package scale

import (
	"encoding/binary"
	"reflect"
)

// setNumber writes a little-endian number of the chain to a Go integer or array of bytes.
func setNumber(wide []byte, signed bool, to reflect.Value) error {
	if !to.IsValid() {
		return nil
	}
	if isBytes(to, len(wide)) {
		reflect.Copy(to, reflect.ValueOf(wide))
		return nil
	}
	negative := signed && wide[len(wide)-1]&0x80 != 0
	fill := byte(0)
	if negative {
		fill = 0xff
	}
	narrow := [8]byte{fill, fill, fill, fill, fill, fill, fill, fill}
	copy(narrow[:], wide)
	for _, b := range wide[min(8, len(wide)):] {
		if b != fill {
			return mismatch("a number above 64 bits for %v", to.Type())
		}
	}
	n := binary.LittleEndian.Uint64(narrow[:])
	m := int64(n) //nolint:gosec // two's complement
	switch {
	case to.CanUint() && !negative && !to.OverflowUint(n):
		to.SetUint(n)
	case to.CanInt() && negative == (m < 0) && !to.OverflowInt(m):
		to.SetInt(m)
	default:
		return mismatch("a number of %d bits for %v", 8*len(wide), to.Type())
	}
	return nil
}

// isBytes reports whether a value is an array of so many bytes.
func isBytes(v reflect.Value, count int) bool {
	return v.Kind() == reflect.Array && v.Type().Elem().Kind() == reflect.Uint8 && v.Len() == count
}

// number returns a Go integer or array of bytes as a little-endian number of the chain, in the
// first bytes of the result.
func number(width int, signed bool, from reflect.Value) (wide [32]byte, err error) {
	switch {
	case isBytes(from, width):
		reflect.Copy(reflect.ValueOf(wide[:]), from)
		return wide, nil
	case from.CanUint():
		err = fit(wide[:width], from.Uint(), false, signed)
	case from.CanInt():
		n := from.Int()
		err = fit(wide[:width], uint64(n), n < 0, signed) //nolint:gosec // two's complement
	default:
		err = mismatch("%v for a number", from.Type())
	}
	return wide, err
}

// fit writes a number in two's complement to so many bytes.
func fit(wide []byte, n uint64, negative, signed bool) error {
	if negative && !signed {
		return mismatch("%d for an unsigned number", int64(n)) //nolint:gosec // two's complement
	}
	fill := byte(0)
	if negative {
		fill = 0xff
	}
	for i := range wide {
		wide[i] = fill
	}
	var narrow [8]byte
	binary.LittleEndian.PutUint64(narrow[:], n)
	copy(wide, narrow[:])
	for _, b := range narrow[min(8, len(wide)):] {
		if b != fill {
			return mismatch("a number that does not fit %d bytes", len(wide))
		}
	}
	if signed && (wide[len(wide)-1]&0x80 != 0) != negative {
		return mismatch("a number that does not fit %d bytes", len(wide))
	}
	return nil
}
