package organictest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/organic-scoring/organic/contrib/relay"
)

// StreamMiner is a fake miner that streams its answer in the form of OpenAI's chat completions. The
// zero value gives a whole answer without text. Ask is a [relay.Miner] for tests without a network;
// as an [http.Handler] the miner stands behind an httptest.Server.
//
// It does this in order: it waits for Latency, sends Reasoning, Text and ToolCalls, each piece
// after Pause, and ends as End says. Blank pieces are sent as they are: with Text {" ", "\n",
// "Lima"} the miner sends two blanks before it says anything. It measures time by timers alone, so
// that in a bubble of testing/synctest a minute of latency costs nothing. It keeps no state and is
// safe for concurrent use.
type StreamMiner struct {
	Latency   time.Duration
	Pause     time.Duration
	Reasoning []string
	Text      []string
	ToolCalls []relay.ToolCall // each is one piece
	Finish    string           // the reason of the end; "stop", or "tool_calls", if empty
	End       StreamEnd
}

// StreamEnd is how the answer of a [StreamMiner] ends.
type StreamEnd uint8

// The ends of a stream. The first two are those of a whole answer.
const (
	EndsWhole        StreamEnd = iota // with a finish_reason and [DONE]
	EndsWithoutDone                   // with a finish_reason, and no [DONE]
	EndsCut                           // the connection breaks
	EndsEarly                         // the body ends, without a finish_reason and [DONE]
	EndsNever                         // nothing more comes until the caller has left
	EndsInError                       // with an event that holds an error
	EndsInNamedError                  // with an event of the name "error" that holds no error
	IsErrorBody                       // status 200, and a JSON error in place of a stream
	IsRefused                         // status 503
)

var (
	errStreamCut     = errors.New("organictest: the connection broke")
	errStreamRefused = fmt.Errorf("status %d", http.StatusServiceUnavailable)
)

// errorBody is what an OpenAI-style server says of a failure.
const errorBody = `{"error":{"message":"the model is overloaded","type":"server_error"}}`

var _ http.Handler = StreamMiner{}

// Ask is a [relay.Miner]. It reads what ServeHTTP would send with [relay.OpenAI].
func (m StreamMiner) Ask(ctx context.Context, emit func(chunk relay.Chunk) error) error {
	if m.End == IsRefused {
		return errors.Join(wait(ctx, m.Latency), errStreamRefused)
	}
	ctx, cancel := context.WithCancel(ctx)
	body, out := io.Pipe()
	var sending sync.WaitGroup
	sending.Go(func() { _ = out.CloseWithError(m.send(ctx, out)) }) // with nil it is the end
	defer sending.Wait()
	defer cancel()
	defer body.Close()
	return relay.OpenAI(body, emit)
}

// ServeHTTP answers any request.
func (m StreamMiner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.End == IsRefused {
		_ = wait(r.Context(), m.Latency) // the client has left, or not
		http.Error(w, errorBody, http.StatusServiceUnavailable)
		return
	}
	form := relay.SSE{}
	form.Header(w.Header())
	if m.End == IsErrorBody {
		w.Header().Set("Content-Type", "application/json")
	}
	if m.send(r.Context(), flushing{w}) != nil {
		panic(http.ErrAbortHandler) // which breaks the connection
	}
}

// flushing flushes what is written.
type flushing struct{ http.ResponseWriter }

// Write writes and flushes.
func (f flushing) Write(data []byte) (int, error) {
	n, err := f.ResponseWriter.Write(data)
	if err == nil {
		err = http.NewResponseController(f.ResponseWriter).Flush()
	}
	return n, err
}

// send writes the answer. An error means that the connection is to break.
func (m StreamMiner) send(ctx context.Context, out io.Writer) error {
	if err := wait(ctx, m.Latency); err != nil {
		return err
	}
	if m.End == IsErrorBody {
		_, err := io.WriteString(out, errorBody)
		return err
	}
	encoder := relay.SSE{}.Open(relay.Start{ID: "fake", Time: time.Now()})
	for _, chunk := range m.chunks() {
		if err := wait(ctx, m.Pause); err != nil {
			return err
		}
		if _, err := out.Write(encoder.Chunk(nil, 0, chunk)); err != nil {
			return err
		}
	}
	return m.end(ctx, out, encoder)
}

// chunks are what the miner says.
func (m StreamMiner) chunks() []relay.Chunk {
	var chunks []relay.Chunk
	for _, piece := range m.Reasoning {
		chunks = append(chunks, relay.Chunk{Reasoning: piece})
	}
	for _, piece := range m.Text {
		chunks = append(chunks, relay.Chunk{Text: piece})
	}
	for _, call := range m.ToolCalls {
		chunks = append(chunks, relay.Chunk{ToolCalls: []relay.ToolCall{call}})
	}
	return chunks
}

// end writes the end of a stream.
func (m StreamMiner) end(ctx context.Context, out io.Writer, encoder relay.Encoder) error {
	var last []byte
	switch m.End {
	case EndsCut:
		return errStreamCut
	case EndsNever:
		<-ctx.Done()
		return ctx.Err()
	case EndsEarly:
	case EndsInError:
		last = relay.AppendEvent(nil, relay.Event{Data: []byte(errorBody)})
	case EndsInNamedError:
		last = relay.AppendEvent(nil, relay.Event{Name: "error", Data: []byte("overloaded")})
	default:
		last = encoder.Done(encoder.Chunk(nil, 0, relay.Chunk{Finish: m.Finish}))
		if m.End == EndsWithoutDone {
			last = bytes.TrimSuffix(last, []byte("data: [DONE]\n\n"))
		}
	}
	_, err := out.Write(last)
	return err
}

// wait waits, unless ctx has ended.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
