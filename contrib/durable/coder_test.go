package durable_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

func sampleOf(payload string) organic.Sample[string] {
	return organic.Sample[string]{
		ID: "a", Payload: payload, Origin: organic.Synthetic, Source: "set", Requester: "hotkey",
		Received: time.Date(2026, 11, 28, 1, 2, 3, 4, time.UTC), Attempt: 3,
	}
}

func TestCoderReturnsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		coder durable.Coder[string]
	}{
		{name: "clear"},
		{
			name:  "sealed",
			coder: durable.Coder[string]{Cipher: newCipher(t, "k", map[string][]byte{"k": key(1)})},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := sampleOf("two\nlines \"quoted\" 🙂")
			data, err := tt.coder.Encode(want)
			require.NoError(t, err)
			require.Equal(t, tt.coder.Sealed(), !strings.Contains(string(data), "quoted"))
			got, err := tt.coder.Decode("a", data, tt.coder.Sealed())
			require.NoError(t, err)
			require.Equal(t, want, got)
			_, err = tt.coder.Decode("b", data, tt.coder.Sealed())
			require.Error(t, err, "the record of another sample")

			reason, err := tt.coder.EncodeReason("a", errors.New("hook: it failed"))
			require.NoError(t, err)
			require.Equal(
				t,
				"hook: it failed",
				tt.coder.DecodeReason("a", reason, tt.coder.Sealed()),
			)
		})
	}
}

// TestCoderTellsKeysFromPoison: what the cipher cannot open is not the sample's
// fault, what the codec cannot decode is.
func TestCoderTellsKeysFromPoison(t *testing.T) {
	t.Parallel()
	sealing := func(id string, b byte) durable.Coder[string] {
		return durable.Coder[string]{Cipher: newCipher(t, id, map[string][]byte{id: key(b)})}
	}
	clearText := durable.Coder[string]{}
	tests := []struct {
		name     string
		from, to durable.Coder[string]
		want     error
	}{
		{
			name: "key of another ID",
			from: sealing("new", 1),
			to:   sealing("old", 2),
			want: durable.ErrUnknownKey,
		},
		{
			name: "another key of the same ID",
			from: sealing("k", 1),
			to:   sealing("k", 2),
			want: durable.ErrUnknownKey,
		},
		{name: "no cipher here", from: sealing("k", 1), to: clearText, want: durable.ErrUnknownKey},
		{
			name: "no cipher there",
			from: clearText,
			to:   sealing("k", 1),
			want: durable.ErrUnknownKey,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data, err := tt.from.Encode(sampleOf("SECRET"))
			require.NoError(t, err)
			_, err = tt.to.Decode("a", data, tt.from.Sealed())
			require.ErrorIs(t, err, tt.want)
			require.NotErrorIs(t, err, durable.ErrUndecodable)
			require.NotContains(t, err.Error(), "SECRET")
		})
	}
	for _, data := range []string{
		"", "{", `{"ID": 7}`, `["SECRET"]`, `{"ID":"another","Payload":"SECRET"}`,
	} {
		_, err := clearText.Decode("a", []byte(data), false)
		require.ErrorIsf(t, err, durable.ErrUndecodable, "%q", data)
		require.NotContains(t, err.Error(), "SECRET")
	}
}

func TestCoderRefusesBadIDs(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"":                       "has no ID",
		strings.Repeat("x", 513): "has 513 bytes, must have at most 512",
		"\xff":                   "not valid UTF-8",
	} {
		_, err := durable.Coder[string]{}.Encode(organic.Sample[string]{ID: id})
		require.ErrorContains(t, err, want)
	}
	_, err := durable.Coder[string]{}.Encode(
		organic.Sample[string]{ID: strings.Repeat("x", durable.MaxID)},
	)
	require.NoError(t, err)
}

func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	var coder durable.Coder[string]
	long := strings.Repeat("x", durable.MaxReason-1) + "é and more"
	data, err := coder.EncodeReason("a", errors.New(long))
	require.NoError(t, err)
	require.Equal(
		t,
		long[:durable.MaxReason-1],
		coder.DecodeReason("a", data, false),
		"no half characters",
	)
	data, err = coder.EncodeReason("a", nil)
	require.NoError(t, err)
	require.Empty(t, coder.DecodeReason("a", data, false))

	sealing := durable.Coder[string]{Cipher: newCipher(t, "k", map[string][]byte{"k": key(1)})}
	data, err = sealing.EncodeReason("a", errors.New("SECRET"))
	require.NoError(t, err)
	require.NotContains(t, string(data), "SECRET")
	require.Empty(t, coder.DecodeReason("a", data, true), "sealed reasons need the cipher")
}

// unencodable fails in encoding/json with a text that quotes it.
type unencodable string

func (u unencodable) MarshalJSON() ([]byte, error) { return nil, errors.New(string(u)) }

func TestErrorsOfJSONDoNotQuoteThePayload(t *testing.T) {
	t.Parallel()
	_, err := durable.JSON[unencodable]{}.Encode(organic.NewSample(unencodable("SECRET")))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "SECRET")
	_, err = durable.JSON[int]{}.Decode([]byte(`{"Payload":"SECRET"}`))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "SECRET")
}

// panicking panics with the payload.
type panicking struct{ durable.JSON[string] }

func (panicking) Decode([]byte) (organic.Sample[string], error) { panic("SECRET") }

func (panicking) Seal([]byte, []byte) ([]byte, error) { panic("SECRET") }
func (panicking) Open([]byte, []byte) ([]byte, error) { panic("SECRET") }

func TestPanicsAreErrors(t *testing.T) {
	t.Parallel()
	_, codecErr := durable.Coder[string]{Codec: panicking{}}.Decode("a", []byte("data"), false)
	require.ErrorIs(t, codecErr, durable.ErrUndecodable)
	cipher := durable.Coder[string]{Cipher: panicking{}}
	_, cipherErr := cipher.Decode("a", []byte("data"), true)
	require.ErrorIs(t, cipherErr, durable.ErrUnknownKey)
	_, sealErr := cipher.Encode(sampleOf("payload"))
	var missing *exec.Error // its Error method panics
	reason, reasonErr := durable.Coder[string]{}.EncodeReason("a", missing)
	require.NoError(t, reasonErr)
	require.Empty(t, reason)
	for _, err := range []error{codecErr, cipherErr, sealErr} {
		require.ErrorContains(t, err, "panicked with a value of type string")
		require.NotContains(t, err.Error(), "SECRET")
	}
}
