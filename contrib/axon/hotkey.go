package axon

import (
	"errors"
	"fmt"
	"math"

	"github.com/mr-tron/base58"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
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

var (
	// ErrBadHotkey is the error of [ParseHotkey] for a text that is no strict
	// Bittensor address.
	ErrBadHotkey = errors.New("axon: not a Bittensor address")
	// ErrWeakKey is the error for the all-zero public key, the identity of its
	// group: anybody can forge signatures for it. The address may be well formed.
	ErrWeakKey = errors.New("axon: the identity is no key")
)

// signingContext is the label under which Substrate signs everything. Clones
// are taken of it, so that goroutines can share it.
var signingContext = sr25519.NewSigningContext([]byte("substrate"))

// Hotkey is the identity of a neuron of a Bittensor subnet, be it validator or
// miner: the 32 bytes of an sr25519 public key. It is a plain value, comparable
// and thus fit as the key of a map; one key has many spellings in SS58, but
// only one Hotkey. The zero Hotkey is no key.
type Hotkey [32]byte

// ParseHotkey reads an SS58 address as Bittensor writes them, and nothing else:
// exactly 48 characters, prefix 42, the checksum right, in the one spelling
// that [Hotkey.String] gives back. Other networks' addresses of the same key
// are refused, since addresses are part of what is signed.
//
// The error is [ErrBadHotkey], or [ErrWeakKey] for the address of the all-zero
// key, and never quotes the input. Whether the bytes are a point of the curve
// is not looked at: no signature verifies for those that are not.
func ParseHotkey(address string) (Hotkey, error) {
	if len(address) != ss58Chars {
		return Hotkey{}, fmt.Errorf("%w: must be %d characters long", ErrBadHotkey, ss58Chars)
	}
	raw, err := base58.Decode(address)
	if err != nil {
		return Hotkey{}, fmt.Errorf("%w: must be base58", ErrBadHotkey) // err quotes a character
	}
	if len(raw) != ss58Bytes || raw[0] != ss58Prefix {
		return Hotkey{}, fmt.Errorf("%w: must have the prefix %d", ErrBadHotkey, ss58Prefix)
	}
	h := Hotkey(raw[1 : 1+len(Hotkey{})])
	if h.String() != address {
		return Hotkey{}, fmt.Errorf("%w: wrong checksum", ErrBadHotkey)
	}
	if h == (Hotkey{}) {
		return Hotkey{}, ErrWeakKey
	}
	return h, nil
}

// String returns the SS58 address, prefix 42.
func (h Hotkey) String() string {
	const label = "SS58PRE"
	var room [len(label) + ss58Bytes]byte
	copy(room[:], label)
	raw := room[len(label):]
	raw[0] = ss58Prefix
	copy(raw[1:], h[:])
	sum := blake2b.Sum512(room[:len(room)-ss58Checksum])
	copy(raw[1+len(h):], sum[:ss58Checksum])
	return base58.Encode(raw)
}

// MarshalText gives the SS58 address and never fails. That of the zero Hotkey
// cannot be read back.
func (h Hotkey) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads an SS58 address by the rules of [ParseHotkey]. After an
// error the hotkey is what it was.
func (h *Hotkey) UnmarshalText(text []byte) error {
	parsed, err := ParseHotkey(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}

// Verify reports whether signature is the hotkey's sr25519 signature of
// message, made under the label "substrate". It answers false, and never
// panics, for whatever is not 64 bytes with the marker of schnorrkel (bit 7 of
// the last one), for bytes that are no key, and for the all-zero key.
func (h Hotkey) Verify(message, signature []byte) bool {
	key, err := h.publicKey()
	return err == nil && verifyParsed(key, message, signature)
}

// publicKey parses the hotkey, which takes a fifth of the time of Verify. The
// result can be shared by goroutines.
func (h Hotkey) publicKey() (*sr25519.PublicKey, error) {
	if h == (Hotkey{}) {
		return nil, ErrWeakKey // curve25519-voi takes it, and then accepts forgeries
	}
	key, err := sr25519.NewPublicKeyFromBytes(h[:])
	if err != nil {
		return nil, fmt.Errorf("%w: not a point of the curve", ErrBadHotkey)
	}
	return key, nil
}

// verifyParsed is Verify for a key that publicKey has returned.
func verifyParsed(key *sr25519.PublicKey, message, signature []byte) bool {
	var parsed sr25519.Signature
	if isTooLong(message) || parsed.UnmarshalBinary(signature) != nil {
		return false
	}
	return key.Verify(signingContext.NewTranscriptBytes(message), &parsed)
}

// isTooLong reports whether the length of message does not fit the 32 bits that
// merlin has for it, which would panic.
func isTooLong(message []byte) bool { return uint64(len(message)) > math.MaxUint32 }
