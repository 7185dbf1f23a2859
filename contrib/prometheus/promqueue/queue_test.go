package promqueue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/prometheus/promqueue"
)

func TestWhatIsNotGivenHasNoMetric(t *testing.T) {
	t.Parallel()
	size := func() int { return 7 }
	require.Equal(t, 1, testutil.CollectAndCount(promqueue.New(promqueue.Queue{Size: size})))
	require.Zero(t, testutil.CollectAndCount(promqueue.New(promqueue.Queue{})))
}

func TestQueueIsAskedAtEachScrape(t *testing.T) {
	t.Parallel()
	size := 0
	queue := promqueue.New(promqueue.Queue{
		Capacity: 10, Size: func() int { size++; return size },
		OldestWaiting: func() time.Duration { return 90 * time.Second },
	})
	for _, want := range []string{"1", "2"} {
		require.NoError(t, testutil.CollectAndCompare(queue, strings.NewReader(`
# HELP organic_queue_oldest_waiting_seconds Age of the oldest sample that waits.
# TYPE organic_queue_oldest_waiting_seconds gauge
organic_queue_oldest_waiting_seconds 90
# HELP organic_queue_size Samples that wait in the queue.
# TYPE organic_queue_size gauge
organic_queue_size `+want+"\n"), "organic_queue_size", "organic_queue_oldest_waiting_seconds"))
	}
}
