package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
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

// cluster is three servers, each a process of its own, that store everything
// three times.
type cluster struct {
	roles []string                 // what makes a process one of the servers, again and again
	ends  []func(signal os.Signal) // end the processes
	urls  []string
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	const size = 3
	c := &cluster{ends: make([]func(os.Signal), size)}
	addresses := freePorts(t, 2*size) // of the servers for each other, then for clients
	routes := strings.Join(addresses[:size], ",")
	for i := range size {
		c.urls = append(c.urls, "nats://"+addresses[size+i])
		c.roles = append(c.roles, fmt.Sprintf("member s%d %s %s %s %s", i, t.TempDir(), addresses[size+i],
			addresses[i], routes))
	}
	for i := range size {
		c.start(t, i)
	}
	return c
}

func (c *cluster) start(t *testing.T, i int) {
	t.Helper()
	_, c.ends[i] = spawnProcess(t, strings.Fields(c.roles[i])...)
}

// lose ends the leader of the stream of samples with a signal, calls meanwhile,
// starts it again and waits until it has everything.
func (c *cluster) lose(t *testing.T, js jetstream.JetStream, signal os.Signal, meanwhile func()) {
	t.Helper()
	var info *jetstream.ClusterInfo
	isWhole := func() bool {
		stream, err := js.Stream(t.Context(), "organic")
		if err == nil {
			info = stream.CachedInfo().Cluster
		}
		return err == nil && hasAllReplicas(info)
	}
	eventually(t, "the cluster must have a leader", isWhole)
	i := slices.IndexFunc(c.roles,
		func(role string) bool { return strings.HasPrefix(role, "member "+info.Leader+" ") })
	require.NotEqual(t, -1, i)
	c.ends[i](signal)
	meanwhile()
	c.start(t, i)
	meanwhile()
	eventually(t, "the server that was lost must come back", isWhole)
}

// beMember is a process that is one server of a cluster: it gets its name,
// folder, address for clients and for other servers, and the addresses of all. It
// stops when it is interrupted.
func beMember(arg ...string) error {
	clients, err := netip.ParseAddrPort(arg[2])
	if err != nil {
		return err
	}
	servers, err := netip.ParseAddrPort(arg[3])
	if err != nil {
		return err
	}
	var routes []*url.URL
	for address := range strings.SplitSeq(arg[4], ",") {
		routes = append(routes, &url.URL{Scheme: "nats", Host: address})
	}
	s, err := server.NewServer(&server.Options{
		ServerName: arg[0], Host: "127.0.0.1", Port: int(clients.Port()), JetStream: true,
		StoreDir: arg[1],
		NoSigs:   true, NoLog: true, Routes: routes,
		Cluster: server.ClusterOpts{Name: "organic", Host: "127.0.0.1", Port: int(servers.Port())},
	})
	if err != nil {
		return err
	}
	s.Start()
	fmt.Println("ready")
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	<-interrupted
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// open opens the queue as soon as the cluster is able to.
func (c *cluster) open(
	t *testing.T, opts ...natsqueue.Option,
) (*natsqueue.Queue[string], jetstream.JetStream) {
	t.Helper()
	conn, err := nats.Connect(strings.Join(c.urls, ","), nats.MaxReconnects(-1),
		nats.ReconnectWait(20*time.Millisecond), nats.RetryOnFailedConnect(true), quiet)
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

// TestClusterLosesItsLeader: under load the leader of the stream is stopped and
// comes back, and then the leader is killed and comes back. Nothing that was
// accepted is lost or stuck, and little is scored twice.
func TestClusterLosesItsLeader(t *testing.T) {
	t.Parallel()
	const scorers, phase = 2, 400
	c := startCluster(t)
	opts := []natsqueue.Option{
		natsqueue.WithReplicas(3), natsqueue.WithAddTimeout(patience),
		natsqueue.WithAckWait(10 * time.Second),
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
	signals := []os.Signal{os.Interrupt, os.Kill}
	for _, signal := range signals {
		c.lose(t, js, signal, more)
	}
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
	require.LessOrEqual(t, taken.Load()-distinct, int64(scorers*2*len(signals)),
		"at most what was held when the leader was lost is scored twice")
	require.NoError(t, frontend.Close(t.Context()))
}

// hasAllReplicas reports whether every server of a cluster has all of a stream.
func hasAllReplicas(info *jetstream.ClusterInfo) bool {
	return info != nil && info.Leader != "" && len(info.Replicas) == 2 &&
		!slices.ContainsFunc(info.Replicas,
			func(peer *jetstream.PeerInfo) bool { return peer.Offline || !peer.Current })
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
