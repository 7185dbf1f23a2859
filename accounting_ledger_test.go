package organic_test

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// account is what the ledger knows about one sample, whose number is its ID
// and its payload.
type account struct {
	accepted bool
	visits   int // iterations that have started
	tries    int // calls of SetWeights in this iteration
	burials  int // calls of the dead-letter hook

	scored, dead, discarded int // seen by the hooks
	dropped, expired        int // seen by the observer
	relapsed                int // ends that a settling queue did not hear of
}

func (a *account) ends() int { return a.scored + a.dead + a.discarded + a.dropped + a.expired }

// ledger counts, beside the scorer, what becomes of each sample.
type ledger struct {
	mu       sync.Mutex // guards the fields below
	accounts []account
	relapsed uint64 // of all accounts
	events   map[organic.EventKind]uint64
	wrong    []string // what must not happen
}

func newLedger(samples int) *ledger {
	return &ledger{accounts: make([]account, samples), events: make(map[organic.EventKind]uint64)}
}

// with calls f with the account of a sample.
func (l *ledger) with(n int, f func(a *account)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.accounts[n])
}

// relapse notes that a settling queue has not heard of a sample's end, and
// hands it out again.
func (l *ledger) relapse(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accounts[n].relapsed++
	l.relapsed++
}

func (l *ledger) note(wrong string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, wrong)
}

// produce enqueues every so manieth sample from a first one. Now and then it
// rests, so that bursts fill the queue.
func (l *ledger) produce(ctx context.Context, scorer *organic.OrganicScorer[int, int], first, step int) {
	for n := first; n < len(l.accounts); n += step {
		if n%16 < 4 {
			select {
			case <-time.After(time.Duration(3+dice(n, 0, "pause")%10) * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
		_, err := scorer.EnqueueSample(ctx, organic.Sample[int]{ID: strconv.Itoa(n), Payload: n})
		if err == nil {
			l.with(n, func(a *account) { a.accepted = true })
		}
	}
}

func (l *ledger) observe(e organic.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events[e.Kind]++
	n, err := strconv.Atoi(e.ID)
	if err != nil {
		return // not about a sample
	}
	switch a := &l.accounts[n]; e.Kind {
	case organic.EventStarted:
		a.visits++
		a.tries = 0
	case organic.EventDropped:
		a.dropped++
	case organic.EventExpired:
		a.expired++
	case organic.EventFailed, organic.EventRetried, organic.EventDead, organic.EventDiscarded:
		if e.Err == nil {
			l.wrong = append(l.wrong, e.ID+" without a reason: "+e.Kind.String())
		}
	default:
	}
}

// bury is the dead-letter hook. It fails now and then.
func (l *ledger) bury(_ context.Context, sample organic.Sample[int], cause error) error {
	var call int
	l.with(sample.Payload, func(a *account) {
		a.burials++
		call = a.burials
	})
	switch dice(sample.Payload, call, "burial") % 10 {
	case 0:
		return errFateful
	case 1:
		panic("burial")
	case 2:
		runtime.Goexit()
	}
	l.with(sample.Payload, func(a *account) {
		if errors.Is(cause, errUnwanted) {
			a.discarded++
		} else {
			a.dead++
		}
	})
	return nil
}

// requireBalance holds the scorer's counters to their identity at rest.
func (l *ledger) requireBalance(t *testing.T, stats organic.Stats) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.False(t, stats.Running)
	require.Zero(t, stats.InFlight)
	require.Zero(t, stats.Delayed)
	require.Zero(t, stats.Overdue)
	require.Equal(t, stats.Accepted+l.relapsed,
		stats.Scored+stats.Dead+stats.Dropped+stats.Expired+stats.Discarded+uint64(stats.Queued), "%+v", stats)
}

// requireAccounts compares the scorer's counters with the ledger, and looks
// at each sample.
func (l *ledger) requireAccounts(t *testing.T, stats organic.Stats, queued []organic.Sample[int]) {
	t.Helper()
	require.Empty(t, l.wrong)
	require.Len(t, queued, stats.Queued)
	require.Equal(t, stats.Accepted, l.sum(func(a *account) int {
		if a.accepted {
			return 1
		}
		return 0
	}))
	require.Equal(t, stats.Scored, l.sum(func(a *account) int { return a.scored }), "scored")
	require.Equal(t, stats.Dead, l.sum(func(a *account) int { return a.dead }), "dead")
	require.Equal(t, stats.Discarded, l.sum(func(a *account) int { return a.discarded }), "discarded")
	require.Equal(t, stats.Dropped, l.sum(func(a *account) int { return a.dropped }), "dropped")
	require.Equal(t, stats.Expired, l.sum(func(a *account) int { return a.expired }), "expired")

	waiting := make(map[int]int, len(queued))
	for _, sample := range queued {
		waiting[sample.Payload]++
	}
	for n := range l.accounts {
		a := &l.accounts[n]
		ways := a.ends() + waiting[n]
		switch {
		case !a.accepted:
			require.Zero(t, ways, "refused sample %d: %+v", n, *a)
		case ways != 1+a.relapsed || a.scored > 1+a.relapsed:
			require.Fail(t, "a sample is lost, or counted twice", "sample %d, %d times in the queue: %+v", n, waiting[n], *a)
		}
	}
}

func (l *ledger) requireReached(t *testing.T, kinds []organic.EventKind) {
	t.Helper()
	for _, kind := range kinds {
		require.NotZero(t, l.events[kind], "the test has not come to: %v (%v)", kind, l.events)
	}
}

func (l *ledger) sum(of func(a *account) int) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := 0
	for n := range l.accounts {
		total += of(&l.accounts[n])
	}
	return uint64(total)
}
