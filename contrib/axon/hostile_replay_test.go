package axon_test

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// deliver sends a call and returns why it was refused, or nothing.
func (f *fortress) deliver(tb testing.TB, c *call) axon.Reason {
	tb.Helper()
	return f.reasonFor(c.request(tb))
}

func (f *fortress) reasonFor(r *http.Request) axon.Reason {
	before := f.server.Stats().Refused
	f.send(r)
	for reason, n := range f.server.Stats().Refused {
		if n > before[reason] {
			return reason
		}
	}
	return ""
}

// stamped returns copies of a call, signed at these times, each at its own.
func stamped(tb testing.TB, from func(testing.TB) *call, after ...time.Duration) []*call {
	tb.Helper()
	calls := make([]*call, len(after))
	for i, d := range after {
		calls[i] = from(tb)
		at := sentAt.Add(d)
		calls[i].stamp = strconv.FormatInt(at.UnixNano(), 10)
		if calls[i].target == "/chat" {
			calls[i].stamp = strconv.FormatInt(at.UnixMilli(), 10)
		}
		calls[i].body = strings.Replace(calls[i].body, sentNano, calls[i].stamp, 1)
	}
	return calls
}

// TestEveryOrderIsTakenOnce delivers three requests in every order, and then
// all of them again in every order.
func TestEveryOrderIsTakenOnce(t *testing.T) {
	t.Parallel()
	orders := [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for protocol, sender := range authenticating {
		for _, first := range orders {
			f, calls := newFortress(t), stamped(t, sender.from, -2*time.Second, 0, 2*time.Second)
			for _, i := range first {
				require.Empty(t, f.deliver(t, calls[i]), "%s, %v", protocol, first)
			}
			for _, again := range orders {
				for _, i := range again {
					require.Equal(t, axon.ReasonReplay, f.deliver(t, calls[i]), "%s, %v and %v", protocol, first,
						again)
				}
			}
			require.EqualValues(t, 3*2, f.reached.Load())
			require.Equal(t, 3, f.server.Stats().Remembered)
			require.Equal(t, 1, f.server.Stats().Hotkeys)
		}
	}
}

// TestReplaysThatLookDifferent changes all that is not signed.
func TestReplaysThatLookDifferent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		from   func(testing.TB) *call
		change func(c *call)
	}{
		{"the same", byBittensor, func(*call) {}},
		{"a signature of its own", byBittensor, func(c *call) { c.signature = "" }},
		{
			"a signature in upper case", byBittensor,
			func(c *call) { c.signature = "0x" + strings.ToUpper(c.signature[2:]) },
		},
		{"a raised timeout", byBittensor, setHeader("timeout", "999999")},
		{"another version", byBittensor, setHeader("bt_header_dendrite_version", "1")},
		{
			"another body of the same hash", byBittensor,
			func(c *call) { c.body = `{"z": 1, "prompt": "\u0068i"}` },
		},
		{"a query", byBittensor, func(c *call) { c.target = "/Organic?again" }},
		{"another route", byEpistula, func(c *call) { c.target = "/other" }},
		{"a route that takes version 1 too", byEpistula, func(c *call) { c.target = "/old" }},
		{"a route for anybody", byEpistula, func(c *call) { c.target = "/anybody" }},
		{"more headers", byEnvelope, setHeader("X-More", "x")},
		{"btauth/1, the same", byBTAuth, func(*call) {}},
		{"btauth/1, another signature", byBTAuth, func(c *call) { c.signature = "" }},
		{
			"btauth/1, a signature in upper case", byBTAuth,
			func(c *call) { c.signature = "0x" + strings.ToUpper(c.signature[2:]) },
		},
		{"btauth/1, without the name of the scheme", byBTAuth, setHeader("X-Bittensor-Crypto")},
		{"btauth/1, signed for another route", byBTAuth, resigned(func(c *call) { c.target = "/other" })},
		{
			"btauth/1, signed for a route of older protocols", byBTAuth,
			resigned(func(c *call) { c.target = "/Both" }),
		},
		{
			"btauth/1, signed for another query", byBTAuth,
			resigned(func(c *call) { c.target = "/signed?again" }),
		},
		{
			"btauth/1, signed for another method", byBTAuth,
			resigned(func(c *call) { c.method = http.MethodPut }),
		},
		{"btauth/1, signed with another body", byBTAuth, resigned(func(c *call) { c.body = "{}" })},
		{
			"btauth/1, signed for nobody", byBTAuth,
			resigned(func(c *call) { c.target, c.receiver = "/anybody", "" }),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t), tt.from(t)
			c.signature = sign(t, c.keypair, c.message())
			require.Empty(t, f.deliver(t, c))
			tt.change(c)
			require.Equal(t, axon.ReasonReplay, f.deliver(t, c))
			require.Equal(t, 1, f.server.Stats().Remembered)
		})
	}
}

// resigned changes what is signed, and signs it under the same nonce.
func resigned(change func(c *call)) func(*call) {
	return func(c *call) {
		change(c)
		c.signature = ""
	}
}

// TestAReplayIsKnownUntilItIsStale moves the clock over the whole time in which
// a raised timeout could make the request fresh.
func TestAReplayIsKnownUntilItIsStale(t *testing.T) {
	t.Parallel()
	f, c := newFortress(t), byBittensor(t)
	require.Empty(t, f.deliver(t, c))
	setHeader("timeout", "1000")(c)
	for after := time.Duration(0); after <= 16*time.Second; after += time.Second / 4 {
		f.clock.set(sentAt.Add(after))
		require.Equal(t, axon.ReasonReplay, f.deliver(t, c), "%v later", after)
	}
	for _, after := range []time.Duration{16*time.Second + 1, 17 * time.Second, time.Hour} {
		f.clock.set(sentAt.Add(after))
		require.Equal(t, axon.ReasonStale, f.deliver(t, c), "%v later", after)
	}
	f.clock.set(sentAt)
	require.NotEmpty(t, f.deliver(t, c), "by a clock that is set back")
	require.EqualValues(t, 2, f.reached.Load())
}

// TestAReplayAfterARestart has a new server with the same clock.
func TestAReplayAfterARestart(t *testing.T) {
	t.Parallel()
	for protocol, sender := range authenticating {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t), sender.from(t)
			require.Empty(t, f.deliver(t, c))
			restarted := &fortress{clock: newTestClock(sentAt.Add(time.Millisecond))}
			var err error
			restarted.server, err = axon.New(keypairFromURI(t, "//Bob").Hotkey(),
				axon.WithClock(restarted.clock.now))
			require.NoError(t, err)
			route, err := restarted.server.Synapse(organicClass)
			require.NoError(t, err)
			require.NoError(t, attach(route, (&sink{}).handlers()))
			for _, path := range []string{"/signed", "/chat", "/old"} {
				route, err := restarted.server.Route(path, axon.WithEpistula(), axon.WithEpistulaV1())
				require.NoError(t, err)
				require.NoError(t, attach(route, (&sink{}).handlers()))
			}
			require.Equal(t, axon.ReasonStale, restarted.deliver(t, c))
			setHeader("timeout", "1000")(c)
			require.Equal(t, axon.ReasonStale, restarted.deliver(t, c))
			require.Zero(t, restarted.server.Stats().Remembered)
			require.Empty(t, restarted.deliver(t, stamped(t, sender.from, time.Millisecond)[0]),
				"what is signed later is taken")
		})
	}
}

// TestOfManyAtOnceOneIsAnswered delivers one request from many goroutines.
func TestOfManyAtOnceOneIsAnswered(t *testing.T) {
	t.Parallel()
	const senders = 200
	for protocol, sender := range authenticating {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t, axon.WithAddressRate(math.Inf(1), 1)), sender.from(t)
			c.signature = sign(t, c.keypair, c.message())
			requests := make([]*http.Request, senders)
			for i := range requests {
				requests[i] = c.request(t)
			}
			var taken atomic.Int64
			var all sync.WaitGroup
			for _, r := range requests {
				all.Go(func() {
					w := httptest.NewRecorder()
					f.server.ServeHTTP(w, r)
					if w.Code == http.StatusOK {
						taken.Add(1)
					}
				})
			}
			all.Wait()
			require.EqualValues(t, 1, taken.Load())
			require.Equal(t, map[axon.Reason]uint64{axon.ReasonReplay: senders - 1},
				f.server.Stats().Refused)
			require.EqualValues(t, 2, f.reached.Load())
			require.Equal(t, 1, f.server.Stats().Remembered)
		})
	}
}

// lateBody is a body that lets something happen before it is read.
type lateBody struct {
	io.Reader
	before func()
}

func (b *lateBody) Read(p []byte) (int, error) {
	if b.before != nil {
		b.before()
		b.before = nil
	}
	return b.Reader.Read(p)
}

func (b *lateBody) Close() error { return nil }

// TestAReplayWithASlowBody is fresh when it comes, and is taken nowhere when
// its body has come at last.
func TestAReplayWithASlowBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		pause time.Duration
		want  axon.Reason
	}{
		{"while it is remembered", 0, axon.ReasonReplay},
		{"at its last moment", 16 * time.Second, axon.ReasonReplay},
		{"when it is forgotten", 18 * time.Second, axon.ReasonStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t), byBittensor(t)
			require.Empty(t, f.deliver(t, c))
			r := c.request(t)
			r.Body = &lateBody{strings.NewReader(c.body), func() { f.clock.set(sentAt.Add(tt.pause)) }}
			require.Equal(t, tt.want, f.reasonFor(r))
		})
	}
}

// TestOneRequestOvertakesItself is delivered again while its own body is read.
func TestOneRequestOvertakesItself(t *testing.T) {
	t.Parallel()
	f, c := newFortress(t), byBTAuth(t)
	r := c.request(t)
	r.Body = &lateBody{strings.NewReader(c.body), func() { require.Empty(t, f.deliver(t, c)) }}
	require.Equal(t, http.StatusUnauthorized, f.send(r).Code)
	require.EqualValues(t, 2, f.reached.Load())
}

// TestReplaysDoNotChargeTheHotkey lets somebody who has recorded a request send
// it again and again: the hotkey's next one must still be taken.
func TestReplaysDoNotChargeTheHotkey(t *testing.T) {
	t.Parallel()
	for protocol, sender := range authenticating {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			f := newFortress(t, axon.WithHotkeyRate(1, 2))
			calls := stamped(t, sender.from, 0, time.Second)
			require.Empty(t, f.deliver(t, calls[0]))
			for range 5 {
				require.Equal(t, axon.ReasonReplay, f.deliver(t, calls[0]))
			}
			require.Empty(t, f.deliver(t, calls[1]))
		})
	}
}

// TestAnInfiniteRateIsNone asks more than once in one moment.
func TestAnInfiniteRateIsNone(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]axon.Option{
		"of a hotkey":   axon.WithHotkeyRate(math.Inf(1), 1),
		"of an address": axon.WithAddressRate(math.Inf(1), 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFortress(t, option)
			for _, c := range stamped(t, byBittensor, 0, 1, 2, 3, 4) {
				require.Empty(t, f.deliver(t, c))
			}
		})
	}
}

// TestAFullMemoryIsBusy keeps what it has.
func TestAFullMemoryIsBusy(t *testing.T) {
	t.Parallel()
	f := newFortress(t, axon.WithLimits(axon.Limits{ReplaysPerHotkey: 2}))
	calls := stamped(t, byBittensor, 0, 1, 2)
	require.Empty(t, f.deliver(t, calls[0]))
	require.Empty(t, f.deliver(t, calls[1]))
	w := f.send(calls[2].request(t))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.JSONEq(t, jsonMessage("Busy"), w.Body.String())
	require.Equal(t, axon.ReasonReplay, f.deliver(t, calls[0]))
	require.Equal(t, 2, f.server.Stats().Remembered)
	f.clock.set(sentAt.Add(20 * time.Second))
	require.Empty(t, f.deliver(t, stamped(t, byBittensor, 20*time.Second)[0]), "time has made room")
}
