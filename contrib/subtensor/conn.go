package subtensor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// readLimit is the longest message that is accepted. Metadata and events
	// take a few MiB.
	readLimit = 16 << 20
	// handshakeTimeout bounds connecting and the check of the chain.
	handshakeTimeout = 20 * time.Second
	pingInterval     = 30 * time.Second
)

// conn is one connection to a node. The session that owns it reads from frames,
// and calls send and close; nothing else is shared.
type conn struct {
	endpoint string
	socket   *websocket.Conn
	// frames has what the node sends. It is closed when the connection ends,
	// after which err tells why.
	frames chan frame
	err    error
	alive  chan struct{} // receives when the node has answered a ping

	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	outgoing [][]byte      // guarded by mu
	wake     chan struct{} // capacity 1: outgoing has something
}

// connector opens connections.
type connector struct {
	client *http.Client
}

func newConnector(dialer Dialer) *connector {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSHandshakeTimeout: handshakeTimeout,
		DisableKeepAlives:   true,
	}
	if dialer != nil {
		transport.Proxy = nil
		transport.DialContext = dialer
	}
	return &connector{client: &http.Client{
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the endpoint redirects")
		},
	}}
}

// connect opens a connection and checks the chain: if want is zero, any chain
// is accepted. It returns the genesis and the runtime version of the node.
func (c *connector) connect(ctx context.Context, endpoint string, want Hash) (
	node *conn, genesis Hash, version RuntimeVersion, err error,
) {
	bounded, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	//nolint:bodyclose // the WebSocket library owns the body
	socket, _, err := websocket.Dial(bounded, endpoint, &websocket.DialOptions{HTTPClient: c.client})
	if err != nil {
		return nil, Hash{}, RuntimeVersion{}, fmt.Errorf("subtensor: %s: %w", hostOf(endpoint), bare(err))
	}
	socket.SetReadLimit(readLimit)
	genesis, version, err = greet(bounded, socket)
	if err == nil && want != (Hash{}) && genesis != want {
		err = &WrongChainError{Endpoint: hostOf(endpoint), Genesis: genesis, Configured: want}
	}
	if err != nil {
		_ = socket.CloseNow()
		return nil, Hash{}, RuntimeVersion{}, fmt.Errorf("subtensor: %s: %w", hostOf(endpoint), err)
	}
	return newConn(context.WithoutCancel(ctx), endpoint, socket), genesis, version, nil
}

// bare removes the endpoint's URL, which can contain a key, from an error.
func bare(err error) error {
	if withURL, ok := errors.AsType[*url.Error](err); ok {
		return withURL.Err
	}
	return err
}

// greet asks a node which chain it serves, and with which runtime.
func greet(
	ctx context.Context, socket *websocket.Conn,
) (genesis Hash, version RuntimeVersion, err error) {
	if err := ask(ctx, socket, 1, &genesis, "chain_getBlockHash", 0); err != nil {
		return Hash{}, RuntimeVersion{}, err
	}
	if genesis == (Hash{}) { // it would hold for any chain
		return Hash{}, RuntimeVersion{}, fmt.Errorf("%w: no genesis", ErrBadReply)
	}
	if err := ask(ctx, socket, 2, &version, "state_getRuntimeVersion"); err != nil {
		return Hash{}, RuntimeVersion{}, err
	}
	return genesis, version, version.check()
}

// ask sends a request and waits for its answer, before the connection has
// goroutines of its own.
func ask(
	ctx context.Context, socket *websocket.Conn, id uint64, result any, method string, params ...any,
) error {
	request, err := encodeRequest(id, method, params)
	if err != nil {
		return err
	}
	if err := socket.Write(ctx, websocket.MessageText, request); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		_, data, err := socket.Read(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		answer, err := parseFrame(data)
		switch {
		case err != nil:
			return err
		case answer.err != nil && (!answer.isAnswer || answer.id == id):
			answer.err.Method = method
			return answer.err
		case !answer.isAnswer || answer.id != id:
			continue
		}
		if err := json.Unmarshal(answer.result, result); err != nil || isAbsent(answer.result) {
			return fmt.Errorf("%w to %s", ErrBadReply, method)
		}
		return nil
	}
}

// newConn starts the connection's goroutines. close ends and awaits them; ctx must not end.
func newConn(ctx context.Context, endpoint string, socket *websocket.Conn) *conn {
	ctx, cancel := context.WithCancel(ctx)
	c := &conn{
		endpoint: endpoint,
		socket:   socket,
		frames:   make(chan frame),
		alive:    make(chan struct{}, 1),
		cancel:   cancel,
		wake:     make(chan struct{}, 1),
	}
	c.tasks.Go(func() { c.read(ctx) })
	c.tasks.Go(func() { c.write(ctx) })
	c.tasks.Go(func() { c.ping(ctx) })
	return c
}

// close ends the connection and waits for its goroutines.
func (c *conn) close() {
	c.cancel()
	_ = c.socket.CloseNow()
	c.tasks.Wait()
}

// send never blocks. What is waiting when the connection ends is not written.
func (c *conn) send(request []byte) {
	c.mu.Lock()
	c.outgoing = append(c.outgoing, request)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) read(ctx context.Context) {
	defer close(c.frames)
	for {
		_, data, err := c.socket.Read(ctx)
		if err != nil {
			c.err = err
			return
		}
		message, err := parseFrame(data)
		if err != nil {
			c.err = err
			return
		}
		select {
		case c.frames <- message:
		case <-ctx.Done():
			c.err = ctx.Err()
			return
		}
	}
}

// write ends when a write fails: the reader finds the broken connection too.
func (c *conn) write(ctx context.Context) {
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		requests := c.outgoing
		c.outgoing = nil
		c.mu.Unlock()
		for _, request := range requests {
			if err := c.socket.Write(ctx, websocket.MessageText, request); err != nil {
				_ = c.socket.CloseNow()
				return
			}
		}
	}
}

func (c *conn) ping(ctx context.Context) {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if c.socket.Ping(ctx) != nil {
			return // the reader finds the broken connection
		}
		select {
		case c.alive <- struct{}{}:
		default:
		}
	}
}
