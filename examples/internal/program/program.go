// Package program is what the examples have in common as programs: flags,
// interrupts and waiting.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// ErrInterrupted is why a program ended early.
var ErrInterrupted = errors.New("interrupted")

// Main runs a program until it ends. The first interrupt ends its ctx, which is
// the soft stop. The exit status is 1 after an error.
func Main(
	name string, run func(ctx context.Context, args []string, stdout, stderr io.Writer) error,
) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// UntilNextInterrupt returns a context with the values of ctx that ends with
// the next interrupt and not with ctx: for the time after the first.
func UntilNextInterrupt(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM)
}

// Parse reads the command line of a program that takes flags only; the hint is
// for those who give it something else. Asked for help, it writes it to stdout
// and returns flag.ErrHelp.
func Parse(flags *flag.FlagSet, args []string, stdout io.Writer, hint string) error {
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(stdout)
		flags.Usage()
		return err
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q: %s", flags.Arg(0), hint)
	}
	return nil
}

// Sleep waits, or returns why ctx ended first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// UntilSecondInterrupt returns a context that ends with the interrupt after the one that ends ctx,
// for a hard stop.
func UntilSecondInterrupt(ctx context.Context) (hard context.Context, release func()) {
	hard, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		next, stop := UntilNextInterrupt(ctx)
		defer stop()
		select {
		case <-next.Done():
			cancel(ErrInterrupted)
		case <-hard.Done():
		}
	})
	return hard, func() {
		forget()
		cancel(nil)
	}
}
