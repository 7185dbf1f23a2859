package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

var errMishap = errors.New("mishap")

// miners is short for the miners of a query.
type miners = map[organic.UID]relay.Miner

// script is a miner that emits chunks, each after a wait, and then ends.
type script struct {
	waits    []time.Duration // before each chunk
	chunks   []string
	err      error         // what it returns in the end
	hang     bool          // it never ends by itself
	overstay time.Duration // how long it goes on after the end of its ctx

	mu   sync.Mutex
	sent []string // the chunks that emit took
}

// says is a script without waits.
func says(chunks ...string) *script {
	return &script{chunks: chunks, waits: make([]time.Duration, len(chunks))}
}

// every lets the script wait before each of its chunks.
func (s *script) every(wait time.Duration) *script {
	for i := range s.waits {
		s.waits[i] = wait
	}
	return s
}

func (s *script) failing(err error) *script { s.err = err; return s }

func (s *script) hanging() *script { s.hang = true; return s }

// ask is the miner function.
func (s *script) ask(ctx context.Context, emit func(relay.Chunk) error) error {
	for i, chunk := range s.chunks {
		if err := pause(ctx, s.waits[i]); err != nil {
			time.Sleep(s.overstay)
			return err
		}
		if err := emit(relay.Chunk{Text: chunk}); err != nil {
			return err
		}
		s.mu.Lock()
		s.sent = append(s.sent, chunk)
		s.mu.Unlock()
	}
	if s.hang {
		<-ctx.Done()
		time.Sleep(s.overstay)
		return ctx.Err()
	}
	return s.err
}

// emits is a miner that emits these chunks at once.
func emits(chunks ...relay.Chunk) relay.Miner {
	return func(_ context.Context, emit func(relay.Chunk) error) error {
		for _, chunk := range chunks {
			if err := emit(chunk); err != nil {
				return err
			}
		}
		return nil
	}
}

func (s *script) accepted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// requester is the response writer of one who reads as fast as pace says: it
// gets the number of the write, from 1, and says how long that takes.
type requester struct {
	pace     func(write int) time.Duration
	err      error // what every write returns
	header   http.Header
	deadline time.Time

	mu     sync.Mutex // guards what follows
	body   strings.Builder
	writes int
}

var _ http.ResponseWriter = (*requester)(nil)

func (r *requester) Header() http.Header {
	if r.header == nil {
		r.header = make(http.Header)
	}
	return r.header
}

func (r *requester) WriteHeader(int) {}

func (r *requester) SetWriteDeadline(deadline time.Time) error {
	r.deadline = deadline
	return nil
}

func (r *requester) Write(data []byte) (int, error) {
	r.mu.Lock()
	r.writes++
	write := r.writes
	r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	if r.pace != nil {
		wait := r.pace(write)
		if !r.deadline.IsZero() && wait > time.Until(r.deadline) {
			time.Sleep(time.Until(r.deadline))
			return 0, os.ErrDeadlineExceeded
		}
		time.Sleep(wait)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.body.Write(data)
}

func (r *requester) FlushError() error { return nil }

func (r *requester) read() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.body.String()
}

// stream is what was read, with each chunk of a completion as if its text were the data of an
// event. Events that have no text, such as the one with the role, are left out.
func (r *requester) stream() string { return simplified(r.read()) }

func simplified(body string) string {
	var stream strings.Builder
	for frame := range strings.SplitAfterSeq(body, "\n\n") {
		at := strings.Index(frame, `data: {"id"`)
		if at < 0 {
			stream.WriteString(frame)
			continue
		}
		var chunk struct {
			Choices []struct{ Delta struct{ Content string } }
		}
		if err := json.Unmarshal([]byte(frame[at+len("data: "):]), &chunk); err != nil {
			stream.WriteString(err.Error())
			continue
		}
		if text := chunk.Choices[0].Delta.Content; text != "" {
			stream.WriteString(frame[:at] + "data: " + text + "\n\n")
		}
	}
	return stream.String()
}

// stand is a relay under test that notes what Done gets.
type stand struct {
	t     *testing.T
	relay *relay.Relay

	mu      sync.Mutex
	results []*relay.Result
}

// newStand has limits of an hour for pauses, unless options say otherwise.
func newStand(t *testing.T, opts ...relay.Option) *stand {
	t.Helper()
	quiet := []relay.Option{
		relay.WithKeepAlive(time.Hour), relay.WithIdle(time.Hour), relay.WithStreamIdle(time.Hour),
	}
	r, err := relay.New(append(quiet, opts...)...)
	require.NoError(t, err)
	return &stand{t: t, relay: r}
}

func (s *stand) done(_ context.Context, result *relay.Result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = append(s.results, result)
	return nil
}

// serve serves a query whose result is noted.
func (s *stand) serve(ctx context.Context, w http.ResponseWriter, query relay.Query) error {
	query.Done = s.done
	return s.relay.Serve(ctx, w, query)
}

// result closes the relay and returns the one result there was.
func (s *stand) result() *relay.Result {
	s.t.Helper()
	require.NoError(s.t, s.relay.Close(s.t.Context()))
	require.Zero(s.t, s.relay.Stats().Open)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(s.t, s.results, 1, "Done is called once")
	return s.results[0]
}

// texts are the chunks of an answer.
func texts(answer relay.Answer) []string {
	var list []string
	for _, chunk := range answer.Chunks {
		list = append(list, chunk.Text)
	}
	return list
}

// events is an SSE stream in which each event is one data line.
func events(data ...string) string {
	var stream strings.Builder
	for _, line := range data {
		stream.WriteString("data: " + line + "\n\n")
	}
	return stream.String()
}

// failure is the data of the event that reports one.
func failure(f relay.Failure) string {
	return `{"error":{"message":"` + f.String() + `","type":"relay_error","param":null,"code":"` + f.Code() + `"}}`
}

// requirePanic requires that an error is a panic that was recovered.
func requirePanic(t *testing.T, err error) {
	t.Helper()
	_, ok := errors.AsType[*organic.PanicError](err)
	require.True(t, ok, "%T", err)
}
