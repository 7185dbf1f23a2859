package weights_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
)

const blockTime = 12 * time.Second

// fakeChain is a chain of its own clock that behaves as weights.Chain promises, with faults.
type fakeChain struct {
	began     time.Time
	tempo     uint64
	rateLimit uint64
	timelock  bool

	mu         sync.Mutex
	chance     *rand.Rand
	faults     faults
	key        uint64 // the subnet's version key
	lastUpdate uint64
	extrinsics []*extrinsic
	pending    int // extrinsics that are not settled: the last so many
	tooSoon    int // calls that failed in a block by the rate limit
	hang       bool
	refuse     error    // what SetWeights answers, and nothing is sent
	liar       bool     // says Included and sends nothing
	tries      []uint64 // the heights of the calls of SetWeights
}

// faults are chances, from 0 to 1.
type faults struct {
	outage     bool
	lostAnswer float64 // the extrinsic is sent, the answer is not received
	dropped    float64 // the extrinsic never is in a block
	silent     float64 // the reveal fails and leaves no trace
}

// extrinsic is what was given to the chain.
type extrinsic struct {
	hash      string
	signed    uint64
	key       uint64
	dropped   bool
	silent    bool
	block     uint64 // 0 if it is in none
	failed    bool
	reveal    uint64
	revealed  bool
	committed bool
}

// set reports whether the weights of it were set.
func (e *extrinsic) set(timelock bool) bool {
	return e.block > 0 && !e.failed && (!timelock || e.revealed)
}

const era = 64

func newFakeChain(seed uint64) *fakeChain {
	return &fakeChain{
		began: time.Now(), tempo: 360, rateLimit: 100, lastUpdate: 1000,
		chance: rand.New(rand.NewPCG(seed, 1)),
	}
}

// height is the best block. The chain began long ago.
func (c *fakeChain) height() uint64 { return 1000 + uint64(time.Since(c.began)/blockTime) }

func (c *fakeChain) nextEpoch(block uint64) uint64 { return (block/c.tempo + 1) * c.tempo }

// catchUp lets happen what has happened in the blocks since the last call.
func (c *fakeChain) catchUp() {
	now := c.height()
	for _, e := range c.extrinsics[len(c.extrinsics)-c.pending:] {
		if e.block == 0 && !e.dropped && now > e.signed {
			c.include(e)
		}
		if e.committed && !e.revealed && now >= e.reveal {
			e.committed = false
			e.revealed = !e.silent && e.key >= c.key
		}
	}
	settled := func(e *extrinsic) bool {
		return e.failed || e.revealed || e.dropped && now > e.signed+era ||
			e.block > 0 && (!c.timelock || now > e.reveal)
	}
	for c.pending > 0 && settled(c.extrinsics[len(c.extrinsics)-c.pending]) {
		c.pending--
	}
}

func (c *fakeChain) include(e *extrinsic) {
	e.block = e.signed + 1
	if e.block-c.lastUpdate < c.rateLimit {
		e.failed = true
		c.tooSoon++
		return
	}
	c.lastUpdate = e.block
	if c.timelock {
		e.committed, e.reveal = true, c.nextEpoch(e.block)+c.tempo
	}
}

func (c *fakeChain) find(hash string) *extrinsic {
	for _, e := range slices.Backward(c.extrinsics) {
		if e.hash == hash {
			return e
		}
	}
	return nil
}

// state tells where an extrinsic stands.
func (c *fakeChain) state(e *extrinsic, s weights.Submission) weights.Submission {
	s.Block = e.block
	switch {
	case e.failed:
		s.State, s.Reason = weights.Lost, "failed in its block"
	case e.block == 0 && c.height() > e.signed+era:
		s.State, s.Reason = weights.Lost, "its era has ended"
	case e.block == 0:
		s.State = weights.Submitted
	case !c.timelock:
		s.State, s.Evidence = weights.Included, "the last update has moved"
	case e.revealed:
		s.State, s.RevealedIn, s.Evidence = weights.Revealed, e.reveal, "TimelockedWeightsRevealed"
	case e.committed:
		s.State, s.RevealRound, s.RevealBlock = weights.Committed, e.reveal*4, e.reveal
	default:
		s.State, s.RevealRound, s.Reason = weights.Lost, e.reveal*4, "not revealed"
	}
	return s
}

var errConnection = fmt.Errorf("%w: no connection", weights.ErrRetry)

// sender is a client of the chain, as one process has it: its software has a version key.
type sender struct {
	*fakeChain
	key uint64
}

func (s sender) SetWeights(
	ctx context.Context, vector weights.Vector, report func(weights.Submission),
) (weights.Submission, error) {
	s.mu.Lock()
	s.tries = append(s.tries, s.height())
	switch {
	case s.hang:
		s.mu.Unlock()
		<-ctx.Done()
		return weights.Submission{}, context.Cause(ctx)
	case s.liar:
		s.mu.Unlock()
		return weights.Submission{State: weights.Included, Evidence: "trust me"}, nil
	}
	e, submission, err := s.send(vector)
	s.mu.Unlock()
	if err != nil {
		return weights.Submission{}, err
	}
	report(submission)
	s.mu.Lock()
	s.extrinsics = append(s.extrinsics, e)
	s.pending++
	lost, outage := s.chance.Float64() < s.faults.lostAnswer, s.faults.outage
	s.mu.Unlock()
	if lost || outage {
		return submission, errConnection
	}
	select { // the next block
	case <-time.After(time.Until(s.began.Add(time.Duration(e.signed+1-1000) * blockTime))):
	case <-ctx.Done():
		return submission, context.Cause(ctx)
	}
	return s.Follow(ctx, submission)
}

// send makes an extrinsic, unless the preflight refuses it.
func (s sender) send(vector weights.Vector) (*extrinsic, weights.Submission, error) {
	s.catchUp()
	now := s.height()
	passed := now + 1 - s.lastUpdate
	switch {
	case s.refuse != nil:
		return nil, weights.Submission{}, s.refuse
	case s.faults.outage:
		return nil, weights.Submission{}, errConnection
	case s.fakeChain.key > s.key:
		return nil, weights.Submission{}, &weights.ChainError{
			Kind: weights.ErrVersionKey,
			Want: s.fakeChain.key,
		}
	case passed < s.rateLimit:
		return nil, weights.Submission{},
			&weights.ChainError{
				Kind: weights.ErrTooSoon, Name: "SettingWeightsTooFast",
				Blocks: s.rateLimit - passed,
			}
	}
	e := &extrinsic{
		hash: fmt.Sprintf("0x%x", s.chance.Uint64()), signed: now, key: s.key,
		dropped: s.chance.Float64() < s.faults.dropped, silent: s.chance.Float64() < s.faults.silent,
	}
	return e, weights.Submission{
		State: weights.Submitted, Hash: e.hash, Signed: now, Expires: now + era, Digest: vector.Digest(),
	}, nil
}

func (c *fakeChain) Follow(
	_ context.Context, earlier weights.Submission,
) (weights.Submission, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	if c.faults.outage {
		return weights.Submission{}, errConnection
	}
	e := c.find(earlier.Hash)
	if e == nil { // was reported and not sent
		if earlier.State, earlier.Reason = weights.Submitted, ""; c.height() > earlier.Expires {
			earlier.State, earlier.Reason = weights.Lost, "its era has ended"
		}
		return earlier, nil
	}
	return c.state(e, earlier), nil
}

func (c *fakeChain) Position(ctx context.Context) (weights.Position, error) {
	c.mu.Lock()
	hang := c.hang
	c.mu.Unlock()
	if hang {
		<-ctx.Done()
		return weights.Position{}, errors.New("no answer")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	if c.faults.outage {
		return weights.Position{}, errConnection
	}
	height := c.height()
	return weights.Position{
		Block: height, LastUpdate: c.lastUpdate, RateLimit: c.rateLimit, Tempo: c.tempo,
		NextEpoch: c.nextEpoch(height), BlockTime: blockTime,
	}, nil
}

// change changes the faults, or anything else.
func (c *fakeChain) change(f func(c *fakeChain)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	f(c)
}
