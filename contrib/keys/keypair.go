package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
)

// Keypair is a hotkey with its secret. It never changes and is safe for
// concurrent use. Printed, logged or marshalled it shows its address, and the
// secret cannot be read back. The zero Keypair signs nothing.
type Keypair struct {
	hotkey Hotkey
	scheme Scheme
	// sign has the secret in its closure, where no printer finds it, not even
	// one that reads unexported fields.
	sign func(message []byte) ([]byte, error)
}

// seed is the secret of 32 bytes that a key is expanded from, which schnorrkel
// calls a mini secret key.
type seed [32]byte

// Generate returns a new random key pair. It exists only in the memory of the
// process: for a lasting key create a wallet with Bittensor's tools and use
// [Load].
func Generate(scheme Scheme) (*Keypair, error) {
	var s seed
	_, _ = rand.Read(s[:]) // never fails
	return s.keypair(scheme)
}

// FromSeed returns the key pair of a 32-byte seed, the secretSeed of Bittensor's
// wallets. For sr25519 it is expanded as Substrate does it (schnorrkel's
// "ed25519" mode).
func FromSeed(secret []byte, scheme Scheme) (*Keypair, error) {
	s, err := parseSeed(secret)
	if err != nil {
		return nil, fmt.Errorf("keys: seed: %w", err)
	}
	return s.keypair(scheme)
}

func parseSeed(secret []byte) (seed, error) {
	if len(secret) != len(seed{}) {
		return seed{}, errors.New("must be 32 bytes long")
	}
	return seed(secret), nil
}

func (s seed) keypair(scheme Scheme) (*Keypair, error) {
	switch scheme {
	case SR25519:
		return newSR25519(s.expand())
	case Ed25519:
		return newEd25519(ed25519.NewKeyFromSeed(s[:])), nil
	}
	return nil, fmt.Errorf("keys: unknown signature scheme %v", scheme)
}

// expand returns the sr25519 key of the seed.
func (s seed) expand() *sr25519.SecretKey {
	mini := sr25519.MiniSecretKey(s)
	return mini.ExpandEd25519()
}

// newSR25519 fails only for a secret of zero, with [ErrWeakKey].
func newSR25519(secret *sr25519.SecretKey) (*Keypair, error) {
	pair := secret.KeyPair()
	public, err := pair.PublicKey().MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("keys: key pair: %w", err)
	}
	hotkey := Hotkey(public)
	if hotkey == (Hotkey{}) {
		return nil, ErrWeakKey
	}
	sign := func(message []byte) ([]byte, error) {
		signature, err := pair.Sign(nil, signingContext.NewTranscriptBytes(message))
		if err != nil {
			return nil, fmt.Errorf("keys: sign: %w", err)
		}
		return signature.MarshalBinary()
	}
	return &Keypair{hotkey, SR25519, sign}, nil
}

func newEd25519(secret ed25519.PrivateKey) *Keypair {
	hotkey := Hotkey(secret[ed25519.SeedSize:])
	sign := func(message []byte) ([]byte, error) { return ed25519.Sign(secret, message), nil }
	return &Keypair{hotkey, Ed25519, sign}
}

// decodeHex reads hexadecimal digits of either case, with or without "0x". The
// error quotes none.
func decodeHex(text string) ([]byte, error) {
	data, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil {
		return nil, errors.New("must be hexadecimal")
	}
	return data, nil
}

// Hotkey returns the public key.
func (k Keypair) Hotkey() Hotkey { return k.hotkey }

// Scheme returns the signature scheme.
func (k Keypair) Scheme() Scheme { return k.scheme }

// Sign returns the 64-byte signature of message, which is not hashed before.
// Signatures of sr25519 are randomised: two of one message differ, so compare
// with [Verify]. Sign fails for a message of 4 GiB or more and for the zero
// Keypair.
func (k Keypair) Sign(message []byte) ([]byte, error) {
	switch {
	case k.sign == nil:
		return nil, errors.New("keys: sign: the key pair is empty")
	case isTooLong(message):
		return nil, errors.New("keys: sign: the message is too long")
	}
	return k.sign(message)
}

// Format writes the address, whatever the verb.
func (k Keypair) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, k.hotkey.String()) }

// MarshalText returns the address, for JSON and loggers. It never fails.
func (k Keypair) MarshalText() ([]byte, error) { return k.hotkey.MarshalText() }

// LogValue returns the address for slog.
func (k Keypair) LogValue() slog.Value { return slog.StringValue(k.hotkey.String()) }
