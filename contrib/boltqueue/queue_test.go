package boltqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

// from returns a sample of this requester.
func from(requester, payload string) organic.Sample[string] {
	sample := organic.NewSample(payload)
	sample.Requester = requester
	return sample
}

func take(t *testing.T, queue *boltqueue.Queue[string]) organic.Lease[string] {
	t.Helper()
	lease, err := queue.Sample(t.Context())
	require.NoError(t, err)
	return lease
}

// TestFairOrder: one requester who sends much neither drops the samples of
// others nor delays them.
func TestFairOrder(t *testing.T) {
	t.Parallel()
	queue := open(
		t,
		newPath(t),
		boltqueue.Config[string]{Capacity: 60, Order: organic.OrderFair, NoSync: true},
	)
	for i := range 20 {
		require.NoError(t, queue.Add(t.Context(), from(fmt.Sprint("user ", i%5), fmt.Sprint(i))))
	}
	dropped := make(map[string]int)
	queue.Watch(
		organic.Watcher{Arrived: func() {}, Dropped: func(d organic.Dropped) { dropped[d.ID]++ }},
	)
	for range 500 {
		require.NoError(t, queue.Add(t.Context(), from("flood", "flood")))
	}
	require.Len(t, dropped, 460)
	require.Equal(t, 60, queue.Size())
	seen := make(map[string]int)
	for range 30 {
		seen[take(t, queue).Sample.Requester]++
	}
	require.Less(t, seen["flood"], 20, "a flood has one turn of six")
	for range 30 {
		seen[take(t, queue).Sample.Requester]++
	}
	require.Equal(t, 40, seen["flood"], "no sample of others was dropped")
}

// TestFairOrderIsEven: each requester is as likely as the others, and gets its
// oldest sample scored first.
func TestFairOrderIsEven(t *testing.T) {
	t.Parallel()
	queue := open(t, newPath(t), boltqueue.Config[string]{Order: organic.OrderFair, NoSync: true})
	const draws, requesters = 3000, 5
	for i := range 300 {
		for requester := range requesters {
			for range 1 + i%2*requester { // different numbers of samples
				sample := from(fmt.Sprint(requester), fmt.Sprint(i))
				require.NoError(t, queue.Add(t.Context(), sample))
			}
		}
	}
	counts := make(map[string]int)
	for range draws {
		lease := take(t, queue)
		require.Equal(t, "0", lease.Sample.Payload, "the oldest of its requester")
		counts[lease.Sample.Requester]++
		require.NoError(
			t,
			lease.Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeReturn}),
		)
	}
	chiSquare := 0.0
	for _, count := range counts {
		chiSquare += float64(
			(count-draws/requesters)*(count-draws/requesters),
		) / (draws / requesters)
	}
	require.Less(t, chiSquare, 48.0, "4 degrees of freedom: once in 10⁹ runs")
}

// TestBoundByBytes: exactly as many samples are dropped as the new one needs,
// and none for one that does not fit in the end.
func TestBoundByBytes(t *testing.T) {
	t.Parallel()
	const sampleSize = 1000
	queue := open(
		t,
		newPath(t),
		boltqueue.Config[string]{MaxBytes: 10 * sampleSize, Order: organic.OrderFIFO},
	)
	dropped := 0
	queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(organic.Dropped) { dropped++ }})
	add := func(size int) error {
		sample := organic.NewSample(strings.Repeat("x", size))
		sample.Received = time.Unix(1_800_000_000, 0).UTC() // always as long
		return queue.Add(t.Context(), sample)
	}
	require.NoError(t, add(0))
	overhead := int(queue.Stats().Bytes)
	for range 9 {
		require.NoError(t, add(sampleSize-overhead))
	}
	require.Zero(t, dropped)
	require.Equal(t, int64(9*sampleSize+overhead), queue.Stats().Bytes)
	require.NoError(
		t,
		add(3*sampleSize-overhead),
		"it needs the space of the three oldest, of which one is small",
	)
	require.Equal(t, 3, dropped)
	require.ErrorIs(t, add(10*sampleSize), durable.ErrTooLarge)
	take(t, queue)
	require.ErrorIs(
		t,
		add(10*sampleSize-overhead),
		organic.ErrFull,
		"what is leased is not dropped",
	)
	require.Equal(t, 3, dropped, "a sample that is not accepted drops nothing")
	require.LessOrEqual(t, queue.Stats().Bytes, int64(10*sampleSize))
}

// TestMoreAddersThanSamples: a queue that drops accepts from more callers at a
// time than it holds samples.
func TestMoreAddersThanSamples(t *testing.T) {
	t.Parallel()
	queue := open(t, newPath(t), boltqueue.Config[string]{Capacity: 2, NoSync: true})
	var dropped atomic.Int64
	drop := func(organic.Dropped) { dropped.Add(1) }
	queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: drop})
	var group sync.WaitGroup
	const adders, each = 16, 20
	errs := make([]error, adders)
	for adder := range adders {
		group.Go(func() {
			for range each {
				err := queue.Add(t.Context(), organic.NewSample("payload"))
				errs[adder] = errors.Join(errs[adder], err)
			}
		})
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, 2, queue.Size())
	require.Equal(t, int64(adders*each-2), dropped.Load())
}

// TestOldSampleIsItselfDropped: of a full queue and a sample that is older than
// all in it, the oldest is the new one.
func TestOldSampleIsItselfDropped(t *testing.T) {
	t.Parallel()
	queue := open(t, newPath(t), boltqueue.Config[string]{Capacity: 2})
	var dropped []string
	queue.Watch(
		organic.Watcher{
			Arrived: func() {},
			Dropped: func(d organic.Dropped) { dropped = append(dropped, d.ID) },
		},
	)
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("a")))
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("b")))
	old := organic.NewSample("old")
	old.Received = old.Received.Add(-time.Hour)
	require.NoError(t, queue.Add(t.Context(), old))
	require.Equal(t, []string{old.ID}, dropped)
	require.Equal(t, 2, queue.Size())
}

func TestDeadLettersAreBounded(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	cfg := boltqueue.Config[string]{DeadLetters: 3, Order: organic.OrderFIFO}
	queue := open(t, path, cfg)
	for i := range 5 {
		require.NoError(t, queue.Add(t.Context(), organic.NewSample(fmt.Sprint(i))))
		require.NoError(
			t,
			take(t, queue).Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeDead}),
		)
	}
	require.NoError(t, queue.Close(t.Context()))
	queue = open(t, path, cfg)
	var kept []string
	for letter, err := range queue.DeadLetters(t.Context()) {
		require.NoError(t, err)
		kept = append(kept, letter.Sample.Payload)
		require.NoError(
			t,
			queue.Forget(t.Context(), letter.Number),
			"the loop may remove what it sees",
		)
	}
	require.Equal(t, []string{"2", "3", "4"}, kept, "the oldest are forgotten")
	require.Zero(t, queue.Stats().DeadLetters)
}

// TestDeadLettersAreBoundedExactly: also when many are added at once.
func TestDeadLettersAreBoundedExactly(t *testing.T) {
	t.Parallel()
	queue := open(t, newPath(t), boltqueue.Config[string]{DeadLetters: 3})
	var group sync.WaitGroup
	for range 32 {
		require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	}
	for range 32 {
		lease := take(t, queue)
		group.Go(func() {
			dead := organic.Verdict{Outcome: organic.OutcomeDead}
			require.NoError(t, lease.Settle(t.Context(), dead))
		})
	}
	group.Wait()
	require.Len(t, numbersOf(t, queue), 3)
	require.Equal(t, 3, queue.Stats().DeadLetters)
}

func numbersOf(t *testing.T, queue *boltqueue.Queue[string]) (numbers []uint64) {
	t.Helper()
	for letter, err := range queue.DeadLetters(t.Context()) {
		require.NoError(t, err)
		numbers = append(numbers, letter.Number)
	}
	return numbers
}

// TestDeadLetterIsRemovedOnce: of several calls for one dead letter one
// succeeds, even if its sample was scored before the others come to it.
func TestDeadLetterIsRemovedOnce(t *testing.T) {
	t.Parallel()
	queue := open(t, newPath(t), boltqueue.Config[string]{NoSync: true})
	for round := range 200 {
		require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
		dead := organic.Verdict{Outcome: organic.OutcomeDead}
		require.NoError(t, take(t, queue).Settle(t.Context(), dead))
		number := numbersOf(t, queue)[0]
		var removed, scored atomic.Int32
		var group sync.WaitGroup
		for caller := range 8 {
			group.Go(func() {
				remove := queue.PutBack
				if caller%4 == 0 && round%2 == 0 {
					remove = queue.Forget
				}
				if remove(t.Context(), number) == nil {
					removed.Add(1)
				}
				if lease, err := queue.Sample(t.Context()); err == nil {
					scored.Add(1)
					done := organic.Verdict{Outcome: organic.OutcomeScored}
					require.NoError(t, lease.Settle(t.Context(), done))
				}
			})
		}
		group.Wait()
		require.EqualValues(t, 1, removed.Load(), "PutBack and Forget return nil for one call")
		require.LessOrEqual(t, scored.Load(), int32(1), "the sample comes back once")
		require.Empty(t, numbersOf(t, queue))
		require.Zero(t, queue.Size())
		require.Zero(t, queue.Stats().DeadLetters)
	}
}

// TestLowerCapacity: a queue that is opened with a lower capacity than it holds
// keeps what it has.
func TestLowerCapacity(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	queue := open(t, path, boltqueue.Config[string]{})
	for range 10 {
		require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	}
	require.NoError(t, queue.Close(t.Context()))
	queue = open(t, path, boltqueue.Config[string]{Capacity: 5, Refuse: true})
	require.Equal(t, 10, queue.Size())
	require.ErrorIs(t, queue.Add(t.Context(), organic.NewSample("payload")), organic.ErrFull)
}

func TestConfigErrorsNameAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := boltqueue.Open(newPath(t), boltqueue.Config[string]{
		Capacity: -1, MaxBytes: -2, MaxAge: -3, MaxCrashes: -4, DeadLetters: -5, Order: 77,
	})
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	for _, want := range []string{
		"Config.Capacity is -1, must be from 1 to 2147483647, or 0 for the default",
		"MaxBytes is -2", "MaxAge is -3ns", "MaxCrashes is -4", "DeadLetters is -5", "Order is 77",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = boltqueue.Open(
		filepath.Join(t.TempDir(), "no folder", "queue.db"),
		boltqueue.Config[string]{},
	)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestClockSetBack: a delay is no longer than it was asked for, whatever the
// clock says when the file is opened again.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	queue := open(t, path, boltqueue.Config[string]{})
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	retry := organic.Verdict{Outcome: organic.OutcomeRetry, Delay: time.Minute}
	require.NoError(t, take(t, queue).Settle(t.Context(), retry))
	require.NoError(t, queue.Close(t.Context()))
	synctest.Test(t, func(t *testing.T) { // where it is the year 2000
		queue := open(t, path, boltqueue.Config[string]{})
		time.Sleep(time.Minute - 1)
		_, err := queue.Sample(t.Context())
		require.ErrorIs(t, err, organic.ErrEmpty)
		time.Sleep(time.Nanosecond)
		require.Equal(t, 2, take(t, queue).Sample.Attempt)
	})
}

// TestPayloadsAreNotInMemory: also if ID and requester are parts of them.
func TestPayloadsAreNotInMemory(t *testing.T) { // the only test that runs
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	queue := open(t, newPath(t), boltqueue.Config[string]{})
	before := heap()
	for i := range 50 {
		body := fmt.Sprintf("%032d alice ", i) + strings.Repeat("x", 1<<20)
		sample := organic.Sample[string]{ID: body[:32], Requester: body[33:38], Payload: body}
		require.NoError(t, queue.Add(t.Context(), sample))
	}
	require.Less(t, heap(), before+20<<20)
	require.Equal(t, 50, queue.Size())
}

// TestLargestRecord: what the file cannot hold is refused before it fails a
// transaction that others share.
func TestLargestRecord(t *testing.T) {
	t.Parallel()
	require.NoError(t, boltqueue.Reserve(1<<31-2))
	require.ErrorIs(t, boltqueue.Reserve(1<<31-1), durable.ErrTooLarge)
}

// TestFileBeside: a queue whose name is like that of a new file is not removed.
func TestFileBeside(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	beside := open(t, path+".new", boltqueue.Config[string]{})
	require.NoError(t, beside.Add(t.Context(), organic.NewSample("payload")))
	require.NoError(t, beside.Close(t.Context()))
	open(t, path, boltqueue.Config[string]{})
	require.Equal(t, 1, open(t, path+".new", boltqueue.Config[string]{}).Size())
}

// TestCloseWithEndedContext: where there is nothing to wait for, ctx does not
// count.
func TestCloseWithEndedContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	queue, err := boltqueue.Open(newPath(t), boltqueue.Config[string]{})
	require.NoError(t, err)
	for range 50 {
		require.NoError(t, queue.Close(ctx))
	}
}

// codecWithoutAttempt keeps all fields but Attempt, as a codec may.
type codecWithoutAttempt struct{ durable.JSON[string] }

func (c codecWithoutAttempt) Encode(sample organic.Sample[string]) ([]byte, error) {
	sample.Attempt = 0
	return c.JSON.Encode(sample)
}

// TestAttemptIsNotLeftToTheCodec: the queue itself keeps the failures with which
// a sample comes, as from another queue.
func TestAttemptIsNotLeftToTheCodec(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	cfg := boltqueue.Config[string]{Codec: codecWithoutAttempt{}}
	queue := open(t, path, cfg)
	sample := organic.NewSample("payload")
	sample.Attempt = 4
	require.NoError(t, queue.Add(t.Context(), sample))
	require.NoError(t, queue.Close(t.Context()))
	queue = open(t, path, cfg)
	lease := take(t, queue)
	require.Equal(t, 4, lease.Sample.Attempt)
	retry := organic.Verdict{Outcome: organic.OutcomeRetry}
	require.NoError(t, lease.Settle(t.Context(), retry))
	require.NoError(t, queue.Close(t.Context()))
	queue = open(t, path, cfg)
	lease = take(t, queue)
	require.Equal(t, 5, lease.Sample.Attempt)
	require.NoError(t, lease.Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeScored}))
	require.NoError(t, queue.Close(t.Context()))
	require.Zero(t, open(t, path, cfg).Size())
}

// TestLongMaxAge: an age that no sample reaches does not keep the queue busy.
func TestLongMaxAge(t *testing.T) {
	t.Parallel()
	for _, received := range []time.Time{time.Now(), time.Unix(0, 0), time.Time{}.Add(1)} {
		now := time.Now()
		next, expired := boltqueue.NextExpiry(received, math.MaxInt64, now)
		require.Equal(t, expired, next.Before(now), "next is when there is something to do")
	}
}

// TestLongDelay: a delay that is too long for a time is kept as well as can be.
func TestLongDelay(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	queue := open(t, path, boltqueue.Config[string]{})
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	require.NoError(
		t,
		take(
			t,
			queue,
		).Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeRetry, Delay: 1<<63 - 1}),
	)
	require.NoError(t, queue.Close(t.Context()))
	require.Equal(t, 1, open(t, path, boltqueue.Config[string]{}).Stats().Delayed)
}

// TestCipherOutage: a cipher that fails for a while harms no sample.
func TestCipherOutage(t *testing.T) {
	t.Parallel()
	outage := &outage{}
	queue := open(t, newPath(t), boltqueue.Config[string]{Cipher: outage})
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	outage.err = errors.New("key server is down")
	_, err := queue.Sample(t.Context())
	require.ErrorIs(t, err, durable.ErrUnknownKey)
	require.ErrorIs(t, err, outage.err)
	require.Equal(t, boltqueue.Stats{Delayed: 1, Bytes: queue.Stats().Bytes}, queue.Stats())
}

// outage is a cipher that can fail.
type outage struct{ err error }

func (o *outage) Seal(plain, _ []byte) ([]byte, error)  { return plain, o.err }
func (o *outage) Open(sealed, _ []byte) ([]byte, error) { return sealed, o.err }

// TestBadWatchers: a watcher that does not return harms neither the calls nor
// the goroutine of the queue, nor other watchers.
func TestBadWatchers(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){
		"panic":  func() { panic("watcher") },
		"goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := boltqueue.Config[string]{Capacity: 2, MaxAge: time.Hour}
			queue := open(t, newPath(t), cfg)
			dropped := make(chan organic.Dropped, 100)
			queue.Watch(organic.Watcher{Arrived: end, Dropped: func(organic.Dropped) { end() }})
			queue.Watch(organic.Watcher{
				Arrived: func() {}, Dropped: func(d organic.Dropped) { dropped <- d },
			})
			for range 3 {
				require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
			}
			require.Equal(t, organic.DroppedFull, (<-dropped).Reason)
			again := organic.Verdict{Outcome: organic.OutcomeReturn, Delay: time.Millisecond}
			require.NoError(t, take(t, queue).Settle(t.Context(), again))
			require.Eventually(t, func() bool { return queue.Size() == 2 }, 5*time.Second, time.Millisecond)
			for range 2 {
				done := organic.Verdict{Outcome: organic.OutcomeScored}
				require.NoError(t, take(t, queue).Settle(t.Context(), done))
			}
			for range 2 { // the goroutine of the queue still runs
				old := organic.NewSample("payload")
				old.Received = old.Received.Add(-2 * time.Hour)
				require.NoError(t, queue.Add(t.Context(), old))
				require.Equal(t, organic.DroppedExpired, (<-dropped).Reason)
			}
		})
	}
}

// TestQueuePrintsNothing of what it holds.
func TestQueuePrintsNothing(t *testing.T) {
	t.Parallel()
	queue := open(t, newPath(t), boltqueue.Config[string]{Order: organic.OrderFair})
	require.NoError(t, queue.Add(t.Context(), from("REQUESTER", "PAYLOAD")))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(verb+verb, queue, struct{ nested any }{struct{ queue any }{queue}})
		require.NotContains(t, text, "PAYLOAD")
		require.NotContains(t, text, "REQUESTER")
	}
}

// TestScorer runs a scorer on the queue: it is woken by arrivals and by the end
// of delays, and a restart goes on where it was.
func TestScorer(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	for range 2 {
		queue := open(t, path, boltqueue.Config[string]{})
		hooks := &hooks{scored: make(chan string, 10), fail: true}
		scorer, err := organic.New(hooks, organic.WithQueue(queue),
			organic.WithTrigger(organic.Seconds{Frequency: time.Nanosecond}),
			organic.WithRetry(organic.RetryPolicy{Delay: 10 * time.Millisecond}))
		require.NoError(t, err)
		require.NoError(t, scorer.Start(t.Context()))
		for range 3 {
			require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
			require.Equal(t, "payload 2", <-hooks.scored, "the second attempt, after a failure")
			hooks.fail = true
		}
		require.NoError(t, scorer.Stop(t.Context()))
		require.NoError(t, queue.Close(t.Context()))
	}
}

// hooks fail the first attempt.
type hooks struct {
	organic.DefaultHooks[string, string]
	scored chan string
	fail   bool
}

func (h *hooks) QueryMiners(
	context.Context,
	organic.Sample[string],
) (map[organic.UID]string, error) {
	if h.fail {
		h.fail = false
		return nil, errors.New("failed")
	}
	return map[organic.UID]string{1: "answer"}, nil
}

func (h *hooks) SetWeights(
	_ context.Context,
	sample organic.Sample[string],
	_ organic.Rewards,
) error {
	h.scored <- fmt.Sprint(sample.Payload, " ", sample.Attempt)
	return nil
}

func (h *hooks) GenerateRewards(
	context.Context,
	organic.Sample[string],
	map[organic.UID]string,
	string,
) (organic.Rewards, error) {
	return organic.Rewards{1: 1}, nil
}
