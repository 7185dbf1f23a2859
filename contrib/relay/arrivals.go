package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	recentArrivals = 512 // gaps between users' queries that are remembered
	meanRun        = 16  // gaps that are drawn in a row, on average, so that bursts stay bursts
	enoughArrivals = 16  // below which gaps are drawn from an exponential distribution
	recentDue      = 64  // synthetic queries over which the mean gap is bounded

	burstGap = time.Millisecond      // below which two queries come at once
	maxLate  = 10 * time.Millisecond // beyond which Wait does not make up for lost time
)

// Arrivals says when to ask synthetic queries, so that a miner cannot distinguish them from users'
// queries by their times: it draws runs of gaps from the recent ones between users' queries and
// joins the runs at random (a stationary block bootstrap; Politis and Romano 1994). Synthetic
// queries then have the rate, the gaps and the bursts of users' queries. The time since the last of
// these is drawn too, as one more gap, so that synthetic queries become fewer when the users stop.
// However fast users' queries came, each 64 gaps between synthetic ones have a bounded mean.
//
//	for arrivals.Wait(ctx) == nil {
//		err := relay.Collect(ctx, newQuery(nextPrompt()))
//	}
//
// Ask both kinds of queries through the same Relay and HTTP client, with parameters from the same
// source. A synthetic query that the loop of a scorer asks when its queue is empty comes at other
// times than a user's.
//
// As JSON the Arrivals are the gaps, so that they can outlive a restart. Make them with
// [NewArrivals]. All methods are safe for concurrent use.
type Arrivals struct {
	longest      time.Duration
	shortestMean time.Duration
	made         time.Time

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	gaps   []time.Duration      // a ring
	oldest int                  // of the ring, once it is full
	last   time.Time            // of users' queries
	drawn  int                  // index of the last gap drawn
	due    time.Time            // of the last synthetic query
	dues   [recentDue]time.Time // a ring
	next   int                  // of the ring, to be replaced
}

// NewArrivals returns Arrivals that have seen no query. No gap between users' queries counts as
// longer than the longest. Until enough of them have come, longest is the mean gap between
// synthetic queries, and single gaps are up to four times as long. The mean of 64 gaps in a row is
// never below the shortest mean: it bounds what the miners are asked after a burst of users'
// queries, so choose it below the usual mean gap between these. Both must be above 0, and the
// shortest mean not above the longest gap. An error wraps [ErrInvalidOption].
func NewArrivals(longest, shortestMean time.Duration) (*Arrivals, error) {
	if longest <= 0 || shortestMean <= 0 || shortestMean > longest {
		return nil, invalid(fmt.Sprintf("NewArrivals(%v, %v)", longest, shortestMean),
			"both must be above 0, and the shortest mean not above the longest gap")
	}
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	return &Arrivals{
		longest: longest, shortestMean: shortestMean, made: time.Now(), random: random,
	}, nil
}

// Observe records that the query of a user goes to the miners now. Call it when the miners are
// asked, such as from the first Miner function of a query: a query that the relay refuses must not
// count, and by the time that Serve returns its time is over.
func (a *Arrivals) Observe() {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	last := a.last
	a.last = now
	if !last.IsZero() {
		a.add(now.Sub(last))
	}
}

// add keeps a gap in place of the oldest. The lock is held.
func (a *Arrivals) add(gap time.Duration) {
	gap = min(max(gap, 0), a.longest)
	if len(a.gaps) < recentArrivals {
		a.gaps = append(a.gaps, gap)
		return
	}
	a.gaps[a.oldest] = gap
	a.oldest = (a.oldest + 1) % recentArrivals
}

// Wait returns nil when the next synthetic query is due, or the cause of ctx if that ends first.
// Gaps count from one due time to the next, however long the caller takes in between; but queries
// that are overdue, since the process or the machine has paused, are not asked in a rush.
func (a *Arrivals) Wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	wait := a.draw()
	if wait < burstGap {
		return nil // a timer would draw the burst out
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// draw returns the time until the next query is due.
func (a *Arrivals) draw() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	due := cmp.Or(a.due, now).Add(a.gap(now))
	if now.Sub(due) > maxLate {
		due = now
	}
	if earlier := a.dues[a.next]; !earlier.IsZero() {
		soonest := earlier.Add(recentDue * min(a.shortestMean, math.MaxInt64/recentDue))
		due = due.Add(max(soonest.Sub(due), 0))
	}
	a.due, a.dues[a.next] = due, due
	a.next = (a.next + 1) % recentDue
	return due.Sub(now)
}

// gap draws the time from one synthetic query to the next. The lock is held.
func (a *Arrivals) gap(now time.Time) time.Duration {
	if len(a.gaps) < enoughArrivals {
		gap := min(a.random.ExpFloat64(), 4) * float64(a.longest)
		return time.Duration(min(gap, math.MaxInt64/2)) // beyond it, a Duration wraps around
	}
	if a.random.IntN(len(a.gaps)+1) == 0 { // the gap that no user's query has ended yet
		return min(now.Sub(cmp.Or(a.last, a.made)), a.longest)
	}
	if a.random.IntN(meanRun) == 0 {
		a.drawn = a.random.IntN(len(a.gaps))
	}
	a.drawn = (a.drawn + 1) % len(a.gaps)
	return a.gaps[a.drawn]
}

// MarshalJSON encodes the gaps in nanoseconds, the oldest first.
func (a *Arrivals) MarshalJSON() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return json.Marshal(slices.Concat(a.gaps[a.oldest:], a.gaps[:a.oldest]))
}

// UnmarshalJSON replaces the gaps by those that MarshalJSON has encoded.
func (a *Arrivals) UnmarshalJSON(data []byte) error {
	var gaps []time.Duration
	if err := json.Unmarshal(data, &gaps); err != nil {
		return fmt.Errorf("relay: arrivals: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gaps, a.oldest, a.drawn = nil, 0, 0
	for _, gap := range gaps {
		a.add(gap)
	}
	return nil
}
