package subtensor

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/organic-scoring/organic/contrib/weights"
	"golang.org/x/crypto/blake2b"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// Follow returns where an earlier submission of the hotkey stands at the best block, also one of
// another process: see [weights.Chain]. It sends nothing.
func (v *Validator) Follow(
	ctx context.Context, earlier weights.Submission,
) (weights.Submission, error) {
	if earlier.State == weights.None || earlier.State == weights.Lost {
		return earlier, nil
	}
	head, err := v.client.session.best(ctx)
	if err != nil {
		return weights.Submission{}, err
	}
	canonical, err := v.isCanonical(ctx, earlier)
	if err != nil {
		return weights.Submission{}, err
	}
	if !canonical {
		if earlier, err = v.find(ctx, earlier, head); err != nil {
			return weights.Submission{}, err
		}
	}
	if earlier.State == weights.Committed && head.Number >= earlier.RevealBlock {
		return v.followReveal(ctx, earlier, head)
	}
	return earlier, nil
}

// isCanonical reports whether the block of a submission is known and still in the chain.
func (v *Validator) isCanonical(ctx context.Context, s weights.Submission) (bool, error) {
	if s.State == weights.Submitted {
		return false, nil
	}
	hash, ok, err := v.client.session.blockHash(ctx, s.Block)
	return ok && hash.String() == s.BlockHash, err
}

// find looks for a submission that is in no known block.
func (v *Validator) find(
	ctx context.Context, s weights.Submission, head view,
) (weights.Submission, error) {
	var hash Hash
	if err := hash.UnmarshalText([]byte(s.Hash)); err != nil {
		return s, fmt.Errorf("submission: %w", err)
	}
	s.State, s.Block, s.BlockHash, s.RevealedIn, s.Evidence = weights.Submitted, 0, "", 0, ""
	in, err := v.client.newSearch(hash, s.Signed, s.Expires).in(ctx, head)
	switch {
	case err != nil:
		return s, err
	case in == nil && head.Number > s.Expires:
		s.State, s.Reason = weights.Lost, notIncluded
		return s, nil
	case in == nil:
		return s, nil
	}
	settled, err := v.settle(ctx, s, *in)
	if settled.State == weights.Lost {
		return settled, nil // the error is why, and so is Reason
	}
	return settled, err
}

// followReveal tells whether a commit waits for its reveal, was revealed, or is gone.
func (v *Validator) followReveal(
	ctx context.Context, s weights.Submission, head view,
) (weights.Submission, error) {
	now, err := v.client.at(ctx, head)
	if err != nil {
		return s, err
	}
	stored, err := v.storedCommit(ctx, now, s.Commit)
	if err != nil || stored != nil {
		return s, err
	}
	removal, err := v.findRemoval(ctx, s, head)
	switch {
	case errors.Is(err, ErrPruned):
		return v.revealedByRow(ctx, s, now)
	case err != nil:
		return s, err
	}
	revealed, err := v.countReveals(ctx, removal.block)
	switch {
	case isUnreadable(err): // a runtime that reports it in another form: the weights show it
	case err != nil:
		return s, err
	case revealed >= removal.commits:
		s.State, s.RevealedIn = weights.Revealed, removal.block.Number
		s.Evidence = fmt.Sprintf("event TimelockedWeightsRevealed in block %d", s.RevealedIn)
		return s, nil
	case revealed == 0: // whatever the row holds: it can be that of an earlier, equal vector
		s.State = weights.Lost
		s.Reason = fmt.Sprintf("in block %d the chain has removed the commit and not set its weights",
			removal.block.Number)
		return s, nil
	}
	at, err := v.client.at(ctx, removal.block)
	if err != nil {
		return s, err
	}
	return v.revealedByRow(ctx, s, at)
}

// storedCommit returns the storage key of the epoch in which a commit waits for its reveal; nil if
// it does not wait.
func (v *Validator) storedCommit(ctx context.Context, s snapshot, hash string) ([]byte, error) {
	item, err := s.meta.Storage(subtensorModule, "TimelockedWeightCommits")
	if err != nil {
		return nil, fmt.Errorf("subtensor: %w", err)
	}
	prefix, err := item.Key(v.index())
	if err != nil {
		return nil, fmt.Errorf("subtensor: %w", err)
	}
	epochs, err := s.keys(ctx, prefix)
	if err != nil || len(epochs) == 0 {
		return nil, err
	}
	for _, key := range epochs {
		_, found, err := v.ownCommits(ctx, s, key, hash)
		if err != nil {
			return nil, err
		}
		if found {
			return key, nil
		}
	}
	return nil, nil
}

// ownCommits returns how many commits of the hotkey an epoch has, and whether that with the hash is
// one of them.
func (v *Validator) ownCommits(
	ctx context.Context, s snapshot, key []byte, hash string,
) (own int, found bool, err error) {
	item, err := s.meta.Storage(subtensorModule, "TimelockedWeightCommits")
	if err != nil {
		return 0, false, fmt.Errorf("subtensor: %w", err)
	}
	values, err := s.storage(ctx, key)
	if err != nil {
		return 0, false, err
	}
	var commits []timelockedCommit
	if _, err := item.Decode(values[0], &commits); err != nil {
		return 0, false, fmt.Errorf("subtensor: block %d: %w", s.Number, err)
	}
	for _, commit := range commits {
		if !bytes.Equal(commit.Who[:], v.hotkey[:]) {
			continue
		}
		own++
		sum := blake2b.Sum256(commit.Commit)
		found = found || "0x"+hex.EncodeToString(sum[:]) == hash
	}
	return own, found, nil
}

// removal is the block in which the chain has removed a commit, and how many of the hotkey it has
// removed then.
type removal struct {
	block   view
	commits int
}

// findRemoval finds the block by bisection between that of the commit and the head.
func (v *Validator) findRemoval(
	ctx context.Context, s weights.Submission, head view,
) (removal, error) {
	var last view // the last known block in which the commit is stored
	if err := last.Hash.UnmarshalText([]byte(s.BlockHash)); err != nil {
		return removal{}, fmt.Errorf("submission: %w", err)
	}
	last.session, last.Number = v.client.session, s.Block
	at, err := v.client.at(ctx, last)
	if err != nil {
		return removal{}, err
	}
	key, err := v.storedCommit(ctx, at, s.Commit)
	if err != nil {
		return removal{}, err
	}
	if key == nil {
		return removal{}, fmt.Errorf("%w: block %d does not have the commit", ErrBadReply, s.Block)
	}
	found := removal{block: head}
	for last.Number+1 < found.block.Number {
		middle, err := v.client.atHeight(ctx, (last.Number+found.block.Number)/2)
		if err != nil {
			return removal{}, err
		}
		_, stored, err := v.ownCommits(ctx, middle, key, s.Commit)
		if err != nil {
			return removal{}, err
		}
		if stored {
			last = middle.view
		} else {
			found.block = middle.view
		}
	}
	before, err := v.client.at(ctx, last)
	if err != nil {
		return removal{}, err
	}
	found.commits, _, err = v.ownCommits(ctx, before, key, s.Commit)
	return found, err
}

// atHeight returns a snapshot of the block at a height of the best chain.
func (c *Client) atHeight(ctx context.Context, height uint64) (snapshot, error) {
	hash, ok, err := c.session.blockHash(ctx, height)
	if err != nil {
		return snapshot{}, err
	}
	if !ok {
		return snapshot{}, fmt.Errorf("%w: no block %d", ErrBadReply, height)
	}
	return c.at(ctx, view{session: c.session, Number: height, Hash: hash})
}

// countReveals returns how many commits of the hotkey a block has revealed. It is an error if the
// runtime has no such event, or one of another form.
func (v *Validator) countReveals(ctx context.Context, block view) (int, error) {
	head, err := block.session.header(ctx, block.Hash)
	if err != nil {
		return 0, err
	}
	all, err := v.client.events(ctx, block, head.Parent)
	if err != nil {
		return 0, err
	}
	const name = "TimelockedWeightsRevealed"
	if !all.meta.HasEvent(subtensorModule, name) {
		return 0, &scale.NotFoundError{Kind: "event", Name: subtensorModule + "." + name}
	}
	count := 0
	for _, event := range all.events {
		if !event.Is(subtensorModule, name) {
			continue
		}
		var content struct {
			Index uint16
			Who   [32]byte
		}
		if err := event.Decode(&content); err != nil {
			return 0, fmt.Errorf("subtensor: block %d: %w", block.Number, err)
		}
		if content.Who == v.hotkey && content.Index == v.index() {
			count++
		}
	}
	return count, nil
}

// revealedByRow settles a commit that is gone by the weights that the chain shows at a block.
func (v *Validator) revealedByRow(
	ctx context.Context, s weights.Submission, at snapshot,
) (weights.Submission, error) {
	st, err := v.standing(ctx, at, at.reads())
	if err != nil {
		return s, err
	}
	var row []Weight
	if st.uid != nil {
		r := at.reads()
		r.add(&row, "Weights", v.index(), *st.uid)
		if err := at.read(ctx, r); err != nil {
			return s, err
		}
	}
	if digestOf(row) == s.Digest {
		s.State, s.RevealedIn = weights.Revealed, at.Number
		s.Evidence = fmt.Sprintf("the weights in block %d", at.Number)
		return s, nil
	}
	s.State, s.RevealedIn = weights.Lost, 0
	s.Reason = fmt.Sprintf("by block %d the chain has removed the commit and not set its weights",
		at.Number)
	return s, nil
}

func digestOf(row []Weight) string {
	var vector weights.Vector
	for _, entry := range row {
		vector.UIDs = append(vector.UIDs, entry.UID)
		vector.Weights = append(vector.Weights, entry.Weight)
	}
	return vector.Digest()
}
