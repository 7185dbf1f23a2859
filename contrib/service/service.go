// Package service runs a validator as a program: the scorer and everything beside it, until a
// signal comes or one of them fails. It stops them in the order in which nothing that was accepted
// is lost, so that no validator has to write that again:
//
//	signalled, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
//	context.AfterFunc(signalled, stop) // a second signal ends the program
//	err := service.Run(signalled, v, service.Config{
//		Intake: v.relay.Close,
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
)

// Scorer is an [organic.OrganicScorer], or the validator that embeds it.
type Scorer interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// Config configures [Run]. The zero value runs the scorer alone.
type Config struct {
	// Intake, if not nil, closes what still enqueues after its requests have ended, before the
	// scorer is stopped: the Close of a relay.
	Intake func(ctx context.Context) error
	// Beside are what runs beside the scorer: axon, setter, saver, metrics. Each gets a goroutine
	// and a ctx that ends when the scorer has stopped, and must return soon after that. One that
	// returns an error stops everything; one that returns nil has done its work.
	Beside []func(ctx context.Context) error
	// Deadline is how long Intake, and then the scorer's Stop, may take before they cancel what is
	// in flight: 2 minutes by default. It should be longer than an iteration.
	Deadline time.Duration
}

// cancelled is how long a stop may take once hooks and miners are cancelled.
const cancelled = 10 * time.Second

// Run starts the scorer and what is beside it, and returns when all of it has stopped. The stop
// begins when ctx ends or a function of Beside fails. It is soft: Intake is closed, the scorer
// finishes what is in flight, and only then ends the ctx of what is beside it, so that users get
// their answers and the last scores are saved. What takes longer than Deadline is cancelled; a
// cancelled sample goes back to the queue.
//
// The error has all errors of Beside, those of Intake and Stop, and what took longer than Deadline.
// If the scorer cannot be started, nothing else is, and the error is that of Start. Nil functions
// are reported as [organic.ErrInvalidOption].
func Run(ctx context.Context, scorer Scorer, cfg Config) error {
	if err := cfg.check(); err != nil {
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
			if errs[i] = f(besideCtx); errs[i] != nil {
				stop()
			}
		})
	}
	<-running.Done()

	var intakeErr error
	if cfg.Intake != nil {
		intakeErr = end(lasting, "intake", cfg.Intake, cfg.Deadline)
	}
	stopErr := end(lasting, "scorer", scorer.Stop, cfg.Deadline)
	endBeside()
	beside.Wait()
	return errors.Join(errors.Join(errs...), intakeErr, stopErr)
}

// check fills in the default.
func (c *Config) check() error {
	for i, f := range c.Beside {
		if f == nil {
			return fmt.Errorf("%w: service: Beside[%d] is nil: must be a function", organic.ErrInvalidOption, i)
		}
	}
	if c.Deadline < 0 {
		return fmt.Errorf("%w: service: Deadline is %v: must not be negative", organic.ErrInvalidOption, c.Deadline)
	}
	if c.Deadline == 0 {
		c.Deadline = 2 * time.Minute
	}
	return nil
}

// end calls stop, a Close or Stop that cancels what is in flight when its ctx ends and can be
// called again to wait.
func end(ctx context.Context, what string, stop func(context.Context) error, deadline time.Duration) error {
	soft, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	err := stop(soft)
	if err == nil || soft.Err() == nil {
		return err
	}
	hard, cancel := context.WithTimeout(ctx, cancelled)
	defer cancel()
	return errors.Join(fmt.Errorf("service: %s cancelled after %v: %w", what, deadline, err), stop(hard))
}
