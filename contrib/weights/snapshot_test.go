package weights_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// saved returns the bytes of a snapshot.
func saved(tb testing.TB, scores *weights.Scores) []byte {
	tb.Helper()
	path := tb.TempDir() + "/scores.json"
	require.NoError(tb, scores.Save(path))
	data, err := os.ReadFile(path)
	require.NoError(tb, err)
	return data
}

// written puts data into a file.
func written(tb testing.TB, data []byte) (path string) {
	tb.Helper()
	path = tb.TempDir() + "/scores.json"
	require.NoError(tb, os.WriteFile(path, data, 0o600))
	return path
}

// played returns scores that have something of everything.
func played(t *testing.T, average weights.Average) *weights.Scores {
	t.Helper()
	s := newSubnet(t, average, weights.MaxRequesterShare(0.5), weights.PenaltyOnly())
	s.play(3, synthetically)
	round := from("user")
	round.ID = "counted"
	s.flood(1, round, cheater, -0.5)
	s.flood(2, from("other"), honest, -0.25)
	s.flood(1, from("other"), honest, 0.25)
	return s.scores
}

func TestScoresSurvive(t *testing.T) {
	t.Parallel()
	for _, average := range []weights.Average{weights.Hold(0.3), weights.Decay(0.3), weights.Window(5, time.Hour)} {
		t.Run(average.String(), func(t *testing.T) {
			t.Parallel()
			before := played(t, average)
			path := written(t, saved(t, before))
			after := newSubnet(t, average, weights.MaxRequesterShare(0.5), weights.PenaltyOnly())
			require.NoError(t, after.scores.Load(path))
			require.Equal(t, before.Standings(), after.scores.Standings())
			require.Equal(t, saved(t, before), saved(t, after.scores))

			round := from("user")
			round.ID = "counted"
			require.True(t, after.flood(1, round, cheater, -1).Repeated, "rounds are remembered too")
			for _, scores := range []*weights.Scores{before, after.scores} {
				update(t, scores, from("user"), organic.Rewards{cheater: -1, better: -1})
			}
			require.InDeltaSlice(t, before.Values(), after.scores.Values(), 1e-12, "and both go on alike")
		})
	}
}

func TestLoadedScoresGoToTheirHotkeysOnly(t *testing.T) {
	t.Parallel()
	before := newScores(t, weights.Hold(1), []string{"a", "b", "c", "d"})
	update(t, before, weights.Round{}, organic.Rewards{0: 1, 1: 2, 2: 3, 3: 4})
	path := written(t, saved(t, before))
	now := weights.Hotkeys("a", "x", "d") // b is gone, c too, and d has moved
	load := func(scores *weights.Scores) { require.NoError(t, scores.Load(path)) }
	tell := func(scores *weights.Scores) { require.NoError(t, scores.SetMetagraph(now)) }
	tests := []struct {
		name  string
		steps []func(*weights.Scores)
	}{
		{name: "metagraph after", steps: []func(*weights.Scores){load, tell}},
		{name: "metagraph before", steps: []func(*weights.Scores){tell, load}},
		{name: "both", steps: []func(*weights.Scores){tell, load, tell}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			scores, err := weights.NewScores(weights.Hold(0.1))
			require.NoError(t, err)
			for _, step := range tt.steps {
				step(scores)
			}
			require.Equal(t, []float64{1, 0, 0}, scores.Values())
			tally := update(t, scores, weights.Round{Received: time.Now().Add(-time.Hour)}, organic.Rewards{0: 1, 1: 1, 2: 1, 3: 1})
			require.Equal(t, weights.Tally{Counted: 1, Stranded: 3}, tally, "asked before the restart")
		})
	}
}

// TestRoundsAreForgottenOldestFirstAfterARestartToo wraps round what is
// remembered before it is saved.
func TestRoundsAreForgottenOldestFirstAfterARestartToo(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(1), []string{"a"})
	count := func(n int) bool {
		return update(t, scores, weights.Round{ID: strconv.Itoa(n)}, organic.Rewards{0: 1}).Repeated
	}
	for n := range 5000 {
		require.False(t, count(n))
	}
	path := written(t, saved(t, scores))
	scores = newScores(t, weights.Hold(1), []string{"a"})
	require.NoError(t, scores.Load(path))
	require.True(t, count(5000-4096), "the oldest that is remembered")
	require.False(t, count(5000), "pushes it out")
	require.True(t, count(5001-4096))
	require.True(t, count(4999))
	require.False(t, count(5000-4096))
}

// TestTenureSurvives: a hotkey that took its UID before the restart is known
// to have had it since.
func TestTenureSurvives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		before := newScores(t, weights.Hold(1), []string{"a"})
		time.Sleep(time.Hour)
		changed := time.Now()
		require.NoError(t, before.SetMetagraph(weights.Hotkeys("b")))
		path := written(t, saved(t, before))
		time.Sleep(time.Hour)
		after := newScores(t, weights.Hold(1), []string{"b"})
		require.NoError(t, after.Load(path))
		require.Equal(t, 1, update(t, after, weights.Round{Received: changed.Add(-1)}, organic.Rewards{0: 1}).Stranded)
		require.Equal(t, 1, update(t, after, weights.Round{Received: changed}, organic.Rewards{0: 1}).Counted)
	})
}

// TestSnapshotCutAnywhereIsLoadedWholeOrRefused cuts at every byte.
func TestSnapshotCutAnywhereIsLoadedWholeOrRefused(t *testing.T) {
	t.Parallel()
	for _, average := range []weights.Average{weights.Hold(0.3), weights.Window(5, 0)} {
		t.Run(average.String(), func(t *testing.T) {
			t.Parallel()
			scores := played(t, average)
			whole, before := saved(t, scores), scores.Standings()
			path := t.TempDir() + "/scores.json"
			loaded := 0
			for cut := range whole {
				fresh := newSubnet(t, average, weights.MaxRequesterShare(0.5), weights.PenaltyOnly()).scores
				empty := fresh.Standings()
				require.NoError(t, os.WriteFile(path, whole[:cut], 0o600))
				err := fresh.Load(path)
				if err == nil {
					require.Equal(t, before, fresh.Standings())
					loaded++
					continue
				}
				require.ErrorIs(t, err, weights.ErrSnapshot, "cut at %d", cut)
				require.Equal(t, empty, fresh.Standings())
			}
			require.Equal(t, 1, loaded, "only the line break at the end can be missed")
		})
	}
}

// TestSnapshotWithOneBadByteIsLoadedWholeOrRefused changes each byte in turn.
func TestSnapshotWithOneBadByteIsLoadedWholeOrRefused(t *testing.T) {
	t.Parallel()
	scores := played(t, weights.Hold(0.3))
	whole, before := saved(t, scores), scores.Standings()
	path := written(t, whole)
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		fresh := newSubnet(t, weights.Hold(0.3), weights.MaxRequesterShare(0.5), weights.PenaltyOnly()).scores
		if err := fresh.Load(path); err == nil {
			require.Equal(t, before, fresh.Standings(), "byte %d", i)
		} else {
			require.True(t, errors.Is(err, weights.ErrSnapshot) || errors.Is(err, weights.ErrSnapshotVersion), "byte %d: %v", i, err)
		}
	}
}

func TestSnapshotsThatDoNotFitAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	sealed := func(scores string) []byte { return weights.Seal(json.RawMessage(scores)) }
	good := string(saved(t, newScores(t, weights.Hold(1), []string{"a"})))
	miner := func(fields string) []byte {
		return sealed(`{"average":"exponential","miners":[{"hotkey":"a","organic":{` + fields + `}}]}`)
	}
	tests := []struct {
		name string
		data []byte
		want error
		text string
	}{
		{name: "nothing", want: weights.ErrSnapshot},
		{name: "another file", data: []byte(`{"scores": [1, 2]}`), want: weights.ErrSnapshot, text: `format is ""`},
		{name: "later version", data: []byte(strings.Replace(good, `"version":1`, `"version":2`, 1)), want: weights.ErrSnapshotVersion, text: "2, this one reads up to 1"},
		{name: "no version", data: []byte(strings.Replace(good, `"version":1`, `"version":0`, 1)), want: weights.ErrSnapshot, text: "version is 0"},
		{name: "checksum", data: []byte(strings.Replace(good, `"hotkey":"a"`, `"hotkey":"b"`, 1)), want: weights.ErrSnapshot, text: "checksum"},
		{name: "two of them", data: []byte(good + good), want: weights.ErrSnapshot},
		{name: "a window", data: sealed(`{"average":"window","miners":[{"hotkey":"a"}]}`), want: weights.ErrSnapshotAverage, text: "window average and not that of Hold(1)"},
		{name: "nobody", data: sealed(`{"average":"exponential","miners":[]}`), want: weights.ErrSnapshot, text: "no neurons"},
		{name: "no hotkey", data: sealed(`{"average":"exponential","miners":[{}]}`), want: weights.ErrSnapshot, text: "UID 0 has no hotkey"},
		{name: "not its shape", data: sealed(`{"average":7}`), want: weights.ErrSnapshot},
		{name: "requester", data: miner(`"requesters":[{"requester":"x"}]`), want: weights.ErrSnapshot, text: "16 hex digits"},
		{name: "round", data: sealed(`{"rounds":["ab"]}`), want: weights.ErrSnapshot, text: "32 hex digits"},
		{name: "count", data: miner(`"count":-1`), want: weights.ErrSnapshot, text: "count"},
		{name: "mass", data: miner(`"mass":1.5`), want: weights.ErrSnapshot, text: "average"},
		{name: "mean", data: miner(`"mass":1,"mean":1e39`), want: weights.ErrSnapshot, text: "average"},
		{name: "variance", data: miner(`"mass":1,"variance":-1`), want: weights.ErrSnapshot, text: "variance"},
		{name: "contribution", data: miner(`"requesters":[{"requester":"0000000000000000","mass":0.1,"value":1e39}]`), want: weights.ErrSnapshot, text: "requester"},
		{name: "too many requesters", data: miner(`"requesters":[{}` + strings.Repeat(",{}", 200) + `]`), want: weights.ErrSnapshot, text: "more requesters"},
		{name: "reward", data: miner(`"latest":[{"value":1e39}]`), want: weights.ErrSnapshot, text: "finite"},
		{name: "too many rounds", data: sealed(`{"rounds":["` + strings.Repeat(strings.Repeat("0", 32)+`","`, 4096) + strings.Repeat("0", 32) + `"]}`), want: weights.ErrSnapshot, text: "4097 rounds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			scores := newScores(t, weights.Hold(1), []string{"a"})
			update(t, scores, weights.Round{}, organic.Rewards{0: 0.5})
			path := written(t, tt.data)
			err := scores.Load(path)
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.text)
			require.ErrorContains(t, err, path)
			require.Equal(t, []float64{0.5}, scores.Values())
		})
	}
	err := newScores(t, weights.Hold(1), []string{"a"}).Load(t.TempDir() + "/none.json")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestCrashBeforeTheRenamingLeavesTheOldSnapshot ends the process, as far as
// Save can tell, when the new file is complete.
func TestCrashBeforeTheRenamingLeavesTheOldSnapshot(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(1), []string{"a"})
	update(t, scores, weights.Round{}, organic.Rewards{0: 1})
	path := t.TempDir() + "/scores.json"
	require.NoError(t, scores.Save(path))
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	update(t, scores, weights.Round{}, organic.Rewards{0: 2})

	require.Panics(t, func() {
		_ = scores.SaveBy(path, func(from, to string) error {
			require.Equal(t, path, to)
			fresh, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NotEqual(t, old, fresh, "all was written")
			panic("crash")
		})
	})
	after := newScores(t, weights.Hold(1), []string{"a"})
	require.NoError(t, after.Load(path))
	require.Equal(t, []float64{1}, after.Values())

	require.NoError(t, os.WriteFile(path+".new", bytes.Repeat([]byte("left over "), 10_000), 0o600))
	require.NoError(t, scores.Save(path))
	require.NoError(t, after.Load(path))
	require.Equal(t, []float64{2}, after.Values(), "what is left over does no harm")
}

func TestFailedSavesLeaveTheOldSnapshotAndNothingElse(t *testing.T) {
	t.Parallel()
	full := errors.New("disk is full")
	scores := newScores(t, weights.Hold(1), []string{"a"})
	folder := t.TempDir()
	path := folder + "/scores.json"
	require.NoError(t, scores.Save(path))
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	update(t, scores, weights.Round{}, organic.Rewards{0: 2})

	require.ErrorIs(t, scores.SaveBy(path, func(string, string) error { return full }), full)
	require.ErrorIs(t, scores.Save(folder+"/none/scores.json"), fs.ErrNotExist)
	now, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, old, now)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := entries[0].Info()
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "only its owner can read it")
}

// TestSnapshotsNameNoRequester: who asks is other people's data.
func TestSnapshotsNameNoRequester(t *testing.T) {
	t.Parallel()
	for _, average := range []weights.Average{weights.Hold(0.3), weights.Window(5, 0)} {
		s := newSubnet(t, average, weights.MaxRequesterShare(0.5))
		round := from("alice@example.org")
		round.ID = "sample of alice"
		s.flood(1, round, honest, 1)
		require.NotContains(t, string(saved(t, s.scores)), "alice")
	}
}
