package weights_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

func TestSmallRequesterWeightsCanBeSavedAndLoaded(t *testing.T) {
	t.Parallel()
	averages := []weights.Average{
		weights.Hold(1e-6), weights.Hold(0.01), weights.Decay(1), weights.Window(4, 0),
	}
	for _, average := range averages {
		for _, small := range []float64{1e-3, 3e-6, 1e-9, 1e-11, 1e-13, 1e-300, 5e-324} {
			byTier := weights.WithRequesterWeight(func(name string) float64 {
				return map[string]float64{"large": 1, "small": small}[name]
			})
			scores := newScores(t, average, []string{"a", "b"}, byTier,
				weights.WithGuards(weights.DefaultGuards()...))
			path := filepath.Join(t.TempDir(), "scores.json")
			saver := open(t, path, scores)
			for _, name := range []string{"small", "large", "small"} {
				update(t, scores, weights.Round{Requester: name}, organic.Rewards{0: 1, 1: 0.5})
				require.NoError(t, saver.Save())
				loaded := newScores(t, average, []string{"a", "b"})
				load(t, copied(t, path), loaded)
			}
			require.NoError(t, saver.Close())
		}
	}
}

// TestASnapshotOfAClockThatWasAhead is about a machine whose clock was years ahead when the
// snapshot was saved, and is right now.
func TestASnapshotOfAClockThatWasAhead(t *testing.T) {
	var saved []byte
	sets := 0
	chain := weights.ChainFunc(func(context.Context, weights.Vector) error {
		sets++
		return nil
	})
	every := weights.Interval{Every: time.Hour}
	average := weights.Window(4, time.Hour)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(4 * 365 * 24 * time.Hour)
		scores := newScores(t, average, []string{"a", "b", "x"})
		require.NoError(t, scores.SetMetagraph(weights.Hotkeys("a", "c")))
		update(t, scores, weights.Round{}, organic.Rewards{0: 1})
		path := filepath.Join(t.TempDir(), "scores.json")
		saver := open(t, path, scores)
		_, err := newSetter(t, chain, vectorSource, every, weights.WithSaver(saver)).Set(t.Context())
		require.NoError(t, err)
		require.NoError(t, saver.Close())
		saved = content(t, path)
	})
	synctest.Test(t, func(t *testing.T) {
		scores := newScores(t, average, []string{"a", "c"})
		saver := open(t, written(t, saved), scores)
		pass(time.Minute)
		require.Equal(t, 2, update(t, scores, weights.Round{}, organic.Rewards{0: 1, 1: 1}).Counted,
			"UID 1 has had its holder since the restart at the latest")
		sets = 0
		setter := newSetter(t, chain, vectorSource, every, weights.WithSaver(saver),
			weights.WithWarmUp(scores, 1, 100, time.Hour))
		runFor(t, setter, 150*time.Minute)
		require.Equal(t, 2, sets)
		require.Zero(t, scores.Standings()[0].Organic.Count, "all are older than an hour")
		require.NoError(t, scores.SetMetagraph(weights.Hotkeys("a", "c", "x")))
		require.Zero(t, scores.Status().Missing)
	})
}

func TestUIDsThatTheSubnetHadAreKnownAfterARestart(t *testing.T) {
	t.Parallel()
	hotkeys := []string{"a", "b", "c", "d"}
	scores := newScores(t, weights.Hold(0.1), hotkeys, weights.WithGrace(0))
	require.NoError(t, scores.SetMetagraph(weights.Hotkeys("a", "b")))
	path := snapshot(t, scores)
	after := newScores(t, weights.Hold(0.1), []string{"a", "b"})
	load(t, path, after)
	tally := update(t, after, weights.Round{}, organic.Rewards{0: 1, 3: 1}) // of an old sample
	require.Equal(t, weights.Tally{Counted: 1, Stranded: 1}, tally)
}

func TestAGenerationThatCannotBeReadIsKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scores.json")
	require.NoError(t, os.Mkdir(path+".old", 0o700)) // reading fails, as on a bad disk
	_, err := weights.OpenSaver(path, newPair(t), weights.SaverConfig{})
	require.Error(t, err)
	require.DirExists(t, path+".old")
}

// TestACrashInTheFirstSaveAfterADamagedFileLosesNothing lets no step on the disk happen any more
// from one of them on.
func TestACrashInTheFirstSaveAfterADamagedFileLosesNothing(t *testing.T) {
	t.Parallel()
	for last := range 8 {
		scores := newPair(t)
		path := filepath.Join(t.TempDir(), "scores.json")
		saver := open(t, path, scores)
		reward(t, scores, 1, 1)
		require.NoError(t, saver.Save())
		generation := scores.Values()
		reward(t, scores, 2, 1)
		require.NoError(t, saver.Close())
		require.NoError(t, os.Truncate(path, 100))

		after := newPair(t)
		saver = open(t, path, after)
		reward(t, after, 3, 1)
		step := 0
		_ = saver.SaveStepwise(func(string) error {
			if step++; step > last {
				return syscall.EIO
			}
			return nil
		})
		again := newPair(t)
		require.NoError(t, open(t, copied(t, path), again).Close())
		require.Contains(t, [][]float64{generation, after.Values()}, again.Values(), "%d steps", last)
	}
}

func TestOnlyTheOwnTemporaryFilesAreRemoved(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "a[b") // a pattern to filepath.Glob
	require.NoError(t, os.Mkdir(folder, 0o700))
	path := filepath.Join(folder, "scores")
	left, others := path+".123.tmp", path+".json.123.tmp" // the latter is of another saver
	for _, name := range []string{left, others} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	open(t, path, newPair(t))
	require.NoFileExists(t, left)
	require.FileExists(t, others)
}
