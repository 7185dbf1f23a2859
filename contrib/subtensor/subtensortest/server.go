package subtensortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/organic-scoring/organic/contrib/subtensor"
)

// server accepts WebSocket connections, on loopback and in memory.
type server struct {
	node   *Node
	http   *http.Server
	memory *memoryListener
	tasks  sync.WaitGroup // Serve of each listener, and each connection

	mu      sync.Mutex
	clients map[*client]struct{}
	refuse  int           // HTTP status for new connections, 0 accepts
	stalled chan struct{} // not nil while stalled; closed at the end of it
	closed  bool
}

func newServer(n *Node) *server {
	s := &server{node: n, memory: newMemoryListener(), clients: make(map[*client]struct{})}
	s.http = &http.Server{Handler: http.HandlerFunc(s.handle)} //nolint:gosec // for tests
	s.serve(s.memory)
	return s
}

func (s *server) serve(listener net.Listener) {
	s.tasks.Go(func() { _ = s.http.Serve(listener) }) // ends with ErrServerClosed
}

// Network names the node for [subtensor.Dial], together with the option
// subtensor.WithDialer(node.Dial). It needs no socket.
func (n *Node) Network() subtensor.Network {
	return subtensor.Network{Endpoints: []string{"ws://node.test"}, Genesis: n.Genesis()}
}

// Dial opens a connection in memory. It is a [subtensor.Dialer].
func (n *Node) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return n.server.memory.dial(ctx)
}

// Listen opens a port on loopback and returns the endpoint, a ws:// URL, for the Endpoints of a
// subtensor.Network; that of [Node.Network] is for Dial. The port is open until Close.
func (n *Node) Listen(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("subtensortest: listen: %w", err)
	}
	n.server.serve(listener)
	return "ws://" + listener.Addr().String(), nil
}

func (s *server) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.resume()
	s.drop()
	_ = s.http.Close()
	s.tasks.Wait()
}

// drop closes all connections.
func (s *server) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		c.cancel()
	}
}

func (s *server) stall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stalled == nil && !s.closed {
		s.stalled = make(chan struct{})
	}
}

func (s *server) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stalled != nil {
		close(s.stalled)
		s.stalled = nil
	}
}

// wait returns when the node is not stalled, or ctx has ended.
func (s *server) wait(ctx context.Context) {
	s.mu.Lock()
	stalled := s.stalled
	s.mu.Unlock()
	if stalled == nil {
		return
	}
	select {
	case <-stalled:
	case <-ctx.Done():
	}
}

// handle serves one connection.
func (s *server) handle(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	refuse, closed := s.refuse, s.closed
	if closed {
		refuse = http.StatusServiceUnavailable
	} else {
		s.tasks.Add(1)
		defer s.tasks.Done()
	}
	s.mu.Unlock()
	if refuse != 0 {
		http.Error(w, "refused", refuse)
		return
	}
	socket, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	socket.SetReadLimit(16 << 20)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	c := &client{
		server: s, socket: socket, cancel: cancel,
		wake: make(chan struct{}, 1), feeds: make(map[uint64]feed),
	}
	s.mu.Lock()
	s.clients[c] = struct{}{}
	if s.closed {
		cancel()
	}
	s.mu.Unlock()
	c.run(ctx)
	s.mu.Lock()
	delete(s.clients, c)
	s.mu.Unlock()
}

// client is one connection.
type client struct {
	server *server
	socket *websocket.Conn
	cancel context.CancelFunc

	mu       sync.Mutex
	outgoing [][]byte
	wake     chan struct{}
	feeds    map[uint64]feed // what it has subscribed to, by name
	lastFeed uint64
}

// feed is a kind of subscription.
type feed string

const (
	newHeads        feed = "chain_newHead"
	finalizedHeads  feed = "chain_finalizedHead"
	runtimeVersions feed = "state_runtimeVersion"
)

// run reads requests and answers them in their order, until the connection ends.
func (c *client) run(ctx context.Context) {
	var writer sync.WaitGroup
	writer.Go(func() { c.write(ctx) })
	for ctx.Err() == nil {
		_, data, err := c.socket.Read(ctx)
		if err != nil {
			break
		}
		c.server.wait(ctx)
		if !c.answer(data) {
			break
		}
	}
	c.cancel()
	_ = c.socket.CloseNow()
	writer.Wait()
}

func (c *client) send(message any) {
	data, err := json.Marshal(message)
	if err != nil {
		return // nothing that is sent here fails
	}
	c.mu.Lock()
	c.outgoing = append(c.outgoing, data)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *client) write(ctx context.Context) {
	defer c.cancel()
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		messages := c.outgoing
		c.outgoing = nil
		c.mu.Unlock()
		for _, message := range messages {
			c.server.wait(ctx)
			if c.socket.Write(ctx, websocket.MessageText, message) != nil {
				return
			}
		}
	}
}

// notify sends what a subscriber of a feed receives.
func (c *client) notify(f feed, result any) {
	c.mu.Lock()
	var names []uint64
	for name, each := range c.feeds {
		if each == f {
			names = append(names, name)
		}
	}
	c.mu.Unlock()
	for _, name := range names {
		c.send(notification{Version: "2.0", Method: string(f), Params: params{feedName(name), result}})
	}
}

type notification struct {
	Version string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  params `json:"params"`
}

type params struct {
	Subscription string `json:"subscription"`
	Result       any    `json:"result"`
}

func feedName(name uint64) string { return fmt.Sprintf("feed-%d", name) }

// memoryListener is a listener whose connections are pipes.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ net.Listener = (*memoryListener)(nil)

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *memoryListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, errors.New("subtensortest: connection refused")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept waits for a connection.
func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and dial.
func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr has no meaning.
func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }
