package keys

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
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

// FromMnemonic returns the key pair of a BIP-39 phrase: 12, 15, 18, 21 or 24
// words of the English list in lower case, separated by any white space, with
// the right checksum. The seed is Substrate's (substrate-bip39), made of the
// entropy of the phrase and not of its text; other BIP-39 tools derive other
// keys.
func FromMnemonic(phrase string, scheme Scheme) (*Keypair, error) {
	s, err := seedOfPhrase(phrase)
	if err != nil {
		return nil, fmt.Errorf("keys: mnemonic: %w", err)
	}
	return s.keypair(scheme)
}

// FromURI returns the key pair of a Substrate secret URI: a phrase as for
// [FromMnemonic] or a seed ("0x" and 64 hexadecimal digits), followed by any
// number of hard junctions, as in "phrase//validator//0". The keys are those of
// Substrate's own tools (sp_core): a junction that is a number of 64 bits is
// taken as such, any other as text.
//
// A URI that begins with "//", like "//Alice", derives from a phrase that is
// public: it is for tests only. Soft junctions ("/x"), passwords ("///x"),
// control characters and the empty URI are refused.
func FromURI(uri string, scheme Scheme) (*Keypair, error) {
	s, err := seedOfURI(uri, scheme)
	if err != nil {
		return nil, fmt.Errorf("keys: secret URI: %w", err)
	}
	return s.keypair(scheme)
}

func seedOfPhrase(phrase string) (seed, error) {
	entropy, err := bip39.EntropyFromMnemonic(phrase)
	switch {
	case errors.Is(err, bip39.ErrInvalidMnemonic):
		return seed{}, errors.New("must have 12, 15, 18, 21 or 24 words")
	case errors.Is(err, bip39.ErrChecksumIncorrect):
		return seed{}, errors.New("the checksum of the words is wrong")
	case err != nil: // quotes the word
		return seed{}, errors.New("a word is not in the English list")
	}
	secret, err := pbkdf2.Key(sha512.New, string(entropy), []byte("mnemonic"), 2048, len(seed{}))
	if err != nil {
		return seed{}, err
	}
	return parseSeed(secret)
}

func seedOfURI(uri string, scheme Scheme) (seed, error) {
	if uri == "" {
		return seed{}, errors.New("must not be empty")
	}
	if strings.ContainsFunc(uri, unicode.IsControl) {
		return seed{}, errors.New("must not have line ends or other control characters")
	}
	s, path, err := seedOfRoot(uri)
	for err == nil && path != "" {
		var junction string
		if junction, path, err = cutJunction(path); err == nil {
			s, err = s.derive(chainCode(junction), scheme)
		}
	}
	return s, err
}

// seedOfRoot returns the secret that a URI begins with, and the path behind it.
func seedOfRoot(uri string) (s seed, path string, err error) {
	root := uri
	if i := strings.IndexByte(uri, '/'); i >= 0 {
		root, path = uri[:i], uri[i:]
	}
	switch {
	case root == "":
		s, err = seedOfPhrase(devPhrase)
	case strings.HasPrefix(root, "0x"):
		s, err = seedOfHex(root)
	default:
		s, err = seedOfPhrase(root)
	}
	return s, path, err
}

func seedOfHex(text string) (seed, error) {
	secret, err := decodeHex(text)
	if err != nil {
		return seed{}, err
	}
	return parseSeed(secret)
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

// chainCode is sp_core's DeriveJunction: the SCALE encoding of a junction,
// padded with zeros or, above 32 bytes, hashed.
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

// derive returns the seed behind one hard junction.
func (s seed) derive(code [32]byte, scheme Scheme) (seed, error) {
	if scheme == Ed25519 { // sp_core, ed25519: derive_hard_junction
		return blake2b.Sum256(slices.Concat(scaleString("Ed25519HDKD"), s[:], code[:])), nil
	}
	raw, err := s.expand().MarshalBinary()
	if err != nil {
		return seed{}, err
	}
	// schnorrkel: hard_derive_mini_secret_key without a message
	t := merlin.NewTranscript("SchnorrRistrettoHDKD")
	t.AppendMessage("sign-bytes", nil)
	t.AppendMessage("chain-code", code[:])
	t.AppendMessage("secret-key", raw[:sr25519.SecretKeyScalarSize])
	var derived seed
	t.ExtractBytes(derived[:], "HDKD-hard")
	return derived, nil
}
