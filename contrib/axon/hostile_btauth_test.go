package axon_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// signedFor signs a call for one target and sends it to another. The request is
// built as net/http's server builds it from a request line.
func signedFor(signed, sent string) func(*call) {
	return func(c *call) { c.target, c.sent = signed, sent }
}

// TestTargetsOfBTAuth compares the target on the request line with the one that
// was signed, byte by byte.
func TestTargetsOfBTAuth(t *testing.T) {
	t.Parallel()
	besiege(t, byBTAuth, []hostile{
		{"a query", signedFor("/signed?a=1&b=2", "/signed?a=1&b=2"), 200, ""},
		{"an empty query", signedFor("/signed?", "/signed?"), 200, ""},
		{
			"an escaped query", signedFor("/signed?q=%2F%20+%e2%82%ac", "/signed?q=%2F%20+%e2%82%ac"), 200,
			"",
		},
		{"a raw letter beyond ASCII in the query", signedFor("/signed?q=é", "/signed?q=é"), 200, ""},
		{"a query of 8 KiB", signedFor("/signed?"+strings.Repeat("x", 8<<10),
			"/signed?"+strings.Repeat("x", 8<<10)), 200, ""},
		{"an absolute URI", signedFor("/signed?a=1", "http://elsewhere:1/signed?a=1"), 200, ""},
		{"an absolute URI by https", signedFor("/signed", "https://elsewhere/signed"), 200, ""},
		{"an absolute URI with a user", signedFor("/signed", "http://user@elsewhere/signed"), 200, ""},
		{
			"an absolute URI whose query has another",
			signedFor("/signed?u=http://x/y", "http://elsewhere/signed?u=http://x/y"), 200, "",
		},
		{
			"a target whose query has an absolute URI",
			signedFor("/signed?u=http://x/y", "/signed?u=http://x/y"), 200, "",
		},

		{"a query that was added", signedFor("/signed", "/signed?a=1"), 401, axon.ReasonForged},
		{"a query that was removed", signedFor("/signed?a=1", "/signed"), 401, axon.ReasonForged},
		{"a query that was changed", signedFor("/signed?a=1", "/signed?a=2"), 401, axon.ReasonForged},
		{"another order", signedFor("/signed?a=1&b=2", "/signed?b=2&a=1"), 401, axon.ReasonForged},
		{
			"an escape in another case", signedFor("/signed?q=%2f", "/signed?q=%2F"), 401,
			axon.ReasonForged,
		},
		{"a plus for an escape", signedFor("/signed?q=%20", "/signed?q=+"), 401, axon.ReasonForged},
		{"signed decoded", signedFor("/signed?q=/ x", "/signed?q=%2F%20x"), 401, axon.ReasonForged},
		{"signed encoded", signedFor("/signed?q=%61", "/signed?q=a"), 401, axon.ReasonForged},
		{"an empty query that was added", signedFor("/signed", "/signed?"), 401, axon.ReasonForged},
		{"an empty query that was removed", signedFor("/signed?", "/signed"), 401, axon.ReasonForged},
		{"an ampersand behind", signedFor("/signed?a=1", "/signed?a=1&"), 401, axon.ReasonForged},
		{
			"a fragment behind the query", signedFor("/signed?a=1", "/signed?a=1#x"), 401,
			axon.ReasonForged,
		},
		{"signed with a fragment", signedFor("/signed?a=1#x", "/signed?a=1"), 401, axon.ReasonForged},
		{"another route", signedFor("/signed", "/other"), 401, axon.ReasonForged},
		{"signed for another route", signedFor("/other", "/signed"), 401, axon.ReasonForged},
		{"signed as an absolute URI", signedFor("http://bob/signed", "/signed"), 401, axon.ReasonForged},
		{
			"signed as an absolute URI, sent as one", signedFor("http://bob/signed", "http://bob/signed"),
			401, axon.ReasonForged,
		},
		{"signed without a slash", signedFor("signed", "/signed"), 401, axon.ReasonForged},
		{"signed with a slash behind", signedFor("/signed/", "/signed"), 401, axon.ReasonForged},
		{"signed with two slashes", signedFor("//signed", "/signed"), 401, axon.ReasonForged},
		{"signed with dots", signedFor("/x/../signed", "/signed"), 401, axon.ReasonForged},
		{"signed with an escape", signedFor("/%73igned", "/signed"), 401, axon.ReasonForged},
		{"signed with a line end", signedFor("/signed\n", "/signed"), 401, axon.ReasonForged},
		{"signed empty", signedFor("", "/signed"), 401, axon.ReasonForged},
		{
			"signed as the path alone", signedFor("/signed", "http://elsewhere/signed?x"), 401,
			axon.ReasonForged,
		},

		{"a fragment behind the path", signedFor("/signed", "/signed#x"), 404, axon.ReasonRoute},
		{"an escaped letter", signedFor("/%73igned", "/%73igned"), 404, axon.ReasonRoute},
		{"a slash behind", signedFor("/signed/", "/signed/"), 404, axon.ReasonRoute},
		{"two slashes", signedFor("//signed", "//signed"), 404, axon.ReasonRoute},
		{"dots", signedFor("/x/../signed", "/x/../signed"), 404, axon.ReasonRoute},
		{"an escaped dot", signedFor("/%2e/signed", "/%2e/signed"), 404, axon.ReasonRoute},
		{"a parameter", signedFor("/signed;a=b", "/signed;a=b"), 404, axon.ReasonRoute},
		{"upper case", signedFor("/SIGNED", "/SIGNED"), 404, axon.ReasonRoute},
		{"an escaped question mark", signedFor("/signed%3Fa=1", "/signed%3Fa=1"), 404, axon.ReasonRoute},
		{"a URI without a host", signedFor("/signed", "http:/signed"), 404, axon.ReasonRoute},
		{"a URI with an empty host", signedFor("/signed", "http:///signed"), 404, axon.ReasonRoute},
		{"another URI without a host", signedFor("x:/signed", "x:/signed"), 404, axon.ReasonRoute},
		{"an absolute URI without a path", signedFor("/", "http://elsewhere"), 404, axon.ReasonRoute},
	})
}

func TestMethodsOfBTAuth(t *testing.T) {
	t.Parallel()
	method := func(signed, sent string) func(*call) {
		return func(c *call) { c.method, c.sentMethod = signed, sent }
	}
	besiege(t, byBTAuth, []hostile{
		{"GET", method("GET", "GET"), 200, ""},
		{"PUT", method("PUT", "PUT"), 200, ""},
		{"signed as GET", method("GET", "POST"), 401, axon.ReasonForged},
		{"signed as PUT", method("PUT", "POST"), 401, axon.ReasonForged},
		{"signed as nothing", method("", "POST"), 401, axon.ReasonForged},
		{"sent as GET", method("POST", "GET"), 401, axon.ReasonForged},
		{"a method that the route does not accept", method("DELETE", "DELETE"), 405, axon.ReasonMethod},
		{"lower case", method("post", "post"), 405, axon.ReasonMethod},
	})
}

// payloadCase replaces the whole text that is signed.
func payloadCase(change func(lines []string) string) func(*call) {
	return func(c *call) {
		c.sign = func(message string) string { return change(strings.Split(message, "\n")) }
	}
}

func TestPayloadsOfBTAuth(t *testing.T) {
	t.Parallel()
	line := func(i int, text string) func(*call) {
		return payloadCase(func(lines []string) string {
			lines[i] = text
			return strings.Join(lines, "\n")
		})
	}
	joined := func(sep string) func(*call) {
		return payloadCase(func(lines []string) string { return strings.Join(lines, sep) })
	}
	sum := sha256.Sum256([]byte(`{"prompt": "ho"}`))
	besiege(t, byBTAuth, []hostile{
		{
			"as it should be", payloadCase(func(lines []string) string { return strings.Join(lines, "\n") }),
			200, "",
		},
		{"another protocol", line(0, "btauth/2"), 401, axon.ReasonForged},
		{"the protocol in upper case", line(0, "BTAUTH/1"), 401, axon.ReasonForged},
		{"another scheme", line(1, "ed25519"), 401, axon.ReasonForged},
		{"no scheme", line(1, ""), 401, axon.ReasonForged},
		{"the method in lower case", line(2, "post"), 401, axon.ReasonForged},
		{"another body", line(4, hex.EncodeToString(sum[:])), 401, axon.ReasonForged},
		{"the hash in upper case", payloadCase(func(lines []string) string {
			lines[4] = strings.ToUpper(lines[4])
			return strings.Join(lines, "\n")
		}), 401, axon.ReasonForged},
		{"the hash with 0x", payloadCase(func(lines []string) string {
			lines[4] = "0x" + lines[4]
			return strings.Join(lines, "\n")
		}), 401, axon.ReasonForged},
		{"the body for its hash", line(4, `{"prompt": "hi"}`), 401, axon.ReasonForged},
		{"another nonce", line(5, sentNano[:18]+"1"), 401, axon.ReasonForged},
		{"a nonce with a zero before", line(5, "0"+sentNano), 401, axon.ReasonForged},
		{"another sender", line(6, bobAddress), 401, axon.ReasonForged},
		{"another receiver", line(7, aliceAddress), 401, axon.ReasonForged},
		{"no receiver", line(7, "-"), 401, axon.ReasonForged},
		{"an empty receiver", line(7, ""), 401, axon.ReasonForged},
		{
			"seven lines", payloadCase(func(lines []string) string { return strings.Join(lines[:7], "\n") }),
			401, axon.ReasonForged,
		},
		{"nine lines", payloadCase(func(lines []string) string {
			return strings.Join(append(lines, ""),
				"\n")
		}), 401, axon.ReasonForged},
		{"a line end before", payloadCase(func(lines []string) string {
			return "\n" + strings.Join(lines,
				"\n")
		}), 401, axon.ReasonForged},
		{"joined by dots", joined("."), 401, axon.ReasonForged},
		{"joined by carriage returns", joined("\r\n"), 401, axon.ReasonForged},
		{"wrapped as browser wallets do", payloadCase(func(lines []string) string {
			return "<Bytes>" + strings.Join(lines, "\n") + "</Bytes>"
		}), 401, axon.ReasonForged},
		{"hashed before it is signed", payloadCase(func(lines []string) string {
			sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
			return string(sum[:])
		}), 401, axon.ReasonForged},
		{
			"what a dendrite signs", payloadCase(func([]string) string { return byBittensor(t).message() }),
			401, axon.ReasonForged,
		},
	})
}

// TestWrappedBytesAreNotForBTAuth has the option that older callers need.
func TestWrappedBytesAreNotForBTAuth(t *testing.T) {
	t.Parallel()
	f, c := newFortress(t, axon.WithWrappedBytes()), byBTAuth(t)
	payloadCase(func(lines []string) string {
		return "<Bytes>" + strings.Join(lines,
			"\n") + "</Bytes>"
	})(c)
	f.requireAnswer(t, f.send(c.request(t)), http.StatusUnauthorized, axon.ReasonForged)
}

func TestReceiversOfBTAuth(t *testing.T) {
	t.Parallel()
	to := func(target, receiver string) func(*call) {
		return func(c *call) { c.target, c.receiver = target, receiver }
	}
	besiege(t, byBTAuth, []hostile{
		{"another", to("/signed", aliceAddress), 401, axon.ReasonReceiver},
		{"nobody", to("/signed", ""), 401, axon.ReasonReceiver},
		{"a dash", to("/signed", "-"), 401, axon.ReasonReceiver},
		{"in lower case", to("/signed", strings.ToLower(bobAddress)), 401, axon.ReasonReceiver},
		{
			"of another network", to("/signed", "14E5nqKAp3oAJcmzgZhUD2RcptBeUBScxKHgJKU4HPNcKVf3"), 401,
			axon.ReasonReceiver,
		},
		{
			"in hex", to("/signed", "0x8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48"),
			401, axon.ReasonReceiver,
		},
		{"ours and another", to("/signed", bobAddress+","+aliceAddress), 401, axon.ReasonReceiver},
		{"on an open route: nobody", to("/anybody", ""), 200, ""},
		{"on an open route: ours", to("/anybody", bobAddress), 200, ""},
		{"on an open route: another", to("/anybody", aliceAddress), 401, axon.ReasonReceiver},
		{"on an open route: a dash", to("/anybody", "-"), 401, axon.ReasonReceiver},
		{"on an open route: empty", func(c *call) {
			c.target, c.receiver = "/anybody", ""
			setHeader("X-Bittensor-Receiver", "")(c)
		}, 401, axon.ReasonReceiver},
		{"on an open route: twice", func(c *call) {
			c.target = "/anybody"
			setHeader("X-Bittensor-Receiver", bobAddress, bobAddress)(c)
		}, 401, axon.ReasonShape},
		{"on an open route: removed on the way", func(c *call) {
			c.target = "/anybody"
			setHeader("X-Bittensor-Receiver")(c)
		}, 401, axon.ReasonForged},
		{"on an open route: added on the way", func(c *call) {
			c.target, c.receiver = "/anybody", ""
			setHeader("X-Bittensor-Receiver", bobAddress)(c)
		}, 401, axon.ReasonForged},
	})
}

func TestTimesOfBTAuth(t *testing.T) {
	t.Parallel()
	at := func(after time.Duration) func(*call) {
		return func(c *call) { c.stamp = stamped(t, byBTAuth, after)[0].stamp }
	}
	stamp := func(text string) func(*call) { return func(c *call) { c.stamp = text } }
	besiege(t, byBTAuth, []hostile{
		{"the oldest", at(-10 * time.Second), 200, ""},
		{"stale", at(-10*time.Second - 1), 401, axon.ReasonStale},
		{"the newest", at(2 * time.Second), 200, ""},
		{"future", at(2*time.Second + 1), 401, axon.ReasonFuture},
		{"an hour ahead", at(time.Hour), 401, axon.ReasonFuture},
		{"stale, with a timeout", func(c *call) {
			at(-11 * time.Second)(c)
			setHeader("timeout", "12")(c)
		}, 401, axon.ReasonStale},
		{"zero", stamp("0"), 401, axon.ReasonStale},
		{"seconds", stamp("1750000000"), 401, axon.ReasonStale},
		{"milliseconds", stamp(sentMilli), 401, axon.ReasonStale},
		{"microseconds", stamp(sentMilli + "000"), 401, axon.ReasonStale},
		{"the highest", stamp("9223372036854775807"), 401, axon.ReasonFuture},
		{"one more", stamp("9223372036854775808"), 401, axon.ReasonShape},
		{"the highest of 64 bits", stamp("18446744073709551615"), 401, axon.ReasonShape},
		{"of 19 nines", stamp("9999999999999999999"), 401, axon.ReasonShape},
		{"of 10000 digits", stamp(strings.Repeat("1", 10_000)), 401, axon.ReasonShape},
	})
}

func TestVersionsOfBTAuth(t *testing.T) {
	t.Parallel()
	version := func(values ...string) func(*call) {
		return setHeader("X-Bittensor-Version",
			values...)
	}
	besiege(t, byBTAuth, []hostile{
		{"0", version("0"), 401, axon.ReasonVersion},
		{"2", version("2"), 401, axon.ReasonVersion},
		{"1.0", version("1.0"), 401, axon.ReasonVersion},
		{"01", version("01"), 401, axon.ReasonVersion},
		{"+1", version("+1"), 401, axon.ReasonVersion},
		{"btauth/1", version("btauth/1"), 401, axon.ReasonVersion},
		{"11", version("11"), 401, axon.ReasonVersion},
		{"1 and 1", version("1", "1"), 401, axon.ReasonShape},
		{"1 and 2", version("1", "2"), 401, axon.ReasonShape},
	})
}

// TestSchemesOfBTAuth has servers that know no other scheme than sr25519.
func TestSchemesOfBTAuth(t *testing.T) {
	t.Parallel()
	scheme := func(text string) func(*call) { return func(c *call) { c.scheme = text } }
	unnamed := func(c *call) { c.scheme = "" }
	besiege(t, byBTAuth, []hostile{
		{"none", unnamed, 200, ""},
		{"sr25519", scheme("sr25519"), 200, ""},
		{"ed25519", scheme("ed25519"), 401, axon.ReasonScheme},
		{"hashed", scheme("hashed"), 401, axon.ReasonScheme},
		{"mldsa", scheme("mldsa"), 401, axon.ReasonScheme},
		{"mldsa with its long signature", func(c *call) {
			c.scheme, c.signature = "mldsa", "0x"+strings.Repeat("ab", 2420)
		}, 401, axon.ReasonScheme},
		{"hashed with its long signature", func(c *call) {
			c.scheme, c.signature = "hashed", "0x"+strings.Repeat("ab", 7856)
		}, 401, axon.ReasonScheme},
		{"ed25519 with a short signature", func(c *call) {
			c.scheme, c.signature = "ed25519", "0x"+strings.Repeat("ab", 63)
		}, 401, axon.ReasonScheme},
		{"ecdsa", scheme("ecdsa"), 401, axon.ReasonShape},
		{"upper case", scheme("SR25519"), 401, axon.ReasonShape},
		{"a number", scheme("1"), 401, axon.ReasonShape},
		{"a space", scheme("sr25519 "), 401, axon.ReasonShape},
		{"two", scheme("sr25519, ed25519"), 401, axon.ReasonShape},
		{"an injected line", scheme("sr25519\nPOST"), 401, axon.ReasonShape},
		{"empty", setHeader("X-Bittensor-Crypto", ""), 401, axon.ReasonShape},
		{"two headers", setHeader("X-Bittensor-Crypto", "sr25519", "sr25519"), 401, axon.ReasonShape},
		{"removed on the way", setHeader("X-Bittensor-Crypto"), 200, ""}, // absent means sr25519
	})
}

// TestSchemesAreNotConfused has a server that knows the scheme of each sender.
func TestSchemesAreNotConfused(t *testing.T) {
	t.Parallel()
	sr, ed := keypairFromURI(t, "//Alice"), edAlice(t)
	for _, tt := range []struct {
		name   string
		hotkey keys.Hotkey
		signer *keys.Keypair
		scheme string // in header and payload
		reason axon.Reason
	}{
		{"ed25519 as pinned", ed.Hotkey(), ed, "ed25519", ""},
		{"sr25519 as pinned", sr.Hotkey(), sr, "sr25519", ""},
		{"sr25519 by default", sr.Hotkey(), sr, "", ""},
		{"an ed25519 key that says sr25519", ed.Hotkey(), ed, "sr25519", axon.ReasonForged},
		{"an ed25519 key that says nothing", ed.Hotkey(), ed, "", axon.ReasonForged},
		{"an sr25519 key that says ed25519", sr.Hotkey(), sr, "ed25519", axon.ReasonForged},
		{"the ed25519 key of the same seed", sr.Hotkey(), ed, "ed25519", axon.ReasonForged},
		{"the sr25519 key of the same seed", ed.Hotkey(), sr, "sr25519", axon.ReasonForged},
		{
			"an ed25519 key signed by sr25519 that says ed25519", ed.Hotkey(), sr, "ed25519",
			axon.ReasonForged,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t, axon.WithSchemes(pinned(t))), byBTAuth(t)
			c.keypair, c.hotkey, c.scheme = tt.signer, tt.hotkey.String(), tt.scheme
			f.requireAnswer(t, f.send(c.request(t)), http.StatusUnauthorized, tt.reason)
		})
	}
}

// TestASchemeThatChanges follows the configuration: the key that was kept for
// the old scheme is not used.
func TestASchemeThatChanges(t *testing.T) {
	t.Parallel()
	scheme := keys.Ed25519
	f := newFortress(t, axon.WithSchemes(func(keys.Hotkey) keys.Scheme { return scheme }))
	ed := edAlice(t)
	calls := stamped(t, byBTAuth, 0, 1, 2, 3)
	for _, c := range calls {
		c.keypair, c.hotkey, c.scheme = ed, ed.Hotkey().String(), "ed25519"
	}
	require.Empty(t, f.deliver(t, calls[0]))
	scheme = keys.SR25519
	require.Equal(t, axon.ReasonForged, f.deliver(t, calls[1]))
	scheme = keys.Scheme(9)
	require.Equal(t, axon.ReasonForged, f.deliver(t, calls[2]))
	scheme = keys.Ed25519
	require.Empty(t, f.deliver(t, calls[3]))
}

// TestWeakEd25519Keys sends the points of small order, with the signature that
// package ed25519 accepts for the identity and any message.
func TestWeakEd25519Keys(t *testing.T) {
	t.Parallel()
	forged := "0x01" + strings.Repeat("00", 63)
	for _, text := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		for _, scheme := range []keys.Scheme{keys.Ed25519, keys.SR25519} { // as configured
			f := newFortress(t, axon.WithSchemes(func(keys.Hotkey) keys.Scheme { return scheme }))
			c := byBTAuth(t)
			c.hotkey, c.scheme, c.signature = keys.Hotkey(hexBytes(text)).String(), "ed25519", forged
			f.requireAnswer(t, f.send(c.request(t)), http.StatusUnauthorized, axon.ReasonWeakKey)
		}
	}
}

// TestTheOrderOfTheChecks breaks two rules at once.
func TestTheOrderOfTheChecks(t *testing.T) {
	t.Parallel()
	stale := stamped(t, byBTAuth, -time.Minute)[0].stamp
	both := func(changes ...func(*call)) func(*call) {
		return func(c *call) {
			for _, change := range changes {
				change(c)
			}
		}
	}
	forge := func(c *call) { c.signature = forgedSignature }
	besiege(t, byBTAuth, []hostile{
		{
			"shape before receiver", both(func(c *call) { c.receiver, c.stamp = aliceAddress, "x" }), 401,
			axon.ReasonShape,
		},
		{
			"scheme before receiver", both(func(c *call) { c.receiver, c.scheme = aliceAddress, "hashed" }),
			401, axon.ReasonScheme,
		},
		{
			"a malformed hotkey before receiver",
			both(func(c *call) { c.receiver, c.hotkey = aliceAddress, strings.Repeat("1", 48) }), 401,
			axon.ReasonShape,
		},
		{
			"receiver before freshness", both(func(c *call) { c.receiver, c.stamp = aliceAddress, stale }),
			401, axon.ReasonReceiver,
		},
		{
			"freshness before a weak key",
			both(func(c *call) { c.hotkey, c.stamp = identityAddress, stale }), 401, axon.ReasonStale,
		},
		{
			"receiver before a weak key",
			both(func(c *call) { c.hotkey, c.receiver = identityAddress, aliceAddress }), 401,
			axon.ReasonReceiver,
		},
		{
			"a weak key before the signature", both(func(c *call) { c.hotkey = identityAddress }, forge),
			401, axon.ReasonWeakKey,
		},
		{
			"freshness before the signature", both(func(c *call) { c.stamp = stale }, forge), 401,
			axon.ReasonStale,
		},
		{
			"size before shape", both(func(c *call) { c.body, c.stamp = strings.Repeat("x", 2<<20), "x" }),
			413, axon.ReasonSize,
		},
	})
}

// TestARefusedRequestLeavesNoTrace is refused for each reason first, and then
// sent as it should be.
func TestARefusedRequestLeavesNoTrace(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*call){
		"signature": func(c *call) { c.signature = forgedSignature },
		"body":      func(c *call) { c.signature = sign(t, c.keypair, c.message()); c.body = "{}" },
		"shape":     setHeader("X-Bittensor-Nonce", sentNano, sentNano),
		"receiver":  setHeader("X-Bittensor-Receiver", aliceAddress),
		"scheme":    setHeader("X-Bittensor-Crypto", "hashed"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t), byBTAuth(t)
			spoil(c)
			require.NotEmpty(t, f.deliver(t, c))
			require.Zero(t, f.server.Stats().Remembered)
			require.Empty(t, f.deliver(t, byBTAuth(t)))
			require.Equal(t, axon.ReasonReplay, f.deliver(t, byBTAuth(t)))
		})
	}
}

// TestBodiesOfBTAuth signs the bytes of the body, whatever they are.
func TestBodiesOfBTAuth(t *testing.T) {
	t.Parallel()
	body := func(text string) func(*call) { return func(c *call) { c.body = text } }
	besiege(t, byBTAuth, []hostile{
		{"empty", body(""), 200, ""},
		{"no JSON", body("hello\x00\xff"), 200, ""},
		{"large", body(strings.Repeat("x", 1<<20)), 200, ""},
		{"too large", body(strings.Repeat("x", 1<<20+1)), 413, axon.ReasonSize},
		{"a space that was added", func(c *call) {
			c.signature = sign(t, c.keypair,
				c.message())
			c.body += " "
		}, 401, axon.ReasonForged},
		{"the same JSON", func(c *call) {
			c.signature = sign(t, c.keypair,
				c.message())
			c.body = `{"prompt":"hi"}`
		}, 401, axon.ReasonForged},
		{
			"removed", func(c *call) { c.signature = sign(t, c.keypair, c.message()); c.body = "" }, 401,
			axon.ReasonForged,
		},
		{"encoded", setHeader("Content-Encoding", "gzip"), 400, axon.ReasonEncoding},
	})
}

// TestARequestWithoutARequestLine was built by a program and not read by a
// server.
func TestARequestWithoutARequestLine(t *testing.T) {
	t.Parallel()
	f, c := newFortress(t), byBTAuth(t)
	c.target = "/signed?q=%2f"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://bob/signed?q=%2f",
		strings.NewReader(c.body))
	require.NoError(t, err)
	r.Header = c.headers(t)
	require.Empty(t, r.RequestURI)
	require.Equal(t, http.StatusOK, f.send(r).Code)
}

// TestAnswersToBTAuthCarryNoHeadersOfTheOldSDK compares an answer and a refusal
// with those to a dendrite.
func TestAnswersToBTAuthCarryNoHeadersOfTheOldSDK(t *testing.T) {
	t.Parallel()
	for _, from := range []func(testing.TB) *call{byBTAuth, byBittensor} {
		for _, spoil := range []func(*call){
			func(*call) {}, func(c *call) { c.signature = forgedSignature },
			func(c *call) { c.target = "/none" },
			func(c *call) { c.method = "DELETE" }, func(c *call) { c.body = strings.Repeat("x", 2<<20) },
		} {
			f, c := newFortress(t), from(t)
			spoil(c)
			w := f.send(c.request(t))
			sdk := 0
			for name := range w.Header() {
				if strings.HasPrefix(name, "bt_header_") || name == "computed_body_hash" || name == "name" {
					sdk++
				}
			}
			require.Equal(t, c.protocol == organic.Bittensor, sdk >= 3, w.Header())
			require.Equal(t, c.protocol == organic.BTAuth1, sdk == 0, w.Header())
		}
	}
}
