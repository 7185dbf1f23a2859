package weights_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// startOfThePage is the code of docs/weights.md.
func startOfThePage(metagraph weights.Metagraph, owner string, chain weights.Chain, logger *zap.Logger) error {
	scores, err := weights.NewScores(weights.Hold(0.01), weights.Between(0, 1))
	if err != nil {
		return err
	}
	saver, err := weights.OpenSaver("scores.json", scores, weights.SaverConfig{})
	if err != nil {
		return err // another process has the file, or it cannot be loaded
	}
	if err := scores.SetMetagraph(metagraph); err != nil {
		return err
	}
	source := func(context.Context) (weights.Vector, error) {
		return scores.Convert(weights.WithMinAllowed(8), weights.WithBurnTo(0.1, owner))
	}
	setter, err := weights.NewSetter(chain, source, weights.Epoch{Before: 20},
		weights.WithSaver(saver),
		weights.WithWarmUp(scores, 0.9, 10, 6*time.Hour),
		weights.WithLogger(logger))
	if err != nil {
		return err
	}
	_ = setter.Status()
	return saver.Close()
}

// hookOfThePage is the code of docs/weights.md.
func hookOfThePage(scores *weights.Scores, sample organic.Sample[string], asked []organic.UID, rewards organic.Rewards) error {
	round := weights.RoundOf(sample)
	round.Asked = asked // the UIDs: a miner without a reward gets 0
	_, err := scores.Update(round, rewards)
	return err
}

func TestTheCodeInTheDocumentationCompiles(t *testing.T) {
	page := content(t, "../../docs/weights.md")
	source := unindented(string(content(t, "docs_test.go")))
	blocks := 0
	for _, part := range strings.Split(string(page), "```go\n")[1:] {
		code, _, ended := strings.Cut(part, "```")
		require.True(t, ended)
		require.Contains(t, source, unindented(code))
		blocks++
	}
	require.Equal(t, 2, blocks)

	t.Chdir(t.TempDir())
	chain := weights.ChainFunc(func(context.Context, weights.Vector) error { return nil })
	require.NoError(t, startOfThePage(weights.Hotkeys("a", "owner"), "owner", chain, zap.NewNop()))
	_, err := os.Stat("scores.json")
	require.NoError(t, err)
	require.NoError(t, hookOfThePage(newPair(t), organic.NewSample("prompt"), []organic.UID{0, 1}, organic.Rewards{0: 1}))
}

// unindented is code without the spaces at the beginning of its lines.
func unindented(code string) string {
	lines := strings.Split(code, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}
