package axon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
)

// maxKeyfile bounds the size of a keyfile in bytes; wallets write about 500.
const maxKeyfile = 64 << 10

// ErrEncryptedKeyfile is the error for a keyfile under a password, as coldkeys
// have one: only Bittensor's own wallet can open it. Hotkeys are written
// without, unless a password is asked for.
var ErrEncryptedKeyfile = errors.New("axon: the keyfile is encrypted")

// LoadKeypair reads the hotkey file of a Bittensor wallet, commonly
// .bittensor/wallets/NAME/hotkeys/HOTKEY in the home directory; a "~" is not
// expanded. See [ParseKeypair] for what it takes. Errors name the file and what
// is wrong with it, never a secret.
func LoadKeypair(path string) (*Keypair, error) {
	data, err := readKeyfile(path)
	if err != nil {
		return nil, fmt.Errorf("axon: keyfile: %w", err) // names the path
	}
	if isEncrypted(data) {
		return nil, fmt.Errorf("%w: %s", ErrEncryptedKeyfile, path)
	}
	k, err := parseKeyfile(data)
	if err != nil {
		return nil, fmt.Errorf("axon: keyfile %s: %w", path, err)
	}
	return k, nil
}

// ParseKeypair reads the content of an unencrypted keyfile of a Bittensor wallet
// (btwallet, any version): a JSON object of up to 64 KiB with secretPhrase,
// secretSeed or privateKey, and mostly accountId, publicKey and ss58Address.
// Fields that are null, empty or missing do not count, others are ignored. All
// that are there must be of one key. An encrypted one is [ErrEncryptedKeyfile].
func ParseKeypair(data []byte) (*Keypair, error) {
	if isEncrypted(data) {
		return nil, ErrEncryptedKeyfile
	}
	k, err := parseKeyfile(data)
	if err != nil {
		return nil, fmt.Errorf("axon: keyfile: %w", err)
	}
	return k, nil
}

// readKeyfile reads one byte more than is allowed, at most.
func readKeyfile(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the path is the caller's to choose
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyfile+1))
	return data, errors.Join(err, f.Close())
}

// isEncrypted knows the first bytes of btwallet's three ciphers: NaCl, Ansible
// Vault, and Fernet in old wallets.
func isEncrypted(data []byte) bool {
	for _, magic := range []string{"$NACL", "$ANSIBLE_VAULT", "gAAAAA"} {
		if bytes.HasPrefix(data, []byte(magic)) {
			return true
		}
	}
	return false
}

func parseKeyfile(data []byte) (*Keypair, error) {
	if len(data) > maxKeyfile {
		return nil, fmt.Errorf("is larger than %d bytes", maxKeyfile)
	}
	var file keyfile
	// The names are matched exactly, as wallets do: a struct would take any case.
	if json.Unmarshal(data, &file) != nil || file == nil {
		return nil, errors.New("is not a JSON object")
	}
	k, err := file.keypair()
	if err != nil {
		return nil, err
	}
	return k, file.check(k.Hotkey())
}

// keyfile is a keyfile's JSON object.
type keyfile map[string]json.RawMessage

// text returns a field, or "" where there is none.
func (f keyfile) text(field string) (string, error) {
	raw, ok := f[field]
	if !ok {
		return "", nil
	}
	var text string // stays empty at null
	if json.Unmarshal(raw, &text) != nil {
		return "", fmt.Errorf("%s must be a string", field)
	}
	return text, nil
}

// keypair makes the key of the file's secrets. Wallets of different versions
// take different ones first, so that all must agree.
func (f keyfile) keypair() (*Keypair, error) {
	var first *Keypair
	for _, secret := range []struct {
		field  string
		expand func(text string) (*sr25519.SecretKey, error)
	}{
		{"secretPhrase", expandPhrase},
		{"secretSeed", expandHexSeed},
		{"privateKey", readPrivateKey},
	} {
		text, err := f.text(secret.field)
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		expanded, err := secret.expand(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", secret.field, err)
		}
		k, err := newKeypair(expanded)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", secret.field, err)
		}
		if first != nil && first.hotkey != k.hotkey {
			return nil, fmt.Errorf("%s is of another key than the secret before it", secret.field)
		}
		first = k
	}
	if first == nil {
		return nil, errors.New("holds no secret: neither secretPhrase nor secretSeed nor privateKey")
	}
	return first, nil
}

// check compares the key with the public fields.
func (f keyfile) check(hotkey Hotkey) error {
	for _, public := range []struct {
		field string
		parse func(text string) (Hotkey, error)
	}{
		{"ss58Address", ParseHotkey},
		{"publicKey", parseHexHotkey},
		{"accountId", parseHexHotkey},
	} {
		text, err := f.text(public.field)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		named, err := public.parse(text)
		if err != nil {
			return fmt.Errorf("%s: %w", public.field, err)
		}
		if named != hotkey {
			return fmt.Errorf("%s is not that of the secret", public.field)
		}
	}
	return nil
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

func expandHexSeed(text string) (*sr25519.SecretKey, error) {
	seed, err := decodeHex(text)
	if err != nil {
		return nil, err
	}
	return expandSeed(seed)
}

// readPrivateKey reads the 64 bytes of an expanded key: the scalar as
// schnorrkel writes it (btwallet) or times eight, as in ed25519 (polkadot-js).
// No bytes are both, since only the second has bit 254 set.
func readPrivateKey(text string) (*sr25519.SecretKey, error) {
	data, err := decodeHex(text)
	if err != nil {
		return nil, err
	}
	if len(data) != sr25519.SecretKeySize {
		return nil, fmt.Errorf("must be %d bytes long", sr25519.SecretKeySize)
	}
	if secret, err := sr25519.NewSecretKeyFromBytes(data); err == nil {
		return secret, nil
	}
	secret, err := sr25519.NewSecretKeyFromEd25519Bytes(data)
	if err != nil {
		return nil, errors.New("is no sr25519 key")
	}
	return secret, nil
}
