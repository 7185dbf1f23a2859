package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/internal/usercode"
)

// doneTimeout is the time that Query.Done has, whatever has been cancelled.
const doneTimeout = 10 * time.Second

// finishGrace is how long an answer that has given the reason of its end stays open for what may
// follow, such as the usage.
const finishGrace = 2 * time.Second

var (
	errTimeOver = fmt.Errorf("relay: the time is over: %w", context.DeadlineExceeded)
	errNoChunk  = fmt.Errorf("relay: no first chunk in time: %w", context.DeadlineExceeded)
	errIdle     = fmt.Errorf("relay: no further chunk in time: %w", context.DeadlineExceeded)
)

// collection asks the miners of one query and records what they answer. It is done when its
// supervisor is, which waits for all its other goroutines.
type collection struct {
	relay    *Relay
	query    Query
	started  time.Time
	cancel   context.CancelCauseFunc
	miners   []*recording // in the order of asking
	next     atomic.Int64 // the miner to be asked next
	workers  sync.WaitGroup
	finished chan struct{} // one slot: an answer has given the reason of its end
	ended    chan struct{} // closed when every answer has ended
	complete chan struct{} // closed when result is set
	result   *Result

	mu     sync.Mutex // guards what follows, and the recordings
	open   int        // answers that have not ended
	held   int        // bytes that count for WithMaxInFlight
	cut    error      // see Result.Err
	stream *stream
}

func newCollection(
	relay *Relay, query Query, shown bool, cancel context.CancelCauseFunc,
) *collection {
	c := &collection{
		relay:    relay,
		query:    query,
		cancel:   cancel,
		started:  time.Now(),
		finished: make(chan struct{}, 1),
		ended:    make(chan struct{}),
		complete: make(chan struct{}),
		open:     len(query.Miners),
		stream:   newStream(query.View, relay.cfg.maxLag, shown),
	}
	for i, uid := range query.order() {
		m := &recording{collection: c, uid: uid, ask: query.Miners[uid], queued: i >= c.parallel()}
		m.answer.Chunks = []Chunk{}
		c.miners = append(c.miners, m)
		if query.View.kind == viewOne && uid == query.View.uid {
			c.stream.picked = m
		}
	}
	return c
}

// parallel is how many miners are asked at the same time.
func (c *collection) parallel() int {
	if limit := c.relay.cfg.parallel; limit > 0 {
		return min(len(c.query.Miners), limit)
	}
	return len(c.query.Miners)
}

// begin starts the goroutines. Ctx is the miners', base is what that of Done is made of.
func (c *collection) begin(ctx, base context.Context) {
	ctx, release := context.WithTimeoutCause(ctx, c.query.Timeout, errTimeOver)
	for range c.parallel() {
		c.workers.Go(func() { c.work(ctx) })
	}
	go func() {
		defer release()
		c.supervise(ctx, base)
	}()
}

// supervise waits until the answers have ended, or ends them, and hands them over.
func (c *collection) supervise(ctx, base context.Context) {
	defer c.relay.leave(c)
	defer c.release()
	defer c.workers.Wait()
	c.wait(ctx)
	c.endAll(ctx)
	c.cancel(nil)
	c.finish()
	c.handOver(base)
}

// wait waits until all answers have ended or ctx has, and ends those whose own time is over.
func (c *collection) wait(ctx context.Context) {
	timer := time.NewTimer(c.endLate())
	defer timer.Stop()
	for {
		select {
		case <-c.ended:
			return
		case <-ctx.Done():
			return
		case <-c.finished:
		case <-timer.C:
		}
		timer.Reset(c.endLate())
	}
}

// endLate ends the answers whose time for the next chunk is over, and returns when to look again. A
// chunk only moves the time of its miner to a later one, and a miner that is asked later, or begins
// to answer later, has its whole time from then on.
func (c *collection) endLate() (next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Since(c.started)
	next = c.relay.cfg.idle
	if first := c.relay.cfg.firstChunk; first > 0 {
		next = min(next, first)
	}
	for _, m := range c.miners {
		due, ok := m.due()
		switch {
		case !ok:
		case now >= due:
			m.endLate()
		default:
			next = min(next, due-now)
		}
	}
	return next
}

// endAll ends the answers that are still open, for the reason that ctx gives.
func (c *collection) endAll(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.miners {
		m.endFor(ctx)
	}
}

// finish makes the result and lets it be found.
func (c *collection) finish() {
	c.mu.Lock()
	result := &Result{
		ID:      c.query.ID,
		Started: c.started,
		Took:    time.Since(c.started),
		Answers: make(map[organic.UID]Answer, len(c.miners)),
		Stream:  c.stream.report(),
		cut:     c.cut,
	}
	for _, m := range c.miners {
		result.Answers[m.uid] = m.answer
	}
	c.mu.Unlock()
	c.result = result
	c.relay.completed(c)
	close(c.complete)
}

// handOver calls Query.Done.
func (c *collection) handOver(base context.Context) {
	if c.query.Done == nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(base, doneTimeout, errTimeOver)
	defer cancel()
	result := *c.result
	result.Answers = maps.Clone(result.Answers)
	contain(func() error { return c.callDone(ctx, &result) }, func(err error) {
		if err == nil {
			return
		}
		c.relay.count(func(stats *Stats) { stats.DoneFailed++ })
		if handle := c.relay.cfg.doneFailed; handle != nil {
			contain(func() error { handle(&result, err); return nil }, func(error) {})
		}
	})
}

// callDone calls Query.Done, and retries it as WithDoneRetry says.
func (c *collection) callDone(ctx context.Context, result *Result) error {
	panicked := false // or an error that cannot be inspected, which retryMends does
	onPanic := func(value any) error {
		panicked = true
		return panicError(value)
	}
	done := func() error {
		return usercode.Call(func() error { return c.query.Done(ctx, result) }, onPanic)
	}
	err := done()
	for wait := c.relay.cfg.doneRetry; wait > 0 && !panicked && retryMends(err); wait *= 2 {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		err = done()
		if errors.Is(err, organic.ErrDuplicate) {
			return nil // an earlier call has stored the sample, although it failed
		}
	}
	return err
}

// retryMends reports whether Query.Done can succeed when it is called again after this error.
func retryMends(err error) bool {
	for _, final := range []error{
		nil, organic.ErrDuplicate, organic.ErrClosed, organic.ErrNotBuilt, organic.ErrInvalidOption,
		durable.ErrClosed, durable.ErrTooLarge,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// work asks one miner after the other, until all have been asked or ctx has ended.
func (c *collection) work(ctx context.Context) {
	usercode.Sequence(usercode.StepFunc(func() (more bool) {
		if ctx.Err() != nil {
			return false
		}
		i := int(c.next.Add(1)) - 1
		if i >= len(c.miners) {
			return false
		}
		c.miners[i].run(ctx)
		return true
	}))
}

// hold takes bytes of what may be in flight, if there are so many left.
func (c *collection) hold(bytes int) bool {
	if c.relay.inFlight.Add(int64(bytes)) > c.relay.cfg.maxInFlight {
		c.relay.inFlight.Add(int64(-bytes))
		return false
	}
	c.held += bytes
	return true
}

// release gives back what the collection holds, when nothing more comes.
func (c *collection) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.relay.inFlight.Add(int64(-c.held))
	c.held = 0
}

// contain calls f and passes on what it returned, or that it panicked or left by runtime.Goexit.
func contain(f func() error, ended func(err error)) {
	err := errGoexit
	defer func() { ended(err) }()
	err = usercode.Call(f, panicError)
}

func panicError(value any) error { return organic.NewPanicError(value) }

// validatorsOwn reports whether the error of a miner function is a failure of the validator.
func validatorsOwn(err error) bool {
	if errors.Is(err, ErrValidator) || errors.Is(err, ErrInvalidOption) || errors.Is(err, errGoexit) {
		return true
	}
	_, panicked := errors.AsType[*organic.PanicError](err)
	return panicked
}
