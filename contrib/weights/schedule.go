package weights

import (
	"context"
	"fmt"
	"math"
	"time"
)

// forever is a wait that only a block can end.
const forever = time.Duration(math.MaxInt64)

// Schedule says when a [Setter] sets the weights: [Interval] or [Blocks], by
// value.
type Schedule interface {
	check() error
	// wait returns how long it is until the weights are due: forever when only
	// a block can make them so.
	wait(last, now moment) time.Duration
	// tooSoon reports whether the rate limit forbids to set them now.
	tooSoon(last, now moment) bool
}

// moment is a time, and the height of the chain where it is known.
type moment struct {
	at    time.Time
	block uint64
	known bool // whether the block is
}

// Interval sets the weights every so often, first when Every has passed since
// Run was called: scores are empty then, and who set weights before the start,
// and when, is not known. It is a plain value.
type Interval struct {
	// Every is the time from one success to the next try. The subnet template
	// takes 100 blocks of 12 s.
	Every time.Duration
	// RateLimit is the chain's: nothing is sent before more than this has
	// passed since the last success. At most Every; 0 is no limit.
	RateLimit time.Duration
}

func (i Interval) check() error {
	switch {
	case i.Every <= 0:
		return fmt.Errorf("Interval.Every is %v, must be positive", i.Every)
	case i.RateLimit < 0 || i.RateLimit > i.Every:
		return fmt.Errorf("Interval.RateLimit is %v, must be from 0 to Every (%v)", i.RateLimit, i.Every)
	}
	return nil
}

func (i Interval) wait(last, now moment) time.Duration {
	return max(i.Every, i.RateLimit+1) - now.at.Sub(last.at)
}

func (i Interval) tooSoon(last, now moment) bool {
	return i.RateLimit > 0 && now.at.Sub(last.at) <= i.RateLimit
}

// Blocks sets the weights every so many blocks, as [Setter.Block] tells them.
// It is a plain value.
type Blocks struct {
	// Every is the number of blocks from one success to the next try.
	Every uint64
	// RateLimit is the chain's: nothing is sent before more than so many
	// blocks have passed since the last success, or the first block that Block
	// told where no success is known. At most Every; 0 is no limit.
	RateLimit uint64
	// LastUpdate, when set, asks the chain in which block it last took weights
	// of this validator. It is called before each try, repeated ones too: a try
	// that failed may have landed after all. With it the first weights are due
	// by what the chain knows, and without it Every blocks after the first
	// that Block tells. An error is a failed try.
	LastUpdate func(ctx context.Context) (block uint64, err error)
}

func (b Blocks) check() error {
	switch {
	case b.Every == 0:
		return fmt.Errorf("Blocks.Every is %d, must be at least 1", b.Every)
	case b.RateLimit > b.Every:
		return fmt.Errorf("Blocks.RateLimit is %d, must be at most Every (%d)", b.RateLimit, b.Every)
	}
	return nil
}

func (b Blocks) wait(last, now moment) time.Duration {
	switch {
	case !now.known:
		return forever
	case !last.known && b.LastUpdate != nil:
		return 0 // to ask it
	case !last.known || since(last, now) < max(b.Every, b.RateLimit+1):
		return forever
	}
	return 0
}

func (b Blocks) tooSoon(last, now moment) bool {
	return b.RateLimit > 0 && last.known && since(last, now) <= b.RateLimit
}

// since returns how many blocks are between two moments, 0 where they are the
// wrong way round: the node that told one of them may lag.
func since(last, now moment) uint64 {
	return now.block - min(last.block, now.block)
}
