package durable_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func newCipher(t *testing.T, current string, keys map[string][]byte) *durable.AESGCM {
	t.Helper()
	c, err := durable.NewAESGCM(current, keys)
	require.NoError(t, err)
	return c
}

func TestAESGCMOpensWhatItSealed(t *testing.T) {
	t.Parallel()
	for _, size := range []int{16, 24, 32} {
		c := newCipher(t, "k", map[string][]byte{"k": key(1)[:size]})
		for _, plain := range []string{"", "x", strings.Repeat("long ", 10_000)} {
			sealed, err := c.Seal([]byte(plain), []byte("context"))
			require.NoError(t, err)
			again, err := c.Seal([]byte(plain), []byte("context"))
			require.NoError(t, err)
			require.NotEqual(t, sealed, again, "every seal has a nonce of its own")
			opened, err := c.Open(sealed, []byte("context"))
			require.NoError(t, err)
			require.Equal(t, plain, string(opened))
		}
	}
}

func TestAESGCMChangesKeys(t *testing.T) {
	t.Parallel()
	old := newCipher(t, "2026", map[string][]byte{"2026": key(1)})
	both := newCipher(t, "2027", map[string][]byte{"2026": key(1), "2027": key(2)})
	sealed, err := old.Seal([]byte("plain"), nil)
	require.NoError(t, err)
	opened, err := both.Open(sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "plain", string(opened))

	sealed, err = both.Seal([]byte("plain"), nil)
	require.NoError(t, err)
	_, err = old.Open(sealed, nil)
	require.ErrorContains(t, err, `"2027"`)
}

func TestAESGCMRefusesWhatWasChanged(t *testing.T) {
	t.Parallel()
	c := newCipher(t, "k", map[string][]byte{"k": key(1)})
	sealed, err := c.Seal([]byte("SECRET"), []byte("context"))
	require.NoError(t, err)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err := c.Open(changed, []byte("context"))
		require.Errorf(t, err, "byte %d", i)
		require.NotContains(t, err.Error(), "SECRET")
		_, err = c.Open(sealed[:i], []byte("context"))
		require.Errorf(t, err, "first %d bytes", i)
	}
	_, err = c.Open(sealed, []byte("another context"))
	require.Error(t, err)
	other := newCipher(t, "k", map[string][]byte{"k": key(2)})
	_, err = other.Open(sealed, []byte("context"))
	require.ErrorContains(t, err, "another key has the same ID")
}

func TestNewAESGCMNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := durable.NewAESGCM("gone", map[string][]byte{"": key(1), "short": []byte("secret")})
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	require.ErrorContains(t, err, `current ID "gone"`)
	require.ErrorContains(t, err, "has 0 bytes, must have 1 to 255")
	require.ErrorContains(t, err, `key "short" has 6 bytes, must have 16, 24 or 32`)
	require.NotContains(t, err.Error(), "secret")
}

func TestAESGCMWithoutKeysReturnsErrors(t *testing.T) {
	t.Parallel()
	var missing *durable.AESGCM
	for _, c := range []*durable.AESGCM{{}, missing} {
		_, err := c.Seal([]byte("plain"), nil)
		require.ErrorContains(t, err, "NewAESGCM")
		_, err = c.Open([]byte{1, 0, 1}, nil)
		require.ErrorContains(t, err, "NewAESGCM")
		require.Equal(t, "AES-GCM without keys", fmt.Sprint(c))
	}
}

func TestAESGCMPrintsWithoutKeys(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef")
	c := newCipher(t, "k", map[string][]byte{"k": secret})
	nested := struct{ byValue durable.AESGCM }{*c}
	data, err := json.Marshal(struct{ Cipher any }{c})
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		for _, value := range []any{c, *c, nested, &nested} {
			text := fmt.Sprintf(verb, value) + string(data)
			for _, form := range []string{"%s", "%d", "%x"} {
				require.NotContains(t, text, strings.Trim(fmt.Sprintf(form, secret[:6]), "[]"))
			}
		}
	}
	require.Equal(t, "AES-GCM with keys k", fmt.Sprint(c))
}
