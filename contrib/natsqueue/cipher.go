package natsqueue

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Cipher encrypts what the server stores. Both methods are called from any
// goroutine, several at once.
type Cipher interface {
	// Seal encrypts and authenticates plain, and authenticates context, which
	// Open is given again. It does not change plain.
	Seal(plain, context []byte) ([]byte, error)
	// Open returns what was sealed with this context, or an error that says
	// nothing of the content.
	Open(sealed, context []byte) ([]byte, error)
}

// sealedVersion is the first byte of what an AESGCM seals.
const sealedVersion = 1

// errNotSealed is an error of Open about bytes that Seal cannot have made.
var errNotSealed = errors.New("natsqueue: not sealed by AES-GCM")

// errNoKeys is an error of an AESGCM that NewAESGCM has not made.
var errNoKeys = errors.New("natsqueue: AESGCM has no keys, make it by NewAESGCM")

// AESGCM is the [Cipher] of the standard library, with 96 random bits as nonce
// and several keys, so that they can be changed: seal with a new one, and keep
// the old ones as long as samples and dead letters sealed with them are
// stored. What it seals begins with the ID of its key. A sample's ID is
// authenticated with it, so that no payload can pass for another's.
//
// Change the key after 2³² samples at the latest. An AESGCM is safe for
// concurrent use and prints without its keys.
type AESGCM struct {
	current string
	keys    map[string]cipher.AEAD
}

// NewAESGCM returns a cipher that seals with the key of the ID current and
// opens with any of them. A key has 16, 24 or 32 bytes and should be random;
// an ID has 1 to 255 bytes and is stored in the clear. Keys are copied. All
// that is wrong is reported at once and wraps [organic.ErrInvalidOption].
func NewAESGCM(current string, keys map[string][]byte) (*AESGCM, error) {
	c := &AESGCM{current: current, keys: make(map[string]cipher.AEAD, len(keys))}
	var errs []error
	if _, ok := keys[current]; !ok {
		errs = append(errs, invalid("NewAESGCM", "there is no key with the current ID %q", current))
	}
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		aead, err := newAEAD(id, keys[id])
		errs = append(errs, err)
		c.keys[id] = aead
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

func newAEAD(id string, key []byte) (cipher.AEAD, error) {
	if id == "" || len(id) > 255 {
		return nil, invalid("NewAESGCM", "the ID of a key has %d bytes, must have 1 to 255", len(id))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, invalid("NewAESGCM", "key %q has %d bytes, must have 16, 24 or 32", id, len(key))
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal encrypts with the current key.
func (c *AESGCM) Seal(plain, context []byte) ([]byte, error) {
	aead, ok := c.keys[c.current]
	if !ok {
		return nil, errNoKeys
	}
	head := append([]byte{sealedVersion, byte(len(c.current))}, c.current...) //nolint:gosec // 255 at most
	sealed := make([]byte, len(head), len(head)+len(plain)+aead.Overhead())
	copy(sealed, head)
	return aead.Seal(sealed, nil, plain, append(head, context...)), nil //nolint:gosec // the nonce is random, made by Seal
}

// Open decrypts with the key that sealed names.
func (c *AESGCM) Open(sealed, context []byte) ([]byte, error) {
	if len(c.keys) == 0 {
		return nil, errNoKeys
	}
	if len(sealed) < 2 || sealed[0] != sealedVersion || len(sealed) < 2+int(sealed[1]) {
		return nil, errNotSealed
	}
	head := sealed[:2+int(sealed[1])]
	aead, ok := c.keys[string(head[2:])]
	if !ok {
		return nil, fmt.Errorf("natsqueue: there is no key %q", head[2:])
	}
	plain, err := aead.Open(nil, nil, sealed[len(head):], append(slices.Clone(head), context...))
	if err != nil {
		return nil, fmt.Errorf("natsqueue: key %q does not open it, or it was changed, or is another sample's", head[2:])
	}
	return plain, nil
}

// Format writes the IDs of the keys, whatever the verb.
func (c *AESGCM) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "AES-GCM with keys "+strings.Join(slices.Sorted(maps.Keys(c.keys)), ", "))
}
