package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

func letters(t *testing.T, queue *natsqueue.Queue[string]) []durable.DeadLetter[string] {
	t.Helper()
	var all []durable.DeadLetter[string]
	for letter, err := range queue.DeadLetters(t.Context()) {
		require.NoError(t, err)
		all = append(all, letter)
	}
	return all
}

// TestDeadLetters: what is given up is kept with its reason, can be put back
// and can be forgotten.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	queue := openQueue(t, startServer(t), natsqueue.WithCapacity(2))
	ids := add(t, queue, 2)
	settle(t, take(t, queue), organic.OutcomeRetry, 0)
	settle(t, take(t, queue), organic.OutcomeDead, 0)
	settle(t, take(t, queue), organic.OutcomeDiscarded, 0)
	requireNothing(t, queue, 50*time.Millisecond, "both are dead")

	all := letters(t, queue)
	require.Len(t, all, 2)
	byID := map[string]durable.DeadLetter[string]{all[0].ID: all[0], all[1].ID: all[1]}
	for i, id := range ids {
		require.Equal(t, errHook.Error(), byID[id].Reason)
		require.Equal(t, fmt.Sprintf("payload %d", i), byID[id].Sample.Payload)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", byID[id], byID[id], byID[id]), "payload")
	}
	require.Equal(t, 3, all[0].Attempts+all[1].Attempts, "one has failed once before")
	require.ElementsMatch(t, []durable.Cause{durable.CauseDead, durable.CauseDiscarded},
		[]durable.Cause{all[0].Cause, all[1].Cause})

	full := add(t, queue, 2)
	require.ErrorIs(t, queue.PutBack(t.Context(), all[0].Number), organic.ErrFull)
	require.Len(t, letters(t, queue), 2, "the letter stays")
	for range full {
		settle(t, take(t, queue), organic.OutcomeScored, 0)
	}
	require.NoError(t, queue.PutBack(t.Context(), all[0].Number))
	require.ErrorIs(t, queue.PutBack(t.Context(), all[0].Number), durable.ErrNoDeadLetter)
	lease := take(t, queue)
	require.Equal(t, all[0].ID, lease.Sample.ID)
	require.Equal(t, 1, lease.Sample.Attempt)
	settle(t, lease, organic.OutcomeDead, 0)
	require.Len(t, letters(t, queue), 2)
	for _, letter := range letters(t, queue) {
		require.NoError(t, queue.Forget(t.Context(), letter.Number))
	}
	require.Empty(t, letters(t, queue))
	require.ErrorIs(t, queue.Forget(t.Context(), all[0].Number), durable.ErrNoDeadLetter)
}

// requireNotOnDisk looks for texts in the files of a folder, of which some must
// hold the mark.
func requireNotOnDisk(t *testing.T, folder, mark string, texts ...string) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server replaces its files
		}
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, text := range texts {
			require.NotContains(t, string(data), text, "the disk must not hold it in the clear")
		}
		if strings.Contains(string(data), mark) {
			files++
		}
		return err
	}))
	require.Positive(t, files, "the files that were looked at must be those of the queue")
}

// TestEncryptedAtRest: neither payload, requester nor the reason of a dead
// letter is on the disk in the clear, and an old key still opens.
func TestEncryptedAtRest(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	server := startServerIn(t, folder, embedded.WithSyncAlways())
	first, second := []byte(strings.Repeat("1", 32)), []byte(strings.Repeat("2", 16))
	open := func(current string, keys map[string][]byte) *natsqueue.Queue[string] {
		cipher, err := durable.NewAESGCM(current, keys)
		require.NoError(t, err)
		return openQueue(t, server, natsqueue.WithCipher(cipher))
	}
	const payload, requester, reason = "my most private question", "5Requester", "the hook said: my most"
	queue := open("2025", map[string][]byte{"2025": first})
	for range 3 {
		sample := organic.NewSample(payload)
		sample.Requester = requester
		require.NoError(t, queue.Add(t.Context(), sample))
	}
	lease := take(t, queue)
	require.NoError(t, lease.Settle(t.Context(),
		organic.Verdict{Outcome: organic.OutcomeDead, Err: fmt.Errorf("the hook said: %s", payload)}))
	require.NoError(t, queue.Close(t.Context()))

	requireNotOnDisk(t, folder, "2025", payload, requester, reason)

	rotated := open("2026", map[string][]byte{"2025": first, "2026": second})
	lease = take(t, rotated)
	require.Equal(t, payload, lease.Sample.Payload)
	require.Equal(t, requester, lease.Sample.Requester)
	settle(t, lease, organic.OutcomeScored, 0)
	require.Equal(t, "the hook said: "+payload, letters(t, rotated)[0].Reason)
	require.NoError(t, rotated.Close(t.Context()))

	back := open("2025", map[string][]byte{"2025": first})
	for _, letter := range letters(t, back) {
		require.NoError(t, letter.Err)
		require.NoError(t, back.PutBack(t.Context(), letter.Number))
	}
	for range 2 {
		lease := take(t, back)
		require.Equal(t, payload, lease.Sample.Payload)
		settle(t, lease, organic.OutcomeScored, 0)
	}
}
