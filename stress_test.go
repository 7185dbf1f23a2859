package organic_test

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// stress uses a scorer from many goroutines, and from inside its hooks, in
// every way at once.
type stress struct {
	*promptScorer

	axon    *organictest.Axon
	queue   *organic.MemoryQueue[string]
	spend   func()       // what a hook does besides
	inHooks atomic.Int64 // hooks that run
	called  atomic.Int64 // hooks that were called
	misled  atomic.Int64 // answers that no caller should get
}

func newStress(t *testing.T, spend func(), opts ...organic.Option) *stress {
	t.Helper()
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{
		Capacity: 20,
		MaxAge:   time.Minute,
	})
	require.NoError(t, err)
	st := &stress{axon: &organictest.Axon{}, queue: queue, spend: spend}
	st.promptScorer, err = organic.New(st.hooks(), append(opts,
		organic.WithQueue(queue), organic.WithAxon(st.axon), organic.WithConcurrency(3),
		organic.WithSynth(endless),
		organic.WithSynthRatio(0.1),
		organic.WithRetry(organic.RetryPolicy{Attempts: 3, Delay: time.Millisecond}),
		organic.WithStage(organic.StageWeights,
			organic.StagePolicy{Tries: 2, Backoff: time.Millisecond, Timeout: time.Minute}),
		organic.WithDeadLetter(func(
			ctx context.Context, _ promptSample, _ error,
		) error {
			return st.hook(ctx)
		}),
	)...)
	require.NoError(t, err)
	return st
}

func (st *stress) hooks() promptHooks {
	return promptHooks{
		QueryMinersFunc: func(ctx context.Context, _ promptSample) (map[organic.UID]string, error) {
			return map[organic.UID]string{}, st.hook(ctx)
		},
		GenerateReferenceFunc: func(ctx context.Context, _ promptSample) (string, error) {
			return "",
				st.hook(ctx)
		},
		GenerateRewardsFunc: func(
			ctx context.Context, _ promptSample, _ map[organic.UID]string, _ string,
		) (organic.Rewards, error) {
			return organic.Rewards{}, st.hook(ctx)
		},
		SetWeightsFunc: func(
			ctx context.Context, _ promptSample, _ organic.Rewards,
		) error {
			return st.hook(ctx)
		},
		LogResultsFunc: func(
			ctx context.Context, _ *organic.Result[string, string],
		) error {
			return st.hook(ctx)
		},
		OnOrganicEntryFunc: func(ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse) error {
			_, err := st.Enqueue(ctx, "from a requester")
			return errors.Join(err, st.hook(ctx))
		},
		BlacklistFunc: func(ctx context.Context, _ *organic.Synapse) error { return st.hook(ctx) },
	}
}

// hook calls something of the scorer and then ends in one way or another.
func (st *stress) hook(ctx context.Context) error {
	st.inHooks.Add(1)
	st.called.Add(1)
	defer st.inHooks.Add(-1)
	st.fromInside(ctx)
	st.spend()
	switch rand.N(50) {
	case 0:
		panic("hook")
	case 1:
		runtime.Goexit()
	case 2:
		return organic.Discard(errFailed)
	case 3:
		return organic.RetryAfter(time.Duration(rand.N(2))*time.Millisecond, errFailed)
	case 4, 5:
		return errFailed
	}
	return nil
}

func (st *stress) fromInside(ctx context.Context) {
	switch rand.N(100) {
	case 0:
		st.want(st.Stop(ctx), organic.ErrStopInHook)
	case 1:
		st.want(st.Start(ctx), organic.ErrInHook)
	case 2:
		st.want(st.Run(ctx), organic.ErrInHook)
	case 3:
		st.want(st.Drain(ctx), organic.ErrInHook)
	case 4:
		_, err := st.Iterate(ctx)
		st.want(err, organic.ErrInHook)
	case 5:
		st.Pause()
		st.Resume()
	case 6:
		_, err := st.Enqueue(ctx, "from a hook")
		st.want(err, nil)
	default:
		st.IncrementStep()
	}
}

// fromOutside does something with the scorer, waiting a moment at most.
func (st *stress) fromOutside(ctx context.Context) {
	moment, cancel := context.WithTimeout(ctx, time.Duration(rand.N(3))*time.Millisecond)
	defer cancel()
	switch rand.N(40) {
	case 0, 1, 2:
		st.want(st.Start(ctx), nil, organic.ErrRunning)
	case 3:
		st.want(st.Run(moment), nil, organic.ErrRunning)
	case 4:
		st.want(st.Stop(ctx), nil)
	case 5:
		st.want(st.Stop(moment), nil, context.DeadlineExceeded)
	case 6:
		st.Pause()
		st.Resume()
	case 7, 8:
		_, _ = st.Iterate(moment) // may be anything, and may end the goroutine
	case 9:
		_, _ = st.Iterate(ctx)
	case 10:
		st.want(st.Drain(moment), nil, context.DeadlineExceeded)
	case 11, 12, 13:
		st.axon.Ask(moment, &organic.Synapse{})
	case 14:
		st.Stats()
		st.Done()
		st.SetStep(1000)
	default:
		_, err := st.Enqueue(ctx, "from outside")
		st.want(err, nil)
		st.IncrementStep()
	}
}

// want counts an answer that is none of these.
func (st *stress) want(err error, allowed ...error) {
	for _, want := range allowed {
		if errors.Is(err, want) || err == nil && want == nil {
			return
		}
	}
	st.misled.Add(1)
}

// run makes its calls and brings the scorer to rest.
func (st *stress) run(t *testing.T, goroutines, calls int) {
	t.Helper()
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for range calls {
				var call sync.WaitGroup
				call.Go(func() { st.fromOutside(t.Context()) })
				call.Wait()
			}
		})
	}
	group.Wait()
	require.NoError(t, st.Stop(t.Context()))
	require.Zero(t, st.inHooks.Load(), "no hook runs when Stop has returned nil")
	require.Zero(t, st.misled.Load())
	require.NotZero(t, st.called.Load())
	stats := st.Stats()
	requireAccounted(t, stats)
	require.False(t, stats.Running)
	require.Zero(t, stats.Overdue)
}

var stressTriggers = []struct {
	name    string
	trigger organic.Trigger
}{
	{name: "seconds", trigger: organic.Seconds{Frequency: time.Microsecond}},
	{name: "steps", trigger: organic.Steps{Frequency: 2}},
}

func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range stressTriggers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st := newStress(t, runtime.Gosched, organic.WithTrigger(tt.trigger))
			st.run(t, 8, 500)
			called := st.called.Load()
			st.IncrementStep()
			require.NoError(t, st.Stop(t.Context()))
			require.Equal(t, called, st.called.Load())
		})
	}
}

func TestEverythingAtOnceLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, tt := range stressTriggers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
				st := newStress(t, func() { time.Sleep(time.Duration(rand.N(3)) * time.Millisecond) },
					organic.WithTrigger(tt.trigger))
				for range 3 {
					st.run(t, 8, 200)
					called := st.called.Load()
					time.Sleep(time.Hour)
					require.Equal(t, called, st.called.Load(), "no hook is called at rest")
				}
			})
		})
	}
}

// countedQueue is a queue whose samples can be counted at the end.
type countedQueue interface {
	organic.Queue[int]
	TakeAll() []organic.Sample[int]
}

type accountingCase struct {
	name    string
	samples int
	queue   func(t *testing.T, l *ledger) countedQueue
	// reached lists what must have happened for the case to show anything.
	reached []organic.EventKind
}

func accountingCases() []accountingCase {
	common := []organic.EventKind{
		organic.EventAccepted, organic.EventScored, organic.EventFailed, organic.EventInterrupted,
		organic.EventRetried,
		organic.EventReturned, organic.EventDead, organic.EventDiscarded, organic.EventDeadLetterFailed,
		organic.EventStageRetried, organic.EventOverdue, organic.EventAbandoned, organic.EventLoopBackoff,
		organic.EventStopped,
	}
	with := func(more ...organic.EventKind) []organic.EventKind { return append(more, common...) }
	return []accountingCase{
		{
			name: "random, drops the oldest, maximum age", samples: 100_000,
			queue: memoryQueueOf(organic.MemoryConfig{
				Capacity: 300, MaxAge: 350 * time.Millisecond,
				Seed: 1,
			}),
			reached: with(organic.EventDropped, organic.EventExpired),
		},
		{
			name: "first in first out, drops the oldest", samples: 10_000,
			queue:   memoryQueueOf(organic.MemoryConfig{Capacity: 100, Order: organic.OrderFIFO}),
			reached: with(organic.EventDropped),
		},
		{
			name: "newest first, maximum age", samples: 10_000,
			queue: memoryQueueOf(organic.MemoryConfig{
				Capacity: 1000, Order: organic.OrderNewest,
				MaxAge: 300 * time.Millisecond,
			}),
			reached: with(organic.EventExpired),
		},
		{
			name: "refuses when full", samples: 10_000,
			queue:   memoryQueueOf(organic.MemoryConfig{Capacity: 50, Refuse: true, Seed: 1}),
			reached: with(organic.EventRefused, organic.EventPutBackFailed, organic.EventDropped),
		},
		{
			name: "capacity of one", samples: 10_000,
			queue: memoryQueueOf(organic.MemoryConfig{Capacity: 1}),
			reached: []organic.EventKind{
				organic.EventScored, organic.EventDropped, organic.EventRetried,
				organic.EventInterrupted,
			},
		},
		{
			name: "settles, and fails to now and then", samples: 10_000,
			queue: func(
				_ *testing.T, l *ledger,
			) countedQueue {
				return &leasingQueue{ledger: l, capacity: 200}
			},
			reached: with(organic.EventDropped, organic.EventSettleFailed),
		},
		{
			name: "settles, and refuses duplicates", samples: 10_000,
			queue: func(_ *testing.T, l *ledger) countedQueue {
				l.resubmits = true
				return &leasingQueue{ledger: l, capacity: 200, known: map[string]bool{}}
			},
			reached: with(organic.EventDropped, organic.EventRefused),
		},
		{
			name: "fair, drops from who holds most", samples: 10_000,
			queue: memoryQueueOf(organic.MemoryConfig{
				Capacity: 100, Order: organic.OrderFair,
				MaxAge: 350 * time.Millisecond,
			}),
			reached: with(organic.EventDropped),
		},
		{
			name: "fifteen lines, not watched", samples: 10_000,
			queue:   func(*testing.T, *ledger) countedQueue { return &sliceQueue{} },
			reached: common,
		},
		{
			name: "not watched, fails now and then", samples: 10_000,
			queue: func(*testing.T, *ledger) countedQueue { return &flakyQueue{} },
			reached: []organic.EventKind{
				organic.EventScored, organic.EventRefused,
				organic.EventPutBackFailed, organic.EventSourceFailed,
			},
		},
	}
}

func memoryQueueOf(cfg organic.MemoryConfig) func(t *testing.T, l *ledger) countedQueue {
	return func(t *testing.T, _ *ledger) countedQueue {
		t.Helper()
		queue, err := organic.NewMemoryQueue[int](cfg)
		require.NoError(t, err)
		return queue
	}
}

// TestEverySampleIsAccountedFor: whatever hooks, queues and stops do, each
// sample that was accepted ends in exactly one way or is still in the queue,
// and the counters of the scorer say so at every rest.
func TestEverySampleIsAccountedFor(t *testing.T) {
	t.Parallel()
	for _, tt := range accountingCases() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { keepAccounts(t, tt) })
		})
	}
}

func keepAccounts(t *testing.T, tt accountingCase) {
	t.Helper()
	const producers = 4
	defer time.Sleep(time.Second) // abandoned hooks return
	l := newLedger(tt.samples)
	queue := tt.queue(t, l)
	hooks := fatefulHooks(l)
	scorer, err := organic.New(hooks,
		organic.WithQueue[int](queue),
		organic.WithTrigger(organic.Seconds{
			Frequency: 200 * time.Microsecond,
			Min:       100 * time.Microsecond,
		}),
		organic.WithConcurrency(8),
		organic.WithStage(organic.StageQuery,
			organic.StagePolicy{Timeout: 4 * time.Millisecond, Abandon: 50 * time.Millisecond}),
		organic.WithStage(organic.StageReference, organic.StagePolicy{Timeout: 4 * time.Millisecond}),
		organic.WithStage(organic.StageRewards, organic.StagePolicy{Timeout: 2 * time.Millisecond}),
		organic.WithStage(organic.StageWeights,
			organic.StagePolicy{Timeout: 2 * time.Millisecond, Tries: 2, Backoff: time.Millisecond}),
		organic.WithRetry(organic.RetryPolicy{
			Attempts: 3, Delay: 20 * time.Millisecond,
			MaxDelay: 60 * time.Millisecond,
		}),
		organic.WithDeadLetter(l.bury),
		organic.WithObserver(l.observe),
		organic.WithSeed(1),
	)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel() // lets a failing test end
	produced := make(chan struct{}, producers)
	for p := range producers {
		go func() {
			l.produce(ctx, scorer, p, producers)
			produced <- struct{}{}
		}()
	}
	for round := 0; len(produced) < producers; round++ {
		runAndStop(t, scorer, round)
		synctest.Wait() // producers are between two samples
		l.requireBalance(t, scorer.Stats())
	}
	l.requireAccounts(t, scorer.Stats(), queue.TakeAll())
	l.requireReached(t, tt.reached)
}

// runAndStop runs a scorer for a while and stops it in one of four ways.
func runAndStop(t *testing.T, scorer *organic.OrganicScorer[int, int], round int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, scorer.Start(ctx))
	for range 3 + 2*(round%7) {
		go scorer.Iterate(t.Context()) //nolint:errcheck // beside the loop; its hooks may end the goroutine
		time.Sleep(9 * time.Millisecond)
	}
	switch round % 4 {
	case 1: // the end of the run's ctx
		cancel()
	case 2: // a stop that loses patience
		hurry, done := context.WithTimeout(t.Context(), time.Millisecond)
		requireStops(t, scorer.Stop(hurry))
		done()
	case 3: // a stop without patience
		hurry, done := context.WithCancel(t.Context())
		done()
		requireStops(t, scorer.Stop(hurry))
	}
	require.NoError(t, scorer.Stop(t.Context()))
	if round%3 == 0 {
		time.Sleep(5 * time.Millisecond) // samples come in all the same
	}
}

func requireStops(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		require.ErrorIs(t, err, context.Canceled)
	}
}

var (
	errFateful  = errors.New("fateful")
	errUnwanted = errors.New("unwanted")
)

// dice rolls the same for the same throw: so what befalls a sample depends on
// its number and on how often it has come by, and not on the scheduler.
func dice(n, throw int, purpose string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(purpose))
	_, _ = h.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(throw), byte(throw >> 8)})
	x := h.Sum32()
	x ^= x >> 16 // the last bytes have hardly reached the low bits
	x *= 0x45d9f3b
	x ^= x >> 16
	return int(x)
}

// mishap is how a hook goes wrong.
type mishap int

const (
	fails mishap = iota
	panics
	exits
	overstays     // and fails after its timeout
	comesLate     // and succeeds after its timeout
	isOverdue     // and fails, long after its timeout
	isNotANumber  // as rewards; fails in other hooks
	wantsItLater  // RetryAfter
	wantsItNever  // Discard
	mishaps       // their number
	nothing       = mishaps
	mishapPercent = 45
)

// fate returns in which hook of a visit a sample has a mishap, and which.
func fate(n, visit int, stage organic.Stage) mishap {
	stages := []organic.Stage{
		organic.StageQuery, organic.StageReference, organic.StageRewards,
		organic.StageWeights,
	}
	if dice(n, visit, "mishap")%100 >= mishapPercent || stages[dice(n, visit,
		"stage")%len(stages)] != stage {
		return nothing
	}
	kind := mishap(dice(n, visit, "kind") % int(mishaps))
	if kind == isOverdue && dice(n, visit, "overdue")%4 > 0 {
		return fails // the others would have to wait too often
	}
	return kind
}

// befall lets a hook take its time, and has it go wrong as fate wants it.
func befall(ctx context.Context, what mishap) error {
	switch what {
	case fails, isNotANumber:
		return errFateful
	case panics:
		panic("fateful")
	case exits:
		runtime.Goexit()
	case overstays:
		<-ctx.Done()
		time.Sleep(time.Millisecond)
		return ctx.Err()
	case comesLate:
		<-ctx.Done()
		time.Sleep(time.Millisecond)
		return nil
	case isOverdue:
		<-ctx.Done()
		time.Sleep(110 * time.Millisecond)
		return errFateful
	case wantsItLater:
		return organic.RetryAfter(5*time.Millisecond, errFateful)
	case wantsItNever:
		return organic.Discard(errUnwanted)
	case nothing:
	}
	return work(ctx)
}

// work takes a moment, unless ctx ends before.
func work(ctx context.Context) error {
	select {
	case <-time.After(500 * time.Microsecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fatefulHooks go wrong in every way, and enter in the ledger what they score.
func fatefulHooks(l *ledger) organictest.HookFuncs[int, int] {
	meet := func(n int, stage organic.Stage) (what mishap) {
		l.with(n, func(a *account) { what = fate(n, a.visits, stage) })
		return what
	}
	return organictest.HookFuncs[int, int]{
		QueryMinersFunc: func(ctx context.Context, sample organic.Sample[int]) (map[organic.UID]int,
			error,
		) {
			return nil, befall(ctx, meet(sample.Payload, organic.StageQuery))
		},
		GenerateReferenceFunc: func(ctx context.Context, sample organic.Sample[int]) (int, error) {
			return 0, befall(ctx, meet(sample.Payload, organic.StageReference))
		},
		GenerateRewardsFunc: func(
			ctx context.Context, sample organic.Sample[int], _ map[organic.UID]int, _ int,
		) (organic.Rewards, error) {
			what := meet(sample.Payload, organic.StageRewards)
			if what == isNotANumber {
				return organic.Rewards{1: math.NaN()}, nil
			}
			return organic.Rewards{1: 1}, befall(ctx, what)
		},
		SetWeightsFunc: l.setWeights,
		LogResultsFunc: func(_ context.Context, result *organic.Result[int, int]) error {
			if dice(result.Sample.Payload, 0, "log")%20 == 0 {
				panic("log")
			}
			return nil
		},
	}
}

// setWeights has a mishap at every try of an iteration, or at the first only.
func (l *ledger) setWeights(
	ctx context.Context, sample organic.Sample[int], rewards organic.Rewards,
) error {
	var what mishap
	l.with(sample.Payload, func(a *account) {
		a.tries++
		for _, stage := range []organic.Stage{
			organic.StageQuery, organic.StageReference,
			organic.StageRewards,
		} {
			if earlier := fate(sample.Payload, a.visits, stage); earlier != nothing && earlier != comesLate {
				l.wrong = append(l.wrong, "SetWeights for what has failed: "+sample.ID)
			}
		}
		if len(rewards) != 1 || rewards[1] != 1 {
			l.wrong = append(l.wrong, "SetWeights with wrong rewards: "+sample.ID)
		}
		what = fate(sample.Payload, a.visits, organic.StageWeights)
		if a.tries > 1 && dice(sample.Payload, a.visits, "try")%2 == 0 {
			what = nothing
		}
	})
	err := befall(ctx, what)
	if err == nil {
		l.with(sample.Payload, func(a *account) { a.scored++ })
	}
	return err
}

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

// ledger counts, beside the scorer, the fate of each sample.
type ledger struct {
	resubmits bool // producers enqueue some samples twice

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
func (l *ledger) produce(
	ctx context.Context, scorer *organic.OrganicScorer[int, int], first, step int,
) {
	for n := first; n < len(l.accounts); n += step {
		if n%16 < 4 {
			select {
			case <-time.After(time.Duration(3+dice(n, 0, "pause")%10) * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
		sample := organic.Sample[int]{ID: strconv.Itoa(n), Payload: n, Requester: strconv.Itoa(n % 7)}
		_, err := scorer.EnqueueSample(ctx, sample)
		if err == nil {
			l.with(n, func(a *account) { a.accepted = true })
		}
		if l.resubmits && n%9 == 0 {
			if _, err := scorer.EnqueueSample(ctx, sample); !errors.Is(err, organic.ErrDuplicate) {
				l.note("duplicate not refused: " + sample.ID)
			}
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
			require.Fail(t, "a sample is lost, or counted twice", "sample %d, %d times in the queue: %+v", n,
				waiting[n], *a)
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

// sliceQueue is all that a queue of one's own needs.
type sliceQueue struct {
	mu      sync.Mutex
	samples []organic.Sample[int]
}

func (q *sliceQueue) Add(_ context.Context, sample organic.Sample[int]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.samples = append(q.samples, sample)
	return nil
}

func (q *sliceQueue) Sample(context.Context) (lease organic.Lease[int], err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.samples) == 0 {
		return lease, organic.ErrEmpty
	}
	lease.Sample, q.samples = q.samples[0], q.samples[1:]
	return lease, nil
}

func (q *sliceQueue) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.samples)
}

func (q *sliceQueue) TakeAll() []organic.Sample[int] { return q.samples }

var errFlaky = errors.New("flaky")

// flakyQueue is a sliceQueue that fails and panics now and then.
type flakyQueue struct {
	sliceQueue

	mu    sync.Mutex // guards calls
	calls int
}

func (q *flakyQueue) Add(ctx context.Context, sample organic.Sample[int]) error {
	if err := q.fail(10); err != nil {
		return err
	}
	return q.sliceQueue.Add(ctx, sample)
}

func (q *flakyQueue) Sample(ctx context.Context) (organic.Lease[int], error) {
	if err := q.fail(200); err != nil {
		return organic.Lease[int]{}, err
	}
	return q.sliceQueue.Sample(ctx)
}

// fail fails one call in so many.
func (q *flakyQueue) fail(oneIn int) error {
	q.mu.Lock()
	q.calls++
	call := q.calls
	q.mu.Unlock()
	if dice(call, 0, "flaky")%oneIn == 0 {
		return errFlaky
	}
	return nil
}

// leasingQueue keeps what it has leased until it is settled. A settling that
// fails brings the sample back, whatever became of it, or was heard after all.
type leasingQueue struct {
	ledger   *ledger
	capacity int
	known    map[string]bool // IDs that were added; nil: duplicates are not refused

	mu      sync.Mutex // guards the fields below
	entries []leasingEntry
	leases  int
	calls   int
	watcher organic.Watcher
}

type leasingEntry struct {
	sample organic.Sample[int]
	due    time.Time
}

func (q *leasingQueue) Watch(watcher organic.Watcher) (stop func()) {
	q.watcher = watcher
	return func() {}
}

func (q *leasingQueue) Add(_ context.Context, sample organic.Sample[int]) error {
	q.mu.Lock()
	duplicate := q.known[sample.ID]
	if q.known != nil {
		q.known[sample.ID] = true
	}
	q.mu.Unlock()
	if duplicate {
		return organic.ErrDuplicate
	}
	q.store(sample, 0)
	return nil
}

// store keeps a sample, which can be taken after a delay.
func (q *leasingQueue) store(sample organic.Sample[int], delay time.Duration) {
	q.mu.Lock()
	q.entries = append(q.entries, leasingEntry{sample, time.Now().Add(delay)})
	var dropped []leasingEntry
	if len(q.entries) > q.capacity {
		dropped = slices.Clone(q.entries[:1])
		q.entries = slices.Delete(q.entries, 0, 1)
	}
	q.mu.Unlock()

	for _, d := range dropped {
		q.watcher.Dropped(organic.Dropped{
			ID: d.sample.ID, Received: d.sample.Received,
			Reason: organic.DroppedFull,
		})
	}
	time.AfterFunc(delay, q.watcher.Arrived)
}

func (q *leasingQueue) Sample(context.Context) (organic.Lease[int], error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	i := slices.IndexFunc(q.entries, func(e leasingEntry) bool { return !e.due.After(now) })
	if i < 0 {
		return organic.Lease[int]{}, organic.ErrEmpty
	}
	sample := q.entries[i].sample
	q.entries = slices.Delete(q.entries, i, i+1)
	q.leases++
	open := true
	return organic.Lease[int]{
		Sample: sample,
		Settle: func(_ context.Context, verdict organic.Verdict) error {
			q.mu.Lock()
			q.calls++
			call, first := q.calls, open
			open = false
			q.leases--
			q.mu.Unlock()
			if !first {
				q.ledger.note("settled twice: " + sample.ID)
			}
			return q.settle(sample, verdict, call)
		},
	}, nil
}

func (q *leasingQueue) settle(sample organic.Sample[int], verdict organic.Verdict, call int) error {
	ends := verdict.Outcome != organic.OutcomeRetry && verdict.Outcome != organic.OutcomeReturn
	switch dice(call, 0, "settle") % 40 {
	case 0, 1: // not heard
		if ends {
			q.ledger.relapse(sample.Payload)
		}
		q.store(sample, 10*time.Millisecond)
		return errFlaky
	case 2: // heard, but the answer is lost
		defer panic("settle")
	}
	if verdict.Outcome == organic.OutcomeRetry {
		sample.Attempt++
	}
	if !ends {
		q.store(sample, verdict.Delay)
	}
	return nil
}

func (q *leasingQueue) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries)
}

// Samples returns what waits, delayed or not. Leases that are open at rest are
// wrong.
func (q *leasingQueue) TakeAll() (samples []organic.Sample[int]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.leases != 0 {
		q.ledger.note("leases left open: " + strconv.Itoa(q.leases))
	}
	for _, e := range q.entries {
		samples = append(samples, e.sample)
	}
	return samples
}

// bubbleDice are dice that goroutines share.
type bubbleDice struct {
	mu  sync.Mutex // guards rng
	rng *rand.Rand
}

func newBubbleDice(seed uint64) *bubbleDice {
	return &bubbleDice{rng: rand.New(rand.NewPCG(seed, 1))}
}

// throw returns a number from 0 to n-1.
func (d *bubbleDice) throw(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

// upTo returns a duration below n units.
func (d *bubbleDice) upTo(n int, unit time.Duration) time.Duration {
	return time.Duration(d.throw(n)) * unit
}

// stormyHooks fail in every way, stop and pause their scorer, and take long.
func stormyHooks(d *bubbleDice, scorer func() *testScorer) promptHooks {
	return fiveHooks(func(ctx context.Context, stage organic.Stage) error {
		switch d.throw(14) {
		case 0:
			return errFailed
		case 1:
			runtime.Goexit()
		case 2:
			panic("at the storm")
		case 3:
			time.Sleep(d.upTo(5000, time.Millisecond))
		case 4:
			return slowly(20 * time.Second)(ctx)
		case 5:
			_ = scorer().Stop(ctx) // returns ErrStopInHook
		case 6:
			scorer().Pause()
			scorer().Resume()
		case 7:
			return organic.RetryAfter(time.Minute, errFailed)
		case 8:
			if stage != organic.StageWeights && stage != organic.StageLog {
				time.Sleep(time.Minute)
			}
		}
		return nil
	})
}

func stormyOptions(d *bubbleDice) []organic.Option {
	opts := []organic.Option{
		organic.WithConcurrency(1 + d.throw(4)), organic.WithHeldLimit(2),
		organic.WithRetry(organic.RetryPolicy{
			Attempts:    3,
			LoopBackoff: organic.LoopBackoff{Failures: 2},
		}),
	}
	for _, stage := range hookStages {
		policy := organic.StagePolicy{Tries: 1 + d.throw(3), Timeout: d.upTo(3, time.Second)}
		if stage != organic.StageWeights && stage != organic.StageLog {
			policy.Abandon = d.upTo(3, time.Second)
		}
		opts = append(opts, organic.WithStage(stage, policy))
	}
	if d.throw(2) == 0 {
		opts = append(opts, organic.WithTrigger(organic.Steps{Frequency: 3, Min: 1}))
	}
	if d.throw(2) == 0 {
		opts = append(opts, organic.WithSynth(endless), organic.WithSynthRatio(0.2))
	}
	return opts
}

// callAtRandom calls one of the scorer's methods. Their errors depend on what
// the other goroutines do.
func callAtRandom(s *testScorer, d *bubbleDice) {
	ctx, cancel := context.WithTimeout(context.Background(), d.upTo(9, time.Second))
	defer cancel()
	switch d.throw(8) {
	case 0:
		_ = s.Start(context.Background())
	case 1:
		_ = s.Stop(ctx)
	case 2:
		ended := make(chan struct{})
		go func() { // a hook can take this goroutine
			defer close(ended)
			_, _ = s.Iterate(ctx)
		}()
		<-ended
	case 3:
		s.Pause()
	case 4:
		s.Resume()
	case 5:
		_ = s.Start(ctx) // ends hard, and soon
	case 6:
		_, _ = s.Enqueue(context.Background(), "prompt")
		s.SetStep(d.throw(100))
		s.IncrementStep()
	case 7:
		_ = s.Drain(ctx)
	}
}

func TestSamplesAreAccountedForWhateverIsCalledWhen(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newBubbleDice(seed)
				var s *testScorer
				s = newTestScorer(t, stormyHooks(d, func() *testScorer { return s }), stormyOptions(d)...)
				var callers sync.WaitGroup
				for range 4 {
					callers.Go(func() {
						for range 30 {
							callAtRandom(s, d)
							time.Sleep(d.upTo(3000, time.Millisecond))
						}
					})
				}
				callers.Wait()
				s.Resume()
				s.stop()
				time.Sleep(2 * time.Minute) // until abandoned hooks return
				require.Zero(t, s.stop().Abandoned)
			})
		})
	}
}

// stormyQueue misbehaves in every way until it is calm.
type stormyQueue struct {
	*faultyQueue

	dice *bubbleDice
	calm atomic.Bool
}

func newStormyQueue(t *testing.T, d *bubbleDice) *stormyQueue {
	t.Helper()
	memoryQueue := newQueue[string](t, organic.MemoryConfig{
		Capacity: 20, Order: organic.Order(d.throw(4)), MaxAge: 5 * time.Minute, Refuse: d.throw(2) == 0,
	})
	q := &stormyQueue{faultyQueue: &faultyQueue{memory: &memory{memoryQueue}}, dice: d}
	q.beforeAdd, q.beforeSample = q.misbehave, q.misbehave
	return q
}

func (q *stormyQueue) misbehave(context.Context) error {
	if q.calm.Load() {
		return nil
	}
	switch q.dice.throw(12) {
	case 0:
		return errFailed
	case 1:
		panic("at the storm")
	case 2:
		runtime.Goexit()
	case 3:
		time.Sleep(3 * time.Second)
	}
	return nil
}

func (q *stormyQueue) Size() int {
	if !q.calm.Load() && q.dice.throw(30) == 0 {
		panic("at the storm")
	}
	return q.faultyQueue.Size()
}

// Watch passes on what the queue reports.
func (q *stormyQueue) Watch(watcher organic.Watcher) (stop func()) { return q.queue.Watch(watcher) }

func TestSamplesAreAccountedForWhateverTheQueueDoes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newBubbleDice(seed)
				queue := newStormyQueue(t, d)
				hooks := fiveHooks(func(context.Context, organic.Stage) error {
					if d.throw(8) == 0 {
						return errFailed
					}
					time.Sleep(d.upTo(2000, time.Millisecond))
					return nil
				})
				g := deadLetters{before: func(context.Context) error {
					if d.throw(3) == 0 {
						runtime.Goexit()
					}
					return nil
				}}
				s := newTestScorer(t, hooks, g.option(), organic.WithQueue(queue), organic.WithConcurrency(3),
					organic.WithHeldLimit(4), organic.WithRetry(organic.RetryPolicy{
						Attempts: 4,
						Delay:    time.Second,
					}))
				for range 3 {
					s.start()
					for range 50 {
						go func() { // the queue can take this goroutine
							_, _ = s.EnqueueSample(t.Context(), promptSample{Requester: strconv.Itoa(d.throw(4))})
						}()
						time.Sleep(d.upTo(1500, time.Millisecond))
					}
					require.NoError(t, s.Stop(t.Context()))
				}
				queue.calm.Store(true)
				s.drain()
			})
		})
	}
}
