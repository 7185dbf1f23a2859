// Command sn1 is a whole subnet on loopback: miners, a validator and its users,
// with real HTTP and real signatures. It is the program to copy from.
//
// The miners replay what models once answered, word by word. Some are slow,
// fail, hang, copy or say nothing. Users ask the validator by btauth/1, and some
// that have not migrated by Epistula and by a dendrite; they read the answers as
// they come, and some hang up half way. The
// validator relays each query to all miners, scores what they answered, asks
// synthetic queries that no miner can tell from the users', and sets weights.
// At the end stands a table of the miners, beside the order that human judges
// gave the models.
//
// Without arguments it plays a small file of this repository; -help lists the
// flags. An interrupt stops softly: what is under way is still scored. A
// second one stops at once.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic/examples/internal/program"
)

func main() { program.Main("sn1", run) }

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
	s, err := newSubnet(cfg)
	if err != nil {
		return err
	}
	if file, ok := stderr.(*os.File); ok { // which several may write to at a time
		s.logger = newLogger(file)
	}
	err = s.play(ctx, stderr)
	if s.current() == nil {
		return err // nothing has begun
	}
	return errors.Join(err, s.report(stdout))
}

// newLogger returns a logger that writes what needs somebody's eyes, in lines.
func newLogger(out io.Writer) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(out), zap.WarnLevel))
}
