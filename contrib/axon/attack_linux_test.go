package axon_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// overLoopback attacks a server over sockets of the system, whose addresses are those
// of 127.0.0.0/8. An honest request has to be answered at all.
func overLoopback(t *testing.T, attack func(a *attacked), opts ...axon.Option) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dial := func(from netip.Addr) (net.Conn, error) {
		dialer := net.Dialer{
			LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)),
			Timeout:   longest,
		}
		return dialer.DialContext(context.Background(), "tcp", listener.Addr().String())
	}
	attackServer(t, listener, dial, longest, attack, opts...)
}

// TestIdleConnectionsOverLoopback has as many connections as the system allows to be
// open at both ends, up to the default limit.
func TestIdleConnectionsOverLoopback(t *testing.T) {
	t.Parallel()
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	connections := min(4096, int(min(files.Cur, 1<<20))/5)
	parties(t, 4, func(t *testing.T, n int) {
		t.Helper()
		overLoopback(t, func(a *attacked) { idleAttack(a, n, connections) },
			axon.WithLimits(axon.Limits{Connections: connections}))
	})
}

func TestStalledBodiesOverLoopback(t *testing.T) {
	t.Parallel()
	parties(t, 4, func(t *testing.T, n int) {
		t.Helper()
		overLoopback(t, func(a *attacked) {
			a.stallBodies(attackers(a.t, n), 64, 100*time.Millisecond)
			require.Eventually(a.t, func() bool { return a.server.Stats().Reading >= 64 }, longest,
				time.Millisecond)
			a.requireServed(partiesOf(a.t, 2, 20), strings.Repeat("x", 100<<10), 2, 0)
		})
	})
}

func TestSlowHooksOverLoopback(t *testing.T) {
	t.Parallel()
	parties(t, 1, func(t *testing.T, n int) {
		t.Helper()
		overLoopback(t, func(a *attacked) {
			for _, c := range attackers(a.t, n) {
				for range 150 {
					a.loop(time.Second, func() { a.waitForNothing(c, "wait", 0) })
				}
			}
			require.Eventually(a.t, func() bool { return a.server.Stats().Serving == 64 }, longest,
				time.Millisecond)
			a.requireServed(partiesOf(a.t, 2, 20), "hi", 2, 0)
		})
	})
}
