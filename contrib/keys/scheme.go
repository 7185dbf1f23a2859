package keys

import (
	"crypto/ed25519"
	"fmt"
	"math"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
)

// Scheme is a signature scheme. The zero value is [SR25519], the usual one.
type Scheme uint8

// The schemes of Bittensor's classical keys.
const (
	SR25519 Scheme = iota // schnorrkel with the signing context "substrate"
	Ed25519               // RFC 8032
)

// String returns the name, as btauth/1 spells it.
func (s Scheme) String() string {
	switch s {
	case SR25519:
		return "sr25519"
	case Ed25519:
		return "ed25519"
	}
	return fmt.Sprintf("Scheme(%d)", uint8(s))
}

// signingContext is the label under which Substrate signs everything. Clones
// are taken of it, so that goroutines can share it.
var signingContext = sr25519.NewSigningContext([]byte("substrate"))

// Verify reports whether signature is the signature of message under this
// scheme and public key. It returns false, and never panics, for anything that
// is not a signature of 64 bytes (sr25519: with schnorrkel's marker, bit 7 of
// the last byte), for bytes that are not a key of the scheme, and for weak keys
// (see [ErrWeakKey]).
func Verify(scheme Scheme, hotkey Hotkey, message, signature []byte) bool {
	key, err := hotkey.PublicKey(scheme)
	return err == nil && key.Verify(message, signature)
}

// PublicKey is a hotkey that is parsed for verification under one scheme. It
// saves a part of each verification (a fifth under sr25519) and is safe for
// concurrent use. A nil or zero PublicKey verifies nothing.
type PublicKey struct {
	sr *sr25519.PublicKey
	ed ed25519.PublicKey
}

// PublicKey parses the hotkey for verification under a scheme. The error is
// [ErrWeakKey] for a weak key and [ErrAddress] for bytes that are not a key of
// the scheme.
func (h Hotkey) PublicKey(scheme Scheme) (*PublicKey, error) {
	if h == (Hotkey{}) {
		return nil, ErrWeakKey // curve25519-voi accepts it, and then accepts forgeries
	}
	switch scheme {
	case SR25519:
		key, err := sr25519.NewPublicKeyFromBytes(h[:])
		if err != nil {
			return nil, fmt.Errorf("%w: not a point of ristretto255", ErrAddress)
		}
		return &PublicKey{sr: key}, nil
	case Ed25519:
		return h.ed25519Key()
	}
	return nil, fmt.Errorf("keys: unknown signature scheme %v", scheme)
}

// ed25519Key refuses the keys of small order, for which one signature holds for
// many messages or all. Package ed25519 accepts them.
func (h Hotkey) ed25519Key() (*PublicKey, error) {
	compressed := curve.CompressedEdwardsY(h)
	var point curve.EdwardsPoint
	if _, err := point.SetCompressedY(&compressed); err != nil {
		return nil, fmt.Errorf("%w: not a point of edwards25519", ErrAddress)
	}
	if point.IsSmallOrder() {
		return nil, ErrWeakKey
	}
	return &PublicKey{ed: ed25519.PublicKey(h[:])}, nil
}

// Verify reports whether signature is the key's signature of message: see
// [Verify].
func (k *PublicKey) Verify(message, signature []byte) bool {
	switch {
	case k == nil:
		return false
	case k.ed != nil:
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(k.ed, message, signature)
	case k.sr == nil || isTooLong(message):
		return false
	}
	var parsed sr25519.Signature
	if parsed.UnmarshalBinary(signature) != nil {
		return false
	}
	return k.sr.Verify(signingContext.NewTranscriptBytes(message), &parsed)
}

// isTooLong reports whether the length of message exceeds the 32 bits that
// merlin has for it, which would panic.
func isTooLong(message []byte) bool { return uint64(len(message)) > math.MaxUint32 }
