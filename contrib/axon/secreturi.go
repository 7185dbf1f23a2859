package axon

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/oasisprotocol/curve25519-voi/primitives/merlin"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
	"github.com/tyler-smith/go-bip39"
	"golang.org/x/crypto/blake2b"
)

// devPhrase is Substrate's public phrase for tests (sp_core, DEV_PHRASE).
const devPhrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"

// KeypairFromMnemonic makes the key of a BIP-39 phrase: 12, 15, 18, 21 or 24
// words of the English list in lower case, with any white space between them.
// The checksum in the last word must be right. The seed is Substrate's
// (substrate-bip39), made of the phrase's entropy and not of its text, so that
// other BIP-39 tools come to other keys.
func KeypairFromMnemonic(phrase string) (*Keypair, error) {
	secret, err := expandPhrase(phrase)
	if err != nil {
		return nil, fmt.Errorf("axon: mnemonic: %w", err)
	}
	return newKeypair(secret)
}

// KeypairFromURI makes the key of a Substrate secret URI: a phrase as for
// [KeypairFromMnemonic] or a seed ("0x" and 64 hexadecimal digits), followed by
// any number of hard junctions, as in "phrase//validator//0". The keys are
// those of Substrate's own tools (sp_core): a junction that is a number of 64
// bits is taken as such, any other as text.
//
// A URI that begins with "//", like "//Alice", derives from a phrase that is
// known to everybody: it is for tests only. Soft junctions ("/x"), passwords
// ("///x"), control characters and the empty URI are refused.
func KeypairFromURI(uri string) (*Keypair, error) {
	secret, err := expandURI(uri)
	if err != nil {
		return nil, fmt.Errorf("axon: secret URI: %w", err)
	}
	return newKeypair(secret)
}

func expandPhrase(phrase string) (*sr25519.SecretKey, error) {
	entropy, err := bip39.EntropyFromMnemonic(phrase)
	switch {
	case errors.Is(err, bip39.ErrInvalidMnemonic):
		return nil, errors.New("must have 12, 15, 18, 21 or 24 words")
	case errors.Is(err, bip39.ErrChecksumIncorrect):
		return nil, errors.New("the checksum of the words is wrong")
	case err != nil: // quotes the word
		return nil, errors.New("a word is not in the English list")
	}
	seed, err := pbkdf2.Key(sha512.New, string(entropy), []byte("mnemonic"), 2048, sr25519.MiniSecretKeySize)
	if err != nil {
		return nil, err
	}
	return expandSeed(seed)
}

func expandURI(uri string) (*sr25519.SecretKey, error) {
	if uri == "" {
		return nil, errors.New("must not be empty")
	}
	if strings.ContainsFunc(uri, unicode.IsControl) {
		return nil, errors.New("must not have line ends or other control characters")
	}
	secret, path, err := expandRoot(uri)
	for err == nil && path != "" {
		var junction string
		if junction, path, err = cutJunction(path); err == nil {
			secret, err = deriveHard(secret, chainCode(junction))
		}
	}
	return secret, err
}

// expandRoot returns the secret that a URI begins with, and the path behind it.
func expandRoot(uri string) (secret *sr25519.SecretKey, path string, err error) {
	root := uri
	if i := strings.IndexByte(uri, '/'); i >= 0 {
		root, path = uri[:i], uri[i:]
	}
	switch {
	case root == "":
		secret, err = expandPhrase(devPhrase)
	case strings.HasPrefix(root, "0x"):
		var seed []byte
		if seed, err = decodeHex(root); err == nil {
			secret, err = expandSeed(seed)
		}
	default:
		secret, err = expandPhrase(root)
	}
	return secret, path, err
}

// cutJunction cuts the first junction off a path.
func cutJunction(path string) (junction, rest string, err error) {
	const longest = 1<<14 - 1 // what scaleString can write
	if strings.HasPrefix(path, "///") {
		return "", "", errors.New("passwords (///) are not supported")
	}
	after, hard := strings.CutPrefix(path, "//")
	if !hard {
		return "", "", errors.New("soft junctions (/) are not supported, only hard ones (//)")
	}
	end := strings.IndexByte(after, '/')
	if end < 0 {
		end = len(after)
	}
	switch {
	case end == 0:
		return "", "", errors.New("a junction is empty")
	case end > longest:
		return "", "", errors.New("a junction is too long")
	}
	return after[:end], after[end:], nil
}

// chainCode is what sp_core's DeriveJunction makes of a junction: its SCALE
// encoding, filled up with zeros or, above 32 bytes, hashed.
func chainCode(junction string) [32]byte {
	var encoded []byte
	if n, err := strconv.ParseUint(strings.TrimPrefix(junction, "+"), 10, 64); err == nil {
		encoded = binary.LittleEndian.AppendUint64(nil, n) // Rust reads a leading plus too
	} else {
		encoded = scaleString(junction)
	}
	if len(encoded) > 32 {
		return blake2b.Sum256(encoded)
	}
	var code [32]byte
	copy(code[:], encoded)
	return code
}

// scaleString is SCALE's encoding of a text below 16 KiB: its length in compact
// form, then its bytes.
func scaleString(text string) []byte {
	compact, size := uint64(len(text))<<2, 1
	if len(text) >= 1<<6 {
		compact, size = compact|1, 2
	}
	return append(binary.LittleEndian.AppendUint64(nil, compact)[:size], text...)
}

// deriveHard is schnorrkel's hard_derive_mini_secret_key without a message,
// expanded again.
func deriveHard(secret *sr25519.SecretKey, code [32]byte) (*sr25519.SecretKey, error) {
	raw, err := secret.MarshalBinary()
	if err != nil {
		return nil, err
	}
	t := merlin.NewTranscript("SchnorrRistrettoHDKD")
	t.AppendMessage("sign-bytes", nil)
	t.AppendMessage("chain-code", code[:])
	t.AppendMessage("secret-key", raw[:sr25519.SecretKeyScalarSize])
	var mini sr25519.MiniSecretKey
	t.ExtractBytes(mini[:], "HDKD-hard")
	return mini.ExpandEd25519(), nil
}
