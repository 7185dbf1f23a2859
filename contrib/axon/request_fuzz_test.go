package axon_test

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// fuzzed is a fortress that many inputs share: nothing they send may be
// remembered, so that each meets the same server.
func fuzzed(f *testing.F) *fortress {
	f.Helper()
	return newFortress(f, axon.WithAddressRate(math.Inf(1), 1),
		axon.WithLimits(axon.Limits{BodyBytes: 64 << 10}))
}

// requireRefused checks that nothing came of a request.
func (f *fortress) requireRefused(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	require.Contains(t, refusalTexts, w.Code)
	require.NotContains(t, []int{http.StatusInternalServerError, http.StatusServiceUnavailable},
		w.Code)
	if isLegacy(w) {
		requireRawHeader(t, w, "bt_header_axon_status_code", strconv.Itoa(w.Code))
	}
	require.Equal(t, jsonMessage(refusalTexts[w.Code]), w.Body.String())
	stats := f.server.Stats()
	require.Zero(t, f.reached.Load())
	require.Zero(t, stats.Verified)
	require.Zero(t, stats.Remembered)
	require.Zero(t, stats.Hotkeys)
}

// forgedSignature has the form of one.
var forgedSignature = "0x" + strings.Repeat("ab", 63) + "8c"

func FuzzDendriteHeaders(f *testing.F) {
	f.Add(aliceAddress, sentNano, someUUID, forgedSignature, bodyHash("hi"), "12.0",
		`{"prompt": "hi"}`)
	f.Add(identityAddress, "0", "a.b", "0x", bodyHash(), "NaN", "")
	f.Add(bobAddress, "9223372036854775808", "\x00", "", strings.Repeat("A", 64), "1e9",
		`{"prompt": "hi", "Prompt": 1}`)
	server := fuzzed(f)
	f.Fuzz(func(t *testing.T, hotkey, nonce, uuid, signature, hash, timeout, body string) {
		r := httptest.NewRequest(http.MethodPost, "/Organic", strings.NewReader(body))
		for name, value := range map[string]string{
			"bt_header_dendrite_hotkey": hotkey, "bt_header_dendrite_nonce": nonce,
			"bt_header_dendrite_uuid":      uuid,
			"bt_header_dendrite_signature": signature, "computed_body_hash": hash, "timeout": timeout,
		} {
			r.Header.Set(name, value)
		}
		server.requireRefused(t, server.send(r))
	})
}

func FuzzBTAuthHeaders(f *testing.F) {
	f.Add("1", aliceAddress, bobAddress, sentNano, "sr25519", forgedSignature, "/signed",
		`{"prompt": "hi"}`)
	f.Add("", identityAddress, "-", "9223372036854775808", "hashed", "0X", "/anybody?a=%2f", "\xff")
	f.Add("2", strings.Repeat("1", 48), aliceAddress, "-1", "", strings.Repeat("f", 130), "/Both", "")
	server := fuzzed(f)
	f.Fuzz(func(
		t *testing.T, version, hotkey, receiver, nonce, scheme, signature, target, body string,
	) {
		r := httptest.NewRequest(http.MethodPost, "/signed", strings.NewReader(body))
		if parsed, err := url.ParseRequestURI(target); err == nil {
			r.URL, r.RequestURI = parsed, target
		}
		for name, value := range map[string]string{
			"X-Bittensor-Version": version, "X-Bittensor-Hotkey": hotkey, "X-Bittensor-Receiver": receiver,
			"X-Bittensor-Nonce": nonce, "X-Bittensor-Crypto": scheme, "X-Bittensor-Signature": signature,
		} {
			r.Header.Set(name, value)
		}
		server.requireRefused(t, server.send(r))
	})
}

func FuzzEpistulaHeaders(f *testing.F) {
	f.Add("2", aliceAddress, bobAddress, sentMilli, someUUID, forgedSignature, `{"prompt": "hi"}`)
	f.Add("", identityAddress, "", "9999999999999", "", "0X", "\xff")
	f.Add("1", strings.Repeat("1", 48), aliceAddress, "-1", " ", strings.Repeat("f", 130), "")
	server := fuzzed(f)
	f.Fuzz(func(t *testing.T, version, signedBy, signedFor, timestamp, uuid, signature, body string) {
		for _, path := range []string{"/chat", "/anybody"} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
			for name, value := range map[string]string{
				"Epistula-Version": version, "Epistula-Signed-By": signedBy, "Epistula-Signed-For": signedFor,
				"Epistula-Timestamp": timestamp, "Epistula-Uuid": uuid, "Epistula-Request-Signature": signature,
			} {
				r.Header.Set(name, value)
			}
			server.requireRefused(t, server.send(r))
		}
	})
}

// FuzzEnvelope has bodies of Epistula version 1.
func FuzzEnvelope(f *testing.F) {
	f.Add(byEnvelope(f).body, forgedSignature)
	f.Add(`{"nonce": `+sentNano+`, "signed_by": "`+aliceAddress+`", "signed_for": null, "version": 1}`,
		forgedSignature)
	f.Add(`{"nonce": -0, "signed_by": "`+identityAddress+`", "Signed_for": 1, "version": 1e0}`, "0x")
	server := fuzzed(f)
	f.Fuzz(func(t *testing.T, body, signature string) {
		r := httptest.NewRequest(http.MethodPost, "/old", strings.NewReader(body))
		r.Header.Set("Body-Signature", signature)
		server.requireRefused(t, server.send(r))
	})
}

// FuzzRawRequest reads requests as net/http's server does, without its sockets.
func FuzzRawRequest(f *testing.F) {
	const head = " HTTP/1.1\r\nHost: axon\r\n"
	f.Add([]byte("POST /Organic" + head + "Content-Length: 16\r\n\r\n" + `{"prompt": "hi"}`))
	f.Add([]byte("POST /old" + head + "body-signature: " + forgedSignature + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(byEnvelope(f).body)))
	f.Add([]byte("POST /chat" + head + "epistula-version: 2\r\nepistula-version: 2\r\nContent-Length: -1\r\n\r\n"))
	f.Add([]byte("GET //Organic?x#y HTTP/1.0\r\n\r\n"))
	f.Add([]byte("POST /Organic" + head + "bt_header_dendrite_nonce: " + sentNano + "\r\nbt_header_dendrite_hotkey: " + aliceAddress +
		"\r\nbt_header_dendrite_uuid: x\r\nbt_header_dendrite_signature: " + forgedSignature + "\r\ncomputed_body_hash: " + bodyHash("hi") +
		"\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"))
	server := fuzzed(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		server.requireRefused(t, server.send(r))
		_, _ = io.Copy(io.Discard, r.Body)
	})
}
