package boltqueue_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

// intact writes a queue with samples, delays and dead letters, and closes it. It
// returns the bytes of the file and of the journal, and what is in it.
func intact(t *testing.T) (file, journal []byte, content []string) {
	t.Helper()
	path := newPath(t)
	queue, err := boltqueue.Open(path, boltqueue.Config[string]{Order: organic.OrderFIFO})
	require.NoError(t, err)
	for i := range 60 {
		sample := organic.NewSample(strings.Repeat("payload ", 10*(i%20)))
		require.NoError(t, queue.Add(t.Context(), sample))
	}
	for i := range 20 {
		lease, err := queue.Sample(t.Context())
		require.NoError(t, err)
		outcome := []organic.Outcome{
			organic.OutcomeScored, organic.OutcomeRetry, organic.OutcomeDead,
		}[i%3]
		require.NoError(
			t,
			lease.Settle(
				t.Context(),
				organic.Verdict{Outcome: outcome, Err: fmt.Errorf("error %d", i)},
			),
		)
	}
	require.NoError(t, queue.Close(t.Context()))
	file, err = os.ReadFile(path)
	require.NoError(t, err)
	journal, err = os.ReadFile(path + ".journal")
	require.NoError(t, err)
	content, err = contentOf(t, file, journal)
	require.NoError(t, err)
	require.Len(t, content, 60-7)
	return file, journal, content
}

// contentOf opens a queue of these bytes and lists what is in it. A nil journal
// does not exist.
func contentOf(t *testing.T, file, journal []byte) (content []string, err error) {
	t.Helper()
	path := newPath(t)
	require.NoError(t, os.WriteFile(path, file, 0o600))
	if journal != nil {
		require.NoError(t, os.WriteFile(path+".journal", journal, 0o600))
	}
	cfg := boltqueue.Config[string]{Order: organic.OrderFIFO, NoSync: true}
	queue, err := boltqueue.Open(path, cfg)
	if err != nil {
		return nil, err
	}
	for {
		lease, err := queue.Sample(t.Context())
		if err != nil {
			break
		}
		content = append(
			content,
			fmt.Sprint(lease.Sample.ID, lease.Sample.Payload, lease.Sample.Attempt),
		)
	}
	for letter, err := range queue.DeadLetters(t.Context()) {
		require.NoError(t, err)
		content = append(
			content,
			fmt.Sprint(letter.ID, letter.Sample.Payload, letter.Reason, letter.Attempts),
		)
	}
	return content, queue.Close(t.Context())
}

// TestBitRotIsReported: whichever byte changes while the queue is closed, Open
// reports it, or nothing is missing.
func TestBitRotIsReported(t *testing.T) {
	t.Parallel()
	file, journal, content := intact(t)
	const pageSize, header = 4096, 96
	var places []int
	for at := range file {
		if at%pageSize < header {
			places = append(places, at) // metas, page headers and their first elements
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	places = places[:300]
	for range 300 {
		places = append(places, random.IntN(len(file)))
	}
	reported := 0
	for _, at := range places {
		changed := append([]byte(nil), file...)
		changed[at] ^= 1 << random.IntN(8)
		got, err := contentOf(t, changed, journal)
		if err != nil {
			require.ErrorIsf(t, err, boltqueue.ErrCorrupt, "byte %d", at)
			reported++
			continue
		}
		require.Equalf(t, content, got, "byte %d has changed and Open reports nothing", at)
	}
	require.Greater(t, reported, 100, "most damage is in what is used")
}

// TestBitRotOfMetaPages: bbolt itself takes the older meta page if the newer is
// damaged, and with it a file without the last transaction.
func TestBitRotOfMetaPages(t *testing.T) {
	t.Parallel()
	file, journal, content := intact(t)
	silent := 0
	for at := range 2 * 4096 {
		if at%4096 > 88 {
			continue
		}
		for name, beside := range map[string][]byte{"with journal": journal, "without": nil} {
			changed := append([]byte(nil), file...)
			changed[at] ^= 0x10
			got, err := contentOf(t, changed, beside)
			if err != nil {
				require.ErrorIsf(t, err, boltqueue.ErrCorrupt, "byte %d %s", at, name)
				continue
			}
			silent++
			require.Equalf(t, content, got, "byte %d %s", at, name)
		}
	}
	require.Positive(t, silent, "damage to the older meta page harms nothing")
}

func TestTruncationIsReported(t *testing.T) {
	t.Parallel()
	file, journal, content := intact(t)
	random := rand.New(rand.NewPCG(1, 2))
	lengths := []int{
		0,
		1,
		100,
		4095,
		4096,
		4097,
		8191,
		8192,
		3 * 4096,
		len(file) / 2,
		len(file) - 4096,
		len(file) - 1,
	}
	for range 50 {
		lengths = append(lengths, random.IntN(len(file)))
	}
	for _, length := range lengths {
		for _, beside := range [][]byte{journal, nil} {
			got, err := contentOf(t, file[:length], beside)
			if err == nil { // bbolt makes files larger than it needs
				require.Equal(t, content, got)
				require.Greater(t, length, len(file)/4)
				continue
			}
			require.ErrorIsf(
				t,
				err,
				boltqueue.ErrCorrupt,
				"the first %d of %d bytes",
				length,
				len(file),
			)
		}
	}
	_, err := contentOf(t, []byte(strings.Repeat("not a queue ", 5000)), nil)
	require.ErrorIs(t, err, boltqueue.ErrCorrupt)
}

// TestOlderFileIsReported: a file that was replaced by an older copy of itself.
func TestOlderFileIsReported(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	queue, err := boltqueue.Open(path, boltqueue.Config[string]{})
	require.NoError(t, err)
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("first")))
	require.NoError(t, queue.Close(t.Context()))
	backup, err := os.ReadFile(path)
	require.NoError(t, err)
	queue, err = boltqueue.Open(path, boltqueue.Config[string]{})
	require.NoError(t, err)
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("second")))
	require.NoError(t, queue.Close(t.Context()))

	require.NoError(t, os.WriteFile(path, backup, 0o600))
	_, err = boltqueue.Open(path, boltqueue.Config[string]{})
	require.ErrorIs(t, err, boltqueue.ErrCorrupt)
	require.ErrorContains(t, err, "if it is a backup, remove its journal")
	require.NoError(t, os.Remove(path+".journal"))
	require.Equal(t, 1, open(t, path, boltqueue.Config[string]{}).Size())
}

// TestOtherFileIsReported: a file that was replaced by that of another queue,
// which has seen more.
func TestOtherFileIsReported(t *testing.T) {
	t.Parallel()
	path, other := newPath(t), newPath(t)
	for i, each := range []string{path, other, other} {
		queue := open(t, each, boltqueue.Config[string]{})
		require.NoError(t, queue.Add(t.Context(), organic.NewSample(fmt.Sprint(i))))
		require.NoError(t, queue.Close(t.Context()))
	}
	require.NoError(t, os.Rename(other, path))
	_, err := boltqueue.Open(path, boltqueue.Config[string]{})
	require.ErrorIs(t, err, boltqueue.ErrCorrupt)
	require.ErrorContains(t, err, "it is not the file that its journal belongs to")
	require.NoError(t, os.Remove(path+".journal"))
	require.Equal(t, 2, open(t, path, boltqueue.Config[string]{}).Size())
}

func TestMissingFileIsReported(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	queue, err := boltqueue.Open(path, boltqueue.Config[string]{})
	require.NoError(t, err)
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	require.NoError(t, queue.Close(t.Context()))
	require.NoError(t, os.Remove(path))
	_, err = boltqueue.Open(path, boltqueue.Config[string]{})
	require.ErrorIs(t, err, organic.ErrGone)
	require.ErrorContains(t, err, "remove "+path+".journal")
	require.NoError(t, os.Remove(path+".journal"))
	require.Zero(t, open(t, path, boltqueue.Config[string]{}).Size())
}

// TestFileRemovedWhileOpen: what was added to a file that has no name any more
// would be lost with the process.
func TestFileRemovedWhileOpen(t *testing.T) {
	t.Parallel()
	for _, replaced := range []bool{false, true} {
		path := newPath(t)
		queue := open(t, path, boltqueue.Config[string]{})
		require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
		lease, err := queue.Sample(t.Context())
		require.NoError(t, err)
		require.NoError(t, os.Remove(path))
		if replaced {
			require.NoError(t, os.WriteFile(path, []byte("another"), 0o600))
		}
		require.ErrorIs(t, queue.Add(t.Context(), organic.NewSample("payload")), organic.ErrGone)
		_, err = queue.Sample(t.Context())
		require.ErrorIs(t, err, organic.ErrGone)
		require.ErrorIs(
			t,
			lease.Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeScored}),
			organic.ErrGone,
		)
	}
}

// TestTruncatedWhileOpen: a mapped file that is cut off would end the process
// at the next read.
func TestTruncatedWhileOpen(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	queue, err := boltqueue.Open(path, boltqueue.Config[string]{Order: organic.OrderFIFO})
	require.NoError(t, err)
	for range 100 {
		require.NoError(t, queue.Add(t.Context(), organic.NewSample(strings.Repeat("x", 1000))))
	}
	require.NoError(t, os.Truncate(path, 4096))
	for range 150 {
		_, err = queue.Sample(t.Context())
		require.ErrorIs(t, err, boltqueue.ErrCorrupt, "and never that the queue is empty")
	}
	require.ErrorIs(t, queue.Add(t.Context(), organic.NewSample("payload")), boltqueue.ErrCorrupt)
	require.ErrorIs(t, queue.Close(t.Context()), boltqueue.ErrCorrupt)
}

// TestNothingIsHandedOutAfterAFailure: its verdict could not be stored, so that
// it would be scored again.
func TestNothingIsHandedOutAfterAFailure(t *testing.T) {
	t.Parallel()
	queue := open(t, newPath(t), boltqueue.Config[string]{})
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	boltqueue.Fail(queue)
	_, err := queue.Sample(t.Context())
	require.ErrorIs(t, err, boltqueue.ErrFailed)
	require.Equal(t, 1, queue.Size())
}
