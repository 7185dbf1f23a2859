package relay_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

// benchmarkChunk is about what one token takes in an OpenAI-style stream.
var benchmarkChunk = make([]byte, 200)

// streamed is what a benchmark's handler needs to relay n chunks. Before each
// chunk it calls pace, if there is one.
type streamed struct {
	n    int
	pace func()
}

// emit is a miner that has all chunks at hand.
func (s streamed) emit(emit func(chunk []byte) error) error {
	for range s.n {
		if s.pace != nil {
			s.pace()
		}
		if err := emit(benchmarkChunk); err != nil {
			return err
		}
	}
	return nil
}

// bare is the floor: a loop that copies each chunk to the requester and flushes.
func bare(b *testing.B) func(w http.ResponseWriter, s streamed) {
	b.Helper()
	return func(w http.ResponseWriter, s streamed) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		require.NoError(b, s.emit(func(chunk []byte) error {
			if _, err := w.Write(chunk); err != nil {
				return err
			}
			return control.Flush()
		}))
	}
}

// relayed relays the same chunks, and records them.
func relayed(b *testing.B) func(w http.ResponseWriter, s streamed) {
	b.Helper()
	r, err := relay.New(relay.WithMaxAnswer(1<<40, 1<<40), relay.WithMaxLag(1<<40), relay.WithTimeout(time.Hour))
	require.NoError(b, err)
	return func(w http.ResponseWriter, s streamed) {
		miner := func(_ context.Context, emit func(chunk []byte) error) error { return s.emit(emit) }
		require.NoError(b, r.Serve(b.Context(), w, relay.Query{
			Miners: map[organic.UID]relay.Miner{0: miner},
			View:   relay.One(0),
			Wire:   relay.Raw{},
		}))
	}
}

// request serves one request over a real connection and hands each piece that
// arrives to got.
func request(b *testing.B, handle http.HandlerFunc, got func(n int)) {
	b.Helper()
	server := httptest.NewServer(handle)
	defer server.Close()
	response, err := server.Client().Get(server.URL) //nolint:noctx // the server is this test's
	require.NoError(b, err)
	defer response.Body.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(buf)
		got(n)
		if err == io.EOF {
			return
		}
		require.NoError(b, err)
	}
}

// answerChunks is the number of chunks of one answer.
const answerChunks = 500

// BenchmarkChunk is the cost of one chunk, relayed over a real connection. Fast
// chunks are emitted one right after the other: the relay writes those that
// wait together, the floor flushes each, so that it compares a writer that
// batches with one that does not, and says nothing of the cost of a chunk. Paced
// chunks are emitted when the one before has arrived, so that each is written
// and flushed alone.
func BenchmarkChunk(b *testing.B) {
	for _, candidate := range []struct {
		name   string
		handle func(b *testing.B) func(w http.ResponseWriter, s streamed)
	}{{"floor", bare}, {"organic", relayed}} {
		b.Run("fast/"+candidate.name, func(b *testing.B) {
			b.ReportAllocs()
			handle := candidate.handle(b)
			request(b, func(w http.ResponseWriter, _ *http.Request) {
				for left := b.N; left > 0; left -= answerChunks {
					handle(w, streamed{n: min(left, answerChunks)})
				}
			}, func(int) {})
		})
		b.Run("paced/"+candidate.name, func(b *testing.B) {
			b.ReportAllocs()
			handle := candidate.handle(b)
			arrived := make(chan struct{}, 1)
			arrived <- struct{}{}
			received := 0
			request(b, func(w http.ResponseWriter, _ *http.Request) {
				for left := b.N; left > 0; left -= answerChunks {
					handle(w, streamed{n: min(left, answerChunks), pace: func() { <-arrived }})
				}
			}, func(n int) {
				for received += n; received >= len(benchmarkChunk); received -= len(benchmarkChunk) {
					arrived <- struct{}{}
				}
			})
		})
	}
}

// BenchmarkOpenRelays is the memory of 1000 relays of three miners each that
// have sent half of a small answer, without what net/http needs.
func BenchmarkOpenRelays(b *testing.B) {
	const open = 1000
	for b.Loop() {
		r, err := relay.New(relay.WithMaxOpen(open))
		require.NoError(b, err)
		before := memory()
		var sent, served sync.WaitGroup
		finish := make(chan struct{})
		half := func(_ context.Context, emit func(chunk []byte) error) error {
			for range 10 {
				if err := emit(benchmarkChunk); err != nil {
					return err
				}
			}
			sent.Done()
			<-finish
			return nil
		}
		for range open {
			sent.Add(3)
			served.Go(func() {
				require.NoError(b, r.Serve(b.Context(), httptest.NewRecorder(), relay.Query{
					Miners: map[organic.UID]relay.Miner{0: half, 1: half, 2: half},
				}))
			})
		}
		sent.Wait()
		b.ReportMetric(float64(memory()-before)/open, "B/relay")
		close(finish)
		served.Wait()
		require.NoError(b, r.Close(b.Context()))
	}
}

// memory is what the heap and the stacks take.
func memory() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc + stats.StackInuse
}
