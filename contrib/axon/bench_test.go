//go:build unix

package axon_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	loadDendrite        = "dendrite"         // requests of a dendrite that are accepted
	loadDendriteRefused = "dendrite-refused" // requests that lack the signature
	loadBTAuth          = "btauth"           // the same by btauth/1
	loadBTAuthRefused   = "btauth-refused"
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
	want := http.StatusOK
	if kind == loadDendriteRefused || kind == loadBTAuthRefused {
		want = http.StatusUnauthorized
	}
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

// loader signs the requests of the second process.
type loader struct {
	alice    *keys.Keypair
	dendrite *axon.Dendrite
	bob      keys.Hotkey
}

var onceLoader = sync.OnceValues(func() (loader, error) {
	alice, err1 := keys.FromURI("//Alice", keys.SR25519)
	bob, err2 := keys.ParseSS58(bobAddress)
	return loader{alice, axon.NewDendrite(alice), bob}, errors.Join(err1, err2)
})

func loadRequest(kind, address string) ([]byte, error) {
	l, err := onceLoader()
	if err != nil {
		return nil, err
	}
	var request *http.Request
	if kind == loadDendrite || kind == loadDendriteRefused {
		request, err = l.dendrite.NewRequest(context.Background(), axon.Query{
			URL: "http://" + address, Axon: l.bob, Class: organicClass, Fields: benchmarkPrompt,
		})
	} else {
		request, err = l.byBTAuth(address)
	}
	if err != nil {
		return nil, err
	}
	switch kind {
	case loadDendriteRefused:
		request.Header.Del("bt_header_dendrite_signature")
	case loadBTAuthRefused:
		request.Header.Del("X-Bittensor-Signature")
	}
	var raw bytes.Buffer
	err = request.Write(&raw)
	return raw.Bytes(), err
}

func (l loader) byBTAuth(address string) (*http.Request, error) {
	body, err := json.Marshal(benchmarkPrompt)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		"http://"+address+"/generate?stream=false", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return request, axon.Sign(request, l.alice, l.bob)
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

// BenchmarkAccepted has floors that do what cannot be omitted. The one for
// dendrites decodes the body, since it hashes what it has decoded. A hook that
// decodes it again, as most do, is the case without a floor.
func BenchmarkAccepted(b *testing.B) {
	b.Run("dendrite/floor", func(b *testing.B) { underLoad(b, loadDendrite, bareAxon(b)) })
	b.Run("dendrite/organic", func(b *testing.B) {
		underLoad(b, loadDendrite,
			benchmarkServer(b, false))
	})
	b.Run("dendrite/decoding", func(b *testing.B) {
		underLoad(b, loadDendrite,
			benchmarkServer(b, true))
	})
	b.Run("btauth/floor", func(b *testing.B) { underLoad(b, loadBTAuth, bareBTAuth(b)) })
	b.Run("btauth/organic", func(b *testing.B) { underLoad(b, loadBTAuth, benchmarkServer(b, false)) })
}

func BenchmarkRefused(b *testing.B) {
	empty := http.HandlerFunc(func(
		w http.ResponseWriter, _ *http.Request,
	) {
		w.WriteHeader(http.StatusUnauthorized)
	})
	for name, kind := range map[string]string{
		"dendrite": loadDendriteRefused,
		"btauth":   loadBTAuthRefused,
	} {
		b.Run(name+"/floor", func(b *testing.B) { underLoad(b, kind, empty) })
		b.Run(name+"/organic", func(b *testing.B) { underLoad(b, kind, benchmarkServer(b, false)) })
	}
}

var benchmarkAnswer = []byte(`{"prompt": "", "completion": "Lima"}`)

func benchmarkServer(b *testing.B, decodes bool) http.Handler {
	b.Helper()
	bob, err := keys.ParseSS58(bobAddress)
	require.NoError(b, err)
	server, err := axon.New(bob, axon.WithHotkeyRate(1e9, 1e9), axon.WithAddressRate(1e9, 1e9),
		axon.WithLimits(axon.Limits{Replays: 10_000_000, ReplaysPerHotkey: 10_000_000}))
	require.NoError(b, err)
	forward := func(_ context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
		var body prompt
		if decodes {
			if err := json.Unmarshal(synapse.Body, &body); err != nil {
				return err
			}
		}
		_, err := w.Write(benchmarkAnswer)
		return err
	}
	synapse, err := server.Synapse(organicClass)
	require.NoError(b, err)
	require.NoError(b, attach(synapse, organic.Handlers{Forward: forward}))
	route, err := server.Route("/generate")
	require.NoError(b, err)
	require.NoError(b, attach(route, organic.Handlers{Forward: forward}))
	return server
}

// bareBTAuth reads, hashes, verifies with a key that is parsed already, and
// answers. It checks neither time nor receiver, and remembers nothing.
func bareBTAuth(b *testing.B) http.Handler {
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
		sum := sha256.Sum256(data)
		payload := "btauth/1\nsr25519\n" + r.Method + "\n" + r.RequestURI + "\n" + hex.EncodeToString(sum[:]) + "\n" +
			r.Header.Get("X-Bittensor-Nonce") + "\n" + aliceAddress + "\n" + bobAddress
		raw, err := hex.DecodeString(strings.TrimPrefix(r.Header.Get("X-Bittensor-Signature"), "0x"))
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		signature, err := sr25519.NewSignatureFromBytes(raw)
		if err != nil || !key.Verify(signing.NewTranscriptBytes([]byte(payload)), signature) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(benchmarkAnswer)
	})
}

// bareAxon does what cannot be left out: it reads, decodes, hashes, verifies
// with a key that is parsed already, and answers with the status in a header of
// its own, without which a dendrite takes the answer for a failure. It checks
// neither time nor receiver, and remembers nothing.
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
		w.Header()["bt_header_axon_status_code"] = []string{"200"}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(benchmarkAnswer)
	})
}
