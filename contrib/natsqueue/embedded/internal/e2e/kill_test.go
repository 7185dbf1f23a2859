package e2e_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"
)

// killSamples is how many samples TestKilledAtRandom takes through.
var killSamples = flag.Int("kill-samples", 6000, "samples of TestKilledAtRandom")

// openKilled opens the queue in a process that is killed.
func openKilled(url string) (*natsqueue.Queue[string], error) {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		quiet, nats.RetryOnFailedConnect(true))
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		queue, err := natsqueue.New[string](ctx, js, natsqueue.WithCapacity(1_000_000),
			natsqueue.WithAckWait(killedAckWait),
			natsqueue.WithMaxCrashes(1000), natsqueue.WithAddTimeout(patience))
		cancel()
		if err == nil || time.Now().After(end) {
			return queue, err
		}
	}
}

// journal appends lines to a file: what is written survives the process.
func journal(path string) (note func(line string), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return func(line string) { _, _ = file.WriteString(line + "\n") }, err
}

// beAdder is a process that adds samples until it is killed, and notes those
// that were accepted.
func beAdder(arg ...string) error {
	note, err := journal(arg[1])
	if err != nil {
		return err
	}
	queue, err := openKilled(arg[0])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		sample := organic.NewSample("payload")
		if queue.Add(context.Background(), sample) == nil {
			note(sample.ID)
		}
	}
}

// beWorker is a process that scores samples until it is killed, and notes them
// before it settles. Some fail first.
func beWorker(arg ...string) error {
	note, err := journal(arg[1])
	if err != nil {
		return err
	}
	queue, err := openKilled(arg[0])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		lease, err := queue.Sample(context.Background())
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		verdict := organic.Verdict{Outcome: organic.OutcomeScored}
		if lease.Sample.Attempt == 1 && lease.Sample.ID[0] == '0' {
			verdict = organic.Verdict{Outcome: organic.OutcomeRetry, Delay: time.Millisecond, Err: errHook}
		} else {
			note(lease.Sample.ID)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_ = lease.Settle(ctx, verdict)
		cancel()
	}
}

// lines counts how often each line is in a file. The last one may be cut.
func lines(t *testing.T, path string) map[string]int {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	counts := make(map[string]int)
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		counts[scanner.Text()]++
	}
	return counts
}

// TestKilledAtRandom: server, front-ends and scorers are killed at random
// moments and started again. Nothing that was accepted is lost, and no more is
// scored twice than was in the hands of what was killed.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	folder, address := t.TempDir(), freePorts(t, 1)[0]
	url := "nats://" + address
	accepted, scored := filepath.Join(t.TempDir(), "accepted"), filepath.Join(t.TempDir(), "scored")
	roles := []string{
		"server " + folder + " " + address, "adder " + url + " " + accepted,
		"adder " + url + " " + accepted,
		"worker " + url + " " + scored, "worker " + url + " " + scored, "worker " + url + " " + scored,
	}
	kills := make([]func(), len(roles))
	for i, role := range roles {
		_, kills[i] = spawn(t, strings.Fields(role)...)
	}
	killed := 0
	for len(lines(t, accepted)) < *killSamples {
		i := rand.IntN(len(roles))
		<-time.After(rand.N(400 * time.Millisecond))
		kills[i]()
		killed++
		_, kills[i] = spawn(t, strings.Fields(roles[i])...)
	}
	kills[1]()
	kills[2]()
	stream, err := streamsOf(t, connectURL(t, url)).Stream(t.Context(), "organic")
	require.NoError(t, err)
	for end := time.Now().Add(10 * patience); ; <-time.After(50 * time.Millisecond) {
		if info, err := stream.Info(t.Context()); err == nil && info.State.Msgs == 0 {
			break
		}
		require.True(t, time.Now().Before(end), "everything must be scored")
	}
	want, got := lines(t, accepted), lines(t, scored)
	lost, twice := 0, 0
	for id := range want {
		if got[id] == 0 {
			lost++
		}
	}
	for _, times := range got {
		twice += times - 1
	}
	t.Logf("%d accepted, %d processes killed, %d lost, %d scored twice", len(want), killed, lost,
		twice)
	require.Zero(t, lost)
	require.LessOrEqual(t, twice, 3*killed,
		"what each scorer had in its hands when one process was killed")
}
