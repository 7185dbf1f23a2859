package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"
)

func TestStateInAFolderThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there")
	s := setup(t, "-patience 1s -rate 100 -state "+dir)
	played(t, s)
	requireAccounted(t, s)
	require.FileExists(t, filepath.Join(dir, "scores.json"))
	require.FileExists(t, filepath.Join(dir, "queue.json"))
}

func TestStateThatCannotBeSavedCostsNoSample(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	s := setup(t, "-patience 1s -rate 100 -state "+dir)
	path := filepath.Join(dir, "scores.json")
	scores, err := weights.NewScores(weights.Window(window, 0), weights.Between(0, 1))
	require.NoError(t, err)
	require.NoError(t, scores.SetMetagraph(s.metagraph))
	saver, err := weights.OpenSaver(path, scores, weights.SaverConfig{})
	require.NoError(t, err)
	require.NoError(t, saver.Close())
	require.NoError(t, os.MkdirAll(filepath.Join(path+".old", "in the way"), 0o700))
	require.ErrorContains(t, s.play(t.Context(), new(strings.Builder)), "save snapshot", "as the end shows")
	requireAccounted(t, s)
	require.Zero(t, s.stats().Dead)
}

func TestSavedSamplesReplaceTheOldOnes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "queue.json")
	require.NoError(t, saveSamples(path, []organic.Sample[Prompt]{organic.NewSample(Prompt{Text: "a"}), organic.NewSample(Prompt{Text: "b"})}))
	require.NoError(t, saveSamples(path, []organic.Sample[Prompt]{organic.NewSample(Prompt{Text: "c"})}))
	samples, err := loadSamples(path)
	require.NoError(t, err)
	require.Len(t, samples, 1)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing else is left")
	require.Error(t, saveSamples(filepath.Join(dir, "none", "queue.json"), samples))
}

func TestSamplesOfALargerSubnet(t *testing.T) {
	t.Parallel()
	tally := newTally(1)
	result := &organic.Result[Prompt, relay.Answer]{Sample: organic.NewSample(Prompt{}), Rewards: organic.Rewards{0: 1, 7: 1}}
	require.True(t, tally.add(result))
	require.Equal(t, 1, tally.all()[0].rewards[organic.Organic].count)
	h := &history{keep: true, miners: 1}
	require.NoError(t, h.SetWeights(t.Context(), weights.Vector{Rows: []weights.Row{{UID: 7, Share: 1}}}))
	require.Len(t, h.weights, 1)
}
