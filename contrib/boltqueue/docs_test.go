package boltqueue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

// What follows is the code of docs/queues.md, so that the compiler sees it.

type Prompt struct{ Text string }

type Validator struct {
	*organic.OrganicScorer[Prompt, string]
	organictest.HookFuncs[Prompt, string]
}

func openQueue(v *Validator) (_ *boltqueue.Queue[Prompt], err error) {
	queue, err := boltqueue.Open("queue.db", boltqueue.Config[Prompt]{Capacity: 50_000})
	if err != nil {
		return nil, err
	}
	v.OrganicScorer, err = organic.New(v, organic.WithQueue(queue))
	return queue, err
}

func stop(ctx context.Context, v *Validator, queue *boltqueue.Queue[Prompt]) (err error) {
	err = errors.Join(v.Stop(ctx), queue.Close(ctx))
	return err
}

func list(ctx context.Context, queue *boltqueue.Queue[Prompt]) error {
	for letter, err := range queue.DeadLetters(ctx) {
		if err != nil {
			return err
		}
		fmt.Println(letter.Number, letter.ID, letter.Cause, letter.Attempts, letter.Time)
	}
	return nil
}

func openSealed(key []byte) (*boltqueue.Queue[Prompt], error) {
	cipher, err := durable.NewAESGCM("2026-11", map[string][]byte{"2026-11": key})
	if err != nil {
		return nil, err
	}
	return boltqueue.Open("queue.db", boltqueue.Config[Prompt]{Cipher: cipher})
}

func moveAll(ctx context.Context, old *boltqueue.Queue[Prompt], queue organic.Queue[Prompt]) error {
	for {
		stats := old.Stats()
		if stats.Waiting+stats.Delayed == 0 {
			break
		}
		if _, err := durable.Move(ctx, old, queue); err != nil {
			return err
		}
		time.Sleep(time.Second)
	}
	return nil
}

// TestCodeOfTheDocs: each block of Go in docs/queues.md is in this file. Those
// about natsqueue are in that module.
func TestCodeOfTheDocs(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/queues.md")
	require.NoError(t, err)
	self, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(docs), -1)
	require.GreaterOrEqual(t, len(blocks), 5)
	for _, block := range blocks {
		if strings.Contains(block[1], "natsqueue") || strings.Contains(block[1], "embedded") {
			continue
		}
		indented := "\t" + strings.ReplaceAll(strings.TrimSpace(block[1]), "\n", "\n\t")
		require.Contains(t, string(self), strings.ReplaceAll(indented, "\t\n", "\n"))
	}
}

// TestDocsWork runs the code of the docs.
func TestDocsWork(t *testing.T) { // changes the folder of the process
	t.Chdir(t.TempDir())
	v := &Validator{}
	queue, err := openQueue(v)
	require.NoError(t, err)
	require.NoError(t, queue.Add(t.Context(), organic.NewSample(Prompt{Text: "hello"})))
	memory, err := organic.NewMemoryQueue[Prompt](organic.MemoryConfig{})
	require.NoError(t, err)
	require.NoError(t, moveAll(t.Context(), queue, memory))
	require.Equal(t, 1, memory.Size())
	require.NoError(t, list(t.Context(), queue))
	require.NoError(t, stop(t.Context(), v, queue))
	sealed, err := openSealed(make([]byte, 32))
	require.NoError(t, err, "it is empty, so no key can be wrong")
	require.NoError(t, sealed.Close(t.Context()))
}
