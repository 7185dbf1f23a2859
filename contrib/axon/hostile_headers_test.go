package axon_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// authenticating are the headers that authentication needs, by who sends them.
var authenticating = map[string]struct {
	from  func(testing.TB) *call
	names []string
}{
	"btauth/1": {byBTAuth, []string{
		"X-Bittensor-Version", "X-Bittensor-Hotkey", "X-Bittensor-Receiver", "X-Bittensor-Nonce",
		"X-Bittensor-Crypto", "X-Bittensor-Signature",
	}},
	"bittensor": {byBittensor, []string{
		"bt_header_dendrite_hotkey", "bt_header_dendrite_nonce", "bt_header_dendrite_uuid",
		"bt_header_dendrite_signature", "computed_body_hash",
	}},
	"epistula": {byEpistula, []string{
		"Epistula-Timestamp", "Epistula-Uuid", "Epistula-Signed-By", "Epistula-Request-Signature",
		"Epistula-Version", "Epistula-Signed-For",
	}},
	"epistula version 1": {byEnvelope, []string{"Body-Signature"}},
}

// headerFault is what can be wrong with any header.
type headerFault struct {
	name   string
	spoil  func(header http.Header, name string)
	reason axon.Reason
}

func changed(change func(value string) string) func(http.Header, string) {
	return func(header http.Header, name string) { header.Set(name, change(header.Get(name))) }
}

func inserted(what string) func(http.Header, string) {
	return changed(func(value string) string { return value[:len(value)/2] + what + value[len(value)/2:] })
}

// replaced keeps the length.
func replaced(what string) func(http.Header, string) {
	return changed(func(value string) string {
		at := max(0, len(value)/2-len(what))
		return value[:at] + what + value[min(len(value), at+len(what)):]
	})
}

var headerFaults = []headerFault{
	{"missing", func(header http.Header, name string) { header.Del(name) }, axon.ReasonMissing},
	{"without a value", func(
		header http.Header, name string,
	) {
		header[http.CanonicalHeaderKey(name)] = nil
	}, axon.ReasonMissing},
	{"empty", func(header http.Header, name string) { header.Set(name, "") }, axon.ReasonMissing},
	{
		"twice", func(header http.Header, name string) { header.Add(name, header.Get(name)) },
		axon.ReasonShape,
	},
	{"twice, in another case", func(header http.Header, name string) {
		header.Add(strings.ToUpper(name), header.Get(name))
	}, axon.ReasonShape},
	{
		"twice, once empty", func(header http.Header, name string) { header.Add(name, "") },
		axon.ReasonShape,
	},
	{"twice, first empty", func(header http.Header, name string) {
		header[http.CanonicalHeaderKey(name)] = []string{"", header.Get(name)}
	}, axon.ReasonShape},
	{
		"twice in one line", changed(func(value string) string { return value + ", " + value }),
		axon.ReasonShape,
	},
	{
		"of a kibibyte", changed(func(value string) string { return value + strings.Repeat("0", 1024) }),
		axon.ReasonShape,
	},
	{
		"with a space behind", changed(func(value string) string { return value + " " }),
		axon.ReasonShape,
	},
	{"with a space", replaced(" "), axon.ReasonShape},
	{"with a tab", replaced("\t"), axon.ReasonShape},
	{"with a line break", inserted("\r\n"), axon.ReasonShape},
	{"with a zero byte", replaced("\x00"), axon.ReasonShape},
	{"with a delete character", replaced("\x7f"), axon.ReasonShape},
	{"with a letter beyond ASCII", replaced("é"), axon.ReasonShape},
	{"with broken UTF-8", replaced("\xff"), axon.ReasonShape},
	{"with digits that are no ASCII", replaced("٣"), axon.ReasonShape},
	{"in quotes", changed(func(value string) string { return `"` + value + `"` }), axon.ReasonShape},
	{"NaN", changed(func(string) string { return "NaN" }), axon.ReasonShape},
	{"None", changed(func(string) string { return "None" }), axon.ReasonShape},
}

// notAFault tells what some header may be on purpose.
func notAFault(name, fault string) bool {
	switch name {
	case "bt_header_dendrite_uuid", "Epistula-Uuid": // any token
		return fault == "NaN" || fault == "None" || fault == "in quotes"
	case "X-Bittensor-Crypto": // it may be absent
		return fault == "missing" || fault == "without a value"
	}
	return false
}

// reasonOf is the reason that a header has for a fault, where it has its own.
func reasonOf(name string, fault headerFault) axon.Reason {
	twice := strings.HasPrefix(fault.name, "twice") && fault.name != "twice in one line"
	switch {
	case (name == "Epistula-Version" || name == "X-Bittensor-Version") && fault.reason == axon.ReasonShape && !twice:
		return axon.ReasonVersion
	case (name == "Epistula-Signed-For" || name == "X-Bittensor-Receiver") && !twice:
		return axon.ReasonReceiver
	case name == "X-Bittensor-Crypto":
		return axon.ReasonShape
	}
	return fault.reason
}

// TestFaultyHeaders spoils each header in each way, behind the signature.
func TestFaultyHeaders(t *testing.T) {
	t.Parallel()
	for protocol, sender := range authenticating {
		for _, name := range sender.names {
			for _, fault := range headerFaults {
				if notAFault(name, fault.name) {
					continue
				}
				t.Run(protocol+"/"+name+"/"+fault.name, func(t *testing.T) {
					t.Parallel()
					f, c := newFortress(t), sender.from(t)
					c.header = func(header http.Header) { fault.spoil(header, name) }
					f.requireAnswer(t, f.send(c.request(t)), http.StatusUnauthorized, reasonOf(name, fault))
				})
			}
		}
	}
}

// TestUnsignedHeadersMeanNothing sends what authentication does not read.
func TestUnsignedHeadersMeanNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, header, value string }{
		{"another receiver in the header alone", "bt_header_axon_hotkey", aliceAddress},
		{"a claimed address", "X-Forwarded-For", "203.0.113.9, 127.0.0.1"},
		{"a claimed dendrite's address", "bt_header_dendrite_ip", "127.0.0.1"},
		{"a status", "bt_header_axon_status_code", "500"},
		{"an old version", "bt_header_dendrite_version", "1"},
		{"a version that is no number", "bt_header_dendrite_version", "NaN"},
		{"a version beyond an int", "bt_header_dendrite_version", "99999999999999999999"},
		{"an input object that is no base64", "bt_header_input_obj_prompt", "%%%"},
		{"another name", "name", "Other"},
		{"a longer name", "x-bt_header_dendrite_nonce", "1"},
		{"a name with dashes", "bt-header-dendrite-nonce", "1"},
		{"another protocol's signature", "Body-Signature", "0x00"},
		{"a content type that is no JSON", "Content-Type", "text/plain; charset=utf-7"},
		{"a content type that is no content type", "Content-Type", ";;;\xff"},
		{"the encoding that is none", "Content-Encoding", "identity"},
		{"another method", "X-HTTP-Method-Override", "DELETE"},
		{"another path", "X-Original-URL", "/other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t), byBittensor(t)
			setHeader(tt.header, tt.value)(c)
			w := f.send(c.request(t))
			f.requireAnswer(t, w, http.StatusOK, "")
			require.NotContains(t, w.Header(), "X-Forwarded-For")
		})
	}
}

// TestTooMuchHeader comes before all that looks at a header.
func TestTooMuchHeader(t *testing.T) {
	t.Parallel()
	lines := func(n int) func(*call) {
		return func(c *call) {
			c.header = func(header http.Header) {
				for i := len(header); i < n; i++ {
					header.Add("X-Line", "x")
				}
			}
		}
	}
	besiege(t, byBittensor, []hostile{
		{"100 lines", lines(100), 200, ""},
		{"101 lines", lines(101), 431, axon.ReasonHeader},
		{"a line of 31 KiB", setHeader("X-Long", strings.Repeat("x", 31<<10)), 200, ""},
		{"a line of 32 KiB", setHeader("X-Long", strings.Repeat("x", 32<<10)), 431, axon.ReasonHeader},
		{"a name of 32 KiB", setHeader("X-"+strings.Repeat("x", 32<<10), ""), 431, axon.ReasonHeader},
		{
			"a nonce of 32 KiB", setHeader("bt_header_dendrite_nonce", strings.Repeat("1", 32<<10)), 431,
			axon.ReasonHeader,
		},
		{
			"a nonce in 100 lines", setHeader("bt_header_dendrite_nonce", make([]string, 100)...), 431,
			axon.ReasonHeader,
		},
	})
	besiege(t, byBTAuth, []hostile{
		{
			"btauth/1: a nonce of 32 KiB", setHeader("X-Bittensor-Nonce", strings.Repeat("1", 32<<10)), 431,
			axon.ReasonHeader,
		},
		{
			"btauth/1: a receiver of 32 KiB", setHeader("X-Bittensor-Receiver", strings.Repeat("5", 32<<10)),
			431, axon.ReasonHeader,
		},
		{
			"btauth/1: a scheme in 100 lines", setHeader("X-Bittensor-Crypto", make([]string, 100)...), 431,
			axon.ReasonHeader,
		},
	})
}
