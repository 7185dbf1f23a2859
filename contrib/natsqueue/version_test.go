package natsqueue_test

import (
	"bufio"
	"fmt"
	"net"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue"
)

// TestOldServer: a server that is too old is refused before it is asked for
// anything.
func TestOldServer(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2.9.25", "1.4.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			conn, err := nats.Connect(serve(t, version))
			require.NoError(t, err)
			t.Cleanup(conn.Close)
			js, err := jetstream.New(conn)
			require.NoError(t, err)
			_, err = natsqueue.New[string](t.Context(), js)
			require.ErrorIs(t, err, natsqueue.ErrOldServer)
			require.ErrorContains(t, err, version)
			require.ErrorContains(t, err, natsqueue.MinServer)
		})
	}
}

// serve is a server of this version that can do nothing but say so.
func serve(t *testing.T, version string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "INFO {\"server_id\":\"old\",\"version\":%q,\"max_payload\":1048576,\"headers\":true}\r\n", version)
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			if lines.Text() == "PING" {
				_, _ = fmt.Fprint(conn, "PONG\r\n")
			}
		}
	}()
	return "nats://" + listener.Addr().String()
}
