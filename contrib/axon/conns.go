package axon

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// conns are the open connections of a listener. One neighbourhood can have a
// quarter of them; what comes beyond is closed at once. They are safe for
// concurrent use.
type conns struct {
	places *places

	mu      sync.Mutex        // guards what follows
	open    map[net.Conn]bool // whether nothing has come on it yet
	closing bool
}

func newConns(limit int) *conns {
	return &conns{places: newPlaces(limit), open: make(map[net.Conn]bool)}
}

// note follows the states of a connection, as [http.Server.ConnState].
func (c *conns) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, known := c.open[conn]
	switch {
	case state == http.StateNew:
		if c.closing || !c.places.take(nearOf(conn)) {
			_ = conn.Close()
			return
		}
		c.open[conn] = true
	case !known: // closed by us, see above
	case state == http.StateClosed || state == http.StateHijacked:
		delete(c.open, conn)
		c.places.leave(nearOf(conn))
	default:
		c.open[conn] = false
	}
}

// closeFresh closes the connections on which nothing has come yet, those too
// that still open: Shutdown would wait for their first request, five seconds
// long.
func (c *conns) closeFresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	for conn, fresh := range c.open {
		if fresh {
			_ = conn.Close()
		}
	}
}

func nearOf(conn net.Conn) netip.Prefix {
	remote, _ := netip.ParseAddrPort(conn.RemoteAddr().String()) // zero for a listener without addresses
	return neighbourhood(remote.Addr())
}
