package keys

import (
	"fmt"

	"github.com/mr-tron/base58"
	"golang.org/x/crypto/blake2b"
)

// SS58 as Bittensor writes it (SS58 registry: 42, "substrate"): one byte of
// prefix, the key, the first two bytes of a hash, in base58.
const (
	ss58Prefix   = 42
	ss58Checksum = 2
	ss58Bytes    = 1 + len(Hotkey{}) + ss58Checksum
	ss58Chars    = 48
)

// Hotkey is the public key of a neuron, validator or miner: 32 bytes, which
// [ParseSS58] reads. Coldkeys have the same form. A Hotkey is comparable and can
// be the key of a map; one key has many addresses in SS58, but only one Hotkey.
// It does not contain its [Scheme]. The zero Hotkey is not a valid key.
type Hotkey [32]byte

// ParseSS58 reads an SS58 address as Bittensor writes it, and nothing else:
// exactly 48 characters, prefix 42, the right checksum, in the one spelling
// that [Hotkey.String] returns. Addresses of the same key for other networks are
// refused, since addresses are part of what is signed.
//
// The error is [ErrAddress], or [ErrWeakKey] for the address of the all-zero
// key, and never quotes the input. ParseSS58 does not check that the bytes are a
// point of a curve: [Hotkey.PublicKey] does.
func ParseSS58(address string) (Hotkey, error) {
	if len(address) != ss58Chars {
		return Hotkey{}, fmt.Errorf("%w: must be %d characters long", ErrAddress, ss58Chars)
	}
	raw, err := base58.Decode(address)
	if err != nil {
		return Hotkey{}, fmt.Errorf("%w: must be base58", ErrAddress) // err quotes a character
	}
	if len(raw) != ss58Bytes || raw[0] != ss58Prefix {
		return Hotkey{}, fmt.Errorf("%w: must have the prefix %d", ErrAddress, ss58Prefix)
	}
	h := Hotkey(raw[1 : 1+len(Hotkey{})])
	if h.String() != address {
		return Hotkey{}, fmt.Errorf("%w: wrong checksum", ErrAddress)
	}
	if h == (Hotkey{}) {
		return Hotkey{}, ErrWeakKey
	}
	return h, nil
}

// String returns the SS58 address, prefix 42.
func (h Hotkey) String() string {
	const label = "SS58PRE"
	var buffer [len(label) + ss58Bytes]byte
	copy(buffer[:], label)
	raw := buffer[len(label):]
	raw[0] = ss58Prefix
	copy(raw[1:], h[:])
	sum := blake2b.Sum512(buffer[:len(buffer)-ss58Checksum])
	copy(raw[1+len(h):], sum[:ss58Checksum])
	return base58.Encode(raw)
}

// MarshalText returns the SS58 address and never fails. The address of the zero
// Hotkey cannot be read back.
func (h Hotkey) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads an SS58 address by the rules of [ParseSS58]. After an
// error the hotkey is unchanged.
func (h *Hotkey) UnmarshalText(text []byte) error {
	parsed, err := ParseSS58(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}
