package axon_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestTimes moves the time of signing, both ways, to the edge of the window
// and one unit beyond.
func TestTimes(t *testing.T) {
	t.Parallel()
	nano := func(after time.Duration, timeout ...string) func(*call) {
		return func(c *call) {
			c.stamp = strconv.FormatInt(sentAt.Add(after).UnixNano(), 10)
			if timeout != nil {
				setHeader("timeout", timeout...)(c)
			}
		}
	}
	besiege(t, byBittensor, []hostile{
		{"the oldest", nano(-4 * time.Second), 200, ""},
		{"stale", nano(-4*time.Second - 1), 401, axon.ReasonStale},
		{"the oldest by its timeout", nano(-7*time.Second, "3"), 200, ""},
		{"stale by its timeout", nano(-7*time.Second-1, "3"), 401, axon.ReasonStale},
		{"the oldest by the cap", nano(-16*time.Second, "86400"), 200, ""},
		{"stale by the cap", nano(-16*time.Second-1, "86400"), 401, axon.ReasonStale},
		{
			"stale by a timeout beyond a duration", nano(-time.Minute, strings.Repeat("9", 300)), 401,
			axon.ReasonStale,
		},
		{"the newest", nano(4 * time.Second), 200, ""},
		{"future", nano(4*time.Second + 1), 401, axon.ReasonFuture},
		{"future by the cap", nano(16*time.Second+1, "1000"), 401, axon.ReasonFuture},
		{"far ahead", func(c *call) { c.stamp = "9223372036854775807" }, 401, axon.ReasonFuture},
		{"zero", func(c *call) { c.stamp = "0" }, 401, axon.ReasonStale},
		{"an uptime", func(c *call) { c.stamp = "86400000000000" }, 401, axon.ReasonStale},
		{"milliseconds", func(c *call) { c.stamp = sentMilli }, 401, axon.ReasonStale},
		{"an uptime by an old version", func(c *call) {
			setHeader("bt_header_dendrite_version", "693")(c)
			c.stamp = "86400000000000"
		}, 401, axon.ReasonStale},
	})
}

func TestTimesOfEpistula(t *testing.T) {
	t.Parallel()
	milli := func(after time.Duration) func(*call) {
		return func(c *call) { c.stamp = strconv.FormatInt(sentAt.Add(after).UnixMilli(), 10) }
	}
	besiege(t, byEpistula, []hostile{
		{"the oldest", milli(-8 * time.Second), 200, ""},
		{"stale", milli(-8*time.Second - time.Millisecond), 401, axon.ReasonStale},
		{"the newest", milli(8 * time.Second), 200, ""},
		{"future", milli(8*time.Second + time.Millisecond), 401, axon.ReasonFuture},
		{"stale, with a timeout", func(c *call) {
			milli(-9 * time.Second)(c)
			setHeader("timeout", "12")(c)
		}, 401, axon.ReasonStale},
		{"far ahead", func(c *call) { c.stamp = "9999999999999" }, 401, axon.ReasonFuture},
		{"zero", func(c *call) { c.stamp = "0" }, 401, axon.ReasonStale},
		{"seconds", func(c *call) { c.stamp = "1750000000" }, 401, axon.ReasonStale},
		{"nanoseconds", func(c *call) { c.stamp = sentNano }, 401, axon.ReasonShape},
	})
	envelope := func(after time.Duration) func(*call) {
		return func(c *call) {
			c.body = strings.Replace(c.body, sentNano, strconv.FormatInt(sentAt.Add(after).UnixNano(), 10),
				1)
		}
	}
	besiege(t, byEnvelope, []hostile{
		{"version 1, the oldest", envelope(-5 * time.Second), 200, ""},
		{"version 1, stale", envelope(-5*time.Second - 1), 401, axon.ReasonStale},
		{"version 1, the newest", envelope(5 * time.Second), 200, ""},
		{"version 1, future", envelope(5*time.Second + 1), 401, axon.ReasonFuture},
	})
}

func TestReceivers(t *testing.T) {
	t.Parallel()
	to := func(receiver string) func(*call) { return func(c *call) { c.receiver = receiver } }
	besiege(t, byBittensor, []hostile{
		{"signed for another axon", to(aliceAddress), 401, axon.ReasonForged},
		{"signed for nobody", to(""), 401, axon.ReasonForged},
		{"signed for None", to("None"), 401, axon.ReasonForged},
	})
	anybody := func(receiver string) func(*call) {
		return func(c *call) { c.target, c.receiver = "/anybody", receiver }
	}
	besiege(t, byEpistula, []hostile{
		{"another", to(aliceAddress), 401, axon.ReasonReceiver},
		{"nobody", to(""), 401, axon.ReasonReceiver},
		{"in lower case", to(strings.ToLower(bobAddress)), 401, axon.ReasonReceiver},
		{"None", to("None"), 401, axon.ReasonReceiver},
		{"ours and another", to(bobAddress + "," + aliceAddress), 401, axon.ReasonReceiver},
		{"anybody: nobody", anybody(""), 200, ""},
		{"anybody: ours", anybody(bobAddress), 200, ""},
		{"anybody: another", anybody(aliceAddress), 401, axon.ReasonReceiver},
		{"anybody: None", anybody("None"), 401, axon.ReasonReceiver},
		{"ours in the header alone", func(c *call) {
			c.receiver = ""
			setHeader("Epistula-Signed-For", bobAddress)(c)
		}, 401, axon.ReasonForged},
		{"ours signed, none in the header", func(c *call) {
			c.target = "/anybody"
			setHeader("Epistula-Signed-For")(c)
		}, 401, axon.ReasonForged},
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	version := func(values ...string) func(*call) { return setHeader("Epistula-Version", values...) }
	besiege(t, byEpistula, []hostile{
		{"1", version("1"), 401, axon.ReasonVersion},
		{"3", version("3"), 401, axon.ReasonVersion},
		{"2.0", version("2.0"), 401, axon.ReasonVersion},
		{"02", version("02"), 401, axon.ReasonVersion},
		{"+2", version("+2"), 401, axon.ReasonVersion},
		{"0x2", version("0x2"), 401, axon.ReasonVersion},
		{"two", version("two"), 401, axon.ReasonVersion},
		{"a full-width 2", version("２"), 401, axon.ReasonVersion},
		{"2 and 2", version("2", "2"), 401, axon.ReasonShape},
	})
}

// TestProtocolsAreNotMixed delivers a good request to a route of another
// protocol.
func TestProtocolsAreNotMixed(t *testing.T) {
	t.Parallel()
	to := func(target string) func(*call) { return func(c *call) { c.target = target } }
	besiege(t, byBittensor, []hostile{{
		"a dendrite's to Epistula", to("/chat"), 401,
		axon.ReasonMissing,
	}})
	besiege(t, byEpistula, []hostile{{
		"Epistula's to a synapse", to("/Organic"), 401,
		axon.ReasonMissing,
	}})
	besiege(t, byEnvelope, []hostile{
		{"version 1 where it is not spoken", to("/chat"), 401, axon.ReasonMissing},
		{"version 1 that says it is 2", setHeader("Epistula-Version", "2"), 401, axon.ReasonMissing},
		{"version 1 with an empty version", setHeader("Epistula-Version", ""), 401, axon.ReasonMissing},
	})
}
