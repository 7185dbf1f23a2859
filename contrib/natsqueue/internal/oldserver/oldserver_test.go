package oldserver_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/stretchr/testify/require"
)

const patience = 30 * time.Second

func start(t *testing.T) *server.Server {
	t.Helper()
	require.True(t, strings.HasPrefix(server.VERSION, natsqueue.MinServer+"."),
		"the tested server is the oldest supported")
	s, err := server.NewServer(&server.Options{
		ServerName: "old", JetStream: true, StoreDir: t.TempDir(), DontListen: true, NoSigs: true,
		NoLog: true,
	})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(patience))
	return s
}

func open(
	t *testing.T, s *server.Server, opts ...natsqueue.Option,
) (*natsqueue.Queue[string], *nats.Conn) {
	t.Helper()
	conn, err := nats.Connect("", nats.InProcessServer(s))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	queue, err := natsqueue.New[string](t.Context(), js,
		append(opts, natsqueue.WithAckWait(time.Second))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = queue.Close(context.Background()) }) // the connection may be closed
	return queue, conn
}

var names atomic.Int64

func uniqueName() natsqueue.Option {
	return natsqueue.WithName("q" + strconv.FormatInt(names.Add(1), 10))
}

// TestOldestServer: the queue keeps its promises on the oldest server.
func TestOldestServer(t *testing.T) {
	t.Parallel()
	s := start(t)
	newQueue := func(t *testing.T, opts ...natsqueue.Option) organic.Queue[string] {
		t.Helper()
		queue, _ := open(t, s, append(opts, uniqueName())...)
		return queue
	}
	organictest.TestQueue(t, func(t *testing.T, capacity int) organic.Queue[string] {
		t.Helper()
		return newQueue(t, natsqueue.WithCapacity(capacity), natsqueue.WithDropOldest())
	}, organictest.QueueTraits{
		Order: organic.OrderFIFO, Bound: organictest.DropsOldest, Settles: true, SizeLags: true,
		Patience: patience,
		NewAged: func(t *testing.T, maxAge time.Duration) organic.Queue[string] {
			t.Helper()
			return newQueue(t, natsqueue.WithMaxAge(maxAge))
		},
	})
}

// TestOldestServerKeepsSamples: as a durable queue, too.
func TestOldestServerKeepsSamples(t *testing.T) {
	t.Parallel()
	s := start(t)
	organictest.TestDurableQueue(t, func(*testing.T) organictest.DurableStore {
		conns, name := make(map[durable.Queue[string]]*nats.Conn), uniqueName()
		return organictest.DurableStore{
			Open: func(t *testing.T, cfg organictest.DurableConfig) (durable.Queue[string], error) {
				t.Helper()
				queue, conn := open(t, s, append(optionsOf(cfg), name)...)
				conns[queue] = conn
				return queue, nil
			},
			Crash: func(_ *testing.T, queue durable.Queue[string]) { conns[queue].Close() },
		}
	}, organictest.DurableTraits{Shared: true, LeasesExpire: true, SizeLags: true, Patience: patience})
}

func optionsOf(cfg organictest.DurableConfig) []natsqueue.Option {
	opts := []natsqueue.Option{natsqueue.WithCapacity(cfg.Capacity)}
	if cfg.DropOldest {
		opts = append(opts, natsqueue.WithDropOldest())
	}
	if cfg.MaxAge > 0 {
		opts = append(opts, natsqueue.WithMaxAge(cfg.MaxAge))
	}
	if cfg.MaxLease > 0 {
		opts = append(opts, natsqueue.WithMaxLease(cfg.MaxLease))
	}
	if cfg.MaxCrashes > 0 {
		opts = append(opts, natsqueue.WithMaxCrashes(cfg.MaxCrashes))
	}
	if cfg.Codec != nil {
		opts = append(opts, natsqueue.WithCodec(cfg.Codec))
	}
	if cfg.Cipher != nil {
		opts = append(opts, natsqueue.WithCipher(cfg.Cipher))
	}
	return opts
}
