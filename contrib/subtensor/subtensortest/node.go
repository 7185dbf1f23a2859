package subtensortest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// Config configures a [Node]. The zero value is a node that makes blocks on demand.
type Config struct {
	// Runtime is the one of block 0; nil means NewRuntime of the zero RuntimeConfig.
	Runtime *Runtime
	// Chain names the chain: the hash of block 0 depends on it.
	Chain string
	// Clock makes a block whenever the block time has passed, until Close. Without it, blocks are
	// made by Mine alone, and the chain's time is that of New plus the block time for each block.
	Clock bool
	// FinalityLag is how many blocks the finalized head is behind the best one.
	FinalityLag uint64
	// Pulses are the beacon's; nil means NewBeacon("subtensortest").
	Pulses Pulses
	// PoolChecksOff takes extrinsics into the pool that the call's own checks refuse, as runtimes
	// before spec 425 do. Their errors then stand in the block's events.
	PoolChecksOff bool
	// States is for how many blocks the state is kept; 0 means 256.
	States int
}

// Node is the fake node. Create it with [New], and Close it. Safe for concurrent use.
type Node struct {
	cfg     Config
	server  *server
	genesis subtensor.Hash
	stop    chan struct{}
	clock   sync.WaitGroup

	mu      sync.Mutex
	chain   []*block // the best chain, by height
	blocks  map[subtensor.Hash]*block
	pool    []pooled
	netuids []uint16
	next    *Runtime // of an upgrade in the next block
	forks   uint64   // makes the hashes of competing blocks differ
	faults  faults
	closed  bool
}

// block is a block and the state after it.
type block struct {
	number       uint64
	hash, parent subtensor.Hash
	time         time.Time
	extrinsics   [][]byte
	values       map[string][]byte // nil if pruned
	runtime      *Runtime          // that the next block is made with
}

// ErrClosed is returned by methods of a closed node.
var ErrClosed = errors.New("subtensortest: node is closed")

// New starts a node at block 0.
func New(cfg Config) (*Node, error) {
	var err error
	if cfg.Runtime == nil {
		if cfg.Runtime, err = defaultRuntime(); err != nil {
			return nil, err
		}
	}
	if cfg.Pulses == nil {
		if cfg.Pulses, err = NewBeacon("subtensortest"); err != nil {
			return nil, err
		}
	}
	if cfg.States <= 0 {
		cfg.States = 256
	}
	n := &Node{
		cfg: cfg, genesis: blake2b.Sum256([]byte("subtensortest" + cfg.Chain)), stop: make(chan struct{}),
		blocks: make(map[subtensor.Hash]*block),
	}
	genesis := &block{
		hash: n.genesis, runtime: cfg.Runtime, values: make(map[string][]byte), time: time.Now(),
	}
	s := &store{metadata: cfg.Runtime.Metadata, values: genesis.values}
	s.setTime(genesis.time, cfg.Pulses)
	if s.err != nil {
		return nil, fmt.Errorf("subtensortest: block 0: %w", s.err)
	}
	n.chain, n.blocks[genesis.hash] = []*block{genesis}, genesis
	n.server = newServer(n)
	if cfg.Clock {
		n.clock.Go(n.tick)
	}
	return n, nil
}

// Close ends all connections and waits until no goroutine is left. Closing twice is harmless.
func (n *Node) Close() {
	n.mu.Lock()
	first := !n.closed
	n.closed = true
	n.mu.Unlock()
	if first {
		close(n.stop)
	}
	n.clock.Wait()
	n.server.close()
}

// tick makes blocks by the clock.
func (n *Node) tick() {
	ticker := time.NewTicker(n.cfg.Runtime.BlockTime)
	defer ticker.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-ticker.C:
			_ = n.Mine(1) // fails only when the node is closed or the state is broken by hand
		}
	}
}

// Height returns the height of the best block.
func (n *Node) Height() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.head().number
}

// Hash returns the hash of the best block.
func (n *Node) Hash() subtensor.Hash {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.head().hash
}

// Genesis returns the hash of block 0.
func (n *Node) Genesis() subtensor.Hash { return n.genesis }

// Now returns the chain's time, that of the best block.
func (n *Node) Now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.head().time
}

// Included returns the heights of the blocks of the best chain that contain an extrinsic.
func (n *Node) Included(extrinsic subtensor.Hash) []uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	var heights []uint64
	for _, b := range n.chain {
		for _, each := range b.extrinsics {
			if subtensor.Hash(blake2b.Sum256(each)) == extrinsic {
				heights = append(heights, b.number)
			}
		}
	}
	return heights
}

// Submit gives an extrinsic to the pool, as author_submitExtrinsic does. The error is what the node
// answers.
func (n *Node) Submit(extrinsic []byte) (subtensor.Hash, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	hash, failure := n.submit(extrinsic)
	if failure != nil {
		return subtensor.Hash{}, failure
	}
	return hash, nil
}

// Events returns the events of a block of the best chain.
func (n *Node) Events(height uint64) ([]scale.Event, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if height == 0 || height >= uint64(len(n.chain)) || n.chain[height].values == nil {
		return nil, fmt.Errorf("subtensortest: no state of block %d", height)
	}
	s := &store{metadata: n.chain[height-1].runtime.Metadata, values: n.chain[height].values}
	_, key := s.key("System.Events", nil)
	if s.err != nil {
		return nil, s.err
	}
	return s.metadata.Events(s.values[key])
}

// Pending returns how many extrinsics wait in the pool.
func (n *Node) Pending() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.pool)
}

// Set writes a storage value of the best block, as "Pallet.Item", without any check. Values and
// keys are what [scale.Metadata.Encode] takes.
func (n *Node) Set(item string, value any, keys ...any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.headStore()
	s.set(value, item, keys...)
	return s.err
}

// Remove removes a storage value of the best block.
func (n *Node) Remove(item string, keys ...any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.headStore()
	s.remove(item, keys...)
	return s.err
}

// Get reads a storage value of the best block into what target points to, as
// [scale.Metadata.Decode] does. It leaves target alone if the value is absent and has no default.
func (n *Node) Get(target any, item string, keys ...any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.headStore()
	s.get(target, item, keys...)
	return s.err
}

func (n *Node) head() *block { return n.chain[len(n.chain)-1] }

func (n *Node) headStore() *store {
	return &store{metadata: n.head().runtime.Metadata, values: n.head().values}
}

// Mine makes blocks and tells the subscribers of each.
func (n *Node) Mine(blocks int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	for range blocks {
		if err := n.mine(); err != nil {
			return err
		}
		n.announce()
	}
	return nil
}

// mine makes the next block of the best chain.
func (n *Node) mine() error {
	parent := n.head()
	b := &block{
		number: parent.number + 1, parent: parent.hash,
		values: maps.Clone(parent.values), runtime: parent.runtime,
		time: parent.time.Add(parent.runtime.BlockTime),
	}
	if n.cfg.Clock {
		b.time = time.Now()
	}
	e := &execution{
		node: n, block: b,
		store: store{metadata: parent.runtime.Metadata, values: b.values},
	}
	e.run()
	if n.next != nil {
		b.runtime, n.next = n.next, nil
	}
	if e.err != nil {
		return fmt.Errorf("subtensortest: block %d: %w", b.number, e.err)
	}
	n.forks++
	b.hash = blake2b.Sum256(slices.Concat(parent.hash[:], le64(b.number), le64(n.forks),
		slices.Concat(b.extrinsics...)))
	n.chain = append(n.chain, b)
	n.blocks[b.hash] = b
	if b.number >= uint64(n.cfg.States) { //nolint:gosec // positive
		n.chain[b.number-uint64(n.cfg.States)].values = nil //nolint:gosec // positive
	}
	return nil
}

func (n *Node) finalized() *block {
	return n.chain[max(0, len(n.chain)-1-int(n.cfg.FinalityLag))] //nolint:gosec // small
}
