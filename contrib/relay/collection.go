package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
)

// aftermath is the time that Query.Done has, whatever has been cancelled.
const aftermath = 10 * time.Second

var errTimeOver = fmt.Errorf("relay: the time is over: %w", context.DeadlineExceeded)

// collection asks the miners of one query and records what they answer. It is
// done when its supervisor is, which waits for all its other goroutines.
type collection struct {
	relay    *Relay
	query    Query
	started  time.Time
	cancel   context.CancelCauseFunc
	miners   []*recording // in the order of asking
	next     atomic.Int64 // whose turn it is
	workers  sync.WaitGroup
	ended    chan struct{} // closed when every answer has ended
	complete chan struct{} // closed when result is set
	result   *Result

	mu     sync.Mutex // guards what follows, and the recordings
	open   int        // answers that have not ended
	held   int        // bytes that count for WithMaxInFlight
	cut    error      // why answers were ended that neither their miners nor the time has
	stream *stream
}

func newCollection(relay *Relay, query Query, shown bool, cancel context.CancelCauseFunc) *collection {
	c := &collection{
		relay:    relay,
		query:    query,
		cancel:   cancel,
		started:  time.Now(),
		ended:    make(chan struct{}),
		complete: make(chan struct{}),
		open:     len(query.Miners),
		stream:   newStream(query.View, relay.cfg.maxLag, shown),
	}
	for _, uid := range query.order() {
		m := &recording{collection: c, uid: uid, ask: query.Miners[uid], answer: Answer{Chunks: []Chunk{}}}
		c.miners = append(c.miners, m)
		if query.View.kind == viewOne && uid == query.View.uid {
			c.stream.picked = m
		}
	}
	return c
}

// begin starts the goroutines. Ctx is the miners', base is what that of Done is
// made of.
func (c *collection) begin(ctx, base context.Context) {
	ctx, release := context.WithTimeoutCause(ctx, c.query.Timeout, errTimeOver)
	workers := len(c.miners)
	if limit := c.relay.cfg.parallel; limit > 0 {
		workers = min(workers, limit)
	}
	for range workers {
		c.workers.Go(func() { c.work(ctx) })
	}
	go func() {
		defer release()
		c.supervise(ctx, base)
	}()
}

// supervise waits until the answers have ended, or ends them, and hands them
// over.
func (c *collection) supervise(ctx, base context.Context) {
	defer c.relay.leave(c)
	defer c.release()
	defer c.workers.Wait()
	c.wait(ctx)
	c.endAll(ctx)
	c.cancel(nil)
	c.conclude()
	c.tell(base)
}

func (c *collection) wait(ctx context.Context) {
	var late <-chan time.Time
	if limit := c.relay.cfg.firstChunk; limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	for {
		select {
		case <-c.ended:
			return
		case <-ctx.Done():
			return
		case <-late:
			c.endSilent()
		}
	}
}

// endSilent gives up the miners that have not answered yet.
func (c *collection) endSilent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.miners {
		if len(m.answer.Chunks) == 0 {
			m.end(m.late(), errTimeOver)
		}
	}
}

// endAll ends the answers that are still open, for the reason that ctx gives.
func (c *collection) endAll(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.miners {
		m.endFor(ctx)
	}
}

// conclude makes the result and lets it be found.
func (c *collection) conclude() {
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

// tell calls Query.Done.
func (c *collection) tell(base context.Context) {
	if c.query.Done == nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(base, aftermath, errTimeOver)
	defer cancel()
	result := *c.result
	result.Answers = cloneAnswers(result.Answers)
	contain(func() error { return c.query.Done(ctx, &result) }, func(err error) {
		if err == nil {
			return
		}
		c.relay.count(func(stats *Stats) { stats.DoneFailed++ })
		if handle := c.relay.cfg.doneFailed; handle != nil {
			contain(func() error { handle(&result, err); return nil }, func(error) {})
		}
	})
}

// work asks one miner after the other, until all have been asked or it is too
// late. When a miner function leaves by runtime.Goexit it goes on in another
// goroutine.
func (c *collection) work(ctx context.Context) {
	left := true
	defer func() {
		if left {
			c.workers.Go(func() { c.work(ctx) })
		}
	}()
	for ctx.Err() == nil {
		i := int(c.next.Add(1)) - 1
		if i >= len(c.miners) {
			break
		}
		c.miners[i].run(ctx)
	}
	left = false
}

// contain calls f and tells ended what it returned, or that it panicked or
// left by runtime.Goexit.
func contain(f func() error, ended func(err error)) {
	err := errGoexit
	defer func() {
		if value := recover(); value != nil {
			err = organic.NewPanicError(value)
		}
		ended(err)
	}()
	err = f()
}

// recording is the answer of one miner while it comes in.
type recording struct {
	collection *collection
	uid        organic.UID
	ask        Miner

	// Guarded by collection.mu.
	asked  bool
	answer Answer
	size   int                // of the chunks
	block  []byte             // the chunks' memory; what is free of it lies beyond its length
	cancel context.CancelFunc // ends the miner's ctx
}

// run asks the miner, unless it has been given up.
func (m *recording) run(ctx context.Context) {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	if !m.begin(cancel) {
		return
	}
	contain(func() error { return m.ask(own, m.emit) }, func(err error) {
		c := m.collection
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			m.endFor(ctx)
		case err != nil:
			m.end(Failed, err)
		default:
			m.end(Complete, nil)
		}
	})
}

func (m *recording) begin(cancel context.CancelFunc) bool {
	c := m.collection
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.hasEnded() {
		return false
	}
	m.asked, m.cancel = true, cancel
	m.answer.Started = time.Since(c.started)
	return true
}

// emit records a chunk and offers it to the requester.
func (m *recording) emit(chunk []byte) error {
	c := m.collection
	good := c.stream.judge(chunk)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case m.answer.Err != nil:
		return m.answer.Err
	case m.hasEnded():
		return ErrEnded
	case len(chunk) == 0:
		return nil
	case m.size+len(chunk) > c.relay.cfg.maxBytes, len(m.answer.Chunks) == c.relay.cfg.maxChunks:
		m.end(CutOff, ErrTooLong)
		return ErrTooLong
	case !c.hold(len(chunk) + openOverhead):
		m.end(CutOff, ErrFull)
		return ErrFull
	}
	text := m.keep(chunk)
	m.answer.Chunks = append(m.answer.Chunks, Chunk{Text: text, At: time.Since(c.started)})
	c.stream.chunk(m, text, good)
	return nil
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

// The memory for chunks is taken in blocks, each twice as large as the one
// before, in bytes.
const (
	firstBlock = 256
	lastBlock  = 32 << 10
)

// keep copies a chunk to where it stays.
func (m *recording) keep(chunk []byte) []byte {
	if cap(m.block)-len(m.block) < len(chunk) {
		m.block = make([]byte, 0, max(len(chunk), min(max(2*cap(m.block), firstBlock), lastBlock)))
	}
	begin := len(m.block)
	m.block = append(m.block, chunk...)
	m.size += len(chunk)
	return m.block[begin:len(m.block):len(m.block)]
}

func (m *recording) hasEnded() bool { return m.answer.Ending != 0 }

// end ends the answer, unless it has ended: the first to say how has said it.
func (m *recording) end(ending Ending, err error) {
	if m.hasEnded() {
		return
	}
	c := m.collection
	m.answer.Ending, m.answer.Err, m.answer.Ended = ending, err, time.Since(c.started)
	if c.cut == nil && m.answer.spared() {
		c.cut = fmt.Errorf("relay: answers were cut short: %w", err)
	}
	if m.cancel != nil {
		m.cancel()
	}
	c.open--
	c.stream.ended(m, c.open)
	if c.open == 0 {
		close(c.ended)
	}
}

// endFor ends the answer for the reason that ctx gives.
func (m *recording) endFor(ctx context.Context) {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		m.end(m.late(), errTimeOver)
	case !m.asked:
		m.end(NeverStarted, context.Cause(ctx))
	default:
		m.end(Cancelled, context.Cause(ctx))
	}
}

// late is how the answer ends when its time is over.
func (m *recording) late() Ending {
	switch {
	case !m.asked:
		return NeverStarted
	case len(m.answer.Chunks) == 0:
		return Silent
	default:
		return TimedOut
	}
}
