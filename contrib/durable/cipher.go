package durable

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/organic-scoring/organic"
)

// Cipher encrypts what a queue stores. Queues call both methods from any
// goroutine, several at once.
type Cipher interface {
	// Seal encrypts and authenticates plain, and authenticates context, which
	// Open is given again. It does not change plain.
	Seal(plain, context []byte) ([]byte, error)
	// Open returns what was sealed with this context. Its errors say nothing
	// about the content.
	Open(sealed, context []byte) ([]byte, error)
}

// sealedVersion is the first byte of what an AESGCM seals.
const sealedVersion = 1

var (
	errNotSealed = errors.New("not sealed by AES-GCM")
	errNoKeys    = errors.New("AESGCM has no keys, make it with NewAESGCM")
)

// AESGCM is the [Cipher] of the standard library, with 96 random bits as nonce
// and several keys, so that keys can be changed: seal with a new one, and keep
// the old ones as long as samples and dead letters sealed with them are stored.
// What it seals begins with the ID of its key. The ID of the sample is
// authenticated, so that one payload cannot be stored under the ID of another.
//
// Change the key after 2³² samples at the latest. An AESGCM is safe for
// concurrent use and prints without its keys.
type AESGCM struct {
	ring *keyring // behind a pointer, so that fmt does not print keys of a nested AESGCM
}

type keyring struct {
	current string
	keys    map[string]cipher.AEAD
}

// NewAESGCM returns a cipher that seals with the key whose ID is current and
// opens with any of keys. A key has 16, 24 or 32 bytes and should be random; an
// ID has 1 to 255 bytes and is stored in the clear. Keys are copied. The error
// names all that is wrong and wraps [organic.ErrInvalidOption].
func NewAESGCM(current string, keys map[string][]byte) (*AESGCM, error) {
	ring := &keyring{current: current, keys: make(map[string]cipher.AEAD, len(keys))}
	var errs []error
	if _, ok := keys[current]; !ok {
		errs = append(errs, invalidCipher("there is no key with the current ID %q", current))
	}
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		aead, err := newAEAD(id, keys[id])
		errs = append(errs, err)
		ring.keys[id] = aead
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &AESGCM{ring: ring}, nil
}

func newAEAD(id string, key []byte) (cipher.AEAD, error) {
	if id == "" || len(id) > 255 {
		return nil, invalidCipher("the ID of a key has %d bytes, must have 1 to 255", len(id))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, invalidCipher("key %q has %d bytes, must have 16, 24 or 32", id, len(key))
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func invalidCipher(format string, args ...any) error {
	return fmt.Errorf(
		"durable: %w: NewAESGCM: %s",
		organic.ErrInvalidOption,
		fmt.Sprintf(format, args...),
	)
}

// Seal encrypts with the current key.
func (c *AESGCM) Seal(plain, context []byte) ([]byte, error) {
	if c == nil || c.ring == nil {
		return nil, errNoKeys
	}
	current := c.ring.current
	aead := c.ring.keys[current]
	head := []byte{sealedVersion, byte(len(current))} //nolint:gosec // 255 at most
	head = append(head, current...)
	sealed := make([]byte, len(head), len(head)+len(plain)+aead.Overhead())
	copy(sealed, head)
	//nolint:gosec // Seal makes a random nonce itself
	return aead.Seal(sealed, nil, plain, append(head, context...)), nil
}

// Open decrypts with the key that sealed names.
func (c *AESGCM) Open(sealed, context []byte) ([]byte, error) {
	if c == nil || c.ring == nil {
		return nil, errNoKeys
	}
	if len(sealed) < 2 || sealed[0] != sealedVersion || len(sealed) < 2+int(sealed[1]) {
		return nil, errNotSealed
	}
	head := sealed[:2+int(sealed[1])]
	aead, ok := c.ring.keys[string(head[2:])]
	if !ok {
		return nil, fmt.Errorf("there is no key %q", head[2:])
	}
	plain, err := aead.Open(nil, nil, sealed[len(head):], append(slices.Clone(head), context...))
	if err != nil {
		return nil, fmt.Errorf(
			"key %q does not open it: another key has the same ID, or the record was changed",
			head[2:],
		)
	}
	return plain, nil
}

// Format writes the IDs of the keys, whatever the verb.
func (c *AESGCM) Format(f fmt.State, _ rune) {
	if c == nil || c.ring == nil {
		_, _ = io.WriteString(f, "AES-GCM without keys")
		return
	}
	_, _ = io.WriteString(
		f,
		"AES-GCM with keys "+strings.Join(slices.Sorted(maps.Keys(c.ring.keys)), ", "),
	)
}
