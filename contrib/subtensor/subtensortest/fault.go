package subtensortest

import (
	"slices"

	"golang.org/x/crypto/blake2b"
)

// Action is what a [Fault] does with a request.
type Action uint8

// The actions.
const (
	// Pass answers the request as usual.
	Pass Action = iota
	// DropBefore closes the connection and does not run the request.
	DropBefore
	// DropAfter runs the request and closes the connection in place of an answer.
	DropAfter
	// Swallow runs the request and never answers it.
	Swallow
	// Fail answers with an error and does not run the request.
	Fail
)

// Fault makes requests fail.
type Fault struct {
	// Method is the one that fails; empty means all.
	Method string
	// Skip is how many requests pass before the first that fails.
	Skip int
	// Times is how many requests fail; 0 means one.
	Times  int
	Action Action
	// Error is what Fail answers with: the JSON that stands for the error, whatever its form.
	Error string
}

// faults is what goes wrong at the moment.
type faults struct {
	injected     []Fault
	requests     []string // the methods of all requests so far
	hold         bool
	duplicate    bool
	withoutCodes bool
	loseReveals  int
	dispatch     []string // errors of the next extrinsics
}

// of returns the fault of the next request of a method.
func (f *faults) of(method string) Fault {
	f.requests = append(f.requests, method)
	for i := range f.injected {
		fault := &f.injected[i]
		switch {
		case fault.Method != "" && fault.Method != method:
			continue
		case fault.Skip > 0:
			fault.Skip--
			continue
		}
		found := *fault
		if fault.Times--; fault.Times <= 0 {
			f.injected = slices.Delete(f.injected, i, i+1)
		}
		return found
	}
	return Fault{}
}

// Inject adds a fault. Faults are tried in the order in which they were added.
func (n *Node) Inject(fault Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults.injected = append(n.faults.injected, fault)
}

// Requests returns the methods of all requests so far, in their order, faulty ones included.
func (n *Node) Requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.faults.requests)
}

// Drop closes all connections.
func (n *Node) Drop() { n.server.drop() }

// Stall makes the node silent, without an end of its connections: it reads and sends nothing until
// Resume or Close.
func (n *Node) Stall() { n.server.stall() }

// Resume ends a stall.
func (n *Node) Resume() { n.server.resume() }

// Refuse makes the node answer new connections with an HTTP status, such as 429; 0 accepts again.
func (n *Node) Refuse(status int) {
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	n.server.refuse = status
}

// Hold keeps extrinsics in the pool instead of putting them into blocks.
func (n *Node) Hold(hold bool) { n.with(func(f *faults) { f.hold = hold }) }

// Duplicate sends each notification of a head twice, and that of the head before in between.
func (n *Node) Duplicate(duplicate bool) { n.with(func(f *faults) { f.duplicate = duplicate }) }

// WithoutCodes gives the errors of the pool the form of a development node, which has no code.
func (n *Node) WithoutCodes(without bool) { n.with(func(f *faults) { f.withoutCodes = without }) }

// LoseReveals makes so many of the next reveals fail, of which the chain leaves no trace.
func (n *Node) LoseReveals(count int) { n.with(func(f *faults) { f.loseReveals = count }) }

// FailDispatch makes the next extrinsics fail in their blocks, each with one of these errors: of a
// pallet, or, as BadOrigin, of the runtime itself.
func (n *Node) FailDispatch(names ...string) {
	n.with(func(f *faults) { f.dispatch = append(f.dispatch, names...) })
}

func (n *Node) with(change func(f *faults)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(&n.faults)
}

// DropPool forgets all extrinsics that wait.
func (n *Node) DropPool() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pool = nil
}

// Prune discards the state of all blocks but the best one.
func (n *Node) Prune() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, b := range n.blocks {
		if b != n.head() {
			b.values = nil
		}
	}
}

// Upgrade gives the chain another runtime at the end of the next block. The events of that block
// are still written by the old one.
func (n *Node) Upgrade(runtime *Runtime) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next = runtime
}

// Reorg replaces the last depth blocks by others, of which there are blocks many. The extrinsics of
// the replaced blocks go back into the pool, or are forgotten.
func (n *Node) Reorg(depth, blocks int, forget bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	depth = min(depth, len(n.chain)-1)
	cut := len(n.chain) - depth
	var retracted []pooled
	for _, b := range n.chain[cut:] {
		for _, raw := range b.extrinsics[1:] { // the first one is the node's own
			if parsed, err := b.runtime.Metadata.ParseExtrinsic(raw); err == nil {
				retracted = append(retracted, pooled{raw: raw, hash: blake2b.Sum256(raw), Parsed: parsed})
			}
		}
	}
	n.chain = n.chain[:cut:cut]
	if !forget {
		n.pool = append(retracted, n.pool...)
	}
	for range blocks {
		if err := n.mine(); err != nil {
			return err
		}
	}
	n.announce()
	return nil
}

// announce tells the subscribers of the best block, and of what has changed with it.
func (n *Node) announce() {
	head := n.head()
	parent := n.blocks[head.parent]
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	for c := range n.server.clients {
		if parent != nil && parent.runtime != head.runtime {
			c.notify(runtimeVersions, head.runtime.Version)
		}
		c.notify(newHeads, n.headerOf(head))
		if n.faults.duplicate && parent != nil {
			c.notify(newHeads, n.headerOf(parent))
			c.notify(newHeads, n.headerOf(head))
		}
		c.notify(finalizedHeads, n.headerOf(n.finalized()))
	}
}
