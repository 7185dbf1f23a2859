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
	bad := func(name, body string, texts ...string) hostile {
		return hostile{name, sketched(body, texts...), 400, axon.ReasonBody}
	}
	taken := func(name, body string, texts ...string) hostile {
		return hostile{name, sketched(body, texts...), 200, ""}
	}
	otherHash := func(name, body string, texts ...string) hostile {
		return hostile{name, sketched(body, texts...), 401, axon.ReasonBodyHash}
	}
	besiege(t, byBittensor, []hostile{
		taken("good", `{"task": "x", "seed": 7, "opts": null}`, "x", "7", "None"),
		bad("empty", ``),
		bad("an empty object", `{}`),
		bad("white space", " \n"),
		bad("an array", `["x", 7, null]`, "x", "7", "None"),
		bad("null", `null`),
		bad("no JSON", `task=x&seed=7&opts=`, "x", "7", ""),
		bad("a field missing", `{"task": "x", "seed": 7}`, "x", "7", "None"),
		bad("a field null", `{"task": null, "seed": 7, "opts": null}`, "None", "7", "None"),
		bad("a text for a number", `{"task": "x", "seed": "7", "opts": null}`, "x", "7", "None"),
		bad("a number for a text", `{"task": 3, "seed": 7, "opts": null}`, "3", "7", "None"),
		bad("a fraction for an int", `{"task": "x", "seed": 7.0, "opts": null}`, "x", "7.0", "None"),
		bad("a field within another", `{"x": {"task": "x", "seed": 7, "opts": null}}`, "x", "7", "None"),
		bad("a field twice", `{"task": "x", "seed": 7, "opts": null, "task": "x"}`, "x", "7", "None"),
		bad("a field in two cases", `{"task": "x", "seed": 7, "opts": null, "Task": "y"}`, "x", "7",
			"None"),
		bad("a field in another case first", `{"TASK": "y", "task": "x", "seed": 7, "opts": null}`,
			"x", "7", "None"),
		bad("with a long s", `{"task": "x", "taſk": "y", "seed": 7, "opts": null}`, "x", "7", "None"),
		bad("with an escaped long s", `{"task": "x", "ta\u017fk": "y", "seed": 7, "opts": null}`,
			"x", "7", "None"),
		bad("with a kelvin sign", "{\"task\": \"x\", \"tas\u212a\": \"y\", \"seed\": 7, \"opts\": null}",
			"x", "7", "None"),
		bad("with both", "{\"ta\u017f\u212a\": \"y\", \"task\": \"x\", \"seed\": 7, \"opts\": null}",
			"x", "7", "None"),
		taken("with an escaped key", `{"\u0074ask": "x", "seed": 7, "opts": null}`, "x", "7", "None"),
		bad("with an escaped key and the plain one",
			`{"\u0074ask": "y", "task": "x", "seed": 7, "opts": null}`, "x", "7", "None"),
		bad("a nested key twice", `{"task": "x", "seed": 7, "opts": {"a": 1, "a": 2}}`, "x", "7",
			"{'a': 2}"),
		taken("a nested key in two cases", `{"task": "x", "seed": 7, "opts": {"a": 1, "A": 2}}`,
			"x", "7", "{'a': 1, 'A': 2}"),
		taken("an unsigned key twice", `{"task": "x", "seed": 7, "opts": null, "z": 1, "z": 2}`,
			"x", "7", "None"),
		bad("a high surrogate", `{"task": "\ud800", "seed": 7, "opts": null}`, "\xed\xa0\x80", "7",
			"None"),
		bad("a low surrogate, nested", `{"task": "x", "seed": 7, "opts": ["\udc00"]}`,
			"x", "7", `['\udc00']`),
		bad("surrogates in the wrong order", `{"task": "\udc00\ud800", "seed": 7, "opts": null}`,
			"??", "7", "None"),
		bad("broken UTF-8", "{\"task\": \"\xff\", \"seed\": 7, \"opts\": null}", "\xff", "7", "None"),
		bad("a line break in a text", "{\"task\": \"a\nb\", \"seed\": 7, \"opts\": null}",
			"a\nb", "7", "None"),
		bad("a zero byte at the end", "{\"task\": \"x\", \"seed\": 7, \"opts\": null}\x00", "x", "7",
			"None"),
		bad("a second object", `{"task": "x", "seed": 7, "opts": null}{}`, "x", "7", "None"),
		bad("garbage behind", `{"task": "x", "seed": 7, "opts": null}]`, "x", "7", "None"),
		taken("a line break behind", "{\"task\": \"x\", \"seed\": 7, \"opts\": null}\r\n", "x", "7",
			"None"),
		bad("a byte order mark", "\ufeff{\"task\": \"x\", \"seed\": 7, \"opts\": null}", "x", "7",
			"None"),
		bad("UTF-16", "\xff\xfe{\x00}\x00"),
		bad("a comma too many", `{"task": "x", "seed": 7, "opts": null,}`, "x", "7", "None"),
		bad("a comment", `{"task": "x", /**/ "seed": 7, "opts": null}`, "x", "7", "None"),
		bad("single quotes", `{'task': 'x', 'seed': 7, 'opts': null}`, "x", "7", "None"),
		bad("NaN", `{"task": "x", "seed": 7, "opts": NaN}`, "x", "7", "nan"),
		bad("Infinity", `{"task": "x", "seed": 7, "opts": -Infinity}`, "x", "7", "-inf"),
		bad("NaN where nothing is signed", `{"task": "x", "seed": 7, "opts": null, "z": NaN}`,
			"x", "7", "None"),
		bad("a number beyond double", `{"task": "x", "seed": 7, "opts": 1e999}`, "x", "7", "inf"),
		bad("a number of 4 301 digits",
			`{"task": "x", "seed": `+strings.Repeat("9", 4301)+`, "opts": null}`,
			"x", strings.Repeat("9", 4301), "None"),
		taken("a number of 4 300 digits",
			`{"task": "x", "seed": `+strings.Repeat("9", 4300)+`, "opts": null}`,
			"x", strings.Repeat("9", 4300), "None"),
		bad("a leading zero", `{"task": "x", "seed": 07, "opts": null}`, "x", "7", "None"),
		bad("a plus", `{"task": "x", "seed": +7, "opts": null}`, "x", "7", "None"),
		bad("hexadecimal", `{"task": "x", "seed": 0x7, "opts": null}`, "x", "7", "None"),
		bad("nested too deep", `{"task": "x", "seed": 7, "opts": `+nested(64)+`}`, "x", "7", nested(64)),
		bad("nested deep where nothing is signed",
			`{"task": "x", "seed": 7, "opts": null, "z": `+nested(64)+`}`, "x", "7", "None"),
		bad("a mebibyte of brackets", strings.Repeat("[", 1<<20)),
		bad("a mebibyte of objects", strings.Repeat(`{"a":`, 1<<20/5)),
		// Any: see Class
		taken("3 for the text 3, under its hash", `{"task": "x", "seed": 7, "opts": "3"}`, "x", "7", "3"),
		otherHash("other fields in the hash", `{"task": "x", "seed": 7, "opts": null}`, "7", "x", "None"),
		otherHash("another hash's body", `{"task": "y", "seed": 7, "opts": null}`, "x", "7", "None"),
	})
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// TestAnyBytesAreABodyOfEpistula takes what is signed, JSON or not.
func TestAnyBytesAreABodyOfEpistula(t *testing.T) {
	t.Parallel()
	body := func(body string) func(*call) { return func(c *call) { c.body = body } }
	swapped := func(body string) func(*call) {
		return func(c *call) { c.signature, c.body = sign(t, c.keypair, c.message()), body }
	}
	besiege(t, byEpistula, []hostile{
		{"empty", body(""), 200, ""},
		{"no JSON", body("\x00\xff"), 200, ""},
		{"of the limit", body(strings.Repeat("x", 1<<20)), 200, ""},
		{"beyond the limit", body(strings.Repeat("x", 1<<20+1)), 413, axon.ReasonSize},
		{"another than signed", swapped("ho"), 401, axon.ReasonForged},
		{"cut", swapped(byEpistula(t).body[1:]), 401, axon.ReasonForged},
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
		{"none", setHeader("Content-Encoding", "identity"), 200, ""},
		{"none in upper case", setHeader("Content-Encoding", "Identity"), 200, ""},
		{
			"none and then gzip", setHeader("Content-Encoding", "identity", "gzip"), 400,
			axon.ReasonEncoding,
		},
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
		{"the identity", -1, hostile{
			"", func(c *call) { c.hotkey = identityAddress }, 401, axon.ReasonWeakKey,
		}},
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
	for protocol, from := range map[string]func(testing.TB) *call{
		"bittensor": byBittensor, "epistula": byEpistula, "version 1": byEnvelope,
	} {
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
	r.Body = broken{io.MultiReader(strings.NewReader(c.body),
		errorReader{errors.New("reset by peer")})}
	f.requireAnswer(t, f.send(r), http.StatusBadRequest, axon.ReasonBody)
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }
