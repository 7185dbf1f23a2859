package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"
)

// cluster is three servers that store everything three times.
type cluster struct {
	options []*server.Options
	running []*server.Server
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	const size = 3
	c := &cluster{running: make([]*server.Server, size)}
	var routes []*url.URL
	var ports []int // of the servers for each other, then for clients
	for i, address := range freePorts(t, 2*size) {
		at, err := netip.ParseAddrPort(address)
		require.NoError(t, err)
		ports = append(ports, int(at.Port()))
		if i < size {
			routes = append(routes, &url.URL{Scheme: "nats", Host: address})
		}
	}
	for i := range size {
		c.options = append(c.options, &server.Options{
			ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: ports[size+i], JetStream: true, StoreDir: t.TempDir(),
			NoSigs: true, NoLog: true, Routes: routes,
			Cluster: server.ClusterOpts{Name: "organic", Host: "127.0.0.1", Port: ports[i]},
		})
	}
	for i := range size {
		c.start(t, i)
	}
	t.Cleanup(func() {
		for _, s := range c.running {
			s.Shutdown()
			s.WaitForShutdown()
		}
	})
	return c
}

func (c *cluster) start(t *testing.T, i int) {
	t.Helper()
	s, err := server.NewServer(c.options[i].Clone())
	require.NoError(t, err)
	s.Start()
	c.running[i] = s
}

func (c *cluster) stop(name string) (i int) {
	for i, s := range c.running {
		if s.Name() == name {
			s.Shutdown()
			s.WaitForShutdown()
			return i
		}
	}
	return -1
}

func (c *cluster) urls() string {
	var urls []string
	for _, options := range c.options {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", options.Port))
	}
	return strings.Join(urls, ",")
}

// open opens the queue as soon as the cluster is able to.
func (c *cluster) open(t *testing.T, opts ...natsqueue.Option) (*natsqueue.Queue[string], jetstream.JetStream) {
	t.Helper()
	conn, err := nats.Connect(c.urls(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.RetryOnFailedConnect(true), quiet)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js := streamsOf(t, conn)
	var queue *natsqueue.Queue[string]
	eventually(t, "the cluster must become ready", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		queue, err = natsqueue.New[string](ctx, js, opts...)
		return err == nil
	})
	return queue, js
}

// TestClusterLosesItsLeader: the leader of the stream is stopped under load and
// comes back. Nothing that was accepted is lost or stuck, and little is scored
// twice.
func TestClusterLosesItsLeader(t *testing.T) {
	t.Parallel()
	const scorers, phase = 2, 400
	c := startCluster(t)
	opts := []natsqueue.Option{
		natsqueue.WithReplicas(3), natsqueue.WithAddTimeout(patience), natsqueue.WithAckWait(10 * time.Second),
	}
	frontend, js := c.open(t, opts...)
	var accepted, scored sync.Map
	var taken, added atomic.Int64
	var unexpected error // of Add; read after producing.Wait
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var producing, scoring sync.WaitGroup
	producing.Go(func() {
		for ctx.Err() == nil {
			sample := organic.NewSample("payload")
			switch err := frontend.Add(ctx, sample); {
			case err == nil:
				accepted.Store(sample.ID, true)
				added.Add(1)
			case !errors.Is(err, natsqueue.ErrUnavailable) && !errors.Is(err, natsqueue.ErrUnconfirmed) &&
				(ctx.Err() == nil || !errors.Is(err, context.Cause(ctx))):
				unexpected = errors.Join(unexpected, err)
			}
		}
	})
	done := make(chan struct{})
	for range scorers {
		queue, _ := c.open(t, opts...)
		scoring.Go(func() {
			score(queue, done, func(id string) { taken.Add(1); scored.Store(id, true) })
		})
		defer func() { require.NoError(t, queue.Close(context.Background())) }()
	}
	more := func() {
		enough := added.Load() + phase
		eventually(t, "the load must go on", func() bool { return added.Load() >= enough })
	}
	more()
	stream, err := js.Stream(t.Context(), "organic")
	require.NoError(t, err)
	leader := stream.CachedInfo().Cluster.Leader
	stopped := c.stop(leader)
	require.NotEqual(t, -1, stopped)
	more()
	c.start(t, stopped)
	more()
	eventually(t, "the server that was stopped must come back", func() bool {
		stream, err := js.Stream(t.Context(), "organic")
		return err == nil && hasAllReplicas(stream.CachedInfo().Cluster)
	})
	stop()
	producing.Wait()
	require.NoError(t, unexpected, "Add says that the server is away, or nothing")
	requireAllScored(t, &accepted, &scored)
	eventually(t, "none must be stuck", func() bool {
		info, err := js.Stream(t.Context(), "organic")
		return err == nil && info.CachedInfo().State.Msgs == 0
	})
	close(done)
	scoring.Wait()
	distinct := int64(0)
	scored.Range(func(_, _ any) bool { distinct++; return true })
	t.Logf("%d accepted, %d scored, %d of them twice", added.Load(), distinct, taken.Load()-distinct)
	require.LessOrEqual(t, taken.Load()-distinct, int64(scorers*2), "at most what was held when the leader was lost is scored twice")
	require.NoError(t, frontend.Close(t.Context()))
}

// hasAllReplicas reports whether every server of a cluster has all of a stream.
func hasAllReplicas(info *jetstream.ClusterInfo) bool {
	return info != nil && info.Leader != "" && len(info.Replicas) == 2 &&
		!slices.ContainsFunc(info.Replicas, func(peer *jetstream.PeerInfo) bool { return peer.Offline || !peer.Current })
}

// requireAllScored waits until all that was accepted has been scored.
func requireAllScored(t *testing.T, accepted, scored *sync.Map) {
	t.Helper()
	eventually(t, "all that was accepted must be scored", func() bool {
		all := true
		accepted.Range(func(id, _ any) bool {
			_, all = scored.Load(id)
			return all
		})
		return all
	})
}

// score settles everything as scored until done is closed.
func score(queue organic.Queue[string], done <-chan struct{}, note func(id string)) {
	for {
		lease, err := queue.Sample(context.Background())
		if err == nil {
			note(lease.Sample.ID)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			_ = lease.Settle(ctx, organic.Verdict{Outcome: organic.OutcomeScored})
			cancel()
			continue
		}
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}
