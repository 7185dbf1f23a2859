package scale

import (
	"encoding/binary"
	"math/bits"
)

const (
	prime1 uint64 = 0x9e3779b185ebca87
	prime2 uint64 = 0xc2b2ae3d27d4eb4f
	prime3 uint64 = 0x165667b19e3779f9
	prime4 uint64 = 0x85ebca77c2b2ae63
	prime5 uint64 = 0x27d4eb2f165667c5
)

// xxHash64 is the hash of Yann Collet's specification of xxHash, which Substrate names twox.
func xxHash64(data []byte, seed uint64) uint64 {
	length := uint64(len(data))
	hash := seed + prime5
	if len(data) >= 32 {
		lanes := [4]uint64{seed + prime1 + prime2, seed + prime2, seed, seed - prime1}
		for ; len(data) >= 32; data = data[32:] {
			for i := range lanes {
				lanes[i] = xxRound(lanes[i], binary.LittleEndian.Uint64(data[8*i:]))
			}
		}
		hash = 0
		for i, shift := range []int{1, 7, 12, 18} {
			hash += bits.RotateLeft64(lanes[i], shift)
		}
		for _, lane := range lanes {
			hash = (hash^xxRound(0, lane))*prime1 + prime4
		}
	}
	hash += length
	for ; len(data) >= 8; data = data[8:] {
		hash ^= xxRound(0, binary.LittleEndian.Uint64(data))
		hash = bits.RotateLeft64(hash, 27)*prime1 + prime4
	}
	if len(data) >= 4 {
		hash ^= uint64(binary.LittleEndian.Uint32(data)) * prime1
		hash = bits.RotateLeft64(hash, 23)*prime2 + prime3
		data = data[4:]
	}
	for _, b := range data {
		hash ^= uint64(b) * prime5
		hash = bits.RotateLeft64(hash, 11) * prime1
	}
	hash = (hash ^ hash>>33) * prime2
	hash = (hash ^ hash>>29) * prime3
	return hash ^ hash>>32
}

func xxRound(lane, input uint64) uint64 {
	return bits.RotateLeft64(lane+input*prime2, 31) * prime1
}

// twox is xxHash64 with the seeds 0, 1, …, one after the other, each little-endian.
func twox(data []byte, size int) []byte {
	var hash []byte
	for seed := range uint64(size / 8) { //nolint:gosec // 8, 16 or 32
		hash = binary.LittleEndian.AppendUint64(hash, xxHash64(data, seed))
	}
	return hash
}
