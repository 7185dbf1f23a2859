package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
)

// Relay asks miners, shows what they answer to the one who asked, and collects it for scoring. One
// Relay serves all requests of a validator. Make it with [New] and close it with [Relay.Close]. All
// methods are safe for concurrent use.
type Relay struct {
	cfg      config
	inFlight atomic.Int64 // see WithMaxInFlight

	mu      sync.Mutex // guards what follows; no other lock is taken under it
	closed  bool
	open    map[*collection]struct{} // until their last goroutine is done
	running map[string]*collection   // those with an ID, until they are complete
	kept    store
	stats   Stats
	idle    chan struct{} // closed when the relay is closed and none is open
}

// New returns a relay. It reports all invalid options at once and starts nothing.
func New(opts ...Option) (*Relay, error) {
	cfg := defaultConfig()
	var errs []error
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, invalid(fmt.Sprintf("option %d is nil", i+1), "must be an option"))
			continue
		}
		errs = append(errs, opt.apply(&cfg))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Relay{
		cfg:     cfg,
		open:    make(map[*collection]struct{}),
		running: make(map[string]*collection),
		kept:    store{bytes: cfg.keepBytes, age: cfg.keepAge},
		idle:    make(chan struct{}),
	}, nil
}

// Serve asks the miners of a query and writes what the requester is to see to w, in the caller's
// goroutine. It returns when that stream has ended; the other miners' answers are collected in the
// background until they are complete, and then go to Query.Done.
//
// Nil means that the requester has got everything, or has read in the stream why not. An error
// means that the requester does not know yet: return it from OnOrganicEntry, and an axon answers
// with its status if nothing is out, and else breaks the connection. If no miner was asked it is
// [ErrNotAsked], and [ErrInvalidQuery], [ErrBusy], [ErrClosed], [ErrDuplicate] or [ErrLeft] too;
// else it is [ErrNoAnswer], [ErrBrokenOff], [ErrTooSlow] or [ErrLeft]. An ErrLeft is a refusal with
// status 499 too, so that a scorer counts no failed hook for a user who hangs up.
//
// The end of ctx is the requester's leaving. It ends the stream; the miners are heard to the end
// all the same, unless Query.StopOnLeave says otherwise. With a ctx that has ended already no miner
// is asked.
func (r *Relay) Serve(ctx context.Context, w http.ResponseWriter, query Query) error {
	if ctx.Err() != nil {
		return notAskedError{left(context.Cause(ctx))}
	}
	base := context.WithoutCancel(ctx)
	c, err := r.begin(base, base, query, true)
	if err != nil {
		return err
	}
	return c.serve(ctx, w)
}

// Collect asks the miners of a query that no requester waits for, such as one over a synthetic
// sample, and returns at once. The answers take the way that those of Serve take: Query.Done gets
// them when they are complete, and Close waits for that. View, Wire and StopOnLeave are ignored.
//
// The miners are heard to the end also if ctx ends. An error means that no miner was asked, and is
// one of those that Serve returns then. A query with neither Done nor an ID for [Relay.Answers] is
// [ErrInvalidQuery], since its answers would be lost.
func (r *Relay) Collect(ctx context.Context, query Query) error {
	if query.Done == nil && query.ID == "" {
		return notAskedError{errLost}
	}
	base := context.WithoutCancel(ctx)
	query.View, query.StopOnLeave = View{}, false
	_, err := r.begin(base, base, query, false)
	return err
}

// Ask asks the miners of a query that no requester waits for, such as one over a synthetic sample,
// and returns their answers when they are complete: one for each miner. View, Wire, StopOnLeave and
// Done are ignored.
//
// The deadline of ctx completes the answers early and is no error, as the time of the query is
// none. But answers that it cuts short are ended by the validator and not scorable: give the miners
// their time by Query.Timeout, and let ctx last longer.
//
// Without answers the error is [ErrNotAsked], and [ErrInvalidQuery], [ErrBusy], [ErrClosed] or
// [ErrDuplicate] too. Beside answers it is that of [Result.Err]: ctx was cancelled, or Close cut
// them short. The map is the caller's; the chunks are shared.
func (r *Relay) Ask(ctx context.Context, query Query) (map[organic.UID]Answer, error) {
	query.View, query.Done = View{}, nil
	c, err := r.begin(ctx, context.WithoutCancel(ctx), query, false)
	if err != nil {
		return nil, err
	}
	<-c.complete
	return maps.Clone(c.result.Answers), c.result.cut
}

// Answers returns the answers of the query with this ID. It waits for those of one that runs until
// they are complete, and answers from what is kept (WithKeep) for one that is. The error is
// [ErrUnknown], at once, for any other ID, and the cause of ctx if that ends first. Beside answers
// it is that of [Result.Err]. The map is the caller's; the chunks are shared.
func (r *Relay) Answers(ctx context.Context, id string) (map[organic.UID]Answer, error) {
	r.mu.Lock()
	c := r.running[id]
	kept, err := r.kept.get(id, time.Now())
	r.mu.Unlock()
	if c == nil {
		return kept, err
	}
	select {
	case <-c.complete:
		return maps.Clone(c.result.Answers), c.result.cut
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close refuses new queries and waits for those that are open: for their miners, until these have
// ended or their time is over, and for Query.Done. Nil means that no goroutine of the relay is
// left. If ctx ends first, Close cuts the answers short (Cancelled by the validator, see
// [Result.Err]), returns the cause of ctx at once, and may be called again to wait. Query.Done is
// called in any case.
//
// Close before the scorer's Stop, so that what is still collected can be scored. Serve runs in the
// goroutines of the server, which has to wait for it.
func (r *Relay) Close(ctx context.Context) error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		r.rest()
	}
	r.mu.Unlock()
	select {
	case <-r.idle:
		return nil
	default:
	}
	select {
	case <-r.idle:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		c.cancel(ErrClosed)
	}
	return context.Cause(ctx)
}

// Stats are what a relay has done since New, and what it holds now. The counters only grow. Stats
// are a plain value.
type Stats struct {
	Begun      uint64 // queries whose miners were asked
	Refused    uint64 // queries refused by ErrBusy or ErrClosed
	Completed  uint64 // queries whose answers are complete
	DoneFailed uint64 // failures of Query.Done

	Whole   uint64 // streams that the requester got with their end
	Failed  uint64 // streams that ended with a failure
	TooSlow uint64 // streams whose requester was cut off
	Left    uint64 // streams whose requester left

	Open      int // relays that are open, see WithMaxOpen
	InFlight  int // bytes that they hold, see WithMaxInFlight
	Kept      int // queries whose answers are kept, see WithKeep
	KeptBytes int // about the memory of these answers
}

// Stats returns the counters and gauges.
func (r *Relay) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	stats.Open, stats.InFlight = len(r.open), int(r.inFlight.Load())
	stats.Kept, stats.KeptBytes = r.kept.size(time.Now())
	return stats
}

// begin asks the miners. Their ctx and that of Done come from the two given.
func (r *Relay) begin(ctx, base context.Context, query Query, shown bool) (*collection, error) {
	query = query.withDefaults(&r.cfg)
	if err := query.check(); err != nil {
		return nil, notAskedError{err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	c := newCollection(r, query, shown, cancel)
	if err := r.enter(c); err != nil {
		cancel(nil)
		return nil, notAskedError{err}
	}
	c.begin(ctx, base)
	return c, nil
}

func (r *Relay) enter(c *collection) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		r.stats.Refused++
		return errRefusedClosed
	case len(r.open) >= r.cfg.maxOpen, r.inFlight.Load() >= r.cfg.maxInFlight:
		r.stats.Refused++
		return errRefusedBusy
	case r.running[c.query.ID] != nil:
		return ErrDuplicate
	}
	r.stats.Begun++
	r.open[c] = struct{}{}
	if c.query.ID != "" {
		r.running[c.query.ID] = c
	}
	return nil
}

// completed keeps the answers of a collection.
func (r *Relay) completed(c *collection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Completed++
	if c.query.ID != "" {
		delete(r.running, c.query.ID)
		r.kept.add(c.result, time.Now())
	}
}

// leave is the last that a collection does.
func (r *Relay) leave(c *collection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
	r.rest()
}

func (r *Relay) rest() {
	if r.closed && len(r.open) == 0 {
		close(r.idle)
	}
}

func (r *Relay) count(add func(stats *Stats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add(&r.stats)
}

// statusLeft is what an axon notes for a requester who has left, and who gets no status.
const statusLeft = 499

// leftError is an ErrLeft with its cause, and a refusal.
type leftError struct{ cause error }

func left(cause error) error { return &leftError{cause} }

func (e *leftError) Error() string { return ErrLeft.Error() + ": " + e.cause.Error() }

func (e *leftError) Unwrap() []error {
	return []error{ErrLeft, organic.Refuse(statusLeft, "the requester has left"), e.cause}
}
