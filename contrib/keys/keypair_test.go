package keys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic/contrib/keys"
)

// aliceSeed is the seed of //Alice, and alicePrivate the key expanded from it.
const (
	aliceSeed    = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a"
	alicePrivate = "33a6f3093f158a7109f679410bef1a0c54168145e0cecb4df006c1c2fffb1f09" +
		"925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011"
)

func keypairFromURI(tb testing.TB, uri string) *keys.Keypair {
	tb.Helper()
	k, err := keys.FromURI(uri, keys.SR25519)
	require.NoError(tb, err)
	return k
}

func TestFromSeed(t *testing.T) {
	t.Parallel()
	k, err := keys.FromSeed(hexBytes(aliceSeed), keys.SR25519)
	require.NoError(t, err)
	require.Equal(t, aliceAddress, k.Hotkey().String())

	for _, size := range []int{0, 31, 33, 64} {
		k, err := keys.FromSeed(make([]byte, size), keys.SR25519)
		require.EqualError(t, err, "keys: seed: must be 32 bytes long")
		require.Nil(t, k)
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	first, err := keys.Generate(keys.SR25519)
	require.NoError(t, err)
	second, err := keys.Generate(keys.SR25519)
	require.NoError(t, err)
	require.NotEqual(t, first.Hotkey(), second.Hotkey())

	signature, err := first.Sign([]byte("message"))
	require.NoError(t, err)
	require.True(t, keys.Verify(keys.SR25519, first.Hotkey(), []byte("message"), signature))
	require.False(t, keys.Verify(keys.SR25519, second.Hotkey(), []byte("message"), signature))
}

func TestSign(t *testing.T) {
	t.Parallel()
	alice := keypairFromURI(t, "//Alice")
	for _, message := range [][]byte{nil, {}, []byte("message"), bytes.Repeat([]byte{0xff}, 1<<16)} {
		first, err := alice.Sign(message)
		require.NoError(t, err)
		second, err := alice.Sign(message)
		require.NoError(t, err)
		require.Len(t, first, 64)
		require.NotEqual(t, first, second)
		require.True(t, keys.Verify(keys.SR25519, alice.Hotkey(), message, first))
		require.True(t, keys.Verify(keys.SR25519, alice.Hotkey(), message, second))
	}
}

func TestZeroKeypairSignsNothing(t *testing.T) {
	t.Parallel()
	signature, err := new(keys.Keypair).Sign([]byte("message"))
	require.EqualError(t, err, "keys: sign: the key pair is empty")
	require.Nil(t, signature)
	require.Zero(t, new(keys.Keypair).Hotkey())
}

func TestKeypairSignsConcurrently(t *testing.T) {
	t.Parallel()
	alice := keypairFromURI(t, "//Alice")
	key, err := alice.Hotkey().PublicKey(keys.SR25519)
	require.NoError(t, err)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 20 {
				message := fmt.Append(nil, i, j)
				signature, err := alice.Sign(message)
				require.NoError(t, err)
				require.True(t, keys.Verify(keys.SR25519, alice.Hotkey(), message, signature))
				require.True(t, key.Verify(message, signature))
				require.False(t, key.Verify(append(message, '.'), signature))
			}
		})
	}
	group.Wait()
}

func TestKeypairPrintsAsItsAddress(t *testing.T) {
	t.Parallel()
	k := keypairFromURI(t, "//Alice")
	for _, value := range []any{k, *k} {
		for verb := 'A'; verb <= 'z'; verb++ {
			if strings.ContainsRune("pTw[\\]^_`", verb) {
				continue // of any value, or no verbs
			}
			for _, flags := range []string{"", "+", "#", "-60", " ", ".3", "060"} {
				require.Equal(t, aliceAddress, fmt.Sprintf("%"+flags+string(verb), value))
			}
		}
		require.Equal(t, aliceAddress, fmt.Sprint(value))

		text, err := json.Marshal(value)
		require.NoError(t, err)
		require.Equal(t, `"`+aliceAddress+`"`, string(text))
		text, err = xml.Marshal(value)
		require.NoError(t, err)
		require.Equal(t, "<Keypair>"+aliceAddress+"</Keypair>", string(text))
	}
}

func TestKeypairHidesItsSecretWhereverItIs(t *testing.T) {
	t.Parallel()
	type hidden struct {
		keypair keys.Keypair
		pointer *keys.Keypair
		Open    keys.Keypair
	}
	k := keypairFromURI(t, "0x"+aliceSeed)
	var seen bytes.Buffer
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewDevelopmentEncoderConfig()), zapcore.AddSync(&seen), zap.DebugLevel))
	for _, value := range []any{k, *k, hidden{*k, k, *k}, &hidden{*k, k, *k}, []*keys.Keypair{k}, map[string]keys.Keypair{"k": *k}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			_, _ = fmt.Fprintf(&seen, format+"\n", value)
		}
		logger.Info("value", zap.Any("value", value), zap.Reflect("reflected", value))
		logger.Sugar().Infow("value", "value", value)
		slog.New(slog.NewTextHandler(&seen, nil)).Info("value", "value", value)
		slog.New(slog.NewJSONHandler(&seen, nil)).Info("value", "value", value)
		// testify's diff walks through unexported fields without asking any methods.
		require.Equal(&recordingT{&seen}, reflect.Zero(reflect.TypeOf(value)).Interface(), value)
	}
	require.Contains(t, seen.String(), aliceAddress)
	requireNoSecret(t, seen.String())
}

// recordingT takes in what a failed assertion prints.
type recordingT struct{ out *bytes.Buffer }

func (r *recordingT) Errorf(format string, args ...any) {
	_, _ = fmt.Fprintf(r.out, format, args...)
}
func (r *recordingT) FailNow() {}

// requireNoSecret looks for the secrets of //Alice in all spellings of bytes.
func requireNoSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{aliceSeed, alicePrivate[:64], alicePrivate[64:]} {
		for _, part := range [][]byte{hexBytes(secret)[:8], hexBytes(secret)[8:24]} {
			decimals := strings.Trim(fmt.Sprintf("%d", part), "[]")
			for _, spelling := range []string{
				hex.EncodeToString(part),
				strings.ToUpper(hex.EncodeToString(part)),
				decimals,
				strings.ReplaceAll(decimals, " ", ","),
				strings.Trim(fmt.Sprintf("%#v", part), "[]byte{}"),
				base64.StdEncoding.EncodeToString(part)[:8],
				hex.Dump(part)[10:30],
				string(part),
			} {
				require.NotContains(t, text, spelling)
			}
		}
	}
}

func TestKeypairIsLoggedAsItsAddress(t *testing.T) {
	t.Parallel()
	k := keypairFromURI(t, "//Alice")
	var seen bytes.Buffer
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{})
	zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&seen), zap.DebugLevel)).Info("", zap.Any("signer", k), zap.Any("value", *k))
	require.JSONEq(t, `{"signer": "`+aliceAddress+`", "value": "`+aliceAddress+`"}`, seen.String())
	require.Equal(t, aliceAddress, slog.AnyValue(k).Resolve().String())
}
