package boltqueue_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

// TestFullDisk: while there is no space, Add fails and nothing else changes;
// then it works again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if path, child := os.LookupEnv(childPath); child {
		fillDisk(t, path)
		return
	}
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestFullDisk$")
	child.Env = append(os.Environ(), childPath+"="+newPath(t))
	output, err := child.CombinedOutput()
	require.NoErrorf(t, err, "%s", output)
}

// fillDisk uses a limit for the size of files in place of a small disk.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	unlimited := limit.Cur
	setLimit := func(bytes uint64) {
		limit.Cur = bytes
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	}

	queue, err := boltqueue.Open(path, boltqueue.Config[string]{Order: organic.OrderFIFO})
	require.NoError(t, err)
	setLimit(300_000)
	accepted := 0
	sample := func() organic.Sample[string] { return organic.NewSample(strings.Repeat("x", 5000)) }
	for err = queue.Add(t.Context(), sample()); err == nil; err = queue.Add(t.Context(), sample()) {
		accepted++
	}
	require.ErrorContains(t, err, syscall.EFBIG.Error()) // bbolt does not wrap it
	require.NotErrorIs(t, err, boltqueue.ErrFailed)
	require.Positive(t, accepted)
	require.Equal(t, accepted, queue.Size())
	lease, err := queue.Sample(t.Context())
	require.NoError(t, err, "what is stored can be scored")
	_ = lease.Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeReturn})

	take(t, queue)
	left := crashed(t, path)
	setLimit(9000) // the file has more, so that none of it can be written
	after, err := boltqueue.Open(left, boltqueue.Config[string]{})
	require.NoError(t, err, "nor does the death of a process keep it from being scored")
	require.Equal(t, accepted, after.Size())
	require.NoError(t, after.Close(t.Context()))
	setLimit(unlimited)
	require.NoError(t, queue.Add(t.Context(), sample()))
	require.NoError(t, queue.Close(t.Context()))
	queue, err = boltqueue.Open(path, boltqueue.Config[string]{})
	require.NoError(t, err)
	require.Equal(t, accepted+1, queue.Size())
	require.NoError(t, errors.Join(queue.Close(context.WithoutCancel(t.Context()))))
}
