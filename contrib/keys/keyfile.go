package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
)

// maxKeyfile bounds the size of a key file in bytes; wallets write about 700.
const maxKeyfile = 64 << 10

// Load reads the key file of a Bittensor wallet, commonly
// .bittensor/wallets/NAME/hotkeys/HOTKEY or .bittensor/wallets/NAME/coldkey in
// the home directory; a "~" is not expanded. If the file is encrypted, Load
// calls password once; without a function the error is [ErrEncrypted]. See
// [Parse] for the formats.
//
// Errors name the file and what is wrong with it. A path that looks like a
// secret, such as a phrase that was passed by mistake, is not quoted.
func Load(path string, password func() ([]byte, error)) (*Keypair, error) {
	data, err := readKeyfile(path)
	if err != nil {
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err // the path is ours to quote
		}
		return nil, fmt.Errorf("keys: key file %s: %w", shownPath(path), err)
	}
	k, err := Parse(data, password)
	if err != nil {
		return nil, fmt.Errorf("%w (key file %s)", err, shownPath(path))
	}
	return k, nil
}

// Parse reads the content of a key file: a JSON object of up to 64 KiB as all
// versions of Bittensor's wallet write it, plain or encrypted with NaCl
// ("$NACL"). It contains secretPhrase, secretSeed or privateKey, and mostly
// ss58Address, publicKey, accountId and cryptoType. Fields that are null or
// empty count as absent, unknown ones are ignored.
//
// The stored address decides whether the key is sr25519 or ed25519, since old
// files omit or mislabel cryptoType; publicKey and accountId stand in for it,
// then cryptoType. A file whose secrets and public fields are not all of one key
// is refused, as is one whose type is not stated.
//
// Refused by name, with [ErrUnsupported]: files encrypted by Ansible Vault or
// Fernet, exports of polkadot.js, files older than JSON (a bare seed or phrase),
// and keys that are hashed, ML-DSA or of another unknown type. Other errors are
// [ErrEncrypted], [ErrPassword], [ErrAddress] and [ErrWeakKey]. No error contains
// a secret.
func Parse(data []byte, password func() ([]byte, error)) (*Keypair, error) {
	if len(data) > maxKeyfile {
		return nil, fmt.Errorf("keys: key file: is larger than %d bytes", maxKeyfile)
	}
	if bytes.HasPrefix(data, []byte(naclPrefix)) {
		plain, err := decrypt(data, password)
		if err != nil {
			return nil, err
		}
		data = plain
	}
	if format := foreignFormat(data); format != "" {
		return nil, fmt.Errorf("%w: %s", ErrUnsupported, format)
	}
	var file keyfile
	// The names are matched exactly, as wallets do: a struct would take any case.
	if json.Unmarshal(data, &file) != nil || file == nil {
		return nil, errors.New("keys: key file: is not a JSON object")
	}
	k, err := file.keypair()
	switch {
	case errors.Is(err, ErrUnsupported):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("keys: key file: %w", err)
	}
	return k, nil
}

// readKeyfile reads at most one byte more than is allowed.
func readKeyfile(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the path is the caller's to choose
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyfile+1))
	return data, errors.Join(err, f.Close())
}

var (
	bareSeed   = regexp.MustCompile(`^(0x)?([0-9a-fA-F]{64}|[0-9a-fA-F]{128})$`)
	barePhrase = regexp.MustCompile(`^[a-z]+(\s+[a-z]+){11,23}$`)
)

// foreignFormat names the formats that are recognised and not read.
func foreignFormat(data []byte) string {
	text := bytes.TrimSpace(data)
	switch {
	case bytes.HasPrefix(data, []byte("$ANSIBLE_VAULT")):
		return "it is encrypted by Ansible Vault, as old wallets did: rewrite it with a current wallet"
	case bytes.HasPrefix(data, []byte("gAAAAA")):
		return "it is encrypted by Fernet, as old wallets did: rewrite it with a current wallet"
	case bareSeed.Match(text):
		return "it is older than JSON (a bare seed): rewrite it with a current wallet"
	case barePhrase.Match(text):
		return "it is older than JSON (a bare phrase): rewrite it with a current wallet"
	}
	return ""
}

// keyfile is the JSON object of a key file.
type keyfile map[string]json.RawMessage

// keypair returns the key of the file, after all checks.
func (f keyfile) keypair() (*Keypair, error) {
	declared, err := f.declared()
	if err != nil {
		return nil, err
	}
	stored, err := f.stored()
	if err != nil {
		return nil, err
	}
	sr, srErr := f.secret(SR25519)
	ed, edErr := f.secret(Ed25519)
	switch {
	case srErr != nil && edErr != nil:
		if declared != nil && *declared == Ed25519 {
			return nil, edErr
		}
		return nil, srErr
	case len(stored) > 0:
		return f.choose(stored, sr, ed)
	case declared != nil && *declared == Ed25519:
		return ed, edErr
	case declared != nil:
		return sr, srErr
	case ed == nil:
		return sr, nil // its private key cannot be of the other type
	case sr == nil:
		return ed, nil
	}
	return nil, fmt.Errorf("%w: its key type is not stated: ss58Address, publicKey, accountId "+
		"and cryptoType are absent", ErrUnsupported)
}

// choose returns the candidate that all public fields name.
func (f keyfile) choose(stored []storedKey, candidates ...*Keypair) (*Keypair, error) {
	for _, k := range candidates {
		if k == nil || k.hotkey != stored[0].hotkey {
			continue
		}
		for _, other := range stored[1:] {
			if other.hotkey != k.hotkey {
				return nil, fmt.Errorf("%s is not that of the secret", other.field)
			}
		}
		return k, nil
	}
	return nil, fmt.Errorf("%s is not that of the secret, neither as sr25519 nor as ed25519",
		stored[0].field)
}

// declared returns the scheme of cryptoType, or nil if the field is absent.
func (f keyfile) declared() (*Scheme, error) {
	if f.has("encoded") && f.has("encoding") {
		return nil, fmt.Errorf("%w: it is an export of polkadot.js: import it into a Bittensor wallet",
			ErrUnsupported)
	}
	if f.has("hashedDescriptor") {
		return nil, fmt.Errorf("%w: it holds a hashed or ML-DSA key", ErrUnsupported)
	}
	if !f.has("cryptoType") {
		return nil, nil //nolint:nilnil // absent, which is no error
	}
	code, err := strconv.ParseUint(strings.Trim(string(f["cryptoType"]), `" `), 10, 8)
	if err != nil {
		return nil, errors.New("cryptoType must be a number")
	}
	scheme, ok := map[uint64]Scheme{0: Ed25519, 1: SR25519}[code]
	if !ok {
		return nil, fmt.Errorf("%w: cryptoType %d, only 0 (ed25519) and 1 (sr25519) are read: "+
			"hashed and ML-DSA keys are not", ErrUnsupported, code)
	}
	return &scheme, nil
}

// storedKey is a public key that the file contains.
type storedKey struct {
	field  string
	hotkey Hotkey
}

// stored returns the public keys of the file, the one that counts most first.
func (f keyfile) stored() ([]storedKey, error) {
	var all []storedKey
	for _, public := range []struct {
		field string
		parse func(text string) (Hotkey, error)
	}{
		{"ss58Address", ParseSS58},
		{" ss58Address", ParseSS58}, // in some old files
		{"publicKey", parseHexHotkey},
		{"accountId", parseHexHotkey},
	} {
		text, err := f.text(public.field)
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		hotkey, err := public.parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", public.field, err)
		}
		all = append(all, storedKey{public.field, hotkey})
	}
	return all, nil
}

// secret returns the key of the file's secrets under a scheme. Wallets of
// different versions use different ones first, so all must agree.
func (f keyfile) secret(scheme Scheme) (*Keypair, error) {
	var first *Keypair
	for _, secret := range []struct {
		field string
		read  func(text string, scheme Scheme) (*Keypair, error)
	}{
		{"secretPhrase", readPhrase},
		{"secretSeed", readHexSeed},
		{"privateKey", readPrivateKey},
	} {
		text, err := f.text(secret.field)
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		k, err := secret.read(text, scheme)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", secret.field, err)
		}
		if first != nil && first.hotkey != k.hotkey {
			return nil, fmt.Errorf("%s is of another key than the secret before it", secret.field)
		}
		first = k
	}
	if first == nil {
		return nil, errors.New("has no secret: neither secretPhrase nor secretSeed nor privateKey")
	}
	return first, nil
}

// has reports whether a field is there, neither null nor empty.
func (f keyfile) has(field string) bool {
	raw, ok := f[field]
	return ok && string(raw) != "null" && string(raw) != `""`
}

// text returns a field, or "" if it is absent.
func (f keyfile) text(field string) (string, error) {
	raw, ok := f[field]
	if !ok {
		return "", nil
	}
	var text string // stays empty for null
	if json.Unmarshal(raw, &text) != nil {
		return "", fmt.Errorf("%s must be a string", field)
	}
	return text, nil
}

func parseHexHotkey(text string) (Hotkey, error) {
	data, err := decodeHex(text)
	if err != nil {
		return Hotkey{}, err
	}
	if len(data) != len(Hotkey{}) {
		return Hotkey{}, fmt.Errorf("must be %d bytes long", len(Hotkey{}))
	}
	return Hotkey(data), nil
}

func readPhrase(text string, scheme Scheme) (*Keypair, error) {
	s, err := seedOfPhrase(text)
	if err != nil {
		return nil, err
	}
	return s.keypair(scheme)
}

func readHexSeed(text string, scheme Scheme) (*Keypair, error) {
	s, err := seedOfHex(text)
	if err != nil {
		return nil, err
	}
	return s.keypair(scheme)
}

// readPrivateKey reads 32 bytes as a seed, and 64 bytes as an expanded sr25519
// key or as an ed25519 seed with its public key.
func readPrivateKey(text string, scheme Scheme) (*Keypair, error) {
	data, err := decodeHex(text)
	switch {
	case err != nil:
		return nil, err
	case len(data) == len(seed{}):
		return seed(data).keypair(scheme)
	case len(data) != 2*len(seed{}):
		return nil, errors.New("must be 32 or 64 bytes long")
	case scheme == SR25519:
		return readExpanded(data)
	}
	secret := ed25519.NewKeyFromSeed(data[:ed25519.SeedSize])
	if !bytes.Equal(secret, data) {
		return nil, errors.New("is not an ed25519 key")
	}
	return newEd25519(secret), nil
}

// readExpanded reads an expanded sr25519 key: the scalar as schnorrkel writes it
// (btwallet) or times eight, as in ed25519 (polkadot-js). No bytes are both,
// since only the second has bit 254 set.
func readExpanded(data []byte) (*Keypair, error) {
	secret, err := sr25519.NewSecretKeyFromBytes(data)
	if err != nil {
		secret, err = sr25519.NewSecretKeyFromEd25519Bytes(data)
	}
	if err != nil {
		return nil, errors.New("is not an sr25519 key")
	}
	return newSR25519(secret)
}
