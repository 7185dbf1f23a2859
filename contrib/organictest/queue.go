package organictest

import (
	"testing"
	"time"

	"github.com/organic-scoring/organic"
)

// Bound is what a queue does with a sample that comes in when it is full.
type Bound uint8

const (
	// DropsOldest drops the oldest sample for a new one.
	DropsOldest Bound = iota
	// Refuses answers [organic.ErrFull] and leaves the queue as it was.
	Refuses
	// Unbounded queues take everything in, whatever their capacity.
	Unbounded
)

// QueueTraits is what a queue promises. The zero value promises what
// [organic.MemoryQueue] does by default: random order, the oldest dropped,
// leases without Settle, an exact size. It is a plain value.
type QueueTraits struct {
	// Order is the order in which samples are handed out.
	Order organic.Order
	// Bound is what happens at the capacity.
	Bound Bound
	// Deduplicates says that Add of an ID that waits already returns
	// organic.ErrDuplicate.
	Deduplicates bool
	// Settles says that leases carry Settle.
	Settles bool
	// SizeLags allows Size to become exact only within Patience.
	SizeLags bool
	// SilentDrops says that watchers are not notified of drops, as where a server
	// drops on its own. It matters for queues that implement
	// [organic.Watched].
	SilentDrops bool
	// AgesByArrival says that a full queue drops what was added first,
	// whatever its Received. Without it, an old sample that is put back into a
	// full queue of younger ones is itself the one dropped. It matters for
	// queues that drop the oldest and do not settle.
	AgesByArrival bool
	// NewAged returns an empty queue of a capacity of at least 8 with this
	// maximum age. Nil leaves the maximum age out of the suite.
	NewAged func(t *testing.T, maxAge time.Duration) organic.Queue[string]
	// Draws is how many samples the check of a random or fair order draws: 10 000 by
	// default, 500 at least. The fewer, the larger a bias goes unseen; a queue
	// without bias fails once in 10⁹ runs.
	Draws int
	// Patience is how long the queue may take for any one thing: to return
	// from a call, to hand out what was added, to hand out again what came
	// back without delay, to call a watcher. The default is 5 s.
	Patience time.Duration
}

func (q QueueTraits) withDefaults() QueueTraits {
	if q.Draws == 0 {
		q.Draws = 10_000
	}
	q.Draws = max(q.Draws, 500)
	if q.Patience <= 0 {
		q.Patience = 5 * time.Second
	}
	return q
}

// TestQueue holds a queue to the contract of [organic.Queue], to that of
// [organic.Watched] where the queue implements it, and to its traits. Each
// promise is a subtest.
//
// NewQueue returns an empty queue of this capacity, at most 1000, without a
// maximum age. It is called once or more per subtest, with the subtest's t,
// never from two goroutines at once; use t.Cleanup to close the
// queue. What the suite stores is text in UTF-8 of up to 64 KiB and times in
// whole microseconds.
//
// The subtests about watchers are skipped for a queue that does not implement
// Watched; a line like var _ organic.Watched = (*Queue)(nil) keeps a method
// that is almost right from being taken for none.
//
// The suite takes real time where a delay must be seen to be kept: some four
// seconds for a queue that settles. It may run beside other tests.
func TestQueue(
	t *testing.T, newQueue func(t *testing.T, capacity int) organic.Queue[string], traits QueueTraits,
) {
	t.Helper()
	all := suite{newQueue: newQueue, traits: traits.withDefaults()}
	for _, check := range all.checks() {
		if check.applies {
			t.Run(check.name, func(t *testing.T) {
				check.run(suite{t: t, newQueue: all.newQueue, traits: all.traits})
			})
		}
	}
}

// suite is what a check has to work with.
type suite struct {
	t        *testing.T
	newQueue func(t *testing.T, capacity int) organic.Queue[string]
	traits   QueueTraits
}

// check is one promise.
type check struct {
	name    string
	applies bool
	run     func(s suite)
}

func (s suite) checks() []check {
	settles, bounded := s.traits.Settles, s.traits.Bound != Unbounded
	dropsByAge := s.traits.Bound == DropsOldest && !settles && !s.traits.AgesByArrival
	fairDrops := s.traits.Bound == DropsOldest && s.traits.Order == organic.OrderFair
	return []check{
		{"empty", true, checkEmpty},
		{"whole", true, checkWhole},
		{"nothing lost", true, checkNothingLost},
		{"concurrent", true, checkConcurrent},
		{"order", true, checkOrder},
		{"size", true, checkSize},
		{"bound", true, checkBound},
		{"fair bound", fairDrops, checkFairBound},
		{"duplicates", s.traits.Deduplicates, checkDuplicates},
		{"maximum age", s.traits.NewAged != nil, checkMaximumAge},
		{"expiry", s.traits.NewAged != nil, checkExpiry},
		{"ended context of Sample", true, checkEndedSample},
		{"ended context of Add", true, checkEndedAdd},
		{"put back", !settles, checkPutBack},
		{"put back too old", dropsByAge, checkPutBackTooOld},
		{"settled for good", settles, checkSettledForGood},
		{"retry", settles, checkRetry},
		{"retries of several", settles, checkRetries},
		{"return", settles, checkReturn},
		{"lease", settles, checkLease},
		{"settled after drop", settles && bounded, checkSettledAfterDrop},
		{"watcher arrivals", true, checkArrivals},
		{"watcher delays", settles, checkDelayedArrival},
		{"watcher stop", true, checkWatchStop},
		{"watcher locks", true, checkWatchLocks},
	}
}

// probe returns a new queue, ready to be asked.
func (s suite) probe(capacity int) *probe {
	s.t.Helper()
	return newProbe(s.t, s.newQueue(s.t, capacity), s.traits)
}
