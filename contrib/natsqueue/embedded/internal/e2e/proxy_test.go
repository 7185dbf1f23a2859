package e2e_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// proxy stands between client and server, delays what is said, and cuts the
// line.
type proxy struct {
	listener net.Listener
	server   string
	group    sync.WaitGroup
	delay    atomic.Int64 // of each piece, one after the other

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, server: server, conns: make(map[net.Conn]bool)}
	p.group.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		p.group.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.group.Go(func() { p.copy(client, server) })
		p.group.Go(func() { p.copy(server, client) })
	}
}

func (p *proxy) copy(to, from net.Conn) {
	_, _ = io.Copy(slowWriter{to, &p.delay}, from)
	_ = to.Close()
	_ = from.Close()
}

// slowWriter writes after a delay.
type slowWriter struct {
	io.Writer
	delay *atomic.Int64
}

func (w slowWriter) Write(data []byte) (int, error) {
	if delay := time.Duration(w.delay.Load()); delay > 0 {
		<-time.After(delay)
	}
	return w.Writer.Write(data)
}

// cut ends all connections, whatever is on its way.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
}

// TestCutConnection: while the line is cut again and again, nothing that was
// accepted is lost, and what is scored twice was told to be.
func TestCutConnection(t *testing.T) {
	t.Parallel()
	const samples, cuts = 2000, 8
	server := startServer(t, embedded.WithListen("127.0.0.1:0"))
	p := startProxy(t, server.URL()[len("nats://"):])
	conn := connectURL(t, "nats://"+p.listener.Addr().String())
	queue, err := natsqueue.New[string](t.Context(), streamsOf(t, conn),
		natsqueue.WithAddTimeout(patience), natsqueue.WithAckWait(2*time.Second))
	require.NoError(t, err)

	var group sync.WaitGroup
	var accepted, scored sync.Map
	var added, times atomic.Int64
	group.Go(func() {
		for range samples {
			sample := organic.NewSample("payload")
			if queue.Add(t.Context(), sample) == nil {
				accepted.Store(sample.ID, true)
				added.Add(1)
			}
		}
	})
	done := make(chan struct{})
	group.Go(func() {
		score(queue, done, func(id string) { times.Add(1); scored.Store(id, true) })
	})
	for range cuts {
		before := added.Load()
		eventually(t, "samples must go on",
			func() bool { return added.Load() >= min(before+100, samples) })
		p.cut()
	}
	eventually(t, "all must be accepted", func() bool { return added.Load() == samples })
	requireAllScored(t, &accepted, &scored)
	eventually(t, "none must be left", func() bool { return queue.Size() == 0 })
	close(done)
	group.Wait()
	t.Logf("%d samples, %d scored, %d came again and were known", samples, times.Load(),
		queue.Stats().Rejoined)
	require.LessOrEqual(t, times.Load(), int64(samples+cuts),
		"at most what was leased when the line was cut is scored twice")
	require.NoError(t, queue.Close(t.Context()))
}
