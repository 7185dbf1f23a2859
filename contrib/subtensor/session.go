package subtensor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// minBackoff and maxBackoff bound the wait before a connection is tried
	// again. It doubles from one to the other, with jitter.
	minBackoff = time.Second
	maxBackoff = time.Minute
	// steadyAfter is how long a connection must have worked for the back-off to
	// begin again at minBackoff.
	steadyAfter = time.Minute
	// deadAfter is how long a node may send nothing, or leave one request
	// unanswered, before its connection is given up.
	deadAfter = time.Minute
	// stalledAfter is how long a node may announce no block to those who wait for
	// blocks: 15 blocks of 12 s.
	stalledAfter  = 3 * time.Minute
	checkInterval = 5 * time.Second
	// maxSends bounds how often a request is sent whose connection is lost each
	// time, because the request or its answer may be what the node fails at.
	maxSends = 5
)

// RuntimeVersion is what a signature is made for.
type RuntimeVersion struct {
	Spec        uint32 `json:"specVersion"`
	Transaction uint32 `json:"transactionVersion"`
}

// session keeps a connection to one of the network's nodes, and answers calls
// over it. One goroutine, run, owns connection, calls and subscriptions; the
// methods talk to it by the channel ops. Safe for concurrent use.
type session struct {
	network   Network
	connector *connector

	lastID atomic.Uint64
	ops    chan op
	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned
	status atomic.Pointer[Stats]
}

// Stats shows how the connection of a [Client] is.
type Stats struct {
	// Endpoint is the host of the node in use, empty while there is none.
	Endpoint string
	// Version is that of the node's best block.
	Version RuntimeVersion
	// VersionAt is when Version was last confirmed by a node.
	VersionAt time.Time
	// Connections counts connections made, Failures attempts that failed.
	Connections, Failures uint64
	// Resent counts requests that were sent again over a new connection.
	Resent uint64
	// LastError is why the last connection or attempt ended, nil if none did.
	LastError error
}

// op is one thing that the owner does for a caller.
type op interface{ do(o *owner) }

// owner is the state of session.run.
type owner struct {
	session *session
	calls   map[uint64]*call
	subs    map[*subscription]struct{}

	conn     *conn // nil while there is no connection
	since    time.Time
	lastSeen time.Time
	named    map[string]*subscription // by the name that the node of conn gave
	version  *subscription            // the owner's own, to the runtime version

	next    int // the endpoint to try next
	backoff time.Duration
	retry   *time.Timer     // fires when it is time to connect
	dialed  chan dialResult // nil unless an attempt runs
	stats   Stats
}

type dialResult struct {
	conn    *conn
	version RuntimeVersion
	err     error
}

// call is one request, from the caller's op to its answer.
type call struct {
	id      uint64
	method  string
	request []byte
	once    bool // never sent a second time
	sends   int
	sentAt  time.Time
	answer  chan answer   // capacity 1
	opens   *subscription // the request subscribes
}

type answer struct {
	result json.RawMessage
	err    error
}

// openSession connects to the first endpoint that works and starts the owner.
// It fails when every endpoint has failed once, with the reasons of all.
func openSession(ctx context.Context, network Network, dialer Dialer) (*session, error) {
	s := &session{
		network:   network,
		connector: newConnector(dialer),
		ops:       make(chan op),
		done:      make(chan struct{}),
	}
	var failures []error
	for i, endpoint := range network.Endpoints {
		node, genesis, version, err := s.connector.connect(ctx, endpoint, network.Genesis)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		s.network.Genesis = genesis
		s.start(context.WithoutCancel(ctx), node, i, version, uint64(len(failures)))
		return s, nil
	}
	return nil, errors.Join(failures...)
}

// start runs the owner until close is called; ctx must not end.
func (s *session) start(
	ctx context.Context, node *conn, endpoint int, version RuntimeVersion, failures uint64,
) {
	ctx, s.cancel = context.WithCancel(ctx)
	o := &owner{
		session: s,
		calls:   make(map[uint64]*call),
		subs:    make(map[*subscription]struct{}),
		next:    endpoint + 1,
		version: newSubscription(s, runtimeVersions),
		backoff: minBackoff,
		retry:   time.NewTimer(time.Hour),
	}
	o.retry.Stop()
	o.subs[o.version] = struct{}{}
	o.stats.Failures = failures
	o.connected(dialResult{conn: node, version: version})
	go o.run(ctx)
}

// close ends the owner, which fails all calls with [ErrClosed], and waits.
func (s *session) close() {
	s.cancel()
	<-s.done
}

// call sends a request that changes nothing at the node, waits for a connection
// if there is none, and sends it again when the connection is lost before the
// answer has come. The answer is decoded into result, unless that is nil.
func (s *session) call(ctx context.Context, result any, method string, params ...any) error {
	c, err := s.newCall(method, params)
	if err != nil {
		return err
	}
	return s.do(ctx, c, result)
}

// submit sends a request at most once. If the connection is lost before the
// answer has come, it returns [ErrDisconnected]. An error that wraps errNotSent
// means that no node has received the request.
func (s *session) submit(ctx context.Context, result any, method string, params ...any) error {
	c, err := s.newCall(method, params)
	if err != nil {
		return err
	}
	c.once = true
	return s.do(ctx, c, result)
}

func (s *session) newCall(method string, params []any) (*call, error) {
	c := &call{id: s.lastID.Add(1), method: method, answer: make(chan answer, 1)}
	var err error
	c.request, err = encodeRequest(c.id, method, params)
	return c, err
}

func (s *session) do(ctx context.Context, c *call, result any) error {
	if err := s.send(ctx, begin{c}); err != nil {
		return fmt.Errorf("subtensor: %s: %w: %w", c.method, errNotSent, err)
	}
	data, err := s.await(ctx, c)
	if err != nil || result == nil {
		return err
	}
	// For null, JSON leaves a result as it is, zero, unless it is a pointer.
	missing := isAbsent(data) && reflect.TypeOf(result).Elem().Kind() != reflect.Pointer
	if err := json.Unmarshal(data, result); err != nil || missing {
		return fmt.Errorf("%w to %s", ErrBadReply, c.method)
	}
	return nil
}

func (s *session) await(ctx context.Context, c *call) (json.RawMessage, error) {
	select {
	case a := <-c.answer:
		return a.result, a.err
	case <-ctx.Done():
	}
	gone := abandon{call: c, sends: make(chan int, 1)}
	if s.send(context.WithoutCancel(ctx), gone) != nil {
		a := <-c.answer // the owner answers all calls before it ends
		return a.result, a.err
	}
	err := context.Cause(ctx)
	if <-gone.sends == 0 {
		err = fmt.Errorf("%w: %w", errNotSent, err)
		if why := s.status.Load().LastError; why != nil {
			err = fmt.Errorf("%w (last connection: %w)", err, why)
		}
	}
	return nil, fmt.Errorf("subtensor: %s: %w", c.method, err)
}

// send hands an op to the owner, which receives at all times and never blocks.
func (s *session) send(ctx context.Context, request op) error {
	select {
	case s.ops <- request:
		return nil
	case <-s.done:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// begin adds a call.
type begin struct{ call *call }

func (b begin) do(o *owner) { o.add(b.call) }

// abandon ends a call whose caller does not wait any longer. One that was sent is kept until its
// answer comes or its connection ends, since a node that leaves it unanswered is given up.
type abandon struct {
	call  *call
	sends chan int // capacity 1
}

func (a abandon) do(o *owner) {
	a.call.once = true
	if o.conn == nil {
		delete(o.calls, a.call.id)
	}
	a.sends <- a.call.sends
}

func (o *owner) run(ctx context.Context) {
	defer close(o.session.done)
	defer o.finish()
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for {
		var frames <-chan frame
		var alive <-chan struct{}
		if o.conn != nil {
			frames, alive = o.conn.frames, o.conn.alive
		}
		select {
		case <-ctx.Done():
			return
		case request := <-o.session.ops:
			request.do(o)
		case message, ok := <-frames:
			if !ok {
				o.lost(o.conn.err)
				continue
			}
			o.receive(message)
		case <-alive:
			o.lastSeen = time.Now()
		case <-ticker.C:
			o.check()
		case <-o.retry.C:
			o.dial(ctx)
		case result := <-o.dialed:
			o.dialed = nil
			o.connected(result)
		}
	}
}

// finish leaves no goroutine and no caller behind.
func (o *owner) finish() {
	o.retry.Stop()
	if o.dialed != nil {
		if result := <-o.dialed; result.err == nil {
			result.conn.close()
		}
	}
	if o.conn != nil {
		o.conn.close()
	}
	for _, c := range o.calls {
		c.answer <- answer{err: fmt.Errorf("%s: %w", c.method, ErrClosed)}
	}
	for u := range o.subs {
		u.end(ErrClosed)
	}
}

func (o *owner) add(c *call) {
	o.calls[c.id] = c
	if o.conn != nil {
		o.transmit(c)
	}
}

func (o *owner) transmit(c *call) {
	if c.sends > 0 {
		o.stats.Resent++
	}
	c.sends++
	c.sentAt = time.Now()
	o.conn.send(c.request)
}

func (o *owner) answer(c *call, a answer) {
	delete(o.calls, c.id)
	c.answer <- a
}

func (o *owner) receive(message frame) {
	o.lastSeen = time.Now()
	if message.subscription != "" {
		u := o.named[message.subscription]
		switch {
		case u == nil:
		case message.err != nil:
			message.err.Method = u.feed.subscribe
			o.lost(message.err)
		default:
			o.deliver(u, message.result)
		}
		return
	}
	c := o.calls[message.id]
	if c != nil && message.err != nil {
		message.err.Method = c.method
	}
	if message.err != nil && message.err.Code == codeBusy {
		if c != nil && c.once {
			o.answer(c, answer{err: message.err})
		}
		o.lost(message.err)
		return
	}
	switch {
	case !message.isAnswer || c == nil:
	case c.opens != nil:
		delete(o.calls, c.id)
		o.opened(c.opens, message)
	case message.err != nil:
		o.answer(c, answer{err: message.err})
	default:
		o.answer(c, answer{result: message.result})
	}
}

var (
	errSilent = errors.New("node has sent nothing for a minute")
	errStuck  = errors.New("node has not answered a request for a minute")
	errStall  = errors.New("node has announced no block for three minutes")
)

// check gives up a connection that no longer works.
func (o *owner) check() {
	if o.conn == nil {
		return
	}
	if time.Since(o.lastSeen) > deadAfter {
		o.lost(errSilent)
		return
	}
	for _, c := range o.calls {
		if time.Since(c.sentAt) > deadAfter {
			o.lost(fmt.Errorf("%s: %w", c.method, errStuck))
			return
		}
	}
	for u := range o.subs {
		if u.feed == newHeads && u.name != "" && time.Since(u.heard) > stalledAfter {
			o.lost(errStall)
			return
		}
	}
}

// lost ends the connection, fails the calls that must not be sent again, and
// plans the next attempt.
func (o *owner) lost(err error) {
	host := hostOf(o.conn.endpoint)
	o.conn.close()
	o.conn, o.named = nil, nil
	o.stats.Endpoint = ""
	if time.Since(o.since) >= steadyAfter {
		o.backoff = minBackoff
	}
	for _, c := range o.calls {
		switch {
		case c.opens != nil:
			delete(o.calls, c.id) // all subscriptions are opened again
		case c.sends > 0 && (c.once || c.sends >= maxSends):
			o.answer(c, answer{err: fmt.Errorf("%w: %s: %w", ErrDisconnected, c.method, err)})
		}
	}
	o.planRetry(fmt.Errorf("subtensor: %s: %w", host, err))
}

func (o *owner) planRetry(why error) {
	o.stats.LastError = why
	o.publish()
	o.retry.Reset(o.backoff/2 + rand.N(o.backoff/2))
	o.backoff = min(2*o.backoff, maxBackoff)
}

func (o *owner) publish() {
	stats := o.stats
	o.session.status.Store(&stats)
}

// dial tries the next endpoint in a goroutine that finish awaits.
func (o *owner) dial(ctx context.Context) {
	network := o.session.network
	endpoint := network.Endpoints[o.next%len(network.Endpoints)]
	o.next++
	dialed := make(chan dialResult, 1)
	o.dialed = dialed
	connector := o.session.connector
	go func() {
		node, _, version, err := connector.connect(ctx, endpoint, network.Genesis)
		dialed <- dialResult{node, version, err}
	}()
}

func (o *owner) connected(result dialResult) {
	if result.err != nil {
		o.stats.Failures++
		o.planRetry(result.err)
		return
	}
	now := time.Now()
	o.conn, o.since, o.lastSeen = result.conn, now, now
	o.named = make(map[string]*subscription)
	o.stats.Connections++
	o.stats.Endpoint = hostOf(result.conn.endpoint)
	o.stats.Version, o.stats.VersionAt = result.version, now
	for _, id := range slices.Sorted(maps.Keys(o.calls)) {
		o.transmit(o.calls[id])
	}
	for u := range o.subs {
		o.open(u)
	}
	o.publish()
}
