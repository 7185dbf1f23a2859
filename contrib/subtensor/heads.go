package subtensor

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
)

// maxGap is how many heights a head may be above the last one: about half a year of blocks.
const maxGap = 1 << 20

// Heads returns the heights of the chain as it grows, beginning with that of the best block: each
// height once and in order, whatever the connection does. Heights that were passed while there was
// no connection are returned when it is back, and a reorganization returns none twice. It waits for
// each head in the caller's goroutine until ctx ends, which ends the heights without an error. An
// error is the last thing returned: [ErrClosed], or the node's.
func (c *Client) Heads(ctx context.Context) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		heads, err := c.session.subscribe(ctx, newHeads)
		if err == nil {
			defer heads.close() //nolint:contextcheck // must be closed after ctx has ended
			err = heights(ctx, heads, func(height uint64) bool { return yield(height, nil) })
		}
		if err != nil && ctx.Err() == nil {
			yield(0, err)
		}
	}
}

// heights passes each new height on until it is not wanted any more.
func heights(ctx context.Context, heads *subscription, wanted func(uint64) bool) error {
	var next uint64
	for known := false; ; known = true {
		head, err := nextHead(ctx, heads)
		if err != nil {
			return err
		}
		if !known {
			next = head.Number
		}
		if head.Number > next && head.Number-next > maxGap {
			return fmt.Errorf("%w: head %d where %d is due", ErrBadReply, head.Number, next)
		}
		for ; next <= head.Number; next++ {
			if !wanted(next) {
				return nil
			}
		}
	}
}

func nextHead(ctx context.Context, heads *subscription) (header, error) {
	update, err := heads.next(ctx)
	if err != nil {
		return header{}, err
	}
	var head header
	if err := json.Unmarshal(update, &head); err != nil || head.Number > math.MaxInt64 {
		return header{}, fmt.Errorf("%w: head", ErrBadReply)
	}
	return head, nil
}

// EachBlock calls f with each height of the chain, see [Client.Heads], in the caller's goroutine,
// until ctx ends, and returns nil then. It drives a trigger of steps and a weights.Setter:
//
//	client.EachBlock(ctx, func(height uint64) {
//		validator.IncrementStep()
//		setter.Block(height)
//	})
func (c *Client) EachBlock(ctx context.Context, f func(height uint64)) error {
	for height, err := range c.Heads(ctx) {
		if err != nil {
			return err
		}
		f(height)
	}
	return nil
}

// EachMetagraph reads the metagraph of a subnet now and then each time so many blocks have passed,
// and calls f with it in the caller's goroutine, until ctx ends; it returns nil then. A reading
// that fails is repeated at the next block; f is called with its error. It keeps everything current
// that depends on who is registered:
//
//	client.EachMetagraph(ctx, netuid, 25, func(m subtensor.Metagraph, err error) {
//		if err != nil {
//			return // logged, and what was read before stays in force
//		}
//		allowed.Replace(m.Validators(minStake)...)
//		_ = scores.SetMetagraph(m.Weights())
//	})
func (c *Client) EachMetagraph(
	ctx context.Context, netuid uint16, every uint64, f func(Metagraph, error),
) error {
	heads, err := c.session.subscribe(ctx, newHeads)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	defer heads.close() //nolint:contextcheck // must be closed after ctx has ended
	var next uint64
	for {
		head, err := nextHead(ctx, heads) // not each height: of those that were missed, the last one
		if err != nil {
			return unlessEnded(ctx, err)
		}
		if head.Number < next {
			continue
		}
		metagraph, err := c.Metagraph(ctx, netuid)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			next = head.Number + max(every, 1)
		}
		f(metagraph, err)
	}
}

// unlessEnded returns an error, or nil if ctx has ended.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // ctx is the cause
	}
	return err
}
