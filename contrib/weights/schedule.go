package weights

import (
	"fmt"
	"math"
	"time"
)

// Schedule says when a [Setter] sets the weights: [Interval], [Blocks] or [Epoch], by value. All
// count from what the chain shows ([Position].LastUpdate), so that a restart neither skips a set
// nor adds one. Only Interval works with a chain that cannot tell its position.
type Schedule interface {
	check() error
	// due returns the wait until weights are due: 0 or less if they are, in blocks if the view
	// has a position.
	due(v view) wait
}

// view is what a schedule decides by.
type view struct {
	now   time.Time
	known bool     // whether there is a position
	pos   Position // LastUpdate includes what our own submissions have shown
	last  time.Time
}

// wait is how long it is until something: some time, and a block if that is known.
type wait struct {
	time  time.Duration
	block uint64 // 0 if there is no position
}

// plus adds blocks. A sum beyond the highest block is that one: some chains and options say "never"
// by the largest number.
func plus(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// untilBlock is the wait until a block.
func (v view) untilBlock(block uint64) wait {
	if block <= v.pos.Block {
		return wait{block: block}
	}
	return wait{time: blocksTime(block-v.pos.Block, v.pos.BlockTime), block: block}
}

// blocksTime returns how long so many blocks take, at most a year.
func blocksTime(blocks uint64, blockTime time.Duration) time.Duration {
	const most = 365 * 24 * time.Hour
	if blockTime <= 0 || blocks > uint64(most/blockTime) { //nolint:gosec // is positive
		return most
	}
	return time.Duration(blocks) * blockTime //nolint:gosec // is at most a year
}

// Interval sets the weights when so much time has passed since the chain last took some, by the
// chain's blocks. If the chain cannot tell its position, it counts from the last set that the
// snapshot knows ([WithSaver]), or else the first set is due at once. It is a plain value.
type Interval struct {
	// Every is the time from one set to the next. The subnet template takes 100 blocks of 12 s.
	Every time.Duration
}

func (i Interval) check() error {
	if i.Every <= 0 {
		return fmt.Errorf("Interval.Every is %v, must be positive", i.Every)
	}
	return nil
}

func (i Interval) due(v view) wait {
	switch {
	case v.known && v.pos.LastUpdate == 0:
		return wait{block: v.pos.Block}
	case v.known:
		roundedUp := (i.Every-1)/v.pos.BlockTime + 1
		blocks := uint64(roundedUp) //nolint:gosec // both are positive
		return v.untilBlock(plus(v.pos.LastUpdate, blocks))
	case v.last.IsZero():
		return wait{}
	}
	return wait{time: i.Every - v.now.Sub(v.last)}
}

// Blocks sets the weights when so many blocks have passed since the chain last took some. It is a
// plain value.
type Blocks struct {
	// Every is the number of blocks from one set to the next.
	Every uint64
}

func (b Blocks) check() error {
	if b.Every == 0 {
		return fmt.Errorf("Blocks.Every is %d, must be at least 1", b.Every)
	}
	return nil
}

func (b Blocks) due(v view) wait {
	if v.pos.LastUpdate == 0 {
		return wait{block: v.pos.Block}
	}
	return v.untilBlock(plus(v.pos.LastUpdate, b.Every))
}

// Epoch sets the weights once in each epoch, a number of blocks before its end, so that they are as
// fresh as possible when the chain uses them. An epoch in which the validator was not running
// during these blocks is skipped. It is a plain value.
type Epoch struct {
	// Before is how many blocks before the end of the epoch weights are due, at least 1. Leave time
	// for some retries; 20 blocks are four minutes.
	Before uint64
}

func (e Epoch) check() error {
	if e.Before == 0 {
		return fmt.Errorf("Epoch.Before is %d, must be at least 1", e.Before)
	}
	return nil
}

func (e Epoch) due(v view) wait {
	before := min(e.Before, v.pos.Tempo, v.pos.NextEpoch)
	opens := v.pos.NextEpoch - before
	if v.pos.Block >= opens && v.pos.LastUpdate >= opens { // this epoch's are set
		opens = plus(opens, v.pos.Tempo)
	}
	return v.untilBlock(opens)
}

// allowed is the wait until the chain's rate limit allows weights, counted from the last update and
// from what was last sent.
func (v view) allowed(sent uint64) wait {
	last := max(v.pos.LastUpdate, sent)
	if last == 0 || v.pos.RateLimit == 0 {
		return wait{block: v.pos.Block}
	}
	return v.untilBlock(plus(last, v.pos.RateLimit))
}
