package e2e_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/stretchr/testify/require"
)

// ledger is how each sample ended, by what the hooks and watchers saw.
type ledger struct {
	mu      sync.Mutex // guards all below
	scored  map[string]int
	dead    map[string]int
	dropped map[string]int
}

func newLedger() *ledger {
	return &ledger{
		scored: make(map[string]int), dead: make(map[string]int),
		dropped: make(map[string]int),
	}
}

func (l *ledger) note(in map[string]int, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in[id]++
}

// hooks score samples, and fail at random.
func (l *ledger) hooks() organictest.HookFuncs[string, string] {
	return organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(context.Context, organic.Sample[string]) (map[organic.UID]string, error) {
			switch rand.IntN(20) {
			case 0:
				return nil, errHook
			case 1:
				return nil, organic.RetryAfter(time.Millisecond, errHook)
			case 2:
				return nil, organic.Discard(errHook)
			default:
				return map[organic.UID]string{0: "answer"}, nil
			}
		},
		GenerateRewardsFunc: func(
			context.Context, organic.Sample[string], map[organic.UID]string, string,
		) (organic.Rewards, error) {
			return organic.Rewards{0: 1}, nil
		},
		SetWeightsFunc: func(_ context.Context, sample organic.Sample[string], _ organic.Rewards) error {
			l.note(l.scored, sample.ID)
			return nil
		},
	}
}

// startScorer runs a scorer over a queue as fast as it goes.
func (l *ledger) startScorer(
	t *testing.T, queue organic.Queue[string], concurrency int,
) *organic.OrganicScorer[string, string] {
	t.Helper()
	hooks := l.hooks()
	scorer, err := organic.New(&hooks, organic.WithQueue(queue), organic.WithConcurrency(concurrency),
		organic.WithTrigger(organic.Seconds{Frequency: time.Nanosecond}),
		organic.WithRetry(organic.RetryPolicy{
			Attempts: 3, Delay: time.Millisecond,
			MaxDelay: 2 * time.Millisecond,
		}),
		organic.WithDeadLetter(func(_ context.Context, sample organic.Sample[string], _ error) error {
			l.note(l.dead, sample.ID)
			return nil
		}))
	require.NoError(t, err)
	require.NoError(t, scorer.Start(t.Context()))
	return scorer
}

// TestIdentity: below the bound, four producers and four scorers whose hooks
// fail at random account for every sample, exactly.
func TestIdentity(t *testing.T) {
	t.Parallel()
	const producers, scorers, each = 4, 4, identitySamples / 4
	server := startServer(t)
	l := newLedger()
	opts := []natsqueue.Option{
		natsqueue.WithCapacity(2 * identitySamples),
		natsqueue.WithDeadLetters(2*identitySamples, 0),
	}
	var producing sync.WaitGroup
	var refused atomic.Int64
	for range producers {
		queue := openQueue(t, server, opts...)
		producing.Go(func() {
			for range each {
				if queue.Add(t.Context(), organic.NewSample("payload")) != nil {
					refused.Add(1)
				}
			}
		})
	}
	var all []*organic.OrganicScorer[string, string]
	for range scorers {
		queue := openQueue(t, server, append(opts, natsqueue.WithPrefetch(16))...)
		all = append(all, l.startScorer(t, queue, 8))
	}
	producing.Wait()
	require.Zero(t, refused.Load())
	js := connect(t, server)
	stream, err := js.Stream(t.Context(), "organic")
	require.NoError(t, err)
	isEmpty := func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 0 // under full load the server may not answer in time
	}
	for end := time.Now().Add(10 * patience); !isEmpty(); <-time.After(20 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "all must be settled")
	}
	var total organic.Stats
	for _, scorer := range all {
		require.NoError(t, scorer.Stop(t.Context()))
		stats := scorer.Stats()
		total.Scored += stats.Scored
		total.Dead += stats.Dead
		total.Discarded += stats.Discarded
		total.Dropped += stats.Dropped
		total.Expired += stats.Expired
	}
	require.EqualValues(t, producers*each, total.Scored+total.Dead+total.Discarded)
	require.Zero(t, total.Dropped+total.Expired)
	require.Len(t, l.scored, int(total.Scored), "each is scored once")
	require.Len(t, l.dead, int(total.Dead+total.Discarded), "each is given up once")
	for id := range l.scored {
		require.Zero(t, l.dead[id], "none is both")
	}
	info, err := js.Stream(t.Context(), "organic_dead")
	require.NoError(t, err)
	require.Equal(t, total.Dead+total.Discarded, info.CachedInfo().State.Msgs)
	t.Logf("%d scored, %d dead, %d discarded", total.Scored, total.Dead, total.Discarded)
}

// offer adds samples, of which a full queue may refuse some.
func offer(
	t *testing.T, queue organic.Queue[string], samples int, accepted *sync.Map, refused *atomic.Int64,
) {
	t.Helper()
	for range samples {
		sample := organic.NewSample("payload")
		switch err := queue.Add(t.Context(), sample); {
		case err == nil:
			accepted.Store(sample.ID, true)
		case errors.Is(err, organic.ErrFull):
			refused.Add(1)
		default:
			require.NoError(t, err)
		}
	}
}

// TestIdentityAtTheBound: a full queue accounts for every sample that it has
// accepted, whether it drops or refuses.
func TestIdentityAtTheBound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		options []natsqueue.Option
	}{
		{"refuses", nil},
		{"drops the oldest", []natsqueue.Option{natsqueue.WithDropOldest()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const producers, each, capacity = 4, 500, 20
			server := startServer(t)
			l := newLedger()
			opts := append([]natsqueue.Option{natsqueue.WithCapacity(capacity)}, tt.options...)
			var accepted sync.Map
			var refused atomic.Int64
			var producing sync.WaitGroup
			watcher := organic.Watcher{
				Arrived: func() {},
				Dropped: func(d organic.Dropped) { l.note(l.dropped, d.ID) },
			}
			for range producers {
				queue := openQueue(t, server, opts...)
				defer queue.Watch(watcher)()
				producing.Go(func() { offer(t, queue, each, &accepted, &refused) })
			}
			queue := openQueue(t, server, opts...)
			scorer := l.startScorer(t, queue, 2)
			producing.Wait()
			js := connect(t, server)
			eventually(t, "all must be settled", func() bool {
				stream, err := js.Stream(t.Context(), "organic")
				return err == nil && stream.CachedInfo().State.Msgs == 0
			})
			require.NoError(t, scorer.Stop(t.Context()))
			l.mu.Lock()
			defer l.mu.Unlock()
			count := 0
			accepted.Range(func(id, _ any) bool {
				fates := l.scored[id.(string)] + l.dead[id.(string)] + l.dropped[id.(string)]
				require.Equal(t, 1, fates, "each accepted sample has one fate")
				count++
				return true
			})
			require.Equal(t, count, len(l.scored)+len(l.dead)+len(l.dropped), "and no other has any")
			require.EqualValues(t, producers*each, int64(count)+refused.Load())
			require.Positive(t, refused.Load()+int64(len(l.dropped)), "the bound was reached")
			t.Logf("%d accepted, %d refused; %d scored, %d given up, %d dropped", count, refused.Load(),
				len(l.scored), len(l.dead), len(l.dropped))
		})
	}
}
