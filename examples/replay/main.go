// Command replay plays recorded answers of several models through the scoring
// loop, as if the models were miners, and shows who was scored how.
//
// The prompts of a file arrive as organic queries at a rate. Each sample is
// put to the miners, which answer what was recorded, each after its own
// latency; the reward is the overlap of words with a reference answer. At the
// end there is a table: how many samples each miner was scored on, its mean
// reward, its moving average and the weight that makes of it on the chain, and
// beside them the order that human judges gave the models, where a file has it.
//
// Without arguments it replays a small file of this repository; -help lists
// the flags. An interrupt stops softly: what is in flight is still scored. A
// second one stops at once.
package main

import (
	"context"
	"errors"
	"flag"
	"io"

	"github.com/organic-scoring/organic/examples/internal/program"
)

func main() { program.Main("replay", run) }

// run is the whole program. The end of ctx is the soft stop. The table goes to
// stdout, the progress to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := newReplay(cfg)
	if err != nil {
		return err
	}
	err = r.play(ctx, stderr)
	return errors.Join(err, r.report(stdout))
}
