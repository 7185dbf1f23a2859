package boltqueue_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

// TestCommitsAreShared: a call that finds nothing under way commits at once;
// those that come meanwhile share the next transaction.
func TestCommitsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var batches [][]uint64
		commit := boltqueue.Commits(func(batch []uint64) error {
			batches = append(batches, batch)
			time.Sleep(time.Second) // a sync
			return nil
		})
		began := time.Now()
		require.NoError(t, commit(0))
		require.Equal(t, time.Second, time.Since(began), "one caller does not wait for others")

		var group sync.WaitGroup
		for number := range uint64(16) {
			group.Go(func() { require.NoError(t, commit(1+number)) })
			synctest.Wait()
		}
		group.Wait()
		require.Len(t, batches, 3)
		require.Equal(t, []uint64{1}, batches[1])
		require.Len(t, batches[2], 15)
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

// TestCommitErrorsReachTheirCalls: the error of a transaction is that of the
// calls in it, and the next transaction is made all the same.
func TestCommitErrorsReachTheirCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		transactions := 0
		commit := boltqueue.Commits(func([]uint64) error {
			time.Sleep(time.Second)
			if transactions++; transactions == 2 {
				return broken
			}
			return nil
		})
		var group sync.WaitGroup
		errs := make([]error, 3000)
		for i := range errs {
			group.Go(func() { errs[i] = commit(uint64(i)) })
			synctest.Wait()
		}
		group.Wait()
		require.Equal(t, 4, transactions, "one alone, then batches of at most 1,000")
		for i, err := range errs {
			if i == 0 || i > 1000 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, broken)
			}
		}
	})
}
