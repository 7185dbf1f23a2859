package subtensor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
)

// hostile is a node that answers what a script says. It greets as a real one does.
type hostile struct {
	// answer returns the frames that answer a request, after so many connections.
	answer func(connection int, method string, id uint64) []string

	mu          sync.Mutex
	connections int // guarded by mu
	servers     []*http.Server
	tasks       sync.WaitGroup
}

// newHostile returns a node that the test closes.
func newHostile(
	t *testing.T,
	answer func(connection int, method string, id uint64) []string,
) *hostile {
	t.Helper()
	h := &hostile{answer: answer}
	t.Cleanup(func() {
		for _, server := range h.servers {
			_ = server.Close()
		}
		h.tasks.Wait()
	})
	return h
}

// dial is a subtensor.Dialer: each connection has a server of its own.
func (h *hostile) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connections++
	connection := h.connections
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.serve(w, r, connection)
	})}
	h.servers = append(h.servers, server)
	h.tasks.Go(func() { _ = server.Serve(&oneConn{conn: far}) })
	return near, nil
}

func (h *hostile) serve(w http.ResponseWriter, r *http.Request, connection int) {
	h.tasks.Add(1)
	defer h.tasks.Done()
	socket, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = socket.CloseNow() }()
	ctx := context.WithoutCancel(r.Context())
	for {
		_, data, err := socket.Read(ctx)
		if err != nil {
			return
		}
		var request struct {
			ID     uint64 `json:"id"`
			Method string `json:"method"`
		}
		if json.Unmarshal(data, &request) != nil {
			return
		}
		for _, frame := range h.answer(connection, request.Method, request.ID) {
			if socket.Write(ctx, websocket.MessageText, []byte(frame)) != nil {
				return
			}
		}
	}
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn net.Conn
	used bool
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.used {
		return nil, net.ErrClosed
	}
	l.used = true
	return l.conn, nil
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

const genesisOfHostile = "0x1111111111111111111111111111111111111111111111111111111111111111"

// greeting answers what a client asks on each connection, and nothing else.
func greeting(_ int, method string, id uint64) []string {
	switch method {
	case "chain_getBlockHash":
		return []string{fmt.Sprintf(`{"id":%d,"result":"%s"}`, id, genesisOfHostile)}
	case versionMethod:
		return []string{fmt.Sprintf(`{"id":%d,"result":{"specVersion":1,"transactionVersion":1}}`, id)}
	}
	return nil
}

func dialHostile(t *testing.T, h *hostile) *subtensor.Client {
	t.Helper()
	network := subtensor.Network{Endpoints: []string{"ws://hostile"}}
	client, err := subtensor.Dial(t.Context(), network, subtensor.WithDialer(h.dial))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func TestHostileAnswersAreSurvived(t *testing.T) {
	t.Parallel()
	right := `{"id":%d,"result":"right"}`
	flood := strings.Split(
		strings.Repeat(`{"method":"x","params":{"subscription":1,"result":2}}`+"\n", 5000),
		"\n",
	)
	for name, frames := range map[string][]string{
		"answers of other requests": {`{"id":0,"result":1}`, `{"id":999999,"result":1}`, right},
		"the answer twice":          {right, right},
		"errors of no request":      {`{"id":null,"error":{"code":1,"message":"x"}}`, right},
		"unknown subscriptions":     append(flood[:5000:5000], right),
		"notifications in disorder": {`{"method":"x"}`, `{"method":"x","params":{}}`, right},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := dialHostile(t, newHostile(t, func(connection int, method string, id uint64) []string {
					if method != "question" {
						return greeting(connection, method, id)
					}
					var answer []string
					for _, frame := range frames {
						answer = append(answer, strings.ReplaceAll(frame, "%d", fmt.Sprint(id)))
					}
					return answer
				}))
				var result string
				require.NoError(t, client.Call(t.Context(), &result, "question"))
				require.Equal(t, "right", result)
				require.EqualValues(t, 1, client.Stats().Connections)
			})
		})
	}
}

func TestConnectionWithMalformedFramesIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, frame := range map[string]string{
		"no JSON": "secret", "no object": `["secret"]`, "no id": `{"result":"secret"}`,
		"an id as text": `{"id":"secret"}`,
		"a deep one":    strings.Repeat("[", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := dialHostile(t, newHostile(t, func(connection int, method string, id uint64) []string {
					switch {
					case method != "question":
						return greeting(connection, method, id)
					case connection == 1:
						return []string{frame}
					}
					return []string{fmt.Sprintf(`{"id":%d,"result":"right"}`, id)}
				}))
				var result string
				require.NoError(t, client.Call(t.Context(), &result, "question"))
				require.Equal(t, "right", result)
				require.EqualValues(t, 2, client.Stats().Connections)
				require.ErrorContains(t, client.Stats().LastError, "malformed frame")
				require.NotContains(t, client.Stats().LastError.Error(), "secret")
			})
		})
	}
}

func TestAnswerOfAnotherFormIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := dialHostile(t, newHostile(t, func(connection int, method string, id uint64) []string {
			if method == "chain_getHeader" || method == "chain_getFinalizedHead" {
				return []string{fmt.Sprintf(`{"id":%d,"result":"secret"}`, id)}
			}
			return greeting(connection, method, id)
		}))
		_, err := client.Best(t.Context())
		require.ErrorIs(t, err, subtensor.ErrBadReply)
		require.NotContains(t, err.Error(), "secret")
		_, err = client.Finalized(t.Context())
		require.ErrorIs(t, err, subtensor.ErrBadReply)
	})
}

func TestDialEndsWhenTheNodeDoesNotGreet(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(connection int, method string, id uint64) []string{
		"silent": func(int, string, uint64) []string { return nil },
		"no genesis": func(_ int, _ string, id uint64) []string {
			return []string{fmt.Sprintf(`{"id":%d,"result":null}`, id)}
		},
		"another form": func(_ int, _ string, id uint64) []string {
			return []string{fmt.Sprintf(`{"id":%d,"result":"0x12"}`, id)}
		},
		"an error": func(_ int, _ string, id uint64) []string {
			return []string{fmt.Sprintf(`{"id":%d,"error":{"code":-32601,"message":"no method"}}`, id)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHostile(t, answer)
				network := subtensor.Network{Endpoints: []string{"ws://hostile", "ws://hostile"}}
				start := time.Now()
				_, err := subtensor.Dial(t.Context(), network, subtensor.WithDialer(h.dial))
				require.ErrorContains(t, err, "chain_getBlockHash")
				require.LessOrEqual(t, time.Since(start), 41*time.Second)
				require.Equal(t, 2, h.connections, "each endpoint once")
			})
		})
	}
}
