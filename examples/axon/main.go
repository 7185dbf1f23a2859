// Command axon is a validator that answers the queries of users at an axon, and
// the users who ask it: all in one process, over HTTP on loopback.
//
// Four users ask in four ways. Alice signs by btauth/1, the protocol of the
// Bittensor SDK 11. Bob signs by Epistula and Dora uses the dendrite of an older
// SDK, since they have not migrated. Carol has no hotkey and sends a bearer key,
// as clients of OpenAI's API do. Three requests are refused: Alice's when it is
// sent a second time, and those of Mallory, who is not on the allow-list and has
// no key. The answered queries are then scored; the log shows the rewards, never
// what users wrote. Last come the counters of the axon and of the scorer.
//
// It takes no arguments. All keys are made at the start and forgotten at the
// end. An interrupt stops softly, a second one at once.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strings"

	"github.com/organic-scoring/organic/examples/internal/program"
)

func main() {
	program.Main("axon", func(ctx context.Context, _ []string, stdout, _ io.Writer) error {
		return run(ctx, stdout)
	})
}

// run is the whole program. The end of ctx is the soft stop.
func run(ctx context.Context, out io.Writer) error {
	logger := log.New(out, "", 0)
	v, err := newValidator(logger)
	if err != nil {
		return err
	}
	carolsKey := "sk-" + strings.ToLower(rand.Text())
	if err := v.users.Replace(map[string]string{carolsKey: "carol"}); err != nil {
		return err
	}
	u, err := newUsers(logger, v.hotkey, carolsKey)
	if err != nil {
		return err
	}
	v.allowed.Allow(u.alice.Hotkey(), u.bob.Hotkey(), u.dora.Hotkey())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	u.url = "http://" + listener.Addr().String()
	err = serve(ctx, v, listener, u.visit)

	requests, samples := v.server.Stats(), v.Stats()
	_, reported := fmt.Fprintf(out,
		"axon: verified %d, refused %v\nscorer: accepted %d, scored %d, still queued %d\n",
		requests.Verified, requests.Refused, samples.Accepted, samples.Scored, samples.Queued)
	err = errors.Join(err, reported)
	if samples.Scored < samples.Accepted {
		err = errors.Join(err,
			fmt.Errorf("%d of %d queries were scored", samples.Scored, samples.Accepted))
	}
	return err
}

// serve runs the validator for a visit, and until all is scored. The end of
// ctx is to be the soft stop, so neither scorer nor server ends with it. The
// scorer stops first, so that no request reaches a hook any more.
func serve(
	ctx context.Context, v *Validator, listener net.Listener, visit func(ctx context.Context) error,
) error {
	lasting := context.WithoutCancel(ctx)
	if err := v.Start(lasting); err != nil {
		return errors.Join(err, listener.Close())
	}
	serving, stopServing := context.WithCancel(lasting)
	defer stopServing()
	served := make(chan error, 1)
	go func() { served <- v.server.Serve(serving, listener) }()

	err := visit(ctx)
	if err == nil {
		err = v.Drain(ctx)
	}
	if ctx.Err() != nil {
		err = program.ErrInterrupted
	}
	err = errors.Join(err, stopScoring(lasting, v))
	stopServing()
	return errors.Join(err, <-served)
}

// stopScoring stops softly: what is in flight is still scored. It takes an
// interrupt for a hard stop.
func stopScoring(ctx context.Context, v *Validator) error {
	hard, cancel := program.UntilNextInterrupt(ctx)
	defer cancel()
	if v.Stop(hard) == nil {
		return nil
	}
	return v.Stop(ctx) // the hooks are cancelled and return soon
}
