package axon_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// The cases of this file are signed over what is sent: but for the one thing
// they would be taken.

// badNumbers are no decimals of at most 19 digits.
var badNumbers = []struct{ name, text string }{
	{"NaN", "NaN"},
	{"infinite", "Inf"},
	{"minus infinite", "-Infinity"},
	{"negative", "-" + sentNano},
	{"minus zero", "-0"},
	{"with a plus", "+" + sentNano[1:]},
	{"with a leading zero", "0" + sentNano[1:]},
	{"two zeros", "00"},
	{"with an exponent", "1.75e18"},
	{"with an integer's exponent", "175e16"},
	{"with a fraction", "17500000000000.0"},
	{"hexadecimal", "0x18493e5ae3"},
	{"with an underscore", "1750_000_000_000"},
	{"with a comma", "1,750,000,000"},
	{"with a letter", "175000000000O"},
	{"beyond 63 bits", "9223372036854775808"},
	{"of 20 digits", "17500000000000000000"},
	{"a digit beyond ASCII", "175000000000٣"},
	{"a full-width digit", "175000000１"},
	{"with a dot at the end", "175000000000."},
	{"None", "None"},
}

func TestBadNumbers(t *testing.T) {
	t.Parallel()
	for protocol, from := range map[string]func(testing.TB) *call{
		"btauth/1":  byBTAuth,
		"bittensor": byBittensor, "epistula": byEpistula,
	} {
		for _, tt := range badNumbers {
			t.Run(protocol+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				f, c := newFortress(t), from(t)
				c.stamp = tt.text
				f.requireAnswer(t, f.send(c.request(t)), http.StatusUnauthorized, axon.ReasonShape)
			})
		}
	}
}

func TestBadTimeouts(t *testing.T) {
	t.Parallel()
	timeout := func(values ...string) func(*call) { return setHeader("timeout", values...) }
	besiege(t, byBittensor, []hostile{
		{"no number", timeout("soon"), 401, axon.ReasonShape},
		{"NaN", timeout("NaN"), 401, axon.ReasonShape},
		{"nan", timeout("nan"), 401, axon.ReasonShape},
		{"infinite", timeout("inf"), 401, axon.ReasonShape},
		{"negative", timeout("-1"), 401, axon.ReasonShape},
		{"minus zero", timeout("-0.0"), 401, axon.ReasonShape},
		{"with a plus", timeout("+12"), 401, axon.ReasonShape},
		{"with an exponent", timeout("1e9"), 401, axon.ReasonShape},
		{"hexadecimal", timeout("0x1p3"), 401, axon.ReasonShape},
		{"with an underscore", timeout("1_2"), 401, axon.ReasonShape},
		{"with a space", timeout("12 "), 401, axon.ReasonShape},
		{"with a unit", timeout("12s"), 401, axon.ReasonShape},
		{"two dots", timeout("1.2.3"), 401, axon.ReasonShape},
		{"a dot", timeout("."), 401, axon.ReasonShape},
		{"beyond double", timeout(strings.Repeat("9", 400)), 401, axon.ReasonShape},
		{"empty", timeout(""), 401, axon.ReasonMissing},
		{"twice", timeout("12", "12"), 401, axon.ReasonShape},
		{"twice, once empty", timeout("12", ""), 401, axon.ReasonShape},
		{"beyond a duration", timeout(strings.Repeat("9", 300)), 200, ""}, // capped
		{"of a thousand zeros", timeout(strings.Repeat("0", 1000) + "12"), 200, ""},
		{"zero", timeout("0"), 200, ""},
	})
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	uuid := func(text string) func(*call) { return func(c *call) { c.uuid = text } }
	cases := []hostile{
		{"one character", uuid("x"), 200, ""},
		{"64 characters", uuid(strings.Repeat("u", 64)), 200, ""},
		{"65 characters", uuid(strings.Repeat("u", 65)), 401, axon.ReasonShape},
		{"a dot", uuid("a.b"), 401, axon.ReasonShape},
		{"a space", uuid("a b"), 401, axon.ReasonShape},
		{"a line break", uuid("a\nb"), 401, axon.ReasonShape},
		{"a letter beyond ASCII", uuid("ü"), 401, axon.ReasonShape},
		{"a zero byte", uuid("\x00"), 401, axon.ReasonShape},
	}
	t.Run("bittensor", func(t *testing.T) { t.Parallel(); besiege(t, byBittensor, cases) })
	t.Run("epistula", func(t *testing.T) { t.Parallel(); besiege(t, byEpistula, cases) })
}

func TestBadBodyHashes(t *testing.T) {
	t.Parallel()
	hash := func(text string) func(*call) { return func(c *call) { c.bodyHash = text } }
	besiege(t, byBittensor, []hostile{
		{"another body's", hash(bodyHash("ho")), 401, axon.ReasonBodyHash},
		{"of no fields", hash(bodyHash()), 401, axon.ReasonBodyHash},
		{"of the bare value", hash(bodyHash("hi")[:63] + "0"), 401, axon.ReasonBodyHash},
		{"in upper case", hash(strings.ToUpper(bodyHash("hi"))), 401, axon.ReasonShape},
		{"with 0x", hash("0x" + bodyHash("hi")), 401, axon.ReasonShape},
		{"with 0x, of 64 characters", hash("0x" + bodyHash("hi")[2:]), 401, axon.ReasonShape},
		{"of 63 digits", hash(bodyHash("hi")[1:]), 401, axon.ReasonShape},
		{"of no digits", hash(strings.Repeat("g", 64)), 401, axon.ReasonShape},
	})
}

// badHotkeys are addresses that no sender can have; what is wrong with them
// shows before the signature is looked at.
var badHotkeys = []struct {
	name, address string
	reason        axon.Reason
}{
	{
		"of another network, prefix 0", "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",
		axon.ReasonShape,
	},
	{
		"of another network, 47 characters", "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F",
		axon.ReasonShape,
	},
	{"with a wrong checksum", aliceAddress[:47] + "X", axon.ReasonShape},
	{"in lower case", strings.ToLower(aliceAddress), axon.ReasonShape},
	{
		"with a letter that base58 has not", aliceAddress[:20] + "0" + aliceAddress[21:],
		axon.ReasonShape,
	},
	{"too short", aliceAddress[:47], axon.ReasonShape},
	{"too long", aliceAddress + "1", axon.ReasonShape},
	{"48 ones", strings.Repeat("1", 48), axon.ReasonShape},
	{"in hex", "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccd", axon.ReasonShape},
	{"the identity", identityAddress, axon.ReasonWeakKey},
	{"not a point of the curve", keys.Hotkey{31: 0xff}.String(), axon.ReasonForged},
	{"another's", bobAddress, axon.ReasonForged},
}

func TestBadHotkeys(t *testing.T) {
	t.Parallel()
	for protocol, from := range map[string]func(testing.TB) *call{
		"btauth/1": byBTAuth, "bittensor": byBittensor, "epistula": byEpistula, "version 1": byEnvelope,
	} {
		for _, tt := range badHotkeys {
			t.Run(protocol+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				f, c := newFortress(t), from(t)
				c.hotkey = tt.address
				c.body = strings.Replace(c.body, `"signed_by": "`+aliceAddress, `"signed_by": "`+tt.address, 1)
				f.requireAnswer(t, f.send(c.request(t)), http.StatusUnauthorized, tt.reason)
			})
		}
	}
}

// TestTheIdentityStaysOutsideTheAllowList allows it by name, and signs the way
// that some libraries take for it.
func TestTheIdentityStaysOutsideTheAllowList(t *testing.T) {
	t.Parallel()
	for protocol, from := range map[string]func(testing.TB) *call{
		"btauth/1":  byBTAuth,
		"bittensor": byBittensor, "epistula": byEpistula,
	} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			f := newFortress(t, axon.WithAllowList(axon.NewAllowList(keys.Hotkey{})))
			c := from(t)
			c.hotkey, c.signature = identityAddress, "0x"+strings.Repeat("00", 63)+"80"
			f.requireAnswer(t, f.send(c.request(t)), http.StatusUnauthorized, axon.ReasonWeakKey)
		})
	}
}

func TestBadSignatures(t *testing.T) {
	t.Parallel()
	for protocol, from := range map[string]func(testing.TB) *call{
		"btauth/1": byBTAuth, "bittensor": byBittensor, "epistula": byEpistula, "version 1": byEnvelope,
	} {
		good := sign(t, from(t).keypair, from(t).message())
		last := good[128:]
		text := func(text string) func(*call) { return func(c *call) { c.signature = text } }
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			besiege(t, from, []hostile{
				{"of 63 bytes", text(good[:128]), 401, axon.ReasonShape},
				{"of 65 bytes", text(good + "00"), 401, axon.ReasonShape},
				{"of half a byte more", text(good + "0"), 401, axon.ReasonShape},
				{"a prefix alone", text("0x"), 401, axon.ReasonShape},
				{"without 0x", text(good[2:]), 401, axon.ReasonShape},
				{"without 0x, as long", text("00" + good[2:]), 401, axon.ReasonShape},
				{"with 0X", text("0X" + good[2:]), 401, axon.ReasonShape},
				{"with a letter that is no digit", text(good[:129] + "g"), 401, axon.ReasonShape},
				{"in upper case", text("0x" + strings.ToUpper(good[2:])), 200, ""},
				{
					"without the marker bit",
					text(good[:128] + string("01234567"[strings.Index("89abcdef", last[:1])]) + last[1:]), 401,
					axon.ReasonForged,
				},
				{"all zero", text("0x" + strings.Repeat("0", 128)), 401, axon.ReasonForged},
				{
					"zero with the marker bit", text("0x" + strings.Repeat("00", 63) + "80"), 401,
					axon.ReasonForged,
				},
				{"all ones", text("0x" + strings.Repeat("f", 128)), 401, axon.ReasonForged},
				{"one bit changed", text(good[:2] + flipped(good[2]) + good[3:]), 401, axon.ReasonForged},
				{"of another message", text(sign(t, from(t).keypair, "another")), 401, axon.ReasonForged},
				{
					"of another key", func(c *call) { c.keypair = keypairFromURI(t, "//Eve") }, 401,
					axon.ReasonForged,
				},
				{
					"of the wrapped message",
					text(sign(t, from(t).keypair, "<Bytes>"+from(t).message()+"</Bytes>")), 401,
					axon.ReasonForged,
				},
			})
		})
	}
}

func flipped(digit byte) string {
	if digit == '0' {
		return "1"
	}
	return "0"
}

func TestUnlistedHotkeysAreForbidden(t *testing.T) {
	t.Parallel()
	for protocol, from := range map[string]func(testing.TB) *call{
		"btauth/1": byBTAuth, "bittensor": byBittensor, "epistula": byEpistula, "version 1": byEnvelope,
	} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			f := newFortress(t, axon.WithAllowList(axon.NewAllowList(keypairFromURI(t, "//Bob").Hotkey())))
			f.requireAnswer(t, f.send(from(t).request(t)), http.StatusForbidden, axon.ReasonUnlisted)
		})
	}
}

// TestATimeBeyondADuration has a clock that has not been set yet: the distance
// to the stamp does not fit a duration.
func TestATimeBeyondADuration(t *testing.T) {
	t.Parallel()
	f, c := newFortress(t), byEpistula(t)
	f.clock.set(time.Unix(0, 0))
	c.stamp = "9999999999999"
	f.requireAnswer(t, f.send(c.request(t)), http.StatusUnauthorized, axon.ReasonFuture)
	require.Zero(t, f.server.Stats().Remembered)
}
