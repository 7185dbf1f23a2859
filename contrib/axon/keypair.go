package axon

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
	"go.uber.org/zap/zapcore"
)

// Keypair is a hotkey with its secret: it signs requests. It does not change
// and is safe for concurrent use. Whoever prints, logs or marshals it sees its
// address, never the secret, which cannot be taken out again either. The zero
// Keypair signs nothing.
type Keypair struct {
	hotkey Hotkey
	// sign has the secret in its closure, where no printer finds it, not even
	// one that reads unexported fields.
	sign func(message []byte) ([]byte, error)
}

// GenerateKeypair makes a new random key. It lives as long as the process: for
// a lasting one, make a wallet with Bittensor's tools and use [LoadKeypair].
func GenerateKeypair() (*Keypair, error) {
	mini, err := sr25519.GenerateMiniSecretKey(nil)
	if err != nil {
		return nil, fmt.Errorf("axon: keypair: %w", err)
	}
	return newKeypair(mini.ExpandEd25519())
}

// KeypairFromSeed makes the key of a 32-byte seed, which schnorrkel calls a mini
// secret key and Bittensor's wallets secretSeed, expanded as Substrate does it
// ("ed25519" mode).
func KeypairFromSeed(seed []byte) (*Keypair, error) {
	secret, err := expandSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("axon: seed: %w", err)
	}
	return newKeypair(secret)
}

// newKeypair fails only for a secret of zero, with [ErrWeakKey].
func newKeypair(secret *sr25519.SecretKey) (*Keypair, error) {
	pair := secret.KeyPair()
	public, err := pair.PublicKey().MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("axon: keypair: %w", err)
	}
	hotkey := Hotkey(public)
	if hotkey == (Hotkey{}) {
		return nil, ErrWeakKey
	}
	sign := func(message []byte) ([]byte, error) {
		signature, err := pair.Sign(nil, signingContext.NewTranscriptBytes(message))
		if err != nil {
			return nil, fmt.Errorf("axon: sign: %w", err)
		}
		return signature.MarshalBinary()
	}
	return &Keypair{hotkey: hotkey, sign: sign}, nil
}

func expandSeed(seed []byte) (*sr25519.SecretKey, error) {
	mini, err := sr25519.NewMiniSecretKeyFromBytes(seed)
	if err != nil {
		return nil, errors.New("must be 32 bytes long")
	}
	return mini.ExpandEd25519(), nil
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

// Sign returns the 64-byte sr25519 signature of message, made under the label
// "substrate"; message is not hashed before. Signatures are randomised: two of
// one message differ, so compare by [Hotkey.Verify]. It fails for a message of
// 4 GiB or more, for the zero Keypair, and when the system has no randomness.
func (k Keypair) Sign(message []byte) ([]byte, error) {
	switch {
	case k.sign == nil:
		return nil, errors.New("axon: sign: the keypair is empty")
	case isTooLong(message):
		return nil, errors.New("axon: sign: the message is too long")
	}
	return k.sign(message)
}

// Format writes the address, whatever the verb.
func (k Keypair) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, k.hotkey.String()) }

// MarshalText gives the address, for JSON and the like. It never fails.
func (k Keypair) MarshalText() ([]byte, error) { return k.hotkey.MarshalText() }

// LogValue gives slog the address.
func (k Keypair) LogValue() slog.Value { return slog.StringValue(k.hotkey.String()) }

// MarshalLogObject gives zap the address.
func (k Keypair) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("hotkey", k.hotkey.String())
	return nil
}
