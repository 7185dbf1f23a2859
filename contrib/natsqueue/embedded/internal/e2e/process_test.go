package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// role is the environment variable that makes a test binary another process.
const role = "NATSQUEUE_E2E_ROLE"

// killedAckWait is how soon the sample of a killed scorer is another's.
const killedAckWait = time.Second

func TestMain(m *testing.M) {
	args := strings.Fields(os.Getenv(role))
	if len(args) == 0 {
		os.Exit(m.Run())
	}
	roles := map[string]func(arg ...string) error{
		"server": beServer, "member": beMember, "scorer": beScorer, "adder": beAdder, "worker": beWorker,
	}
	if err := roles[args[0]](args[1:]...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// beServer is a process that embeds a server, until it is killed.
func beServer(arg ...string) error {
	server, err := embedded.Start(arg[0], embedded.WithListen(arg[1]))
	if err != nil {
		return err
	}
	fmt.Println("ready", server.URL())
	select {}
}

// beScorer is a process that takes a sample and never ends its iteration.
func beScorer(arg ...string) error {
	conn, err := nats.Connect(arg[0])
	if err != nil {
		return err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	queue, err := natsqueue.New[string](context.Background(), js, natsqueue.WithAckWait(killedAckWait))
	if err != nil {
		return err
	}
	for {
		if lease, err := queue.Sample(context.Background()); err == nil {
			fmt.Println("ready", lease.Sample.ID)
			select {}
		}
	}
}

// spawn starts a process and returns what it says when it is ready. Kill ends
// it as kill -9 does.
func spawn(tb testing.TB, args ...string) (said string, kill func()) {
	tb.Helper()
	said, end := spawnProcess(tb, args...)
	return said, func() { end(os.Kill) }
}

// spawnProcess is spawn with another way to end the process: the first call of
// end sends it a signal, and all wait until it has ended.
func spawnProcess(tb testing.TB, args ...string) (said string, end func(signal os.Signal)) {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+strings.Join(args, " "))
	out, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	cmd.Stderr = os.Stderr
	require.NoError(tb, cmd.Start())
	var once sync.Once
	end = func(signal os.Signal) {
		once.Do(func() {
			defer time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }).Stop()
			_ = cmd.Process.Signal(signal)
			_ = cmd.Wait() // says that it was killed
		})
	}
	tb.Cleanup(func() { end(os.Kill) })
	defer time.AfterFunc(patience, func() { end(os.Kill) }).Stop() // ends the reading too
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(tb, err, "the process must become ready")
	go func() { _, _ = io.Copy(io.Discard, out) }()
	said, ok := strings.CutPrefix(strings.TrimSpace(line), "ready")
	require.True(tb, ok, line)
	return strings.TrimSpace(said), end
}

// TestKilledScorer: the sample of a scorer that is killed in the middle of an
// iteration is scored by another.
func TestKilledScorer(t *testing.T) {
	t.Parallel()
	server := startServer(t, embedded.WithListen("127.0.0.1:0"))
	queue := openQueue(t, server, natsqueue.WithAckWait(killedAckWait))
	ids := add(t, queue, 3)
	said, kill := spawn(t, "scorer", server.URL())
	require.Equal(t, ids[0], said)
	killed := time.Now()
	kill()
	attempts := make(map[string]int)
	for range ids {
		lease := take(t, queue)
		attempts[lease.Sample.ID] = lease.Sample.Attempt
		settle(t, lease, organic.OutcomeScored, 0)
	}
	require.Len(t, attempts, 3)
	require.Equal(t, 1, attempts[ids[0]], "a crash is not a failed attempt")
	require.Equal(t, 1, attempts[ids[2]])
	require.Less(t, time.Since(killed), patience)
	requireNothing(t, queue, 2*killedAckWait, "each is scored once")
}

// TestKilledServer: every sample that was accepted by a server that is killed
// under load is there when it is back.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	const producers = 4
	folder, address := t.TempDir(), freePorts(t, 1)[0]
	url, kill := spawn(t, "server", folder, address)
	queue, err := natsqueue.New[string](t.Context(), streamsOf(t, connectURL(t, url)),
		natsqueue.WithAddTimeout(patience), natsqueue.WithCapacity(1_000_000))
	require.NoError(t, err)

	var accepted sync.Map
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var group sync.WaitGroup
	for range producers {
		group.Go(func() {
			for ctx.Err() == nil {
				sample := organic.NewSample("payload")
				if queue.Add(ctx, sample) == nil {
					accepted.Store(sample.ID, true)
				}
			}
		})
	}
	for range 2 {
		enough := queue.Stats().Added + 300
		eventually(t, "load", func() bool { return queue.Stats().Added >= enough })
		kill()
		_, kill = spawn(t, "server", folder, address)
	}
	enough := queue.Stats().Added + 100
	eventually(t, "load", func() bool { return queue.Stats().Added >= enough })
	stop()
	group.Wait()
	require.NoError(t, queue.Close(t.Context()))

	reader, err := natsqueue.New[string](t.Context(), streamsOf(t, connectURL(t, url)),
		natsqueue.WithCapacity(1_000_000), natsqueue.WithPrefetch(100))
	require.NoError(t, err)
	seen := make(map[string]bool)
	for range reader.Size() {
		lease := take2(t, reader)
		require.False(t, seen[lease.Sample.ID], "none is there twice")
		seen[lease.Sample.ID] = true
		settle(t, lease, organic.OutcomeScored, 0)
	}
	requireNothing(t, reader, 50*time.Millisecond, "that was all")
	accepted.Range(func(id, _ any) bool {
		require.True(t, seen[id.(string)], "what was accepted must be there")
		return true
	})
	t.Logf("%d accepted, %d found", queue.Stats().Added, len(seen))
	require.NoError(t, reader.Close(t.Context()))
}
