package axon_test

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// refusedStages are the places where a request with a body of any size can be
// refused, and how to make it be.
var refusedStages = []struct {
	name  string
	from  func(testing.TB) *call
	spoil func(*call)
	want  axon.Reason
}{
	{"no route", byBittensor, func(c *call) { c.target = "/x" }, axon.ReasonRoute},
	{"wrong method", byBittensor, func(c *call) { c.method = http.MethodPut }, axon.ReasonMethod},
	{"encoded", byBittensor, setHeader("Content-Encoding", "gzip"), axon.ReasonEncoding},
	{"missing header", byBittensor, setHeader("bt_header_dendrite_signature"), axon.ReasonMissing},
	{"malformed header", byBittensor, func(c *call) { c.signature = "0x" }, axon.ReasonShape},
	{"stale", byBittensor, func(c *call) { c.stamp = "1" }, axon.ReasonStale},
	{"unlisted", byBittensor, func(c *call) { c.hotkey = bobAddress }, axon.ReasonUnlisted},
	{"no JSON", byBittensor, func(c *call) { c.body += "]" }, axon.ReasonBody},
	{
		"brackets", byBittensor, func(c *call) { c.body = strings.Repeat("[", len(c.body)) },
		axon.ReasonBody,
	},
	{
		"a key twice", byBittensor, func(c *call) { c.body = c.body[:len(c.body)-1] + `,"prompt":""}` },
		axon.ReasonBody,
	},
	{
		"body hash", byBittensor, func(c *call) { c.bodyHash = bodyHash("another") },
		axon.ReasonBodyHash,
	},
	{"forged", byBittensor, func(*call) {}, axon.ReasonForged},
	{"forged, version 2", byEpistula, func(*call) {}, axon.ReasonForged},
	{
		"another receiver, version 2", byEpistula, func(c *call) { c.receiver = aliceAddress },
		axon.ReasonReceiver,
	},
	{"forged, version 1", byEnvelope, func(*call) {}, axon.ReasonForged},
	{"no envelope", byEnvelope, func(c *call) { c.body += "]" }, axon.ReasonBody},
	{
		"stale, version 1", byEnvelope,
		func(c *call) { c.body = strings.Replace(c.body, sentNano, "1", 1) }, axon.ReasonStale,
	},
	{
		"unlisted, version 1", byEnvelope,
		func(c *call) { c.body = strings.Replace(c.body, aliceAddress, bobAddress, 1) },
		axon.ReasonUnlisted,
	},
}

// claimBytes is more than the claim for reading that a large body needs.
const claimBytes = 1 << 10

// silent is a [http.ResponseWriter] that allocates nothing of its own.
type silent struct {
	header http.Header
	status int
}

func (s *silent) Header() http.Header              { return s.header }
func (s *silent) WriteHeader(status int)           { s.status = status }
func (s *silent) Write(p []byte) (int, error)      { return len(p), nil }
func (s *silent) SetReadDeadline(time.Time) error  { return nil }
func (s *silent) SetWriteDeadline(time.Time) error { return nil }

// again is a body that can be sent many times.
type again struct{ bytes.Reader }

func (a *again) Close() error { return nil }

// enlarge fills a call's body to this size, with what JSON takes and what the
// hash does not have to know.
func (c *call) enlarge(size int) {
	text := strings.Repeat("x", size-len(c.body))
	switch c.protocol {
	case organic.Bittensor:
		c.body, c.bodyHash = `{"prompt": "hi`+text+`"}`, bodyHash("hi"+text)
	case organic.EpistulaV2:
		c.body += text
	default:
		c.body = strings.Replace(c.body, `"data": "hi`, `"data": "hi`+text, 1)
	}
}

// leastAllocated is what one request allocates when all pools are warm. A pool
// may lose what it holds, under the race detector on purpose: hence the least
// of some, or if need be of many, until it is no more than enough.
func leastAllocated(f *fortress, r *http.Request, body string, enough uint64) uint64 {
	reader, w, least := &again{}, &silent{header: make(http.Header)}, ^uint64(0)
	tries := 60
	if enough == 0 {
		tries = 10
	}
	for try := 0; try < tries && least > enough; try++ {
		reader.Reset([]byte(body))
		r.Body = reader
		clear(w.header)
		least = min(least, allocated(func() { f.server.ServeHTTP(w, r) }))
	}
	return least
}

// TestARefusedRequestAllocatesNoMoreForALargeBody runs alone: it counts what the
// whole process allocates.
func TestARefusedRequestAllocatesNoMoreForALargeBody(t *testing.T) {
	const slack = claimBytes
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	sizes := []int{1 << 10, 1<<20 - 16}
	limits := axon.WithAddressRate(1e6, 1e6)
	list := axon.WithAllowList(axon.NewAllowList(keypairFromURI(t, "//Alice").Hotkey()))
	for _, stage := range refusedStages {
		for _, isChunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in chunks: %v", stage.name, isChunked), func(t *testing.T) {
				f := newFortress(t, limits, list)
				requireFlat(t, sizes, slack, func(size int, enough uint64) uint64 {
					c := stage.from(t)
					c.signature = sign(t, keypairFromURI(t, "//Eve"), "another")
					c.enlarge(size)
					stage.spoil(c)
					r := c.request(t)
					if isChunked {
						r.ContentLength = -1
					}
					least := leastAllocated(f, r, c.body, enough)
					require.Len(t, f.server.Stats().Refused, 1)
					require.NotZero(t, f.server.Stats().Refused[stage.want], "%v", f.server.Stats().Refused)
					return least
				})
			})
		}
	}
}

// requireFlat measures each size. What the first allocates is enough for the
// next.
func requireFlat(
	t *testing.T, sizes []int, slack uint64, measure func(size int, enough uint64) uint64,
) {
	t.Helper()
	small := measure(sizes[0], 0)
	large := measure(sizes[1], small+slack)
	t.Logf("%d bytes allocated for 1 KiB, %d for 1 MiB", small, large)
	require.LessOrEqual(t, large, small+slack)
}

// TestAReplayAllocatesNoMoreForALargeBody takes each request once: what counts
// is the next time. The rate is that of the address.
func TestAReplayAllocatesNoMoreForALargeBody(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for protocol, sender := range authenticating {
		t.Run(protocol, func(t *testing.T) {
			f := newFortress(t, axon.WithHotkeyRate(1e6, 1e6), axon.WithAddressRate(1e6, 1e6))
			requireFlat(t, []int{1 << 10, 1<<20 - 16}, claimBytes, func(size int, enough uint64) uint64 {
				c := sender.from(t)
				c.enlarge(size)
				if c.protocol == organic.EpistulaV2 {
					c.uuid = fmt.Sprint(size)
				} else {
					c.stamp = fmt.Sprint(sentAt.UnixNano() + int64(size))
				}
				c.signature = sign(t, c.keypair, c.message())
				require.Empty(t, f.deliver(t, c))
				return leastAllocated(f, c.request(t), c.body, enough)
			})
			require.Len(t, f.server.Stats().Refused, 1)
			require.NotZero(t, f.server.Stats().Refused[axon.ReasonReplay])
			require.Equal(t, 2, f.server.Stats().Remembered)
		})
	}
}

// TestARateAllocatesNoMoreForALargeBody asks an address too often.
func TestARateAllocatesNoMoreForALargeBody(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for protocol, sender := range authenticating {
		t.Run(protocol, func(t *testing.T) {
			f := newFortress(t, axon.WithAddressRate(1e-9, 1))
			require.Empty(t, f.deliver(t, sender.from(t)))
			requireFlat(t, []int{1 << 10, 1<<20 - 16}, claimBytes, func(size int, enough uint64) uint64 {
				c := sender.from(t)
				c.enlarge(size)
				return leastAllocated(f, c.request(t), c.body, enough)
			})
			require.Len(t, f.server.Stats().Refused, 1)
			require.NotZero(t, f.server.Stats().Refused[axon.ReasonRate])
		})
	}
}
