package axon

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/organic-scoring/organic/contrib/axon/internal/fair"
)

// conns are the open connections of a listener, shared out among the addresses they
// come from. At the limit one is closed: the one on which nothing has happened for
// longest of the address that has most. Those with a verified request are kept. They
// are safe for concurrent use.
type conns struct {
	pool *fair.Pool[netip.Prefix, net.Conn]

	mu      sync.Mutex // guards what follows
	open    map[net.Conn]*conn
	closing bool
}

// conn is one open connection. A nil one, of a server that does not listen by
// itself, is valid and does nothing.
type conn struct {
	claim fair.Claim[netip.Prefix, net.Conn]
	fresh bool // nothing has come on it yet; guarded by the lock of conns
}

// connKey is the key of the connection in the ctx of its requests.
type connKey struct{}

func newConns(limit int) *conns {
	return &conns{pool: fair.New[netip.Prefix](limit, 0, closeNow), open: make(map[net.Conn]*conn)}
}

// admit takes a new connection, or closes it; it is an [http.Server.ConnContext].
func (c *conns) admit(ctx context.Context, netConn net.Conn) context.Context {
	// Zero for a listener without addresses.
	remote, _ := netip.ParseAddrPort(netConn.RemoteAddr().String())
	admitted := &conn{fresh: true}
	admitted.claim.Value, admitted.claim.Party = netConn, addressParty(remote.Addr())
	if !c.pool.Take(&admitted.claim, nil) {
		closeNow(netConn)
		return ctx
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[netConn] = admitted
	if c.closing {
		closeNow(netConn)
	}
	return context.WithValue(ctx, connKey{}, admitted)
}

// note follows the states of a connection, as [http.Server.ConnState].
func (c *conns) note(netConn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	noted := c.open[netConn]
	switch {
	case noted == nil || state == http.StateNew: // closed by admit, or just admitted
	case state == http.StateClosed || state == http.StateHijacked:
		delete(c.open, netConn)
		noted.claim.Release()
	default:
		noted.fresh = false
		noted.claim.Touch()
	}
}

// closeFresh closes the connections on which nothing has come yet, and those that
// are still to be opened: Shutdown would wait five seconds for their first request.
func (c *conns) closeFresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	for netConn, conn := range c.open {
		if conn.fresh {
			closeNow(netConn)
		}
	}
}

// closeNow closes a connection without a farewell, which the client could delay.
func closeNow(netConn net.Conn) {
	if secured, ok := netConn.(interface{ NetConn() net.Conn }); ok { // crypto/tls has it
		netConn = secured.NetConn()
	}
	_ = netConn.Close()
}

// connOf is the connection of a request, or nil.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}

func (c *conn) touch() {
	if c != nil {
		c.claim.Touch()
	}
}

func (c *conn) pin() {
	if c != nil {
		c.claim.Pin()
	}
}

func (c *conn) unpin() {
	if c != nil {
		c.claim.Unpin()
	}
}
