// Package service runs a validator as a program: the scorer and everything beside it, until a
// signal comes or one of them fails. It stops them in the order in which nothing that was accepted
// is lost, so that no validator has to write that again:
//
//	signalled, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
//	context.AfterFunc(signalled, stop) // a second signal ends the program
//	err := service.Run(signalled, v, service.Config{
//		Collect: v.relay.Close,
//		Beside: []func(context.Context) error{
//			func(ctx context.Context) error { return server.ListenAndServe(ctx, ":8091") },
//			runner.Run,
//		},
//	})
//
// After Run the caller closes queue, files and connections; docs/failures.md has the whole order.
package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/internal/option"
	"github.com/organic-scoring/organic/internal/usercode"
)

// Scorer is an [organic.OrganicScorer], or the validator that embeds it.
type Scorer interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// Config configures [Run]. The zero value runs the scorer alone.
type Config struct {
	// Collect, if not nil, waits for what still enqueues when the scorer has stopped: the Close of a
	// relay, which collects the answers of queries that are open. Hooks can use the relay to the end.
	Collect func(ctx context.Context) error
	// Beside are what runs beside the scorer: axon, setter, saver, metrics. Each gets a goroutine
	// and a ctx that ends when the scorer has stopped, and must return soon after that, nil or the
	// error of its ctx. One that returns an error before stops everything; one that returns nil has
	// done its work.
	Beside []func(ctx context.Context) error
	// Deadline is how long the scorer's Stop, and then Collect, may take before they cancel what is
	// in flight: 2 minutes by default. It should be longer than an iteration.
	Deadline time.Duration
}

// cancelled is how long a stop may take once hooks and miners are cancelled.
const cancelled = 10 * time.Second

// Run starts the scorer and what is beside it, and returns when all of it has stopped. The stop
// begins when ctx ends or a function of Beside fails. It is soft: the scorer finishes what is in
// flight, Collect is awaited, and only then ends the ctx of what is beside, so that users get their
// answers and the last scores are saved. What takes longer than Deadline is cancelled; a cancelled
// sample goes back to the queue.
//
// The error has all errors of Beside, those of Stop and Collect, and what took longer than
// Deadline; a panic of one of these functions is an [organic.PanicError]. If the scorer cannot be
// started, nothing else is, and the error is that of Start. A nil scorer and nil functions are
// reported as [organic.ErrInvalidOption].
func Run(ctx context.Context, scorer Scorer, cfg Config) error {
	if err := cfg.check(scorer); err != nil {
		return err
	}
	lasting := context.WithoutCancel(ctx)
	if err := scorer.Start(lasting); err != nil {
		return err
	}
	besideCtx, endBeside := context.WithCancel(lasting)
	defer endBeside()
	running, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(cfg.Beside))
	var beside sync.WaitGroup
	for i, f := range cfg.Beside {
		beside.Go(func() {
			err := fmt.Errorf("service: Beside[%d] left by runtime.Goexit", i)
			defer func() {
				if err == nil || besideCtx.Err() != nil && errors.Is(err, context.Canceled) {
					return
				}
				errs[i] = err
				stop()
			}()
			err = call(besideCtx, f)
		})
	}
	<-running.Done()

	stopErr := end(lasting, "scorer", cfg.Deadline, scorer.Stop)
	var collectErr error
	if cfg.Collect != nil {
		collectErr = end(lasting, "collection", cfg.Deadline, cfg.Collect)
	}
	endBeside()
	beside.Wait()
	return errors.Join(errors.Join(errs...), stopErr, collectErr)
}

// call calls a part. Its panic is an error, so that the others are stopped in order.
func call(ctx context.Context, f func(context.Context) error) error {
	return usercode.Call(func() error { return f(ctx) },
		func(value any) error { return organic.NewPanicError(value) })
}

// check fills in the default, and lists all that is wrong.
func (c *Config) check(scorer Scorer) error {
	var errs []error
	invalid := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: service: "+format,
			append([]any{organic.ErrInvalidOption}, args...)...))
	}
	if option.IsNil(scorer) {
		invalid("the scorer must not be nil")
	}
	for i, f := range c.Beside {
		if f == nil {
			invalid("Beside[%d] is nil: must be a function", i)
		}
	}
	if c.Deadline < 0 {
		invalid("Deadline is %v: must not be negative", c.Deadline)
	}
	if c.Deadline == 0 {
		c.Deadline = 2 * time.Minute
	}
	return errors.Join(errs...)
}

// end calls stop, a Stop or Close that cancels what is in flight when its ctx ends and can be
// called again to wait.
func end(
	ctx context.Context, what string, deadline time.Duration, stop func(context.Context) error,
) error {
	soft, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	err := call(soft, stop)
	if err == nil || soft.Err() == nil {
		return err
	}
	hard, cancel := context.WithTimeout(ctx, cancelled)
	defer cancel()
	err = fmt.Errorf("service: %s cancelled after %v: %w", what, deadline, err)
	return errors.Join(err, call(hard, stop))
}
