package natsqueue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue"
)

// TestBadOptions: each bad option is found, before the server is asked for
// anything.
func TestBadOptions(t *testing.T) {
	t.Parallel()
	var noCipher *natsqueue.AESGCM
	tests := []struct {
		name   string
		option natsqueue.Option
		says   string
	}{
		{"nil", nil, "option 1 is nil"},
		{"empty name", natsqueue.WithName(""), `WithName("")`},
		{"name with a dot", natsqueue.WithName("a.b"), `WithName("a.b")`},
		{"long name", natsqueue.WithName(strings.Repeat("a", 65)), "must be 1 to 64 letters"},
		{"capacity", natsqueue.WithCapacity(0), "WithCapacity(0)"},
		{"bytes", natsqueue.WithMaxBytes(0), "WithMaxBytes(0)"},
		{"age", natsqueue.WithMaxAge(999 * time.Millisecond), "WithMaxAge(999ms): must be at least 1s"},
		{"window", natsqueue.WithDedupeWindow(0), "WithDedupeWindow(0s)"},
		{"no replicas", natsqueue.WithReplicas(0), "WithReplicas(0)"},
		{"replicas", natsqueue.WithReplicas(6), "WithReplicas(6): must be from 1 to 5"},
		{"nil codec", natsqueue.WithCodec[string](nil), "codec is nil"},
		{"codec of another payload", natsqueue.WithCodec(natsqueue.JSON[int]{}), "WithCodec: have natsqueue.JSON[int]"},
		{"nil cipher", natsqueue.WithCipher(nil), "cipher is nil"},
		{"nil pointer to a cipher", natsqueue.WithCipher(noCipher), "cipher is nil"},
		{"prefetch", natsqueue.WithPrefetch(0), "WithPrefetch(0): must be from 1 to 1000"},
		{"shuffle", natsqueue.WithShuffle(1), "WithShuffle(1): must be from 2 to 1000"},
		{"ack wait", natsqueue.WithAckWait(time.Millisecond), "WithAckWait(1ms)"},
		{"lease", natsqueue.WithMaxLease(0), "WithMaxLease(0s)"},
		{"deliveries", natsqueue.WithMaxDeliveries(0), "WithMaxDeliveries(0)"},
		{"add timeout", natsqueue.WithAddTimeout(0), "WithAddTimeout(0s): must be above 0"},
		{"add timeout above the window", natsqueue.WithAddTimeout(2 * time.Minute), "must be below the window of 2m0s"},
		{"dead letters", natsqueue.WithDeadLetters(0, 0), "WithDeadLetters(0, 0s)"},
		{"age of dead letters", natsqueue.WithDeadLetters(1, time.Millisecond), "WithDeadLetters(1, 1ms)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := natsqueue.New[string](t.Context(), nil, tt.option)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			require.ErrorContains(t, err, tt.says)
			require.ErrorContains(t, err, "js is nil", "all is reported at once")
		})
	}
}

func TestAESGCM(t *testing.T) {
	t.Parallel()
	old, current := []byte(strings.Repeat("o", 16)), []byte(strings.Repeat("c", 32))
	before, err := natsqueue.NewAESGCM("old", map[string][]byte{"old": old})
	require.NoError(t, err)
	after, err := natsqueue.NewAESGCM("current", map[string][]byte{"old": old, "current": current})
	require.NoError(t, err)
	plain, context := []byte("the prompt"), []byte("sample 1")

	sealed, err := before.Seal(plain, context)
	require.NoError(t, err)
	require.NotContains(t, string(sealed), string(plain))
	again, err := before.Seal(plain, context)
	require.NoError(t, err)
	require.NotEqual(t, sealed, again, "the nonce is random")
	opened, err := after.Open(sealed, context)
	require.NoError(t, err, "an old key still opens")
	require.Equal(t, plain, opened)
	sealed, err = after.Seal(plain, context)
	require.NoError(t, err)
	_, err = before.Open(sealed, context)
	require.ErrorContains(t, err, `no key "current"`)
	_, err = after.Open(sealed, []byte("sample 2"))
	require.Error(t, err, "it is another sample's")
	for i := range sealed {
		changed := append([]byte(nil), sealed...)
		changed[i] ^= 1
		_, err = after.Open(changed, context)
		require.Errorf(t, err, "byte %d was changed", i)
		require.NotContains(t, err.Error(), "prompt")
		_, err = after.Open(sealed[:i], context)
		require.Errorf(t, err, "it ends at byte %d", i)
	}
}

func TestAESGCMRefusesBadKeys(t *testing.T) {
	t.Parallel()
	_, err := natsqueue.NewAESGCM("gone", map[string][]byte{"": make([]byte, 16), "short": []byte("secret")})
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	for _, says := range []string{`no key with the current ID "gone"`, "ID of a key has 0 bytes", `key "short" has 6 bytes`} {
		require.ErrorContains(t, err, says)
	}
	require.NotContains(t, err.Error(), "secret")
}

func TestAESGCMPrintsNoKey(t *testing.T) {
	t.Parallel()
	cipher, err := natsqueue.NewAESGCM("b", map[string][]byte{"b": make([]byte, 16), "a": make([]byte, 16)})
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		require.Equal(t, "AES-GCM with keys a, b", sprintf(verb, cipher))
	}
}

// unwritable cannot be written as JSON, and says too much about it.
type unwritable struct{}

func (unwritable) MarshalText() ([]byte, error) { return nil, errSecret }

func TestJSONQuotesNothing(t *testing.T) {
	t.Parallel()
	_, err := natsqueue.JSON[unwritable]{}.Encode(organic.NewSample(unwritable{}))
	require.ErrorContains(t, err, "encode sample as JSON")
	require.NotContains(t, err.Error(), "secret")
	for _, data := range []string{"", "secret", `{"Payload": "secret"}`, `{"Payload": 1} secret`, `{"Received": "secret"}`} {
		sample, err := natsqueue.JSON[int]{}.Decode([]byte(data))
		require.Error(t, err, data)
		require.NotContains(t, err.Error(), "secret")
		require.Zero(t, sample)
	}
}
