package timelock

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxCommit is how long a commit may be for the chain, in bytes.
const MaxCommit = 5000

// ErrTooLong is returned for weights whose commit the chain would refuse.
var ErrTooLong = errors.New("timelock: weights are too long for a commit")

// Weights is what a commit contains.
type Weights struct {
	// Hotkey is the public key that signs the commit. The chain ignores, without
	// an error, a commit that names another one.
	Hotkey       [32]byte
	UIDs, Values []uint16 // equally long
	VersionKey   uint64
}

// Encode returns the plaintext of the commit in SCALE. It fails for lists that
// differ in length, and with [ErrTooLong] for more than 1,177 UIDs.
func (w Weights) Encode() ([]byte, error) {
	if len(w.UIDs) != len(w.Values) {
		return nil, fmt.Errorf("timelock: weights: %d UIDs and %d values", len(w.UIDs), len(w.Values))
	}
	size := 1 + len(w.Hotkey) + 2*(4+2*len(w.UIDs)) + 8
	out := make([]byte, 0, size)
	out = appendCompact(out, len(w.Hotkey))
	out = append(out, w.Hotkey[:]...)
	for _, list := range [][]uint16{w.UIDs, w.Values} {
		out = appendCompact(out, len(list))
		for _, number := range list {
			out = binary.LittleEndian.AppendUint16(out, number)
		}
	}
	out = binary.LittleEndian.AppendUint64(out, w.VersionKey)
	if len(out)+Overhead > MaxCommit {
		return nil, fmt.Errorf("%w: %d UIDs", ErrTooLong, len(w.UIDs))
	}
	return out, nil
}

// DecodeWeights reads the plaintext of a commit. It fails with [ErrMalformed].
func DecodeWeights(plaintext []byte) (Weights, error) {
	var w Weights
	hotkey, rest, ok := cutCompact(plaintext, 1)
	if !ok || len(hotkey) != len(w.Hotkey) {
		return Weights{}, fmt.Errorf("%w: hotkey of the weights", ErrMalformed)
	}
	copy(w.Hotkey[:], hotkey)
	for _, list := range []*[]uint16{&w.UIDs, &w.Values} {
		var data []byte
		if data, rest, ok = cutCompact(rest, 2); !ok {
			return Weights{}, fmt.Errorf("%w: lists of the weights", ErrMalformed)
		}
		*list = make([]uint16, len(data)/2)
		for i := range *list {
			(*list)[i] = binary.LittleEndian.Uint16(data[2*i:])
		}
	}
	if len(w.UIDs) != len(w.Values) || len(rest) != 8 {
		return Weights{}, fmt.Errorf("%w: lengths in the weights", ErrMalformed)
	}
	w.VersionKey = binary.LittleEndian.Uint64(rest)
	return w, nil
}

// appendCompact appends a length as SCALE writes it. Longer lists than two bytes
// can express do not fit into a commit, and Encode refuses them by their size.
func appendCompact(out []byte, length int) []byte {
	switch n := uint32(length); { //nolint:gosec // cut lengths are refused by size
	case n < 1<<6:
		return append(out, byte(n<<2))
	case n < 1<<14:
		return binary.LittleEndian.AppendUint16(out, uint16(n<<2|1)) //nolint:gosec // 16 bits
	default:
		return binary.LittleEndian.AppendUint32(out, n<<2|2)
	}
}

// cutCompact reads a list of elements of a size in bytes.
func cutCompact(data []byte, size int) (list, rest []byte, ok bool) {
	if len(data) == 0 {
		return nil, nil, false
	}
	var count int
	switch {
	case data[0]&3 == 0:
		count, data = int(data[0]>>2), data[1:]
	case data[0]&3 == 1 && len(data) >= 2:
		count, data = int(binary.LittleEndian.Uint16(data)>>2), data[2:]
		if count < 1<<6 { // not the shortest form, which the chain refuses
			return nil, nil, false
		}
	default: // longer than a commit can be
		return nil, nil, false
	}
	if count*size > len(data) {
		return nil, nil, false
	}
	return data[:count*size], data[count*size:], true
}
