package weights_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/service"
	"github.com/organic-scoring/organic/contrib/weights"
)

// What follows is the code of docs/weights.md, so that the compiler sees it.

func makeSetter(
	chain weights.Chain, // of weights.NewHTTP, or the Validator of contrib/subtensor
	metagraph weights.Metagraph, // of Metagraph.Weights, or weights.Hotkeys
	owner string, // the hotkey to burn to
	logger *zap.Logger,
) (*weights.Scores, *weights.Saver, *weights.Setter, error) {
	scores, err := weights.NewScores(weights.Hold(0.01), weights.Between(0, 1))
	if err != nil {
		return nil, nil, nil, err
	}
	saver, err := weights.OpenSaver("scores.json", scores, weights.SaverConfig{Logger: logger})
	if err != nil { // another process has the file, or it cannot be loaded
		return nil, nil, nil, err
	}
	if err := scores.SetMetagraph(metagraph); err != nil { // now, and whenever it was read
		return nil, nil, nil, errors.Join(err, saver.Close())
	}
	source := scores.Source(weights.WithMinAllowed(8), weights.WithBurnTo(0.1, owner))
	setter, err := weights.NewSetter(chain, source, weights.Epoch{Before: 20},
		weights.WithSaver(saver),
		weights.WithWarmUp(scores, 0.9, 10, 6*time.Hour),
		weights.WithLogger(logger))
	if err != nil {
		return nil, nil, nil, errors.Join(err, saver.Close())
	}
	return scores, saver, setter, nil
}

func runAll(
	signalled context.Context, v service.Scorer, saver *weights.Saver, setter *weights.Setter,
) error {
	err := service.Run(signalled, v, service.Config{
		Beside: []func(context.Context) error{saver.Run, setter.Run}, // until v has stopped
	})
	return errors.Join(err, saver.Close())
}

func TestTheCodeInTheDocumentationWorks(t *testing.T) {
	page := content(t, "../../docs/weights.md")
	source := string(content(t, "docs_test.go"))
	blocks := 0
	for _, part := range strings.Split(string(page), "```go\n")[1:] {
		code, _, ended := strings.Cut(part, "```")
		require.True(t, ended)
		if strings.Contains(code, "(v *Validator)") {
			continue // examples/internal/docs compiles it
		}
		require.Contains(t, source, code)
		blocks++
	}
	require.Equal(t, 2, blocks)

	t.Chdir(t.TempDir())
	chain := weights.ChainFunc(func(context.Context, weights.Vector) error { return nil })
	metagraph := weights.Hotkeys("a", "owner")
	scores, saver, setter, err := makeSetter(chain, metagraph, "owner", zap.NewNop())
	require.NoError(t, err)
	v, err := organic.New(organictest.HookFuncs[string, string]{})
	require.NoError(t, err)
	round := weights.RoundOf(organic.NewSample("Peru?"))
	_, err = scores.Update(round, organic.Rewards{0: 1})
	require.NoError(t, err)
	signalled, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, runAll(signalled, v, saver, setter))
	_, err = os.Stat("scores.json")
	require.NoError(t, err)
	_, _, _, err = makeSetter(chain, weights.Metagraph{}, "owner", zap.NewNop())
	require.ErrorIs(t, err, weights.ErrMetagraph)
	_, _, _, err = makeSetter(chain, metagraph, "owner", nil)
	require.ErrorIs(t, err, weights.ErrInvalidOption, "the saver was closed")
}
