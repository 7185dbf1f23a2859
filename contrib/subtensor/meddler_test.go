package subtensor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// meddler stands between a client and a node, and changes the results of the node.
type meddler struct {
	node *subtensortest.Node
	// change returns what the client gets as the result of a request, or, behind "error:", as the
	// error; nil passes the result on as it is.
	change func(method string, params, result json.RawMessage) json.RawMessage

	mu      sync.Mutex
	servers []*http.Server
	tasks   sync.WaitGroup
}

// dialMeddled connects to a node whose results are changed.
func dialMeddled(
	t *testing.T, node *subtensortest.Node,
	change func(method string, params, result json.RawMessage) json.RawMessage,
) *subtensor.Client {
	t.Helper()
	m := &meddler{node: node, change: change}
	t.Cleanup(func() {
		m.mu.Lock()
		for _, server := range m.servers {
			_ = server.Close()
		}
		m.mu.Unlock()
		m.tasks.Wait()
	})
	client, err := subtensor.Dial(t.Context(), node.Network(), subtensor.WithDialer(m.dial))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func (m *meddler) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	m.mu.Lock()
	defer m.mu.Unlock()
	server := &http.Server{Handler: http.HandlerFunc(m.serve)}
	m.servers = append(m.servers, server)
	m.tasks.Go(func() { _ = server.Serve(&oneConn{conn: far}) })
	return near, nil
}

func (m *meddler) serve(w http.ResponseWriter, r *http.Request) {
	m.tasks.Add(1)
	defer m.tasks.Done()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	front, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = front.CloseNow() }()
	transport := &http.Transport{DialContext: m.node.Dial, DisableKeepAlives: true}
	back, _, err := websocket.Dial(ctx, m.node.Network().Endpoints[0], //nolint:bodyclose // WebSocket
		&websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return
	}
	defer func() { _ = back.CloseNow() }()
	back.SetReadLimit(-1)
	var asked sync.Map // id → request
	type request struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	var pumps sync.WaitGroup
	pumps.Go(func() {
		defer cancel()
		for {
			_, data, err := front.Read(ctx)
			if err != nil {
				return
			}
			var q request
			_ = json.Unmarshal(data, &q)
			asked.Store(string(q.ID), q)
			if back.Write(ctx, websocket.MessageText, data) != nil {
				return
			}
		}
	})
	for {
		_, data, err := back.Read(ctx)
		if err != nil {
			break
		}
		var answer map[string]json.RawMessage
		_ = json.Unmarshal(data, &answer)
		if q, ok := asked.Load(string(answer["id"])); ok && answer["result"] != nil {
			q := q.(request)
			if changed := m.change(q.Method, q.Params, answer["result"]); changed != nil {
				if failure, failed := bytes.CutPrefix(changed, []byte("error:")); failed {
					delete(answer, "result")
					answer["error"] = failure
				} else {
					answer["result"] = changed
				}
				data, _ = json.Marshal(answer)
			}
		}
		if front.Write(ctx, websocket.MessageText, data) != nil {
			break
		}
	}
	cancel()
	_ = front.CloseNow()
	pumps.Wait()
}
