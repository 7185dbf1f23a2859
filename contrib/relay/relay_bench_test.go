package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

// benchmarkEvent is an event of an OpenAI-style stream. Its text has the mark by which a client
// counts what arrives.
const (
	benchmarkEvent = `data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk",` +
		`"created":1741570283,"model":"llama-3.1-8b","choices":[{"index":0,"delta":{"content":"~ word"},` +
		`"logprobs":null,"finish_reason":null}]}` + "\n\n"
	benchmarkMark = "~"
)

// benchmarkBody is a body of n events and [DONE], one a read. Before each it calls pace, if there
// is one.
type benchmarkBody struct {
	n    int
	pace func()
	rest string
}

func (b *benchmarkBody) Read(buf []byte) (int, error) {
	if b.rest == "" {
		switch {
		case b.n < 0:
			return 0, io.EOF
		case b.n == 0:
			b.rest = "data: [DONE]\n\n"
		default:
			if b.pace != nil {
				b.pace()
			}
			b.rest = benchmarkEvent
		}
		b.n--
	}
	n := copy(buf, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// byHand is the floor: a loop that parses each chunk with encoding/json, counts its text, writes
// the event on and flushes it.
func byHand(b *testing.B) func(w http.ResponseWriter, body io.Reader) {
	b.Helper()
	return func(w http.ResponseWriter, body io.Reader) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		size := 0
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			data, found := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
			if !found || string(data) == "[DONE]" {
				continue
			}
			var chunk struct {
				Choices []struct {
					Delta struct {
						Content string `json:"content"`
					} `json:"delta"`
					FinishReason *string `json:"finish_reason"`
				} `json:"choices"`
			}
			require.NoError(b, json.Unmarshal(data, &chunk))
			size += len(chunk.Choices[0].Delta.Content)
			for _, piece := range [][]byte{lines.Bytes(), []byte("\n\n")} {
				_, err := w.Write(piece)
				require.NoError(b, err)
			}
			require.NoError(b, control.Flush())
		}
		require.NoError(b, lines.Err())
		require.Positive(b, size)
	}
}

// relayed reads, relays and records the same chunks.
func relayed(b *testing.B) func(w http.ResponseWriter, body io.Reader) {
	b.Helper()
	r, err := relay.New(
		relay.WithMaxAnswer(1<<40, 1<<40), relay.WithMaxLag(1<<40), relay.WithTimeout(time.Hour),
	)
	require.NoError(b, err)
	return func(w http.ResponseWriter, body io.Reader) {
		miner := func(_ context.Context, emit func(relay.Chunk) error) error {
			return relay.OpenAI(body, emit)
		}
		require.NoError(b, r.Serve(b.Context(), w, relay.Query{
			Miners: map[organic.UID]relay.Miner{0: miner},
		}))
	}
}

// request serves one request over a real connection and hands each piece that arrives to got.
func request(b *testing.B, handle http.HandlerFunc, got func(piece []byte)) {
	b.Helper()
	server := httptest.NewServer(handle)
	defer server.Close()
	response, err := server.Client().Get(server.URL) //nolint:noctx // the server is this test's
	require.NoError(b, err)
	defer response.Body.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(buf)
		got(buf[:n])
		if err == io.EOF {
			return
		}
		require.NoError(b, err)
	}
}

// answerChunks is the number of chunks of one answer.
const answerChunks = 500

// BenchmarkChunk is the cost of one chunk, from one real connection's body to another connection.
// Fast chunks come one right after the other: the relay writes those that wait together, the floor
// flushes each, so that it compares a writer that batches with one that does not. Paced chunks come
// when the one before has arrived, so that each is parsed, written and flushed alone.
func BenchmarkChunk(b *testing.B) {
	for _, candidate := range []struct {
		name   string
		handle func(b *testing.B) func(w http.ResponseWriter, body io.Reader)
	}{{"floor", byHand}, {"organic", relayed}} {
		b.Run("fast/"+candidate.name, func(b *testing.B) {
			b.ReportAllocs()
			handle := candidate.handle(b)
			request(b, func(w http.ResponseWriter, _ *http.Request) {
				for left := b.N; left > 0; left -= answerChunks {
					handle(w, &benchmarkBody{n: min(left, answerChunks)})
				}
			}, func([]byte) {})
		})
		b.Run("paced/"+candidate.name, func(b *testing.B) {
			b.ReportAllocs()
			handle := candidate.handle(b)
			arrived := make(chan struct{}, 2)
			arrived <- struct{}{}
			request(b, func(w http.ResponseWriter, _ *http.Request) {
				for left := b.N; left > 0; left -= answerChunks {
					handle(
						w, &benchmarkBody{n: min(left, answerChunks), pace: func() { <-arrived }},
					)
				}
			}, func(piece []byte) {
				for range bytes.Count(piece, []byte(benchmarkMark)) {
					arrived <- struct{}{}
				}
			})
		})
	}
}

// BenchmarkRead is the cost of one chunk of a body that is read and parsed, and no more.
func BenchmarkRead(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		handle := byHand(b)
		handle(discarding{}, &benchmarkBody{n: b.N})
	})
	b.Run("organic", func(b *testing.B) {
		b.ReportAllocs()
		require.NoError(
			b, relay.OpenAI(&benchmarkBody{n: b.N}, func(relay.Chunk) error { return nil }),
		)
	})
}

// discarding is a response writer to nowhere.
type discarding struct{}

func (discarding) Header() http.Header             { return http.Header{} }
func (discarding) WriteHeader(int)                 {}
func (discarding) Write(piece []byte) (int, error) { return len(piece), nil }
func (discarding) Flush()                          {}

// BenchmarkOpenRelays is the memory of 1000 relays of three and of ten miners each that have sent
// half of a small answer, ten chunks of 200 bytes each, without what net/http needs.
func BenchmarkOpenRelays(b *testing.B) {
	for _, count := range []int{3, 10} {
		b.Run(fmt.Sprintf("miners=%d", count), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(openRelays(b, 1000, count), "B/relay")
			}
		})
	}
}

// openRelays returns the memory of one of so many open relays.
func openRelays(b *testing.B, open, count int) float64 {
	b.Helper()
	r, err := relay.New(relay.WithMaxOpen(open))
	require.NoError(b, err)
	before := memory()
	var sent, served sync.WaitGroup
	finish := make(chan struct{})
	half := func(_ context.Context, emit func(relay.Chunk) error) error {
		for range 10 {
			if err := emit(relay.Chunk{Text: strings.Repeat("x", 200)}); err != nil {
				return err
			}
		}
		sent.Done()
		<-finish
		return nil
	}
	asked := make(map[organic.UID]relay.Miner)
	for uid := range count {
		asked[organic.UID(uid)] = half
	}
	for range open {
		sent.Add(count)
		served.Go(func() {
			require.NoError(b, r.Serve(b.Context(), discarding{}, relay.Query{Miners: asked}))
		})
	}
	sent.Wait()
	each := float64(memory()-before) / float64(open)
	close(finish)
	served.Wait()
	require.NoError(b, r.Close(b.Context()))
	return each
}

// memory is what the heap and the stacks take.
func memory() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc + stats.StackInuse
}
