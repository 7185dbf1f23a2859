package weights_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

func newPair(tb testing.TB) *weights.Scores {
	tb.Helper()
	return newScores(tb, weights.Hold(0.5), []string{"a", "b"})
}

// reward feeds one round, with an ID of its own if n is not 0.
func reward(tb testing.TB, scores *weights.Scores, n int, value float64) weights.Tally {
	tb.Helper()
	round := weights.Round{Metagraph: weights.Hotkeys("a", "b")}
	if n > 0 {
		round.ID = strconv.Itoa(n)
	}
	return update(tb, scores, round, organic.Rewards{0: value, 1: value / 2})
}

func TestASnapshotBringsBackScoresRoundsAndMissingMiners(t *testing.T) {
	t.Parallel()
	for _, average := range []weights.Average{
		weights.Hold(0.1), weights.Decay(0.1),
		weights.Window(5, time.Hour),
	} {
		for _, first := range []string{"snapshot", "metagraph"} {
			scores, err := weights.NewScores(average, weights.Between(0, 1))
			require.NoError(t, err)
			require.NoError(t, scores.SetMetagraph(weights.Metagraph{
				Block:   7,
				Neurons: weights.Hotkeys("a", "b", "c").Neurons,
			}))
			for n := range 30 {
				update(t, scores, weights.Round{
					ID: strconv.Itoa(n), Origin: organic.Origin(n % 2),
					Requester: strconv.Itoa(n % 3),
				},
					organic.Rewards{0: 1, 1: 0.5, 2: 7})
			}
			whole := scores.Standings()
			require.NoError(t, scores.SetMetagraph(weights.Metagraph{
				Block:   8,
				Neurons: weights.Hotkeys("a").Neurons,
			}))
			path := snapshot(t, scores)

			after, err := weights.NewScores(average, weights.Between(0, 1))
			require.NoError(t, err)
			short := weights.Metagraph{Block: 9, Neurons: weights.Hotkeys("a", "b").Neurons}
			if first == "metagraph" {
				require.NoError(t, after.SetMetagraph(short))
			}
			load(t, path, after)
			require.NoError(t, after.SetMetagraph(short))
			require.Equal(t, whole[:2], after.Standings(), "b was missing and is back")
			require.True(t, update(t, after, weights.Round{ID: "29"}, organic.Rewards{0: 1}).Repeated)
			require.ErrorIs(t, after.SetMetagraph(weights.Metagraph{Block: 6, Neurons: short.Neurons}),
				weights.ErrOldMetagraph)
		}
	}
}

func TestOpeningNeverErasesWhatIsThere(t *testing.T) {
	t.Parallel()
	before := newPair(t)
	reward(t, before, 1, 1)
	path := snapshot(t, before)
	kept := content(t, path)

	after := newPair(t) // a metagraph and no scores
	saver := open(t, path, after)
	require.NoError(t, saver.Save())
	require.NoError(t, saver.Close())
	require.Equal(t, before.Values(), after.Values())
	again := newPair(t)
	load(t, path, again)
	require.Equal(t, before.Values(), again.Values())
	require.NotEmpty(t, kept)
}

// later makes a snapshot of a later version of one of this one.
func later(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var file map[string]any
	require.NoError(tb, json.Unmarshal(data, &file))
	file["version"] = 99
	data, err := json.Marshal(file)
	require.NoError(tb, err)
	return data
}

func TestASnapshotThatCannotBeLoadedIsNeverReplaced(t *testing.T) {
	t.Parallel()
	windowed := newScores(t, weights.Window(3, 0), []string{"a", "b"})
	reward(t, windowed, 1, 1)
	window := content(t, snapshot(t, windowed))
	held := newPair(t)
	reward(t, held, 1, 1)
	hold := content(t, snapshot(t, held))
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{name: "of another kind of average", data: window, want: weights.ErrSnapshotAverage},
		{name: "of a later version", data: later(t, hold), want: weights.ErrSnapshotVersion},
		{name: "truncated", data: hold[:len(hold)-10], want: weights.ErrSnapshot},
		{
			name: "of a bit flipped", data: append([]byte{hold[0] ^ 1}, hold[1:]...),
			want: weights.ErrSnapshot,
		},
		{name: "empty", data: nil, want: weights.ErrSnapshot},
		{name: "that is something else", data: []byte(`{"format": "other"}`), want: weights.ErrSnapshot},
		{
			name: "that could not have been saved",
			data: weights.Seal([]byte(`{"average":"exponential","miners":[]}`)), want: weights.ErrSnapshot,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := written(t, tt.data)
			scores := newPair(t)
			reward(t, scores, 1, 0.5)
			want := scores.Standings()
			_, err := weights.OpenSaver(path, scores, weights.SaverConfig{})
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, path)
			require.Equal(t, want, scores.Standings())
			require.Equal(t, tt.data, append([]byte(nil), content(t, path)...), "the file is as it was")

			core, logs := observer.New(zap.WarnLevel)
			saver, err := weights.OpenSaver(path, scores,
				weights.SaverConfig{SetAside: true, Logger: zap.New(core)})
			require.NoError(t, err)
			aside := saver.Status().SetAside
			require.Len(t, aside, 1)
			require.NoError(t, saver.Close())
			require.Equal(t, tt.data, append([]byte(nil), content(t, aside[0])...), "it is kept")
			require.Equal(t, 1, logs.Len())
			load(t, path, newPair(t))
		})
	}
}

func TestTheLastGenerationTakesThePlaceOfADamagedFile(t *testing.T) {
	t.Parallel()
	for _, damage := range []string{"truncated", "gone"} {
		scores := newPair(t)
		path := filepath.Join(t.TempDir(), "scores.json")
		saver := open(t, path, scores)
		reward(t, scores, 1, 1)
		require.NoError(t, saver.Save())
		generation := scores.Values()
		reward(t, scores, 2, 1)
		require.NoError(t, saver.Close())
		if damage == "gone" {
			require.NoError(t, os.Remove(path))
		} else {
			require.NoError(t, os.Truncate(path, 100))
		}

		after := newPair(t)
		saver = open(t, path, after)
		require.Equal(t, generation, after.Values())
		require.Len(t, saver.Status().SetAside, map[string]int{"truncated": 1, "gone": 0}[damage])
		reward(t, after, 3, 1)
		require.NoError(t, saver.Close())
		again := newPair(t)
		load(t, path, again)
		require.Equal(t, after.Values(), again.Values())
	}
}

func TestTruncatedFilesAreNoticedAtEveryLength(t *testing.T) {
	t.Parallel()
	scores := newPair(t)
	reward(t, scores, 1, 1)
	whole := content(t, snapshot(t, scores))
	for length := range len(whole) - 1 { // without the line feed it is whole
		require.ErrorIs(t, weights.Decodable(whole[:length]), weights.ErrSnapshot, "%d bytes", length)
	}
	require.NoError(t, weights.Decodable(whole))
}

// TestASaveThatFailsAtAnyStepLosesNothing fails each step on the disk in turn, as a full disk does.
func TestASaveThatFailsAtAnyStepLosesNothing(t *testing.T) {
	t.Parallel()
	for failing := 0; ; failing++ {
		scores := newPair(t)
		path := filepath.Join(t.TempDir(), "scores.json")
		saver := open(t, path, scores)
		for n := range 3 {
			reward(t, scores, n+1, 1)
			require.NoError(t, saver.Save())
		}
		old := scores.Values()
		reward(t, scores, 4, 1)
		step := 0
		err := saver.SaveStepwise(func(string) error {
			if step++; step == failing+1 {
				return syscall.ENOSPC
			}
			return nil
		})
		if step <= failing {
			require.NoError(t, err)
			require.Greater(t, failing, 6, "all steps have failed once")
			return
		}
		loaded := newPair(t)
		load(t, copied(t, path), loaded)
		require.Contains(t, [][]float64{old, scores.Values()}, loaded.Values())
		if err != nil { // a link that fails is replaced by a renaming
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.ErrorIs(t, saver.Status().Err, syscall.ENOSPC)
		}
		require.NoError(t, saver.Save(), "there is space again")
		require.NoError(t, saver.Status().Err)
		load(t, copied(t, path), loaded)
		require.Equal(t, scores.Values(), loaded.Values())
		left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.tmp"))
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// copied copies a snapshot and its last generation to another folder.
func copied(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "scores.json")
	for _, suffix := range []string{"", ".old"} {
		if data, err := os.ReadFile(path + suffix); err == nil {
			require.NoError(t, os.WriteFile(to+suffix, data, 0o600))
		}
	}
	return to
}

func TestASecondWriterIsToldWhoTheFirstIs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scores.json")
	first := open(t, path, newPair(t))
	_, err := weights.OpenSaver(path, newPair(t), weights.SaverConfig{})
	require.ErrorIs(t, err, weights.ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("process %d on", os.Getpid()))
	require.NoError(t, first.Close())
	require.ErrorIs(t, first.Save(), weights.ErrClosed)
	require.NoError(t, first.Close())
	require.NoError(t, open(t, path, newPair(t)).Close())
}

func TestSymbolicLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	victim := filepath.Join(folder, "victim")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	path := filepath.Join(folder, "scores.json")
	for _, suffix := range []string{".new", ".tmp", ".old", ".1.tmp"} {
		require.NoError(t, os.Symlink(victim, path+suffix))
	}
	scores := newPair(t)
	_, err := weights.OpenSaver(path, scores, weights.SaverConfig{})
	require.ErrorIs(t, err, weights.ErrSnapshot, "the last generation is no snapshot")
	saver, err := weights.OpenSaver(path, scores, weights.SaverConfig{SetAside: true})
	require.NoError(t, err)
	for n := range 5 {
		reward(t, scores, n+1, 1)
		require.NoError(t, saver.Save())
	}
	require.NoError(t, saver.Close())
	require.Equal(t, "precious", string(content(t, victim)))

	require.NoError(t, os.Remove(path+".lock"))
	require.NoError(t, os.Symlink(victim, path+".lock"))
	_, err = weights.OpenSaver(path, scores, weights.SaverConfig{})
	require.Error(t, err)
	require.Equal(t, "precious", string(content(t, victim)))
}

func TestSnapshotsHaveAnAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scores := newPair(t)
		reward(t, scores, 1, 1)
		path := snapshot(t, scores)
		time.Sleep(time.Hour)
		young := newPair(t)
		saver, err := weights.OpenSaver(path, young, weights.SaverConfig{MaxAge: time.Hour})
		require.NoError(t, err)
		require.Equal(t, scores.Values(), young.Values())
		require.Equal(t, time.Hour, time.Since(saver.Status().Loaded))
		require.NoError(t, saver.Close())
		time.Sleep(time.Hour)
		old := newPair(t)
		saver, err = weights.OpenSaver(path, old, weights.SaverConfig{MaxAge: time.Hour - 1})
		require.NoError(t, err)
		require.Equal(t, []float64{0, 0}, old.Values())
		require.Len(t, saver.Status().SetAside, 2, "and the last generation")
		require.NoError(t, saver.Close())
	})
}

func TestASaverSavesAtItsIntervalAndAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scores := newPair(t)
		path := filepath.Join(t.TempDir(), "scores.json")
		saver := open(t, path, scores)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- saver.Run(ctx) }()
		value := func() float64 {
			loaded := newPair(t)
			load(t, copied(t, path), loaded)
			return loaded.Values()[0]
		}
		time.Sleep(25 * time.Second)
		reward(t, scores, 1, 1)
		require.Zero(t, value())
		time.Sleep(6 * time.Second)
		require.InDelta(t, 0.5, value(), 1e-9)
		saved := saver.Status().Saved
		time.Sleep(time.Hour)
		require.Equal(t, saved, saver.Status().Saved, "nothing has changed")
		reward(t, scores, 2, 1)
		cancel()
		require.NoError(t, <-done)
		require.InDelta(t, 0.75, value(), 1e-9)
	})
}

func TestConcurrentSavesAllFindTheirRoundOnTheDisk(t *testing.T) {
	t.Parallel()
	scores := newPair(t)
	path := filepath.Join(t.TempDir(), "scores.json")
	saver := open(t, path, scores)
	var group sync.WaitGroup
	for n := range 20 {
		group.Go(func() {
			reward(t, scores, n+1, 1)
			require.NoError(t, saver.Save())
			loaded := newPair(t)
			load(t, copied(t, path), loaded)
			require.True(t, reward(t, loaded, n+1, 1).Repeated)
		})
	}
	group.Wait()
}

func TestBadSaversAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, err := weights.OpenSaver("", nil, weights.SaverConfig{Interval: -1})
	require.ErrorIs(t, err, weights.ErrInvalidOption)
	for _, want := range []string{
		"path must not be empty", "scores must not be nil",
		"must not be negative",
	} {
		require.ErrorContains(t, err, want)
	}
	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1))
	require.NoError(t, err)
	saver := open(t, filepath.Join(t.TempDir(), "scores.json"), scores)
	require.NoError(t, saver.Save(), "nothing has changed yet")
	require.NoError(t, saver.Close(), "nothing to save is no error at the end")
	_, err = weights.OpenSaver(filepath.Join(t.TempDir(), "no", "such", "folder"), scores,
		weights.SaverConfig{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// childPath is set in a process that TestKilledProcessesLoseNothing has started: it counts rounds,
// saves each, and prints its number.
const childPath = "WEIGHTS_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		fmt.Println(countForEver(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func countForEver(path string) error {
	scores, err := weights.NewScores(weights.Window(1024, 0), weights.Between(0, 1e9),
		weights.WithGuards())
	if err != nil {
		return err
	}
	saver, err := weights.OpenSaver(path, scores, weights.SaverConfig{})
	if err != nil {
		return err
	}
	metagraph := weights.Hotkeys("a")
	if err := scores.SetMetagraph(metagraph); err != nil {
		return err
	}
	for n := scores.Standings()[0].Organic.Count; ; n++ {
		round := weights.Round{Metagraph: metagraph}
		if _, err := scores.Update(round, organic.Rewards{0: float64(n)}); err != nil {
			return err
		}
		if err := saver.Save(); err != nil {
			return err
		}
		fmt.Println("saved", n+1)
	}
}

// startChild starts a process and returns its lines.
func startChild(t *testing.T, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childPath+"="+path)
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	return command, bufio.NewScanner(out)
}

// savedBy returns the number in a line of a child, or how it failed.
func savedBy(line string) (int, error) {
	text, ok := strings.CutPrefix(line, "saved ")
	if !ok {
		return 0, errors.New(line)
	}
	return strconv.Atoi(text)
}

func TestKilledProcessesLoseNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scores.json")
	chance := rand.New(rand.NewPCG(3, 4))
	last := 0
	for range 12 {
		child, lines := startChild(t, path)
		for range 1 + chance.IntN(20) {
			require.True(t, lines.Scan())
			n, err := savedBy(lines.Text())
			require.NoError(t, err)
			require.Greater(t, n, last, "what was saved is counted on from")
			last = n
			if data, err := os.ReadFile(path); chance.IntN(2) == 0 {
				require.NoError(t, err)
				require.NoError(t, weights.Decodable(data), "a reader sees a whole file")
			}
		}
		require.NoError(t, child.Process.Kill())
		for lines.Scan() { // what it has saved before it was killed
			n, err := savedBy(lines.Text())
			require.NoError(t, err)
			last = n
		}
		require.Error(t, child.Wait())
	}
	scores := newScores(t, weights.Window(1024, 0), []string{"a"})
	load(t, path, scores)
	require.GreaterOrEqual(t, scores.Standings()[0].Organic.Count, last)
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.tmp"))
	require.NoError(t, err)
	require.Empty(t, left, "opening removes what a killed process has left")
}

func TestTwoProcessesDoNotShareAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scores.json")
	first, lines := startChild(t, path)
	require.True(t, lines.Scan())
	second, others := startChild(t, path)
	require.True(t, others.Scan())
	require.Contains(t, others.Text(), "snapshot is in use")
	require.Contains(t, others.Text(), fmt.Sprintf("process %d on", first.Process.Pid))
	require.Error(t, second.Wait())
	require.NoError(t, first.Process.Kill())
	require.Error(t, first.Wait())
	load(t, path, newScores(t, weights.Window(1024, 0), []string{"a"}))
}
