package weights_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/weights"
)

// tell gives the setter blocks and returns at which of them the chain was
// called.
func tell(setter *weights.Setter, chain *fakeChain, from, to uint64) (heights []uint64) {
	for height := from; height <= to; height++ {
		before := len(chain.seconds())
		setter.Block(height)
		synctest.Wait()
		if len(chain.seconds()) > before {
			heights = append(heights, height)
		}
	}
	return heights
}

func TestWeightsAreSetEverySoManyBlocks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		schedule weights.Blocks
		want     []uint64
	}{
		{name: "every 10", schedule: weights.Blocks{Every: 10}, want: []uint64{110, 120, 130}},
		{name: "limit below", schedule: weights.Blocks{Every: 10, RateLimit: 9}, want: []uint64{110, 120, 130}},
		{name: "limit, which must be exceeded", schedule: weights.Blocks{Every: 10, RateLimit: 10}, want: []uint64{111, 122, 133}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chain := newFakeChain(0)
				setter := newSetter(t, chain, someWeights, tt.schedule)
				stop := running(t, setter)
				time.Sleep(24 * time.Hour)
				require.Empty(t, chain.seconds(), "no block yet")
				require.Equal(t, tt.want, tell(setter, chain, 100, 135))
				setter.Block(50) // another node lags
				setter.Block(1000)
				synctest.Wait()
				require.Len(t, chain.seconds(), 4, "a jump is no burst")
				require.Equal(t, uint64(1000), setter.Status().LastBlock)
				stop()
			})
		})
	}
}

func TestBlocksToldBeforeRunCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := newFakeChain(0)
		setter := newSetter(t, chain, someWeights, weights.Blocks{Every: 10, RateLimit: 5})
		setter.Block(100)
		require.ErrorIs(t, setter.Set(t.Context()), weights.ErrTooSoon, "nobody knows what was set before")
		setter.Block(120)
		stop := running(t, setter)
		require.Len(t, chain.seconds(), 1)
		stop()
	})
}

func TestRateLimitInBlocksMustBeExceeded(t *testing.T) {
	t.Parallel()
	setter := newSetter(t, newFakeChain(0), someWeights, weights.Blocks{Every: 10, RateLimit: 5})
	require.NoError(t, setter.Set(t.Context()), "nothing is known yet")
	setter.Block(100)
	setter.Block(105)
	require.ErrorIs(t, setter.Set(t.Context()), weights.ErrTooSoon)
	setter.Block(106)
	require.NoError(t, setter.Set(t.Context()))
	require.Equal(t, uint64(106), setter.Status().LastBlock)
	setter.Block(111)
	require.ErrorIs(t, setter.Set(t.Context()), weights.ErrTooSoon)
}

func TestLowerBlocksAreIgnored(t *testing.T) {
	t.Parallel()
	setter := newSetter(t, newFakeChain(0), someWeights, weights.Blocks{Every: 10})
	setter.Block(100)
	setter.Block(50) // another node lags
	require.NoError(t, setter.Set(t.Context()))
	require.Equal(t, uint64(100), setter.Status().LastBlock)
}

// TestLastUpdateDecides: after a restart the chain knows when weights were
// last set.
func TestLastUpdateDecides(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		last uint64
		want []uint64
	}{
		{name: "long ago", last: 10, want: []uint64{100, 110}},
		{name: "just now", last: 99, want: []uint64{109}},
		{name: "ahead of the node that tells blocks", last: 105, want: []uint64{115}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chain := newFakeChain(0)
				setter := newSetter(t, chain, someWeights, weights.Blocks{
					Every: 10, LastUpdate: func(context.Context) (uint64, error) { return tt.last, nil },
				})
				stop := running(t, setter)
				require.Equal(t, tt.want, tell(setter, chain, 100, 115))
				stop()
			})
		})
	}
}

// TestTryThatLandedAfterAllIsNotRepeated: the connection broke, but the chain
// had taken the weights.
func TestTryThatLandedAfterAllIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var last atomic.Uint64
		last.Store(90)
		chain := newFakeChain(1)
		setter := newSetter(t, chain, someWeights, weights.Blocks{
			Every: 10, RateLimit: 10, LastUpdate: func(context.Context) (uint64, error) { return last.Load(), nil },
		})
		stop := running(t, setter)
		setter.Block(101)
		synctest.Wait()
		require.Equal(t, 1, setter.Status().Failures)
		last.Store(101)
		setter.Block(102)
		time.Sleep(time.Hour)
		require.Len(t, chain.seconds(), 1)
		require.Zero(t, setter.Status().Failures)
		require.NoError(t, setter.Status().Err)
		require.Equal(t, uint64(101), setter.Status().LastBlock)
		require.NotZero(t, setter.Status().LastSuccess)
		require.ErrorIs(t, setter.Set(t.Context()), weights.ErrTooSoon)
		require.Equal(t, []uint64{112}, tell(setter, chain, 103, 115))
		stop()
	})
}

func TestUnknownLastUpdateIsAFailedTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("node is down")
		var up atomic.Bool
		chain := newFakeChain(0)
		setter := newSetter(t, chain, someWeights, weights.Blocks{
			Every: 10, LastUpdate: func(context.Context) (uint64, error) {
				if !up.Load() {
					return 0, down
				}
				return 0, nil
			},
		})
		stop := running(t, setter)
		setter.Block(100)
		synctest.Wait()
		require.ErrorIs(t, setter.Status().Err, down)
		require.Empty(t, chain.seconds(), "nothing is sent in the dark")
		up.Store(true)
		time.Sleep(12 * time.Second)
		synctest.Wait()
		require.Len(t, chain.seconds(), 1)
		require.NoError(t, setter.Status().Err)
		stop()
	})
}
