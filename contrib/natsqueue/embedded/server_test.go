package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// patience is how long a test waits for anything, on a slow machine.
const patience = 30 * time.Second

func start(t *testing.T, folder string, opts ...embedded.Option) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(folder, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	return server
}

func open(t *testing.T, server *embedded.Server) (*natsqueue.Queue[string], *nats.Conn) {
	t.Helper()
	conn, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	queue, err := natsqueue.New[string](t.Context(), js)
	require.NoError(t, err)
	return queue, conn
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		option embedded.Option
		says   string
	}{
		{"nil", nil, "option 1 is nil"},
		{"interval", embedded.WithSyncInterval(0), "WithSyncInterval(0s)"},
		{"no host", embedded.WithListen(":4222"), `WithListen(":4222")`},
		{"no port", embedded.WithListen("localhost"), `WithListen("localhost")`},
		{"bad port", embedded.WithListen("localhost:nats"), "must be an address of host and port"},
		{"open to all", embedded.WithListen("0.0.0.0:0"), "needs WithToken"},
		{"token", embedded.WithToken(""), "token is empty"},
		{"storage", embedded.WithMaxStorage(0), "WithMaxStorage(0)"},
		{"logger", embedded.WithLogger(nil), "logger is nil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := embedded.Start("", tt.option)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			require.ErrorContains(t, err, tt.says)
			require.ErrorContains(t, err, "folder is empty", "all is reported at once")
		})
	}
}

// TestStopAgain: Stop of a server that has stopped returns nil, whatever its ctx.
func TestStopAgain(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir())
	require.NoError(t, server.Stop(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		require.NoError(t, server.Stop(ctx))
	}
}

// TestFailedStartLeavesNothing: neither goroutines nor a locked folder.
func TestFailedStartLeavesNothing(t *testing.T) { // counts the goroutines of the process
	folder := t.TempDir()
	blocker := filepath.Join(folder, "jetstream")
	require.NoError(t, os.WriteFile(blocker, nil, 0o600))
	before := runtime.NumGoroutine()
	_, err := embedded.Start(folder)
	require.ErrorContains(t, err, "embedded: server does not start")
	require.Eventually(t, func() bool { // Eventually has one of its own
		return runtime.NumGoroutine() <= before+1
	}, 5*time.Second, 10*time.Millisecond)
	require.NoError(t, os.Remove(blocker))
	start(t, folder)
}

// TestPrintsNoToken: a server may be logged.
func TestPrintsNoToken(t *testing.T) {
	t.Parallel()
	listen, token := embedded.WithListen("127.0.0.1:0"), embedded.WithToken("SECRET")
	server := start(t, t.TempDir(), listen, token)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(verb+verb, server, struct{ nested any }{server})
		require.NotContains(t, text, "SECRET")
	}
}

// TestKeepsItsData: what was stored is there after a stop, with every way of
// writing it.
func TestKeepsItsData(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		option embedded.Option
	}{
		{"always", embedded.WithSyncAlways()},
		{"interval", embedded.WithSyncInterval(time.Second)},
		{"bounded", embedded.WithMaxStorage(1 << 30)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "made", "here")
			server := start(t, folder, tt.option)
			require.Empty(t, server.URL(), "there is no socket")
			info, err := os.Stat(folder)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
			_, err = embedded.Start(folder)
			require.ErrorIs(t, err, embedded.ErrInUse)

			queue, conn := open(t, server)
			sample := organic.NewSample("kept")
			require.NoError(t, queue.Add(t.Context(), sample))
			require.NoError(t, queue.Close(t.Context()))
			conn.Close()
			require.NoError(t, server.Stop(t.Context()))
			require.NoError(t, server.Stop(t.Context()), "twice does no harm")

			queue, _ = open(t, start(t, folder, tt.option))
			lease, err := queue.Sample(t.Context())
			for end := time.Now().Add(patience); errors.Is(err,
				organic.ErrEmpty) && time.Now().Before(end); {
				lease, err = queue.Sample(t.Context()) // it takes a slow machine longer than one call waits
			}
			require.NoError(t, err, "what was stored must be handed out")
			require.Equal(t, sample.ID, lease.Sample.ID)
			require.NoError(t, lease.Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeScored}))
			require.NoError(t, queue.Close(t.Context()))
		})
	}
}

// TestSocket: others connect by the URL, and need the token where there is one.
func TestSocket(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), embedded.WithListen("127.0.0.1:0"), embedded.WithToken("secret"))
	require.NotContains(t, server.URL(), "secret")
	_, err := nats.Connect(server.URL())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	conn, err := nats.Connect(server.URL(), nats.Token("secret"))
	require.NoError(t, err)
	conn.Close()
	queue, _ := open(t, server)
	require.NoError(t, queue.Close(t.Context()))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Stop(ctx); err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.NoError(t, server.Stop(t.Context()), "it goes on and can be waited for")
}

func TestUnusableFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := embedded.Start(filepath.Join(file, "below"))
	require.Error(t, err)
}
