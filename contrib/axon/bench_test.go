//go:build unix

package axon_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// The load comes from a second process, so that what this one burns is what
// the server costs: that is the benchmarks' ns/op, not the time that passes.

// loadVariable tells a test binary that it is the second process.
const loadVariable = "AXON_BENCHMARK_LOAD"

func TestMain(m *testing.M) {
	if kind := os.Getenv(loadVariable); kind != "" {
		if err := generateLoad(kind, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const loadConnections = 16

// What the second process is to send.
const (
	loadSigned  = "signed"  // requests that are taken
	loadRefused = "refused" // requests that miss a signature
)

var benchmarkPrompt = prompt{strings.Repeat("What is the capital of Peru? ", 35)} // about 1 KiB

// generateLoad reads an address and a number, prepares so many requests, says
// so, waits for a line, sends them all, and says so again.
func generateLoad(kind string, in io.Reader, out io.Writer) error {
	var address string
	var n int
	lines := bufio.NewReader(in)
	if _, err := fmt.Fscanln(lines, &address, &n); err != nil {
		return err
	}
	requests := make([][][]byte, loadConnections)
	for i := range n {
		request, err := loadRequest(kind, address)
		if err != nil {
			return err
		}
		c := i % loadConnections
		requests[c] = append(requests[c], request)
	}
	fmt.Fprintln(out, "ready")
	if _, err := lines.ReadString('\n'); err != nil {
		return err
	}
	want := map[string]int{loadSigned: http.StatusOK, loadRefused: http.StatusUnauthorized}[kind]
	failed := make(chan error, loadConnections)
	var all sync.WaitGroup
	for _, share := range requests {
		all.Go(func() {
			if err := sendAll(address, share, want); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "done")
	return err
}

var loadDendrite = sync.OnceValues(func() (*axon.Dendrite, error) {
	alice, err := keys.FromURI("//Alice", keys.SR25519)
	return axon.NewDendrite(alice), err
})

func loadRequest(kind, address string) ([]byte, error) {
	dendrite, err := loadDendrite()
	if err != nil {
		return nil, err
	}
	bob, err := keys.ParseSS58(bobAddress)
	if err != nil {
		return nil, err
	}
	request, err := dendrite.NewRequest(context.Background(), axon.Query{
		URL: "http://" + address, Axon: bob, Class: organicClass, Fields: benchmarkPrompt,
	})
	if err != nil {
		return nil, err
	}
	if kind == loadRefused {
		request.Header.Del("bt_header_dendrite_signature")
	}
	var raw bytes.Buffer
	err = request.Write(&raw)
	return raw.Bytes(), err
}

func sendAll(address string, requests [][]byte, want int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for _, request := range requests {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != want {
			return fmt.Errorf("answer %d, want %d: %w", response.StatusCode, want, err)
		}
	}
	return nil
}

// underLoad serves b.N requests and reports what they cost this process.
func underLoad(b *testing.B, kind string, handler http.Handler) {
	b.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	load := exec.CommandContext(b.Context(), os.Args[0])
	load.Env = append(os.Environ(), loadVariable+"="+kind)
	load.Stderr = os.Stderr
	in, err := load.StdinPipe()
	require.NoError(b, err)
	out, err := load.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, load.Start())
	said := bufio.NewScanner(out)
	listen := func(word string) {
		require.True(b, said.Scan())
		require.Equal(b, word, said.Text())
	}
	_, err = fmt.Fprintln(in, strings.TrimPrefix(server.URL, "http://"), b.N)
	require.NoError(b, err)
	listen("ready")
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	_, err = fmt.Fprintln(in)
	require.NoError(b, err)
	listen("done")
	spent := processorTime(b) - before
	b.StopTimer()
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "ns/op")
	require.NoError(b, load.Wait())
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkAccepted decodes the body once in the floor, which hashes what it has
// decoded, and once in ours. A hook that decodes it again, as most do, is the
// case without a floor.
func BenchmarkAccepted(b *testing.B) {
	b.Run("floor", func(b *testing.B) { underLoad(b, loadSigned, bareAxon(b)) })
	b.Run("organic", func(b *testing.B) { underLoad(b, loadSigned, benchmarkServer(b, false)) })
	b.Run("decoding", func(b *testing.B) { underLoad(b, loadSigned, benchmarkServer(b, true)) })
}

func BenchmarkRefused(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		underLoad(b, loadRefused, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	})
	b.Run("organic", func(b *testing.B) { underLoad(b, loadRefused, benchmarkServer(b, false)) })
}

var benchmarkAnswer = []byte(`{"prompt": "", "completion": "Lima"}`)

func benchmarkServer(b *testing.B, decodes bool) http.Handler {
	b.Helper()
	bob, err := keys.ParseSS58(bobAddress)
	require.NoError(b, err)
	server, err := axon.New(bob, axon.WithHotkeyRate(1e9, 1e9), axon.WithAddressRate(1e9, 1e9),
		axon.WithLimits(axon.Limits{Replays: 10_000_000, ReplaysPerHotkey: 10_000_000}))
	require.NoError(b, err)
	route, err := server.Bittensor(organicClass)
	require.NoError(b, err)
	require.NoError(b, attach(route, organic.Handlers{
		Forward: func(_ context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
			var body prompt
			if decodes {
				if err := json.Unmarshal(synapse.Body, &body); err != nil {
					return err
				}
			}
			_, err := w.Write(benchmarkAnswer)
			return err
		},
	}))
	return server
}

// bareAxon does what cannot be left out: it reads, decodes, hashes, verifies
// with a key that is parsed already, and answers. It checks neither time nor
// receiver, and remembers nothing.
func bareAxon(b *testing.B) http.Handler {
	b.Helper()
	alice, err := keys.ParseSS58(aliceAddress)
	require.NoError(b, err)
	key, err := sr25519.NewPublicKeyFromBytes(alice[:])
	require.NoError(b, err)
	signing := sr25519.NewSigningContext([]byte("substrate"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var body prompt
		if err := json.Unmarshal(data, &body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		inner := sha3.Sum256([]byte(body.Prompt))
		outer := sha3.Sum256([]byte(hex.EncodeToString(inner[:])))
		hash := hex.EncodeToString(outer[:])
		header := r.Header
		message := header.Get("Bt_header_dendrite_nonce") + "." + aliceAddress + "." + bobAddress + "." +
			header.Get("Bt_header_dendrite_uuid") + "." + hash
		raw, err := hex.DecodeString(strings.TrimPrefix(header.Get("Bt_header_dendrite_signature"), "0x"))
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		signature, err := sr25519.NewSignatureFromBytes(raw)
		if err != nil || hash != header.Get("Computed_body_hash") || !key.Verify(signing.NewTranscriptBytes([]byte(message)), signature) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(benchmarkAnswer)
	})
}
