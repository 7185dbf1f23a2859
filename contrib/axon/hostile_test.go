package axon_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// sentAt is when the calls of the battery are signed, and the time of their
// server's clock.
var sentAt = time.Unix(1_750_000_000, 0)

const (
	sentNano  = "1750000000000000000"
	sentMilli = "1750000000000"
	someUUID  = "2f1a7c4e-0000-4000-8000-0123456789ab"
)

// sketchClass has the types that bodies can go wrong in, and a field whose name
// Unicode can spell in other cases: ſ is an s, and the Kelvin sign a k.
var sketchClass = axon.Class{Name: "Sketch", Hashed: []axon.Field{
	{Name: "task", Type: axon.Str()},
	{Name: "seed", Type: axon.Int()},
	{Name: "opts", Type: axon.Any()},
}}

// fortress is a server of Bob's. What its hooks see is counted.
type fortress struct {
	server  *axon.Server
	clock   *testClock
	reached atomic.Int64
}

func newFortress(tb testing.TB, opts ...axon.Option) *fortress {
	tb.Helper()
	f := &fortress{clock: newTestClock(sentAt.Add(-time.Hour))}
	bob, err := keys.ParseSS58(bobAddress)
	require.NoError(tb, err)
	f.server, err = axon.New(bob, append([]axon.Option{axon.WithClock(f.clock.now)}, opts...)...)
	require.NoError(tb, err)
	f.clock.set(sentAt)
	hook := func(context.Context, *organic.Synapse) error {
		f.reached.Add(1)
		return nil
	}
	for _, class := range []axon.Class{organicClass, sketchClass} {
		route, err := f.server.Synapse(class)
		require.NoError(tb, err)
		require.NoError(tb, attach(route,
			organic.Handlers{Blacklist: hook, Verify: hook, Forward: answerNothing}))
	}
	both, err := f.server.Synapse(axon.Class{Name: "Both", Hashed: organicClass.Hashed},
		axon.WithBTAuth())
	require.NoError(tb, err)
	require.NoError(tb, attach(both,
		organic.Handlers{Blacklist: hook, Verify: hook, Forward: answerNothing}))
	for path, opts := range map[string][]axon.RouteOption{
		"/signed": {axon.WithMethods(http.MethodGet, http.MethodPost, http.MethodPut)},
		"/chat":   {axon.WithEpistula()}, "/other": {axon.WithEpistula()},
		"/old":     {axon.WithEpistula(), axon.WithEpistulaV1()},
		"/anybody": {axon.WithEpistula(), axon.WithUnaddressed()},
	} {
		route, err := f.server.Route(path, opts...)
		require.NoError(tb, err)
		require.NoError(tb, attach(route,
			organic.Handlers{Blacklist: hook, Verify: hook, Forward: answerNothing}))
	}
	return f
}

func answerNothing(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
	_, err := w.Write([]byte(`{}`))
	return err
}

// send serves one request within the process.
func (f *fortress) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	return w
}

// refusalTexts has the one text of each status.
var refusalTexts = map[int]string{
	400: "Bad request", 401: "Not verified", 403: "Forbidden", 404: "Not found",
	405: "Method not allowed", 408: "Timeout",
	413: "Too large", 429: "Too many requests", 431: "Too large", 500: "Internal error", 503: "Busy",
}

// requireAnswer checks all that an answer to the first request of a fortress
// says and leaves behind. A request that is taken has no reason.
func (f *fortress) requireAnswer(
	t *testing.T, w *httptest.ResponseRecorder, status int, reason axon.Reason,
) {
	t.Helper()
	stats := f.server.Stats()
	if reason == "" {
		require.Empty(t, stats.Refused)
		require.Equal(t, http.StatusOK, w.Code)
		require.EqualValues(t, 2, f.reached.Load(), "both hooks")
		require.Equal(t, 1, stats.Remembered)
		return
	}
	require.Equal(t, map[axon.Reason]uint64{reason: 1}, stats.Refused)
	require.Equal(t, status, w.Code)
	if isLegacy(w) {
		requireRawHeader(t, w, "bt_header_axon_status_code", strconv.Itoa(status))
		requireRawHeader(t, w, "bt_header_axon_status_message", refusalTexts[status])
	}
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, jsonMessage(refusalTexts[status]), w.Body.String())
	require.Zero(t, f.reached.Load())
	require.Zero(t, stats.Verified)
	require.Zero(t, stats.Remembered)
	require.Zero(t, stats.Hotkeys)
	require.Zero(t, stats.Serving)
	require.Zero(t, stats.Waiting)
}

// isLegacy reports whether an answer has the headers of the older SDK.
func isLegacy(w *httptest.ResponseRecorder) bool {
	for name := range w.Header() { // which is not canonical, as a dendrite wants it
		if name == "bt_header_axon_status_code" {
			return true
		}
	}
	return false
}

// requireRawHeader looks for a name as a dendrite does, in lower case.
func requireRawHeader(t *testing.T, w *httptest.ResponseRecorder, name, value string) {
	t.Helper()
	require.Equal(t, []string{value}, w.Header()[name])
}

// call is a request of Alice's to Bob with all that goes into it as text, so
// that a case can spoil one part, and the signature is good for what is sent.
type call struct {
	protocol organic.Protocol
	method   string
	target   string
	keypair  *keys.Keypair // signs, whatever hotkey says
	hotkey   string
	receiver string
	stamp    string // nonce or timestamp
	uuid     string
	bodyHash string
	body     string
	scheme   string // of btauth/1; none: no header

	sign       func(message string) string // what is signed in place of the message
	sent       string                      // the target on the request line; empty: the one that is signed
	sentMethod string                      // likewise
	signature  string                      // empty: one over all of the above
	header     func(http.Header)           // the last change, not signed
}

// onceAlice derives the key once: that takes longer than a request.
var onceAlice = sync.OnceValues(func() (*keys.Keypair,
	error,
) {
	return keys.FromURI("//Alice", keys.SR25519)
})

func aliceKeypair(tb testing.TB) *keys.Keypair {
	tb.Helper()
	alice, err := onceAlice()
	require.NoError(tb, err)
	return alice
}

func byBittensor(tb testing.TB) *call {
	tb.Helper()
	return &call{
		protocol: organic.Bittensor, method: http.MethodPost, target: "/Organic",
		keypair: aliceKeypair(tb),
		hotkey:  aliceAddress, receiver: bobAddress, stamp: sentNano, uuid: someUUID,
		bodyHash: bodyHash("hi"), body: `{"prompt": "hi"}`,
	}
}

// byBTAuth names its scheme, which it need not.
func byBTAuth(tb testing.TB) *call {
	tb.Helper()
	c := byBittensor(tb)
	c.protocol, c.target, c.scheme = organic.BTAuth1, "/signed", "sr25519"
	return c
}

func byEpistula(tb testing.TB) *call {
	tb.Helper()
	c := byBittensor(tb)
	c.protocol, c.target, c.stamp = organic.EpistulaV2, "/chat", sentMilli
	return c
}

// byEnvelope is a call of Epistula version 1: body alone counts.
func byEnvelope(tb testing.TB) *call {
	tb.Helper()
	c := byBittensor(tb)
	c.protocol, c.target = organic.EpistulaV1, "/old"
	c.body = `{"data": "hi", "nonce": ` + sentNano + `, "signed_by": "` + aliceAddress + `", "signed_for": "` + bobAddress + `", "version": 1}`
	return c
}

// sketch makes the call one to the route with typed fields, signed over these
// texts of them.
func (c *call) sketch(body string, texts ...string) {
	c.target, c.body, c.bodyHash = "/Sketch", body, bodyHash(texts...)
}

// message is what the sender signs.
func (c *call) message() string {
	switch c.protocol {
	case organic.Bittensor:
		return strings.Join([]string{c.stamp, c.hotkey, c.receiver, c.uuid, c.bodyHash}, ".")
	case organic.EpistulaV2:
		sum := sha256.Sum256([]byte(c.body))
		return strings.Join([]string{hex.EncodeToString(sum[:]), c.uuid, c.stamp, c.receiver}, ".")
	case organic.BTAuth1:
		sum := sha256.Sum256([]byte(c.body))
		return strings.Join([]string{
			"btauth/1", cmp.Or(c.scheme, "sr25519"), strings.ToUpper(c.method), c.target,
			hex.EncodeToString(sum[:]), c.stamp, c.hotkey,
			cmp.Or(c.receiver, "-"),
		}, "\n")
	default:
		return c.body
	}
}

// headers are the authentication headers.
func (c *call) headers(tb testing.TB) http.Header {
	tb.Helper()
	signature := c.signature
	if signature == "" {
		message := c.message()
		if c.sign != nil {
			message = c.sign(message)
		}
		signature = sign(tb, c.keypair, message)
	}
	header := make(http.Header)
	var values map[string]string
	switch c.protocol {
	default:
		values = map[string]string{"Body-Signature": signature}
	case organic.Bittensor:
		values = map[string]string{
			"bt_header_dendrite_hotkey": c.hotkey, "bt_header_dendrite_nonce": c.stamp,
			"bt_header_dendrite_uuid":      c.uuid,
			"bt_header_dendrite_signature": signature, "computed_body_hash": c.bodyHash,
		}
	case organic.EpistulaV2:
		values = map[string]string{
			"Epistula-Version": "2", "Epistula-Timestamp": c.stamp, "Epistula-Uuid": c.uuid,
			"Epistula-Signed-By":  c.hotkey,
			"Epistula-Signed-For": c.receiver, "Epistula-Request-Signature": signature,
		}
	case organic.Bearer:
		values = map[string]string{"Authorization": "Bearer " + bearerKey}
	case organic.BTAuth1:
		values = map[string]string{
			"X-Bittensor-Version": "1", "X-Bittensor-Hotkey": c.hotkey, "X-Bittensor-Nonce": c.stamp,
			"X-Bittensor-Signature": signature,
		}
		if c.receiver != "" {
			values["X-Bittensor-Receiver"] = c.receiver
		}
		if c.scheme != "" {
			values["X-Bittensor-Crypto"] = c.scheme
		}
	}
	for name, value := range values {
		header.Set(name, value)
	}
	if c.header != nil {
		c.header(header)
	}
	return header
}

func (c *call) request(tb testing.TB) *http.Request {
	tb.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(c.body))
	target, err := url.ParseRequestURI(cmp.Or(c.sent, c.target))
	require.NoError(tb, err)
	r.Method, r.URL, r.RequestURI = cmp.Or(c.sentMethod, c.method), target, cmp.Or(c.sent, c.target)
	r.Header = c.headers(tb)
	return r
}

// setHeader is a change of one unsigned header.
func setHeader(name string, values ...string) func(*call) {
	return func(c *call) {
		c.header = func(header http.Header) { header[http.CanonicalHeaderKey(name)] = values }
	}
}

// hostile is a case of the battery: a good call with one thing wrong.
type hostile struct {
	name   string
	spoil  func(*call)
	status int
	reason axon.Reason // none: taken on purpose
}

// besiege sends each case to a server of its own.
func besiege(t *testing.T, from func(testing.TB) *call, cases []hostile) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t), from(t)
			tt.spoil(c)
			f.requireAnswer(t, f.send(c.request(t)), tt.status, tt.reason)
		})
	}
}
