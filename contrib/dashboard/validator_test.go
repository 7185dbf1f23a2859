package dashboard_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/dashboard"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/weights"
)

// TestPageShowsARealValidator: scorer, queue, scores, setter and relay, for an hour.
func TestPageShowsARealValidator(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1))
		require.NoError(t, err)
		require.NoError(t, scores.SetMetagraph(weights.Hotkeys("5Alice", "5Bob", "5Carol")))
		sets := 0
		chain := weights.ChainFunc(func(context.Context, weights.Vector) error {
			sets++
			return nil
		})
		source := func(context.Context) (weights.Vector, error) { return scores.Convert() }
		set, err := weights.NewSetter(chain, source, weights.Interval{Every: 20 * time.Minute})
		require.NoError(t, err)
		streams, err := relay.New()
		require.NoError(t, err)
		queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{Capacity: 50})
		require.NoError(t, err)
		hooks := organictest.HookFuncs[string, string]{
			QueryMinersFunc: func(
				ctx context.Context, s organic.Sample[string],
			) (map[organic.UID]string, error) {
				_, err := streams.Ask(ctx, relay.Query{ID: s.ID, Miners: map[organic.UID]relay.Miner{
					1: organictest.StreamMiner{Text: []string{"Lima"}, Pause: time.Second}.Ask,
				}})
				return map[organic.UID]string{0: "a", 1: "b", 2: "c"}, err
			},
			GenerateRewardsFunc: func(
				context.Context, organic.Sample[string], map[organic.UID]string, string,
			) (organic.Rewards, error) {
				return organic.Rewards{0: 0.9, 1: 0.6, 2: 0}, nil
			},
			SetWeightsFunc: func(
				_ context.Context, s organic.Sample[string], rewards organic.Rewards,
			) error {
				_, err := scores.Update(weights.RoundOf(s), rewards)
				return err
			},
		}
		var v struct {
			*organic.OrganicScorer[string, string]
		}
		page, err := dashboard.New(&v, dashboard.WithScores(scores), dashboard.WithSetter(set),
			dashboard.WithRelay(streams), dashboard.WithQueue(dashboard.Queue{Capacity: 50}))
		require.NoError(t, err)
		v.OrganicScorer, err = organic.New(hooks, organic.WithQueue(queue),
			organic.WithObserver(page.Observe),
			organic.WithTrigger(organic.Seconds{Frequency: 30 * time.Second}))
		require.NoError(t, err)

		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = set.Run(ctx) }()
		for i := range 60 {
			_, err := v.Enqueue(ctx, fmt.Sprint("prompt ", i))
			require.NoError(t, err)
		}
		go func() {
			time.Sleep(5 * time.Second) // in which the page sees the full queue
			_ = v.Start(ctx)
		}()
		run(t, page, time.Hour)
		stats, html := v.Stats(), report(t, page)
		cancel()
		<-v.Done()

		shown := cells(html)
		require.EqualValues(t, 10, stats.Dropped, "the capacity is 50")
		require.Contains(t, shown, fmt.Sprintf("scored|%d|", stats.Scored))
		require.Contains(t, shown, fmt.Sprintf("dropped, queue full|%d|", stats.Dropped))
		require.Contains(t, shown, fmt.Sprintf("sets since the start|%d|", sets))
		require.Contains(t, shown, fmt.Sprintf("begun|%d|", stats.Scored))
		require.Contains(t, shown, "0|5Alice|60 %|65535|")
		require.Contains(t, shown, "1|5Bob|40 %|43690|")
		require.Contains(t, shown, "2|5Carol|0 %|0|")
		require.Contains(t, shown, "queue is full|")
		require.Contains(t, html, `<h2 id="verdict">Healthy</h2>`)
		require.False(t, strings.Contains(html, "prompt") || strings.Contains(html, "Lima"))
	})
}
