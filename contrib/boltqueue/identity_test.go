package boltqueue_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

var identitySamples = flag.Int(
	"identity-samples",
	6000,
	"how many samples the test of the identity accepts",
)

// fates counts the verdicts and drops of samples, over all queues on one file.
type fates struct {
	mu                                               sync.Mutex // guards what follows
	accepted, refused, duplicates                    int
	scored, dead, discarded                          int
	droppedFull, expired, deadByQueue, failed, given int
}

func (f *fates) count(counter *int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*counter++
}

func (f *fates) dropped(d organic.Dropped) {
	switch d.Reason {
	case organic.DroppedFull:
		f.count(&f.droppedFull)
	case organic.DroppedExpired:
		f.count(&f.expired)
	case organic.DroppedDead:
		f.count(&f.deadByQueue)
	}
}

// TestEverySampleHasOneFate: accepted = scored + dead + dropped + expired +
// discarded + queued, over many restarts and crashes, with poison, failures,
// delays, duplicates and more samples than the queue holds.
func TestEverySampleHasOneFate(t *testing.T) {
	t.Parallel()
	for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFair} {
		t.Run(order.String(), func(t *testing.T) {
			t.Parallel()
			path, all := newPath(t), &fates{}
			cfg := boltqueue.Config[string]{
				Capacity:    200,
				MaxBytes:    60_000,
				MaxAge:      time.Hour,
				Order:       order,
				MaxCrashes:  2,
				DeadLetters: 100,
				NoSync:      true,
				Codec:       poisonCodec{},
			}
			var queued boltqueue.Stats
			for round := 0; all.accepted < *identitySamples; round++ {
				cfg.Refuse = round%3 == 0
				queue, err := boltqueue.Open(path, cfg)
				require.NoError(t, err)
				queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: all.dropped})
				mixture(t.Context(), queue, all, fmt.Sprint(round))
				if round%2 == 0 {
					quiesce(t, queue)
					path = crashed(t, path) // with what is leased
				}
				require.NoError(t, queue.Close(t.Context()))
				queued = queue.Stats()
			}
			held := queued.Waiting + queued.Delayed + queued.Leased + queued.Leaving
			t.Logf(
				"%d samples: %d scored, %d dead, %d discarded, %d dropped, %d expired, "+
					"%d dead by the queue, %d queued",
				all.accepted,
				all.scored,
				all.dead,
				all.discarded,
				all.droppedFull,
				all.expired,
				all.deadByQueue,
				held,
			)
			require.Equal(t, all.accepted,
				all.scored+all.dead+all.discarded+all.droppedFull+all.expired+all.deadByQueue+held)
			for _, happened := range []int{
				all.duplicates, all.refused, all.droppedFull, all.expired, all.deadByQueue,
				all.failed, all.given,
			} {
				require.Positive(t, happened, "the test must bring about everything")
			}
		})
	}
}

// poisonCodec cannot decode some payloads.
type poisonCodec struct{ durable.JSON[string] }

func (c poisonCodec) Decode(data []byte) (organic.Sample[string], error) {
	sample, err := c.JSON.Decode(data)
	if strings.HasPrefix(sample.Payload, "POISON") {
		err = errors.New("poison")
	}
	return sample, err
}

// mixture adds and settles from several goroutines for a while.
func mixture(ctx context.Context, queue *boltqueue.Queue[string], all *fates, run string) {
	var group sync.WaitGroup
	for adder := range 4 {
		group.Go(func() {
			for i := range 150 {
				sample := organic.NewSample(strings.Repeat("payload ", rand.IntN(100)))
				sample.ID = fmt.Sprintf("%s-%d-%d", run, adder, i-i%20/19) // some twice
				sample.Requester = fmt.Sprint(rand.IntN(1 + i%30))
				switch rand.IntN(50) {
				case 0:
					sample.Payload = "POISON"
				case 1:
					sample.Received = time.Now().Add(-time.Hour - time.Minute)
				case 2:
					sample.Received = time.Now().Add(20*time.Millisecond - time.Hour)
				}
				switch err := queue.Add(ctx, sample); {
				case err == nil:
					all.count(&all.accepted)
				case errors.Is(err, organic.ErrFull):
					all.count(&all.refused)
				case errors.Is(err, organic.ErrDuplicate):
					all.count(&all.duplicates)
				default:
					panic(err)
				}
			}
		})
	}
	for range 3 {
		group.Go(func() {
			for range 120 {
				if lease, err := queue.Sample(ctx); err == nil {
					all.settle(ctx, lease)
				} else if !errors.Is(err, organic.ErrEmpty) {
					panic(err)
				}
			}
		})
	}
	group.Wait()
}

func (f *fates) settle(ctx context.Context, lease organic.Lease[string]) {
	verdict, counter := organic.Verdict{Outcome: organic.OutcomeScored}, &f.scored
	switch rand.IntN(12) {
	case 0:
		verdict, counter = organic.Verdict{
			Outcome: organic.OutcomeDead,
			Err:     errors.New("dead"),
		}, &f.dead
	case 1:
		verdict, counter = organic.Verdict{Outcome: organic.OutcomeDiscarded}, &f.discarded
	case 2, 3:
		verdict, counter = organic.Verdict{
			Outcome: organic.OutcomeRetry,
			Delay:   time.Duration(rand.IntN(20)) * time.Millisecond,
		}, &f.failed
	case 4:
		verdict, counter = organic.Verdict{
			Outcome: organic.OutcomeReturn,
			Delay:   time.Duration(rand.IntN(2)) * time.Millisecond,
		}, &f.given
	case 5:
		return // leased until the end
	}
	if err := lease.Settle(ctx, verdict); err != nil {
		panic(err)
	}
	f.count(counter)
}

// quiesce waits until the queue does nothing on its own.
func quiesce(t *testing.T, queue *boltqueue.Queue[string]) {
	t.Helper()
	for {
		stats := queue.Stats()
		if stats.Delayed+stats.Leaving == 0 && queue.OldestWaiting() < 59*time.Minute {
			return
		}
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			require.Fail(t, "the queue still has something to do")
		}
	}
}
