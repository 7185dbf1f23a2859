package axon_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

func sketched(body string, texts ...string) func(*call) {
	return func(c *call) { c.sketch(body, texts...) }
}

// TestBadBodies has each body signed over the hash that Python would compute of
// it, as far as Python could read it.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	besiege(t, byBittensor, []hostile{
		{"good", sketched(`{"task": "x", "seed": 7, "opts": null}`, "x", "7", "None"), 200, ""},
		{"empty", sketched(``), 400, axon.ReasonBody},
		{"an empty object", sketched(`{}`), 400, axon.ReasonBody},
		{"white space", sketched(" \n"), 400, axon.ReasonBody},
		{"an array", sketched(`["x", 7, null]`, "x", "7", "None"), 400, axon.ReasonBody},
		{"null", sketched(`null`), 400, axon.ReasonBody},
		{"no JSON", sketched(`task=x&seed=7&opts=`, "x", "7", ""), 400, axon.ReasonBody},
		{"a field missing", sketched(`{"task": "x", "seed": 7}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a field null", sketched(`{"task": null, "seed": 7, "opts": null}`, "None", "7", "None"), 400, axon.ReasonBody},
		{"a text for a number", sketched(`{"task": "x", "seed": "7", "opts": null}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a number for a text", sketched(`{"task": 3, "seed": 7, "opts": null}`, "3", "7", "None"), 400, axon.ReasonBody},
		{"a fraction for an int", sketched(`{"task": "x", "seed": 7.0, "opts": null}`, "x", "7.0", "None"), 400, axon.ReasonBody},
		{"a field within another", sketched(`{"x": {"task": "x", "seed": 7, "opts": null}}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a field twice", sketched(`{"task": "x", "seed": 7, "opts": null, "task": "x"}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a field in two cases", sketched(`{"task": "x", "seed": 7, "opts": null, "Task": "y"}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a field in another case first", sketched(`{"TASK": "y", "task": "x", "seed": 7, "opts": null}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"with a long s", sketched(`{"task": "x", "taſk": "y", "seed": 7, "opts": null}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"with an escaped long s", sketched(`{"task": "x", "ta\u017fk": "y", "seed": 7, "opts": null}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"with a kelvin sign", sketched("{\"task\": \"x\", \"tas\u212a\": \"y\", \"seed\": 7, \"opts\": null}", "x", "7", "None"), 400, axon.ReasonBody},
		{"with both", sketched("{\"ta\u017f\u212a\": \"y\", \"task\": \"x\", \"seed\": 7, \"opts\": null}", "x", "7", "None"), 400, axon.ReasonBody},
		{"with an escaped key", sketched(`{"\u0074ask": "x", "seed": 7, "opts": null}`, "x", "7", "None"), 200, ""},
		{"with an escaped key and the plain one", sketched(`{"\u0074ask": "y", "task": "x", "seed": 7, "opts": null}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a nested key twice", sketched(`{"task": "x", "seed": 7, "opts": {"a": 1, "a": 2}}`, "x", "7", "{'a': 2}"), 400, axon.ReasonBody},
		{"a nested key in two cases", sketched(`{"task": "x", "seed": 7, "opts": {"a": 1, "A": 2}}`, "x", "7", "{'a': 1, 'A': 2}"), 200, ""},
		{"an unsigned key twice", sketched(`{"task": "x", "seed": 7, "opts": null, "z": 1, "z": 2}`, "x", "7", "None"), 200, ""},
		{"a high surrogate", sketched(`{"task": "\ud800", "seed": 7, "opts": null}`, "\xed\xa0\x80", "7", "None"), 400, axon.ReasonBody},
		{"a low surrogate, nested", sketched(`{"task": "x", "seed": 7, "opts": ["\udc00"]}`, "x", "7", `['\udc00']`), 400, axon.ReasonBody},
		{"surrogates in the wrong order", sketched(`{"task": "\udc00\ud800", "seed": 7, "opts": null}`, "??", "7", "None"), 400, axon.ReasonBody},
		{"broken UTF-8", sketched("{\"task\": \"\xff\", \"seed\": 7, \"opts\": null}", "\xff", "7", "None"), 400, axon.ReasonBody},
		{"a line break in a text", sketched("{\"task\": \"a\nb\", \"seed\": 7, \"opts\": null}", "a\nb", "7", "None"), 400, axon.ReasonBody},
		{"a zero byte at the end", sketched("{\"task\": \"x\", \"seed\": 7, \"opts\": null}\x00", "x", "7", "None"), 400, axon.ReasonBody},
		{"a second object", sketched(`{"task": "x", "seed": 7, "opts": null}{}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"garbage behind", sketched(`{"task": "x", "seed": 7, "opts": null}]`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a line break behind", sketched("{\"task\": \"x\", \"seed\": 7, \"opts\": null}\r\n", "x", "7", "None"), 200, ""},
		{"a byte order mark", sketched("\ufeff{\"task\": \"x\", \"seed\": 7, \"opts\": null}", "x", "7", "None"), 400, axon.ReasonBody},
		{"UTF-16", sketched("\xff\xfe{\x00}\x00"), 400, axon.ReasonBody},
		{"a comma too many", sketched(`{"task": "x", "seed": 7, "opts": null,}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a comment", sketched(`{"task": "x", /**/ "seed": 7, "opts": null}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"single quotes", sketched(`{'task': 'x', 'seed': 7, 'opts': null}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"NaN", sketched(`{"task": "x", "seed": 7, "opts": NaN}`, "x", "7", "nan"), 400, axon.ReasonBody},
		{"Infinity", sketched(`{"task": "x", "seed": 7, "opts": -Infinity}`, "x", "7", "-inf"), 400, axon.ReasonBody},
		{"NaN where nothing is signed", sketched(`{"task": "x", "seed": 7, "opts": null, "z": NaN}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a number beyond double", sketched(`{"task": "x", "seed": 7, "opts": 1e999}`, "x", "7", "inf"), 400, axon.ReasonBody},
		{"a number of 4 301 digits", sketched(`{"task": "x", "seed": `+strings.Repeat("9", 4301)+`, "opts": null}`, "x", strings.Repeat("9", 4301), "None"), 400, axon.ReasonBody},
		{"a number of 4 300 digits", sketched(`{"task": "x", "seed": `+strings.Repeat("9", 4300)+`, "opts": null}`, "x", strings.Repeat("9", 4300), "None"), 200, ""},
		{"a leading zero", sketched(`{"task": "x", "seed": 07, "opts": null}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a plus", sketched(`{"task": "x", "seed": +7, "opts": null}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"hexadecimal", sketched(`{"task": "x", "seed": 0x7, "opts": null}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"nested too deep", sketched(`{"task": "x", "seed": 7, "opts": `+nested(64)+`}`, "x", "7", nested(64)), 400, axon.ReasonBody},
		{"nested deep where nothing is signed", sketched(`{"task": "x", "seed": 7, "opts": null, "z": `+nested(64)+`}`, "x", "7", "None"), 400, axon.ReasonBody},
		{"a mebibyte of brackets", sketched(strings.Repeat("[", 1<<20)), 400, axon.ReasonBody},
		{"a mebibyte of objects", sketched(strings.Repeat(`{"a":`, 1<<20/5)), 400, axon.ReasonBody},
		{"3 for the text 3, under its hash", sketched(`{"task": "x", "seed": 7, "opts": "3"}`, "x", "7", "3"), 200, ""}, // Any: see Class
		{"other fields in the hash", sketched(`{"task": "x", "seed": 7, "opts": null}`, "7", "x", "None"), 401, axon.ReasonBodyHash},
		{"another hash's body", sketched(`{"task": "y", "seed": 7, "opts": null}`, "x", "7", "None"), 401, axon.ReasonBodyHash},
	})
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// TestAnyBytesAreABodyOfEpistula takes what is signed, JSON or not.
func TestAnyBytesAreABodyOfEpistula(t *testing.T) {
	t.Parallel()
	body := func(body string) func(*call) { return func(c *call) { c.body = body } }
	besiege(t, byEpistula, []hostile{
		{"empty", body(""), 200, ""},
		{"no JSON", body("\x00\xff"), 200, ""},
		{"of the limit", body(strings.Repeat("x", 1<<20)), 200, ""},
		{"beyond the limit", body(strings.Repeat("x", 1<<20+1)), 413, axon.ReasonSize},
		{"another than signed", func(c *call) { c.signature, c.body = sign(t, c.keypair, c.message()), "ho" }, 401, axon.ReasonForged},
		{"cut", func(c *call) { c.signature, c.body = sign(t, c.keypair, c.message()), c.body[1:] }, 401, axon.ReasonForged},
	})
}

func TestEncodedBodies(t *testing.T) {
	t.Parallel()
	zipped := func(c *call) {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, c.body)
		_ = w.Close()
		c.body = b.String()
		setHeader("Content-Encoding", "gzip")(c)
	}
	cases := []hostile{
		{"gzip", zipped, 400, axon.ReasonEncoding},
		{"said to be gzip", setHeader("Content-Encoding", "gzip"), 400, axon.ReasonEncoding},
		{"in upper case", setHeader("Content-Encoding", "GZIP"), 400, axon.ReasonEncoding},
		{"none and then gzip", setHeader("Content-Encoding", "identity", "gzip"), 400, axon.ReasonEncoding},
		{"empty and then gzip", setHeader("Content-Encoding", "", "gzip"), 400, axon.ReasonEncoding},
		{"none, gzip", setHeader("Content-Encoding", "identity, gzip"), 400, axon.ReasonEncoding},
		{"deflate", setHeader("Content-Encoding", "deflate"), 400, axon.ReasonEncoding},
		{"br", setHeader("Content-Encoding", "br"), 400, axon.ReasonEncoding},
		{"unheard of", setHeader("Content-Encoding", "\x00"), 400, axon.ReasonEncoding},
	}
	t.Run("bittensor", func(t *testing.T) { t.Parallel(); besiege(t, byBittensor, cases) })
	t.Run("epistula", func(t *testing.T) { t.Parallel(); besiege(t, byEpistula, cases) })
}

func TestRoutesAreExact(t *testing.T) {
	t.Parallel()
	to := func(target string) func(*call) { return func(c *call) { c.target = target } }
	by := func(method string) func(*call) { return func(c *call) { c.method = method } }
	besiege(t, byBittensor, []hostile{
		{"the root", to("/"), 404, axon.ReasonRoute},
		{"a slash behind", to("/Organic/"), 404, axon.ReasonRoute},
		{"more behind", to("/Organic/x"), 404, axon.ReasonRoute},
		{"a prefix of it", to("/Organi"), 404, axon.ReasonRoute},
		{"something before", to("/v1/Organic"), 404, axon.ReasonRoute},
		{"two slashes", to("http://axon//Organic"), 404, axon.ReasonRoute},
		{"in lower case", to("/organic"), 404, axon.ReasonRoute},
		{"a step back", to("/x/../Organic"), 404, axon.ReasonRoute},
		{"a dot", to("/./Organic"), 404, axon.ReasonRoute},
		{"an encoded slash behind", to("/Organic%2f"), 404, axon.ReasonRoute},
		{"an encoded zero byte", to("/Organic%00"), 404, axon.ReasonRoute},
		{"encoded twice", to("/%254frganic"), 404, axon.ReasonRoute},
		{"a parameter", to("/Organic;a=b"), 404, axon.ReasonRoute},
		{"the SDK's ping", to("/Synapse"), 404, axon.ReasonRoute},
		{"an encoded letter", to("/%4Frganic"), 404, axon.ReasonRoute}, // another path on the wire
		{"a query", to("/Organic?prompt=ho"), 200, ""},                 // not signed, not read
		{"another host", to("http://elsewhere:1/Organic"), 200, ""},
		{"GET", by(http.MethodGet), 405, axon.ReasonMethod},
		{"HEAD", by(http.MethodHead), 405, axon.ReasonMethod},
		{"PUT", by(http.MethodPut), 405, axon.ReasonMethod},
		{"PATCH", by(http.MethodPatch), 405, axon.ReasonMethod},
		{"DELETE", by(http.MethodDelete), 405, axon.ReasonMethod},
		{"OPTIONS", by(http.MethodOptions), 405, axon.ReasonMethod},
		{"TRACE", by(http.MethodTrace), 405, axon.ReasonMethod},
		{"post", by("post"), 405, axon.ReasonMethod},
		{"one unheard of", by("BREW"), 405, axon.ReasonMethod},
	})
}

// untouchable is a body that must not be read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (u untouchable) Close() error { return nil }

// TestRefusedWithoutReading sends what is refused for its header.
func TestRefusedWithoutReading(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		length int64
		hostile
	}{
		{"too large", 1<<20 + 1, hostile{"", func(*call) {}, 413, axon.ReasonSize}},
		{"too large by far", 1 << 62, hostile{"", func(*call) {}, 413, axon.ReasonSize}},
		{"no route", 5, hostile{"", func(c *call) { c.target = "/x" }, 404, axon.ReasonRoute}},
		{"encoded", 5, hostile{"", setHeader("Content-Encoding", "gzip"), 400, axon.ReasonEncoding}},
		{"unsigned", -1, hostile{"", setHeader("bt_header_dendrite_signature"), 401, axon.ReasonMissing}},
		{"stale", -1, hostile{"", func(c *call) { c.stamp = "1" }, 401, axon.ReasonStale}},
		{"the identity", -1, hostile{"", func(c *call) { c.hotkey = identityAddress }, 401, axon.ReasonWeakKey}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t), byBittensor(t)
			tt.spoil(c)
			r := c.request(t)
			r.Body, r.ContentLength = untouchable{t}, tt.length
			f.requireAnswer(t, f.send(r), tt.status, tt.reason)
		})
	}
}

// endless is a body that never ends by itself.
type endless struct{ sent int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.sent += int64(len(p))
	return len(p), nil
}

func (e *endless) Close() error { return nil }

func TestABodyWithoutEndIsReadToTheLimit(t *testing.T) {
	t.Parallel()
	for protocol, from := range map[string]func(testing.TB) *call{"bittensor": byBittensor, "epistula": byEpistula, "version 1": byEnvelope} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			f, body := newFortress(t), &endless{}
			r := from(t).request(t)
			r.Body, r.ContentLength = body, -1
			f.requireAnswer(t, f.send(r), http.StatusRequestEntityTooLarge, axon.ReasonSize)
			require.LessOrEqual(t, body.sent, int64(1<<20+1))
		})
	}
}

// broken is a body whose sender hangs up.
type broken struct{ io.Reader }

func (b broken) Close() error { return nil }

func TestABodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	f, c := newFortress(t), byBittensor(t)
	r := c.request(t)
	r.Body = broken{io.MultiReader(strings.NewReader(c.body), errorReader{errors.New("reset by peer")})}
	f.requireAnswer(t, f.send(r), http.StatusBadRequest, axon.ReasonBody)
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }
