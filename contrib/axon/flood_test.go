package axon_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
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

// stranger makes bad requests, each of another address and hotkey and with
// texts of its own, so that whatever a server keeps of them shows.
type stranger struct {
	tb        testing.TB
	random    *rand.Rand
	points    []keys.Hotkey // some that are points of the curve: only those cost a verification
	signature string        // a real one, of something else
	bodyHash  string
	count     uint32
}

func newStranger(tb testing.TB) *stranger {
	tb.Helper()
	s := &stranger{
		tb: tb, random: rand.New(rand.NewPCG(3, 4)),
		signature: sign(tb, keypairFromURI(tb, "//Eve"), "another"), bodyHash: bodyHash("hi"),
	}
	for range 500 {
		keypair, err := keys.Generate(keys.SR25519)
		require.NoError(tb, err)
		s.points = append(s.points, keypair.Hotkey())
	}
	return s
}

// The kinds of bad requests.
const (
	unsigned = iota
	badShape
	noPoint // a key that is none, which shows when it is parsed
	stranded
	forgery // costs a verification
	kinds
)

// request makes the next bad request of a kind.
func (s *stranger) request(kind int) *http.Request {
	s.count++
	var hotkey keys.Hotkey
	for i := range 4 {
		binary.LittleEndian.PutUint64(hotkey[8*i:], s.random.Uint64())
	}
	hotkey[31] |= 0x80 // no point has this bit
	if kind == forgery {
		hotkey = s.points[s.random.IntN(len(s.points))]
	}
	c := &call{
		protocol: organic.Bittensor, method: http.MethodPost, target: "/Organic", hotkey: hotkey.String(),
		stamp: sentNano,
		uuid:  fmt.Sprint("uuid-", s.count), bodyHash: s.bodyHash, body: goodBody,
		signature: strings.Clone(s.signature),
	}
	if s.count%2 == 0 {
		c.protocol, c.target, c.stamp, c.receiver = organic.EpistulaV2, "/chat", sentMilli, bobAddress
	}
	switch kind {
	case badShape:
		c.signature = strings.Repeat("z", 1000)
	case stranded:
		c.stamp = "1"
	case unsigned:
		c.header = func(header http.Header) {
			header.Del("bt_header_dendrite_signature")
			header.Del("Epistula-Request-Signature")
		}
	}
	r := &http.Request{
		Method: c.method, URL: &url.URL{Path: c.target}, Header: c.headers(s.tb),
		ContentLength: int64(len(c.body)),
		Body:          io.NopCloser(strings.NewReader(c.body)),
	}
	r.RemoteAddr = fmt.Sprintf("%d.%d.%d.%d:%d", 1+s.count>>24, byte(s.count>>16), byte(s.count>>8),
		byte(s.count), 1024+s.count%60_000)
	return r
}

// liveHeap is what is in use after two collections: the first empties the pools
// into a second chance, the next one for good.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestAFloodLeavesMemoryFlat runs alone, since it measures the whole process.
// Before it measures, so many addresses have come that their memory is full:
// what is bounded has reached its bound then. Under the race detector most
// forgeries are replaced by requests that fail before the verification.
func TestAFloodLeavesMemoryFlat(t *testing.T) {
	const tracked, flood, slack = 1000, 50_000, 256 << 10
	f, s := newFortress(t, axon.WithLimits(axon.Limits{Tracked: tracked})), newStranger(t)
	send := func(n int) {
		for i := range n {
			kind := i % kinds
			if raceDetector && kind == forgery && i%(10*kinds) != forgery {
				kind = noPoint
			}
			if w := f.send(s.request(kind)); w.Code != http.StatusUnauthorized {
				t.Fatal(w.Code)
			}
		}
	}
	send(4 * tracked)
	before := liveHeap()
	send(flood)
	after := liveHeap()
	stats := f.server.Stats()
	t.Logf("live heap: %d KiB before, %d KiB after; refused: %v", before>>10, after>>10, stats.Refused)
	require.LessOrEqual(t, after, before+slack)
	require.Zero(t, stats.Remembered)
	require.Zero(t, stats.Hotkeys)
	require.Zero(t, stats.Verified)
	require.Equal(t, tracked, stats.Addresses, "full, and not above")
	require.Zero(t, f.reached.Load())
	total := uint64(0)
	for _, n := range stats.Refused {
		total += n
	}
	require.EqualValues(t, 4*tracked+flood, total)
}

// TestAFloodDoesNotStarveForward forges without end while a request is in
// Forward, and lets another one in meanwhile.
func TestAFloodDoesNotStarveForward(t *testing.T) {
	t.Parallel()
	f := newFortress(t, axon.WithLimits(axon.Limits{Verifying: 1}))
	route, err := f.server.Route("/steps", axon.WithEpistula())
	require.NoError(t, err)
	step, stepped := make(chan struct{}), make(chan struct{})
	require.NoError(t, attach(route,
		organic.Handlers{Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error {
			for range step {
				stepped <- struct{}{}
			}
			return nil
		}}))
	inside := byEpistula(t)
	inside.target = "/steps"
	first := inside.request(t)
	answered := make(chan int, 1)
	go func() { answered <- f.send(first).Code }()
	step <- struct{}{}
	<-stepped

	var forged atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		s := newStranger(t)
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				f.server.ServeHTTP(httptest.NewRecorder(), s.request(forgery))
				forged.Add(1)
			}
		})
	}
	for _, c := range stamped(t, byBittensor, 1, 2, 3, 4, 5) {
		sofar := forged.Load()
		require.Eventually(t, func() bool { return forged.Load() >= sofar+4 }, longest, time.Millisecond,
			"the flood goes on")
		step <- struct{}{}
		<-stepped
		require.Equal(t, http.StatusOK, f.send(c.request(t)).Code,
			"a good request waits its turn, no more")
	}
	close(step)
	require.Equal(t, http.StatusOK, <-answered)
	close(stop)
	all.Wait()
	require.EqualValues(t, forged.Load(), f.server.Stats().Refused[axon.ReasonForged])
	require.Equal(t, 1, f.server.Stats().Hotkeys)
	require.Equal(t, 6, f.server.Stats().Remembered)
}
