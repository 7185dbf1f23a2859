package weights_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// floorScores is a moving average without a library: no origins, no guards, no
// hotkeys, no check of anything.
type floorScores struct {
	mu     sync.Mutex // guards scores
	scores []float64
}

func (f *floorScores) update(rewards organic.Rewards) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for uid, reward := range rewards {
		f.scores[uid] = 0.1*reward + 0.9*f.scores[uid]
	}
}

// convert divides by the sum and stretches to u16, without cap, quantile or
// padding.
func (f *floorScores) convert() (uids []organic.UID, quantized []uint16) {
	f.mu.Lock()
	shares := append([]float64(nil), f.scores...)
	f.mu.Unlock()
	total, top := 0.0, 0.0
	for _, score := range shares {
		total += score
	}
	for uid := range shares {
		shares[uid] /= total
		top = max(top, shares[uid])
	}
	uids, quantized = make([]organic.UID, 0, len(shares)), make([]uint16, 0, len(shares))
	for uid, share := range shares {
		if weight := uint16(math.RoundToEven(share / top * math.MaxUint16)); weight > 0 {
			uids, quantized = append(uids, organic.UID(uid)), append(quantized, weight)
		}
	}
	return uids, quantized
}

// benchSubnet returns scores of n miners and rewards for all of them.
func benchSubnet(
	tb testing.TB, average weights.Average, n int, opts ...weights.ScoresOption,
) (*weights.Scores, organic.Rewards) {
	tb.Helper()
	hotkeys, rewards := make([]string, n), make(organic.Rewards, n)
	random := rand.New(rand.NewPCG(5, 6))
	for uid := range hotkeys {
		hotkeys[uid] = fmt.Sprintf("5F%046d", uid)
		rewards[organic.UID(uid)] = random.Float64()
	}
	scores := newScores(tb, average, hotkeys, opts...)
	for n := range 50 {
		update(tb, scores, weights.Round{Origin: organic.Origin(n % 2), Requester: strconv.Itoa(n)},
			rewards)
	}
	return scores, rewards
}

var (
	benchSizes = []int{256, 4096}
	benchTime  = time.Now()
)

// benchRound has an ID for each call, as rounds do.
func benchRound(n int) weights.Round {
	return weights.Round{ID: strconv.Itoa(n), Requester: strconv.Itoa(n % 100), Received: benchTime}
}

// BenchmarkUpdate counts a reward for every miner.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range benchSizes {
		scores, rewards := benchSubnet(b, weights.Hold(0.1), n)
		floor := &floorScores{scores: make([]float64, n)}
		b.Run(fmt.Sprintf("%d/floor", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				floor.update(rewards)
			}
		})
		b.Run(fmt.Sprintf("%d/organic", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := scores.Update(benchRound(i), rewards); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpdateGuarded is BenchmarkUpdate with all guards, and rounds of 100
// requesters.
func BenchmarkUpdateGuarded(b *testing.B) {
	for _, n := range benchSizes {
		scores, rewards := benchSubnet(b, weights.Hold(0.1), n, allGuards)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := scores.Update(benchRound(i), rewards); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var allGuards = weights.WithGuards(weights.DefaultGuards()...)

// BenchmarkConvert makes a vector of the scores of all miners.
func BenchmarkConvert(b *testing.B) {
	for _, n := range benchSizes {
		scores, rewards := benchSubnet(b, weights.Hold(0.1), n)
		floor := &floorScores{scores: make([]float64, n)}
		floor.update(rewards)
		b.Run(fmt.Sprintf("%d/floor", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if uids, _ := floor.convert(); len(uids) == 0 {
					b.FailNow()
				}
			}
		})
		b.Run(fmt.Sprintf("%d/organic", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := scores.Convert(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConvertGuarded is BenchmarkConvert with all guards, a cap that cuts,
// and a quantile.
func BenchmarkConvertGuarded(b *testing.B) {
	for _, n := range benchSizes {
		scores, _ := benchSubnet(b, weights.Hold(0.1), n, allGuards)
		opts := []weights.ConvertOption{
			weights.WithMaxWeight(1.5 / float64(n)),
			weights.WithExcludeQuantile(6553), weights.WithMinAllowed(8),
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := scores.Convert(opts...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// crowded returns scores of windows that are full of different requesters.
func crowded(tb testing.TB, miners, size int) *weights.Scores {
	tb.Helper()
	scores, rewards := benchSubnet(tb, weights.Window(size, 0), miners, allGuards)
	for n := range size {
		update(tb, scores, weights.Round{Requester: strconv.Itoa(n)}, rewards)
	}
	return scores
}

// BenchmarkValuesOfCrowds asks for the scores where each reward in a window
// comes from another requester.
func BenchmarkValuesOfCrowds(b *testing.B) {
	for _, size := range []int{64, 1024} {
		scores := crowded(b, 256, size)
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				scores.Values()
			}
		})
	}
}

// TestCrowdsInAWindowTakeNoMemory is not parallel, since it counts what the
// whole program allocates.
func TestCrowdsInAWindowTakeNoMemory(t *testing.T) {
	scores := crowded(t, 8, 256)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { scores.Values() }), 9.0,
		"the values and how they came about")
}

// TestAllocations holds both to what the package documentation says. It is not
// parallel, since it counts what the whole program allocates.
func TestAllocations(t *testing.T) {
	scores, rewards := benchSubnet(t, weights.Decay(0.1), 16, allGuards)
	n := 0
	take := func() {
		n++
		_, err := scores.Update(benchRound(n), rewards)
		require.NoError(t, err)
	}
	for range 5000 { // until all that is kept has its size
		take()
	}
	require.LessOrEqual(t, testing.AllocsPerRun(100, take), 2.0,
		"an ID and a requester, which the test makes")
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		_, err := scores.Convert()
		require.NoError(t, err)
	}), 24.0)
}

// BenchmarkSave writes a snapshot of 256 and of 4096 miners to the disk, beside a bare write and
// sync of the same bytes.
func BenchmarkSave(b *testing.B) {
	for _, n := range benchSizes {
		scores, rewards := benchSubnet(b, weights.Hold(0.1), n, allGuards)
		path := filepath.Join(b.TempDir(), "scores.json")
		saver := open(b, path, scores)
		require.NoError(b, saver.Save())
		data := content(b, path)
		b.Run(fmt.Sprintf("%d/floor", n), func(b *testing.B) {
			for b.Loop() {
				file, err := os.CreateTemp(b.TempDir(), "")
				require.NoError(b, err)
				_, err = file.Write(data)
				require.NoError(b, errors.Join(err, file.Sync(), file.Close()))
			}
		})
		b.Run(fmt.Sprintf("%d/organic", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				_, err := scores.Update(benchRound(i), rewards)
				require.NoError(b, errors.Join(err, saver.Save()))
			}
		})
	}
}
