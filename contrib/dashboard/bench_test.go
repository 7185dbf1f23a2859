package dashboard_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/dashboard"
)

// BenchmarkObserve compares an event with its floor, a store into a ring under a lock.
func BenchmarkObserve(b *testing.B) {
	b.Run("event/organic", func(b *testing.B) {
		d, err := dashboard.New(&scorer{})
		require.NoError(b, err)
		e := organic.Event{
			Kind: organic.EventStageDone, Stage: organic.StageQuery, Duration: time.Second,
		}
		b.ReportAllocs()
		for b.Loop() {
			d.Observe(e)
		}
	})
	b.Run("event/floor", func(b *testing.B) {
		var mu sync.Mutex
		ring := make([]time.Duration, 512)
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			mu.Lock()
			ring[n%512] = time.Second
			n++
			mu.Unlock()
		}
	})
}
