package boltqueue_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

var killedSamples = flag.Int(
	"killed-samples",
	1500,
	"how many samples are added by processes that are killed",
)

// The environment of a child process.
const (
	childPath = "BOLTQUEUE_PATH"
	childRun  = "BOLTQUEUE_RUN"
	childSync = "BOLTQUEUE_NOSYNC"
)

// ledger is what the processes have reported, line by line, each line written
// at once when it became true.
type ledger struct {
	added   map[string]bool // Add returned nil
	weights map[string]int  // how often SetWeights was called
	settled map[string]bool // Settle of OutcomeScored returned nil
	again   []string        // samples that were handed out after they were settled
}

func newLedger() *ledger {
	return &ledger{
		added:   make(map[string]bool),
		weights: make(map[string]int),
		settled: make(map[string]bool),
	}
}

func (l *ledger) note(line string) {
	verb, id, _ := strings.Cut(line, " ")
	switch verb {
	case "added":
		l.added[id] = true
	case "weights":
		l.weights[id]++
		if l.settled[id] {
			l.again = append(l.again, id)
		}
	case "settled":
		l.settled[id] = true
	}
}

// TestNothingIsLostByKills kills the process that adds and scores at random
// moments, until enough samples were added, and then scores what is left.
func TestNothingIsLostByKills(t *testing.T) {
	t.Parallel()
	if path, child := os.LookupEnv(childPath); child {
		work(t, path)
		return
	}
	for name, noSync := range map[string]string{"sync": "", "no sync": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, all, kills := newPath(t), newLedger(), 0
			for len(all.added) < *killedSamples || kills < 10 {
				kills++
				life(
					t,
					path,
					noSync,
					fmt.Sprint(kills),
					all,
					time.Duration(rand.IntN(300))*time.Millisecond,
				)
			}
			life(t, path, noSync, "", all, 0)

			lost, twice := 0, 0
			for id := range all.added {
				if all.weights[id] == 0 {
					lost++
				}
				twice += max(all.weights[id]-1, 0)
			}
			t.Logf(
				"%d samples, %d kills: %d lost, %d scored twice",
				len(all.added),
				kills,
				lost,
				twice,
			)
			require.Zero(t, lost, "a sample that was acknowledged must be scored")
			require.Empty(
				t,
				all.again,
				"a sample whose verdict was acknowledged must not be handed out again",
			)
			require.LessOrEqual(
				t,
				twice,
				scorers*kills,
				"a kill repeats at most the samples that were being scored",
			)
		})
	}
}

// life starts a process and kills it, or lets it end if there is no run.
func life(t *testing.T, path, noSync, run string, all *ledger, length time.Duration) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(
		t.Context(),
		self,
		"-test.run=^TestNothingIsLostByKills$",
		"-test.timeout=5m",
	)
	child.Env = append(os.Environ(), childPath+"="+path, childRun+"="+run, childSync+"="+noSync)
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(output)
	opened := false
	for lines.Scan() {
		all.note(lines.Text())
		if !opened && lines.Text() == "open" && run != "" {
			opened = true
			time.AfterFunc(length, func() { _ = child.Process.Kill() })
		}
	}
	err = child.Wait()
	if run == "" {
		require.NoError(t, err, "the last process must end by itself")
	}
}

const (
	adders  = 4
	scorers = 2
)

// work adds and scores until it is killed; without a run it scores what is left.
func work(t *testing.T, path string) {
	t.Helper()
	run := os.Getenv(childRun)
	queue, err := boltqueue.Open(path, boltqueue.Config[string]{
		Capacity: 500, Refuse: true, NoSync: os.Getenv(childSync) != "", MaxCrashes: 1000,
	})
	require.NoError(t, err)
	report("open", "")
	var group sync.WaitGroup
	if run != "" {
		for adder := range adders {
			group.Go(
				func() { addUntilKilled(t.Context(), queue, fmt.Sprintf("%s-%d", run, adder)) },
			)
		}
	}
	for range scorers {
		group.Go(func() { score(t.Context(), queue, run == "") })
	}
	group.Wait()
	require.NoError(t, queue.Close(context.WithoutCancel(t.Context())))
}

// report writes a line at once: what was written survives a kill.
func report(verb, id string) { _, _ = os.Stdout.WriteString(strings.TrimSpace(verb+" "+id) + "\n") }

func addUntilKilled(ctx context.Context, queue *boltqueue.Queue[string], name string) {
	for i := 0; ; i++ {
		sample := organic.NewSample(strings.Repeat(name, 1+i%50))
		sample.ID = fmt.Sprintf("%s-%d", name, i)
		err := queue.Add(ctx, sample)
		for errors.Is(err, organic.ErrFull) {
			time.Sleep(time.Millisecond)
			err = queue.Add(ctx, sample)
		}
		if err != nil {
			panic(err)
		}
		report("added", sample.ID)
	}
}

func score(ctx context.Context, queue *boltqueue.Queue[string], untilEmpty bool) {
	for {
		lease, err := queue.Sample(ctx)
		if errors.Is(err, organic.ErrEmpty) {
			if stats := queue.Stats(); untilEmpty && stats.Delayed == 0 && stats.Leased == 0 {
				return
			}
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			panic(err)
		}
		verdict := organic.Verdict{Outcome: organic.OutcomeScored}
		if rand.IntN(10) == 0 {
			verdict = organic.Verdict{
				Outcome: organic.OutcomeRetry,
				Delay:   time.Millisecond,
				Err:     errors.New("failed"),
			}
		} else {
			report("weights", lease.Sample.ID)
		}
		if err := lease.Settle(ctx, verdict); err != nil {
			panic(err)
		}
		if verdict.Outcome == organic.OutcomeScored {
			report("settled", lease.Sample.ID)
		}
	}
}

// TestKillsInOpenAreNoCrashes: a process that was killed after it has counted the
// crashes of the last one, and before it had anything leased itself.
func TestKillsInOpenAreNoCrashes(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	queue := open(t, path, boltqueue.Config[string]{})
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	take(t, queue)
	path = crashed(t, path)
	journal, err := os.ReadFile(path + ".journal")
	require.NoError(t, err)
	for range 10 {
		open(t, path, boltqueue.Config[string]{})
		path = crashed(t, path)
		require.NoError(t, os.WriteFile(path+".journal", journal, 0o600))
	}
	for range 4 { // five with the first
		take(t, open(t, path, boltqueue.Config[string]{}))
		path = crashed(t, path)
	}
	_, err = open(t, path, boltqueue.Config[string]{}).Sample(t.Context())
	require.ErrorIs(t, err, organic.ErrEmpty, "true crashes still count")
}

// slowCodec holds Open up while it decodes.
type slowCodec struct {
	durable.JSON[string]
	decoding, goOn chan struct{}
}

func (c slowCodec) Decode(data []byte) (organic.Sample[string], error) {
	c.decoding <- struct{}{}
	<-c.goOn
	return c.JSON.Decode(data)
}

// TestProcessThatOpensIsNamed: also while it still reads the file, and not the
// one that had it open before.
func TestProcessThatOpensIsNamed(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	queue := open(t, path, boltqueue.Config[string]{})
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	require.NoError(t, queue.Close(t.Context()))
	require.NoError(t, os.Remove(path+".journal"))

	codec := slowCodec{decoding: make(chan struct{}), goOn: make(chan struct{})}
	var opening sync.WaitGroup
	opening.Go(func() {
		queue, err := boltqueue.Open(path, boltqueue.Config[string]{Codec: codec})
		require.NoError(t, err)
		require.NoError(t, queue.Close(context.WithoutCancel(t.Context())))
	})
	<-codec.decoding
	_, err := boltqueue.Open(path, boltqueue.Config[string]{})
	close(codec.goOn)
	opening.Wait()
	require.ErrorIs(t, err, boltqueue.ErrInUse)
	require.ErrorContains(t, err, fmt.Sprintf("by process %d since ", os.Getpid()))
}

// TestSecondProcessIsNamed: the error of a second process names the first.
func TestSecondProcessIsNamed(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if shared, child := os.LookupEnv(childPath); child {
		_, err := boltqueue.Open(shared, boltqueue.Config[string]{})
		report("error", fmt.Sprint(err, errors.Is(err, boltqueue.ErrInUse)))
		return
	}
	open(t, path, boltqueue.Config[string]{})
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestSecondProcessIsNamed$")
	child.Env = append(os.Environ(), childPath+"="+path)
	output, err := child.Output()
	require.NoError(t, err)
	require.Contains(
		t,
		string(output),
		fmt.Sprintf("boltqueue: file is in use by process %d since ", os.Getpid()),
	)
	require.Contains(t, string(output), "true")
}
