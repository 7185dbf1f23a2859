package subtensor

import (
	"context"
	"errors"
	"fmt"

	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// eraBlocks is how long an extrinsic can be included: 13 minutes on mainnet.
const eraBlocks = 64

// extrinsic is a signed extrinsic.
type extrinsic struct {
	bytes   []byte
	hash    Hash
	signed  uint64 // height of the best block when it was signed
	expires uint64 // the last block that can include it
}

// sign builds a mortal extrinsic of a call, valid from the next block on. The nonce is read afresh.
func (v *Validator) sign(ctx context.Context, s snapshot, call []byte) (extrinsic, error) {
	nonce, err := v.nonce(ctx)
	if err != nil {
		return extrinsic{}, err
	}
	era := scale.MortalEra(s.Number, eraBlocks)
	transaction := scale.Transaction{
		Call: call, Era: era, Nonce: nonce, SpecVersion: s.version.Spec,
		TransactionVersion: s.version.Transaction,
		Genesis:            v.client.session.network.Genesis, BirthHash: s.Hash,
	}
	payload, err := s.meta.Payload(transaction)
	if err != nil {
		return extrinsic{}, fmt.Errorf("subtensor: %w", err)
	}
	signature, err := v.key.Sign(payload)
	if err != nil {
		return extrinsic{}, fmt.Errorf("subtensor: %w", err)
	}
	signed, err := s.meta.SignedExtrinsic(transaction, v.hotkey, [64]byte(signature))
	if err != nil {
		return extrinsic{}, fmt.Errorf("subtensor: %w", err)
	}
	return extrinsic{
		bytes: signed, hash: scale.Hash(signed), signed: s.Number, expires: era.Death(s.Number) - 1,
	}, nil
}

// nonce returns the nonce of the next extrinsic. It refuses to take one while another extrinsic of
// the key waits in the pool: two must never be on their way.
func (v *Validator) nonce(ctx context.Context) (uint64, error) {
	var next uint64
	err := v.client.session.call(ctx, &next, "system_accountNextIndex", v.hotkey.String())
	if err != nil {
		return 0, err
	}
	s, err := v.client.best(ctx) // after the pool was asked, so that it knows no less
	if err != nil {
		return 0, err
	}
	var account struct {
		Nonce uint64 `scale:"nonce"`
	}
	r := s.reads()
	r.addFrom(&account, "System", "Account", v.hotkey)
	if err := s.read(ctx, r); err != nil {
		return 0, err
	}
	if account.Nonce < next {
		return 0, passing("ExtrinsicPending", errPending)
	}
	return account.Nonce, nil
}

var errPending = errors.New("subtensor: another extrinsic of the hotkey waits in the node's pool")

// send gives an extrinsic to the node, once.
func (c *Client) send(ctx context.Context, x extrinsic) error {
	return c.session.submit(ctx, nil, "author_submitExtrinsic", hexBytes(x.bytes))
}

// inclusion is where an extrinsic is in the chain.
type inclusion struct {
	view
	parent Hash
	index  uint32 // among the extrinsics of the block
}

// search looks for an extrinsic in the chain. It remembers which blocks it has looked into, so that
// after a reorganization it looks into the new ones only.
type search struct {
	client          *Client
	hash            Hash
	signed, expires uint64
	seen            map[Hash]struct{}
}

func (c *Client) newSearch(hash Hash, signed, expires uint64) *search {
	// A caller's numbers may be wrong: an era has no more than eraBlocks.
	expires = min(expires, signed+eraBlocks)
	return &search{
		client: c, hash: hash, signed: signed, expires: expires, seen: make(map[Hash]struct{}),
	}
}

// in looks through the chain that ends in a head: back from it, or from the last block that can
// include the extrinsic, to the block of signing. It returns nil if the extrinsic is not there.
func (f *search) in(ctx context.Context, head view) (*inclusion, error) {
	at := head.Hash
	number := head.Number
	if number > f.expires {
		hash, ok, err := f.client.session.blockHash(ctx, f.expires)
		if err == nil && !ok {
			err = fmt.Errorf("%w: no block %d below the head %d", ErrBadReply, f.expires, head.Number)
		}
		if err != nil {
			return nil, err
		}
		at, number = hash, f.expires
	}
	for ; number > f.signed; number-- {
		if _, seen := f.seen[at]; seen {
			return nil, nil //nolint:nilnil // not found
		}
		found, parent, err := f.look(ctx, view{session: f.client.session, Number: number, Hash: at})
		if found != nil || err != nil {
			return found, err
		}
		f.seen[at] = struct{}{}
		at = parent
	}
	return nil, nil //nolint:nilnil // not found
}

// look looks into a block.
func (f *search) look(ctx context.Context, block view) (found *inclusion, parent Hash, err error) {
	head, err := block.session.header(ctx, block.Hash)
	if err != nil {
		return nil, Hash{}, err
	}
	if head.Number != block.Number {
		return nil, Hash{}, fmt.Errorf("%w: block %s is %d, not %d",
			ErrBadReply, block.Hash, head.Number, block.Number)
	}
	body, err := block.session.extrinsics(ctx, block.Hash)
	if err != nil {
		return nil, Hash{}, err
	}
	for i, x := range body {
		if scale.Hash(x) == f.hash {
			return &inclusion{view: block, parent: head.Parent, index: uint32(i)}, head.Parent, nil
		}
	}
	return nil, head.Parent, nil
}

// errNotIncluded says that an extrinsic can not be included any more.
var errNotIncluded = errors.New("subtensor: the extrinsic was not included before its era ended")

// await follows the chain until the extrinsic is in it or cannot be any more, which is
// errNotIncluded. With finality it waits until the block is final.
func (f *search) await(ctx context.Context, finality bool) (*inclusion, error) {
	notifications := newHeads
	if finality {
		notifications = finalizedHeads
	}
	heads, err := f.client.session.subscribe(ctx, notifications)
	if err != nil {
		return nil, err
	}
	defer heads.close() //nolint:contextcheck // must be closed after ctx has ended
	for {
		head, err := f.head(ctx, heads, finality)
		if err != nil {
			return nil, err
		}
		found, err := f.in(ctx, head)
		if found != nil || err != nil {
			return found, err
		}
		if head.Number > f.expires {
			return nil, errNotIncluded
		}
	}
}

// head waits for the next head, and returns the best or the final block of that moment: heads of
// branches that lose are announced too.
func (f *search) head(ctx context.Context, heads *subscription, finality bool) (view, error) {
	if _, err := heads.next(ctx); err != nil {
		return view{}, err
	}
	if finality {
		return f.client.session.finalized(ctx)
	}
	return f.client.session.best(ctx)
}

// outcome is what a block shows of an extrinsic in it.
type outcome struct {
	inclusion
	events  []scale.Event // those of the extrinsic
	failure *weights.ChainError
}

// outcome reads the events of an extrinsic. They were written by the runtime of the parent block.
func (c *Client) outcome(ctx context.Context, in inclusion) (outcome, error) {
	all, err := c.events(ctx, in.view, in.parent)
	if err != nil {
		return outcome{}, err
	}
	out := outcome{inclusion: in}
	succeeded := false
	for _, event := range all.events {
		if event.Phase != "ApplyExtrinsic" || event.Extrinsic != in.index {
			continue
		}
		out.events = append(out.events, event)
		succeeded = succeeded || event.Is("System", "ExtrinsicSuccess")
		if event.Is("System", "ExtrinsicFailed") {
			failure, err := all.meta.DispatchError(event)
			if err != nil {
				return outcome{}, fmt.Errorf("subtensor: block %d: %w", in.Number, err)
			}
			out.failure = failedInBlock(failure)
		}
	}
	if succeeded == (out.failure != nil) {
		return outcome{}, fmt.Errorf("%w: block %d has no result of extrinsic %d",
			ErrBadReply, in.Number, in.index)
	}
	return out, nil
}

type blockEvents struct {
	meta   *scale.Metadata
	events []scale.Event
}

// events reads the events of a block.
func (c *Client) events(ctx context.Context, block view, parent Hash) (blockEvents, error) {
	s, err := c.at(ctx, view{session: c.session, Number: block.Number - 1, Hash: parent})
	if err != nil {
		return blockEvents{}, err
	}
	item, err := s.meta.Storage("System", "Events")
	if err != nil {
		return blockEvents{}, fmt.Errorf("subtensor: %w", err)
	}
	values, err := block.storage(ctx, item.Prefix())
	if err != nil {
		return blockEvents{}, err
	}
	if values[0] == nil { // each block has some
		return blockEvents{}, fmt.Errorf("%w: block %d has no events", ErrBadReply, block.Number)
	}
	events, err := s.meta.Events(values[0])
	if err != nil {
		return blockEvents{}, fmt.Errorf("subtensor: block %d: %w", block.Number, err)
	}
	return blockEvents{meta: s.meta, events: events}, nil
}
