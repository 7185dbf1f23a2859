package axon_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// longest bounds a test that waits for what must happen at once.
const longest = 20 * time.Second

// listen lets the fortress serve by itself, on a port of its own.
func (f *fortress) listen(t *testing.T) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = f.server.Serve(ctx, listener)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return listener.Addr().String()
}

// wire is one connection to a fortress.
type wire struct {
	*net.TCPConn
	answers *bufio.Reader
}

func dial(t *testing.T, address string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(longest)))
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{conn.(*net.TCPConn), bufio.NewReader(conn)}
}

// write sends raw bytes; the server may have hung up before the last.
func (w *wire) write(raw string) { _, _ = io.WriteString(w, raw) }

// read returns the status and body of the next answer, and whether it is our
// own: net/http writes some in plain text, and may break off behind them.
func (w *wire) read(t *testing.T) (status int, body string, own bool) {
	t.Helper()
	response, err := http.ReadResponse(w.answers, nil)
	require.NoError(t, err)
	defer response.Body.Close()
	own = response.Header.Get("bt_header_axon_status_code") != ""
	data, err := io.ReadAll(response.Body)
	if own {
		require.NoError(t, err)
	}
	of, _ := axon.StatusOf(response)
	require.Equal(t, response.StatusCode, of)
	return response.StatusCode, string(data), own
}

// lines are the lines of the call's own header, in lower case, in the order of
// the alphabet.
func (c *call) lines(t *testing.T) string {
	t.Helper()
	var lines []string
	for name, values := range c.headers(t) {
		for _, value := range values {
			lines = append(lines, fmt.Sprintf("%s: %s\r\n", strings.ToLower(name), value))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// raw is the call as it goes over the wire: its own header, these lines, and
// then the body as it is given.
func (c *call) raw(t *testing.T, lines, body string) string {
	t.Helper()
	return c.method + " " + c.target + " HTTP/1.1\r\nHost: axon\r\n" + c.lines(t) + lines + "\r\n" + body
}

// chunked is a body in chunks of these texts.
func chunked(texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(text), text)
	}
	return b.String() + "0\r\n\r\n"
}
