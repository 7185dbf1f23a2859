package axon_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// hurried are limits for clients that are slow on purpose.
var hurried = axon.WithLimits(axon.Limits{
	BodyTime:  100 * time.Millisecond,
	WriteTime: 2 * time.Second, IdleTime: time.Hour,
})

// TestARefusalDoesNotWaitForTheBody announces bodies that never come: the
// answer must come all the same, and the connection end.
func TestARefusalDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, lines string
		spoil       func(*call)
		status      int
	}{
		{"no route", "Content-Length: 16\r\n", func(c *call) { c.target = "/x" }, 404},
		{"wrong method", "Content-Length: 16\r\n", func(c *call) { c.method = "PUT" }, 405},
		{"unsigned", "Content-Length: 16\r\n", setHeader("bt_header_dendrite_signature"), 401},
		{
			"unsigned, in chunks", "Transfer-Encoding: chunked\r\n",
			setHeader("bt_header_dendrite_signature"), 401,
		},
		{"stale", "Content-Length: 16\r\n", func(c *call) { c.stamp = "1" }, 401},
		{"encoded", "Content-Length: 16\r\nContent-Encoding: gzip\r\n", func(*call) {}, 400},
		{"fresh", "Content-Length: 16\r\n", func(*call) {}, 408},
		{"fresh, in chunks", "Transfer-Encoding: chunked\r\n", func(*call) {}, 408},
		{"too large", "Content-Length: 1048577\r\n", func(*call) {}, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t, hurried), byBittensor(t)
			w := dial(t, f.listen(t))
			tt.spoil(c)
			w.write(c.raw(t, tt.lines, ""))
			status, body, own := w.read(t)
			require.True(t, own)
			require.Equal(t, tt.status, status)
			require.JSONEq(t, jsonMessage(refusalTexts[status]), body)
			_, err := w.answers.ReadByte()
			require.ErrorIs(t, err, io.EOF)
		})
	}
}

// TestASlowBodyIsCutOff sends a byte now and then, each well within the time.
func TestASlowBodyIsCutOff(t *testing.T) {
	t.Parallel()
	f, c := newFortress(t, hurried), byBittensor(t)
	w := dial(t, f.listen(t))
	w.write(c.raw(t, "Content-Length: 1000000\r\n", "{"))
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		status, _, _ := w.read(t)
		require.Equal(t, http.StatusRequestTimeout, status)
	}()
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case <-tick.C:
			w.write(" ")
			continue
		case <-answered:
		}
		break
	}
	require.Equal(t, map[axon.Reason]uint64{axon.ReasonSlow: 1}, f.server.Stats().Refused)
}

// TestASlowHeaderIsCutOff gets no answer: there is no request yet.
func TestASlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	f, c := newFortress(t, axon.WithLimits(axon.Limits{HeaderTime: 50 * time.Millisecond})), byBittensor(t)
	w := dial(t, f.listen(t))
	raw := c.raw(t, "Content-Length: 16\r\n", c.body)
	w.write(raw[:len(raw)/2])
	_, err := w.answers.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.Empty(t, f.server.Stats().Refused)
}

// TestAClientThatHangsUp leaves nothing behind, wherever it does.
func TestAClientThatHangsUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		hang func(*wire) error
	}{
		{"half", func(w *wire) error { return w.CloseWrite() }},
		{"whole", func(w *wire) error { return w.Close() }},
		{"at once", func(w *wire) error { _ = w.SetLinger(0); return w.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t), byBittensor(t)
			w := dial(t, f.listen(t))
			w.write(c.raw(t, "Content-Length: 16\r\n", c.body[:8]))
			require.NoError(t, tt.hang(w))
			if tt.name == "half" {
				status, _, _ := w.read(t)
				require.Equal(t, http.StatusBadRequest, status)
			}
			require.Eventually(t, func() bool { return f.server.Stats().Refused[axon.ReasonBody] == 1 },
				longest, time.Millisecond)
			require.Zero(t, f.server.Stats().Remembered)
			require.Zero(t, f.reached.Load())
		})
	}
}

// pipes is a listener whose connections hold nothing back: what one end writes
// the other has to read.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// TestAClientThatReadsNoAnswer must not keep its connection for good.
func TestAClientThatReadsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, raw string
	}{
		{"refused", byBittensor(t).raw(t, "", "")},
		{"taken", byBittensor(t).raw(t, "Content-Length: 16\r\n", `{"prompt": "hi"}`)},
		{"no request", "nonsense\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFortress(t, hurried)
			listener := newPipes()
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = f.server.Serve(ctx, listener)
			}()
			client, server := net.Pipe()
			listener.conns <- server
			require.NoError(t, client.SetWriteDeadline(time.Now().Add(longest)))
			_, err := io.WriteString(client, tt.raw)
			require.NoError(t, err)
			_, err = client.Write([]byte("xyz")) // net/http takes one byte, to see whether the client is there
			require.ErrorIs(t, err, io.ErrClosedPipe)
			cancel()
			<-ended
		})
	}
}

// TestAHookThatTakesLong may still answer when the time for a header, a body
// and a piece of an answer is over.
func TestAHookThatTakesLong(t *testing.T) {
	t.Parallel()
	for name, forward := range map[string]func(w http.ResponseWriter) error{
		"success": func(w http.ResponseWriter) error { _, err := io.WriteString(w, "{}"); return err },
		"refusal": func(http.ResponseWriter) error { return organic.Refuse(http.StatusConflict, "late") },
		"hint": func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusEarlyHints)
			_, err := io.WriteString(w, "{}")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, hurried)
			s.forward(func(ctx context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
				select {
				case <-time.After(400 * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
				return forward(w)
			})
			stop := s.serve(t)
			want := map[string]int{"success": 200, "refusal": 409, "hint": 200}[name]
			require.Equal(t, want, s.ask(s.byEpistula(s.alice, "{}")).code)
			http.DefaultClient.CloseIdleConnections()
			require.NoError(t, stop())
		})
	}
}

// TestAContextThatEndsIsNoSuccess has a middleware that gives up on a requester
// who is still there.
func TestAContextThatEndsIsNoSuccess(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	route, err := f.server.Route("/long", axon.WithEpistula())
	require.NoError(t, err)
	require.NoError(t, attach(route,
		organic.Handlers{Forward: func(
			ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse,
		) error {
			<-ctx.Done()
			return ctx.Err()
		}}))
	c := byEpistula(t)
	c.target = "/long"
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	w := f.send(c.request(t).WithContext(ctx))
	require.Equal(t, http.StatusRequestTimeout, w.Code)
	require.JSONEq(t, jsonMessage("Timeout"), w.Body.String())
	require.Equal(t, map[axon.Reason]uint64{axon.ReasonGone: 1}, f.server.Stats().Refused)
}

// TestAnAnswerWithoutABody has a status that allows none.
func TestAnAnswerWithoutABody(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	require.Equal(t, http.StatusNoContent, s.ask(s.byDendrite(s.dendrite, "hi", 0)).code)
	require.Equal(t, http.StatusNoContent, s.ask(s.byEpistula(s.alice, "{}")).code)
}
