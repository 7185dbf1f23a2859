//go:build linux && amd64

package boltqueue_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

var powerCuts = flag.Int(
	"power-cuts",
	400,
	"how many states of the file after a power cut are opened",
)

// disk is what a file may be after a power cut: what was synced, and any part of
// what was written since.
type disk struct {
	synced  []byte
	written []step
}

func (d *disk) apply(s step) {
	if s.Call == "sync" {
		for _, w := range d.written {
			d.synced = applied(d.synced, w)
		}
		d.written = nil
		return
	}
	d.written = append(d.written, s)
}

func applied(data []byte, s step) []byte {
	end := s.Offset + int64(len(s.Data))
	if int64(len(data)) < end {
		data = append(data, make([]byte, end-int64(len(data)))...)
	}
	if s.Call == "truncate" {
		return data[:s.Offset]
	}
	copy(data[s.Offset:], s.Data)
	return data
}

// after returns the file as it may be: some writes are there, some are not, and
// some in part, sector by sector.
func (d *disk) after(random *rand.Rand) []byte {
	data := append([]byte(nil), d.synced...)
	mode := random.IntN(4)
	for _, w := range d.written {
		switch {
		case mode == 0: // none
		case mode == 1 || w.Call == "truncate" || mode == 2 && random.IntN(2) == 0:
			data = applied(data, w)
		case mode == 3:
			const sector = 512
			for at := 0; at < len(w.Data); at += sector {
				if random.IntN(2) == 0 {
					data = applied(
						data,
						step{
							Call:   "write",
							Offset: w.Offset + int64(at),
							Data:   w.Data[at:min(at+sector, len(w.Data))],
						},
					)
				}
			}
		}
	}
	return data
}

// expected is what must be in the queue, by what the process has reported.
type expected struct {
	added   map[string]bool
	ending  map[string]bool // a verdict was under way
	ended   map[string]bool
	retried map[string]int
}

func (e *expected) note(line string) {
	fields := strings.Fields(line)
	if len(fields) != 2 {
		return
	}
	switch id := fields[1]; fields[0] {
	case "added":
		e.added[id] = true
	case "ending":
		e.ending[id] = true
	case "ended":
		e.ended[id] = true
	case "retried":
		e.retried[id]++
	}
}

// TestPowerCutLosesNothing records the writes and syncs of a process, builds
// the file as a power cut after any of them may leave it, and opens that.
func TestPowerCutLosesNothing(t *testing.T) {
	if path, child := os.LookupEnv(childPath); child {
		addAndEnd(t, path)
		return
	}
	path := newPath(t)
	queue, err := boltqueue.Open(path, boltqueue.Config[string]{})
	require.NoError(t, err)
	require.NoError(t, queue.Close(t.Context()))
	created, err := os.ReadFile(path)
	require.NoError(t, err)
	journal, err := os.ReadFile(path + ".journal")
	require.NoError(t, err)

	steps := trace(t, "TestPowerCutLosesNothing", childPath+"="+path)
	file, beside := &disk{synced: created}, &disk{synced: journal}
	want := &expected{
		added:   map[string]bool{},
		ending:  map[string]bool{},
		ended:   map[string]bool{},
		retried: map[string]int{},
	}
	random := rand.New(rand.NewPCG(1, 2))
	writes, syncs, cuts := 0, 0, 0
	for i, s := range steps {
		switch {
		case s.Call == "report":
			want.note(string(s.Data))
		case s.File == "queue.db":
			file.apply(s)
			if s.Call == "sync" {
				syncs++
			} else {
				writes++
			}
		case s.File == "queue.db.journal":
			beside.apply(s)
		}
		if random.IntN(len(steps)-i) < *powerCuts-cuts {
			cuts++
			want.requireIn(t, file.after(random), beside.after(random))
		}
	}
	t.Logf("%d samples, %d writes, %d syncs, %d power cuts", len(want.added), writes, syncs, cuts)
	require.Greater(t, syncs, 100)
	require.Len(t, want.added, 4*samplesToAdd)
}

const samplesToAdd = 60

// addAndEnd adds from four goroutines and scores in a fifth.
func addAndEnd(t *testing.T, path string) {
	t.Helper()
	queue, err := boltqueue.Open(path, boltqueue.Config[string]{})
	require.NoError(t, err)
	var group sync.WaitGroup
	for adder := range 4 {
		group.Go(func() {
			for i := range samplesToAdd {
				sample := organic.NewSample(strings.Repeat("payload ", i*adder))
				if err := queue.Add(t.Context(), sample); err != nil {
					panic(err)
				}
				report("added", sample.ID)
			}
		})
	}
	group.Go(func() {
		for ended := 0; ended < 3*samplesToAdd; {
			lease, err := queue.Sample(t.Context())
			if errors.Is(err, organic.ErrEmpty) {
				continue
			}
			id, verdict, verb := lease.Sample.ID, organic.Verdict{
				Outcome: organic.OutcomeScored,
			}, "ended"
			if rand.IntN(3) == 0 {
				verdict, verb = organic.Verdict{Outcome: organic.OutcomeRetry}, "retried"
			} else {
				report("ending", id)
				ended++
			}
			if err := lease.Settle(t.Context(), verdict); err != nil {
				panic(err)
			}
			report(verb, id)
		}
	})
	group.Wait()
	require.NoError(t, queue.Close(context.WithoutCancel(t.Context())))
}

// requireIn opens a queue of these bytes: what was acknowledged is there, and
// what was ended is not.
func (e *expected) requireIn(t *testing.T, file, journal []byte) {
	t.Helper()
	path := newPath(t)
	require.NoError(t, os.WriteFile(path, file, 0o600))
	require.NoError(t, os.WriteFile(path+".journal", journal, 0o600))
	queue, err := boltqueue.Open(path, boltqueue.Config[string]{MaxCrashes: 100})
	require.NoError(t, err, "a power cut must not damage the file")
	attempts := make(map[string]int)
	for {
		lease, err := queue.Sample(t.Context())
		if err != nil {
			break
		}
		attempts[lease.Sample.ID] = lease.Sample.Attempt
	}
	require.NoError(t, queue.Close(t.Context()))
	for id := range e.added {
		if e.ending[id] {
			continue
		}
		require.Containsf(t, attempts, id, "sample %s was acknowledged", id)
		require.GreaterOrEqualf(
			t,
			attempts[id],
			1+e.retried[id],
			"the failures of sample %s were acknowledged",
			id,
		)
	}
	for id := range e.ended {
		require.NotContainsf(t, attempts, id, "the verdict of sample %s was acknowledged", id)
	}
}
