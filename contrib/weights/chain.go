package weights

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"go.uber.org/zap"

	"github.com/organic-scoring/organic/internal/usercode"
)

// Chain sets weights for one validator on one subnet (and mechanism), and tells what the chain
// shows of it. contrib/subtensor implements it; [HTTP] and [ChainFunc] do for a side-car.
//
// A [Setter] calls the methods from the goroutine of Run or Set, one call at a time. Each call may
// block until its ctx ends and must return soon after that. Errors that a Setter acts on are
// described at [ChainError]; after any other error the Setter retries with back-off.
type Chain interface {
	// SetWeights submits a vector, once, and follows it until the outcome in a block is known or
	// ctx ends. It does not wait for the reveal of a timelocked commit. The vector is not empty
	// and belongs to the implementation.
	//
	// Report must be called at least once before the extrinsic is given to a node, with State
	// Submitted and everything that Follow needs to find the extrinsic after a restart (Hash,
	// Signed, Expires). It may be called again whenever something changes, not concurrently. It
	// returns after the Setter has saved the submission, and does not fail.
	//
	// The returned Submission says what may have reached the chain. If nothing was sent it is the
	// zero Submission, and the error says why (preflight, refused by the pool). If the extrinsic
	// was or may have been sent, its State is not None, with or without an error; the Setter then
	// sends no other before Follow says how the submission ended. State Included means: the call
	// succeeded in a block and the validator's last update is not before that block. An extrinsic
	// that failed in a block is State Lost together with a *ChainError.
	SetWeights(ctx context.Context, vector Vector, report func(Submission)) (Submission, error)

	// Follow returns where an earlier submission stands now, which another process may have sent.
	// It reads and sends nothing. It answers at once with what the chain shows at its best block,
	// and does not wait for a change. A submission that can no longer take effect is Lost, with
	// Reason: the era has ended and the extrinsic is in no block, it failed in its block, or the
	// epoch of the reveal has passed and the commit was not revealed. After a reorganization a
	// submission may go back to an earlier state. On an error the returned value is ignored.
	Follow(ctx context.Context, earlier Submission) (Submission, error)

	// Position returns what the chain shows of the validator, all of it read at one block. An
	// implementation that has no access to the chain returns ErrUnsupported.
	Position(ctx context.Context) (Position, error)
}

// Position is what the chain shows of a validator at one block. It is a plain value.
type Position struct {
	// Block is the height of the best block, which all of this was read at.
	Block uint64
	// LastUpdate is the block in which the chain last accepted weights, or a commit of weights,
	// from this validator; 0 if never.
	LastUpdate uint64
	// RateLimit is the subnet's: weights are accepted in block b if LastUpdate is 0 or
	// b - LastUpdate >= RateLimit. 0 is no limit.
	RateLimit uint64
	// Tempo is the length of an epoch in blocks.
	Tempo uint64
	// NextEpoch is the first block of the next epoch, above Block; 0 if it cannot be told.
	NextEpoch uint64
	// BlockTime is the time between two blocks, 12 s on mainnet. It must be positive.
	BlockTime time.Duration
}

// State says how far a [Submission] has come. The order is that of the numbers.
type State uint8

// The states. Included is the end of plain weights, Revealed that of timelocked ones. Lost is the
// end of both.
const (
	// None is the state of the zero Submission: nothing was sent.
	None State = iota
	// Submitted: the extrinsic was or may have been given to a node; it is in no block yet.
	Submitted
	// Included: plain weights are set. The call has succeeded in a block, and the validator's last
	// update shows it.
	Included
	// Committed: a timelocked commit has succeeded in a block and waits for its reveal. The
	// weights are not set yet, although the validator's last update has moved.
	Committed
	// Revealed: the chain has decrypted the commit and set the weights.
	Revealed
	// Lost: the submission has no effect, and will have none.
	Lost
)

// String returns the state in lower case.
func (s State) String() string {
	names := [...]string{"none", "submitted", "included", "committed", "revealed", "lost"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Set reports whether the chain has shown that the weights are set.
func (s State) Set() bool { return s == Included || s == Revealed }

// Final reports whether the state will not change any more, reorganizations excepted.
func (s State) Final() bool { return s == Included || s == Revealed || s == Lost }

// Submission is one vector on its way to the chain, with the evidence of how far it has come. A
// [Setter] saves it as JSON, so that another process can follow it. It is a plain value. It holds
// no weights.
type Submission struct {
	State State `json:"state"`
	// Hash is the hash of the extrinsic, 0x and hex.
	Hash string `json:"hash,omitempty"`
	// Signed is the height of the best block when it was signed, and Expires the last block that
	// can contain it (the end of its era).
	Signed  uint64 `json:"signed,omitempty"`
	Expires uint64 `json:"expires,omitempty"`
	// Digest identifies the vector, see [Vector.Digest].
	Digest string `json:"digest,omitempty"`
	// Block is the height of the block that contains it, from Included and Committed on, and
	// BlockHash that block's hash.
	Block     uint64 `json:"block,omitempty"`
	BlockHash string `json:"block_hash,omitempty"`
	// Commit is the hash of a timelocked commit (blake2b-256, 0x and hex), RevealRound the drand
	// round that opens it and RevealBlock the block in which the chain is expected to reveal it.
	Commit      string `json:"commit,omitempty"`
	RevealRound uint64 `json:"reveal_round,omitempty"`
	RevealBlock uint64 `json:"reveal_block,omitempty"`
	// RevealedIn is the block in which the reveal was seen.
	RevealedIn uint64 `json:"revealed_in,omitempty"`
	// Evidence is what was seen that supports State, in words: an event and its block, or a
	// storage value.
	Evidence string `json:"evidence,omitempty"`
	// Reason is why a submission is Lost.
	Reason string `json:"reason,omitempty"`
}

// Timelocked reports whether the submission is a commit, which counts when it is revealed.
func (s Submission) Timelocked() bool { return s.RevealRound != 0 }

// Digest returns a hash over the UIDs and weights, in their order, by which a client recognizes
// the vector in the chain's storage: SHA-256 in hex over UID and weight as little-endian u16 each.
func (v Vector) Digest() string {
	data := make([]byte, 0, 4*len(v.UIDs))
	for i, uid := range v.UIDs {
		data = binary.LittleEndian.AppendUint16(data, uint16(uid))
		data = binary.LittleEndian.AppendUint16(data, v.Weights[i])
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// ChainFunc makes a function a [Chain] without access to the chain: nil from the function is taken
// as proof that the weights are set. It is for side-cars that see to the proof themselves, and for
// tests.
type ChainFunc func(ctx context.Context, vector Vector) error

var _ Chain = ChainFunc(nil)

// SetWeights calls the function. A panic of it is an error too: nothing was sent.
func (f ChainFunc) SetWeights(
	ctx context.Context,
	vector Vector,
	report func(Submission),
) (Submission, error) {
	submission := Submission{State: Submitted, Digest: vector.Digest()}
	report(submission)
	if err := usercode.Call(func() error { return f(ctx, vector) }, panicError); err != nil {
		return Submission{}, err
	}
	submission.State, submission.Evidence = Included, "the function has returned nil"
	return submission, nil
}

// Follow returns Lost for a submission of which no answer was received: what has become of it
// cannot be seen.
func (f ChainFunc) Follow(_ context.Context, earlier Submission) (Submission, error) {
	return unanswered(earlier), nil
}

// Position returns ErrUnsupported.
func (f ChainFunc) Position(context.Context) (Position, error) { return Position{}, ErrUnsupported }

// unanswered ends a submission that cannot be looked up.
func unanswered(earlier Submission) Submission {
	if !earlier.State.Final() {
		earlier.State = Lost
		earlier.Reason = "no answer was received, and there is no access to the chain"
	}
	return earlier
}

// LogOnly returns a chain that writes each vector to a log, row by row at the level info, and
// sends nothing: for trying things out and for tests.
func LogOnly(logger *zap.Logger) Chain {
	return ChainFunc(func(_ context.Context, vector Vector) error {
		if entry := logger.Check(zap.InfoLevel, "weights, not sent"); entry != nil {
			entry.Write(zap.Inline(vector))
		}
		return nil
	})
}
