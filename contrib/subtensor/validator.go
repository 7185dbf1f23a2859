package subtensor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// Validator is a hotkey on a subnet that sends extrinsics: it sets weights, as a [weights.Chain],
// and publishes its axon. A miner uses it for ServeAxon alone. Create it with [Client.Validator].
//
// All methods are safe for concurrent use. Of one hotkey only one extrinsic is on its way at a
// time, across all Validators of a Client; two processes that use one hotkey can disturb each
// other.
type Validator struct {
	client    *Client
	key       *keys.Keypair
	hotkey    keys.Hotkey
	netuid    uint16
	mechanism uint8
	version   *uint64 // version key; nil for that of the chain
	finality  bool
	beacon    *timelock.Beacon
}

var _ weights.Chain = (*Validator)(nil)

// ValidatorOption configures a [Validator]. The last one of a kind wins.
type ValidatorOption interface {
	apply(v *Validator) error
}

type validatorOption func(v *Validator) error

func (o validatorOption) apply(v *Validator) error { return o(v) }

// WithMechanism chooses the mechanism of the subnet that weights are set on. The default is 0, the
// first; a subnet has at most 16.
func WithMechanism(mechanism uint8) ValidatorOption {
	return validatorOption(func(v *Validator) error {
		v.mechanism = mechanism
		return checkMechanism("WithMechanism", mechanism)
	})
}

// WithVersionKey sets the version key that is sent with weights, by which a subnet refuses the
// weights of software that is too old. The default is the key that the chain asks for at that
// moment, which is never refused.
func WithVersionKey(key uint64) ValidatorOption {
	return validatorOption(func(v *Validator) error {
		v.version = &key
		return nil
	})
}

// WithFinality makes SetWeights and ServeAxon wait until the block of the extrinsic is final, some
// blocks later, so that no reorganization can remove it again.
func WithFinality() ValidatorOption {
	return validatorOption(func(v *Validator) error {
		v.finality = true
		return nil
	})
}

// WithBeacon sets the drand network whose rounds open timelocked weights, for a chain that follows
// another one than the default, quicknet.
func WithBeacon(beacon *timelock.Beacon) ValidatorOption {
	return validatorOption(func(v *Validator) error {
		if beacon == nil || *beacon == (timelock.Beacon{}) {
			return invalid("WithBeacon", "is nil or empty: must be a beacon")
		}
		v.beacon = beacon
		return nil
	})
}

// Validator returns a hotkey on a subnet. It reads nothing: whether the hotkey is registered is
// checked when something is sent. The key must be of the scheme sr25519. All that is wrong is
// reported at once and wraps [organic.ErrInvalidOption].
func (c *Client) Validator(
	key *keys.Keypair, netuid uint16, options ...ValidatorOption,
) (*Validator, error) {
	v := &Validator{client: c, key: key, netuid: netuid, beacon: timelock.Quicknet()}
	var problems []error
	switch {
	case key == nil || key.Hotkey() == (keys.Hotkey{}):
		problems = append(problems, invalid("key", "is empty: must be a key pair"))
	case key.Scheme() != keys.SR25519:
		problems = append(problems, invalid("key", "is of the scheme %v: must be sr25519", key.Scheme()))
	default:
		v.hotkey = key.Hotkey()
	}
	problems = append(problems, checkNetuid(netuid))
	for _, option := range options {
		if option == nil {
			problems = append(problems, invalid("ValidatorOption", "is nil"))
			continue
		}
		problems = append(problems, option.apply(v))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return v, nil
}

// Hotkey returns the public key.
func (v *Validator) Hotkey() keys.Hotkey { return v.hotkey }

// index returns the storage index of the mechanism.
func (v *Validator) index() uint16 { return storageIndex(v.netuid, v.mechanism) }

// standing is what the chain shows of the hotkey on its subnet.
type standing struct {
	uid        *uint16 // nil: not registered
	lastUpdate uint64
	permit     bool
	owner      bool // it is the owner's hotkey
}

// standing reads where the hotkey stands, together with what the caller adds to the reads.
func (v *Validator) standing(ctx context.Context, s snapshot, r *reads) (standing, error) {
	var st standing
	var updates []uint64
	var permits []bool
	var owner keys.Hotkey
	r.add(&st.uid, "Uids", v.netuid, v.hotkey)
	r.add(&updates, "LastUpdate", v.index())
	r.add(&permits, "ValidatorPermit", v.netuid)
	r.add(&owner, "SubnetOwnerHotkey", v.netuid)
	if err := s.read(ctx, r); err != nil {
		return standing{}, err
	}
	st.owner = owner == v.hotkey
	if st.uid == nil {
		return st, nil
	}
	if i := int(*st.uid); i < len(updates) {
		st.lastUpdate = updates[i]
	}
	if i := int(*st.uid); i < len(permits) {
		st.permit = permits[i]
	}
	return st, nil
}

// Position returns what the chain shows of the validator: see [weights.Chain]. It returns an error
// that wraps [weights.ErrNotRegistered] or [weights.ErrSubnet] if there is nothing to show.
func (v *Validator) Position(ctx context.Context) (weights.Position, error) {
	position, err := v.position(ctx)
	return position, classify(ctx, err)
}

func (v *Validator) position(ctx context.Context) (weights.Position, error) {
	s, err := v.client.best(ctx)
	if err != nil {
		return weights.Position{}, err
	}
	h, err := s.hyperparameters(ctx, v.netuid)
	if err != nil {
		return weights.Position{}, err
	}
	st, err := v.standing(ctx, s, s.reads())
	if err != nil {
		return weights.Position{}, err
	}
	if st.uid == nil {
		return weights.Position{}, refused("HotKeyNotRegisteredInSubNet")
	}
	return weights.Position{
		Block: s.Number, LastUpdate: st.lastUpdate, RateLimit: h.WeightsRateLimit,
		Tempo: uint64(h.Tempo), NextEpoch: v.nextEpoch(ctx, s), BlockTime: h.BlockTime,
	}, nil
}

// nextEpoch returns the first block of the next epoch, 0 if it cannot be told.
func (v *Validator) nextEpoch(ctx context.Context, s snapshot) uint64 {
	schedule, err := s.epochSchedule(ctx, v.netuid)
	if err == nil {
		next, err := schedule.NextEpochBlock()
		if err != nil {
			return 0
		}
		return next
	}
	var block *uint64
	err = s.invoke(ctx, &block, subnetAPI, "get_next_epoch_start_block", v.netuid)
	if err != nil || block == nil || *block <= s.Number {
		return 0
	}
	return *block
}

// clockOffset returns how far this machine's clock is ahead of the chain's at a block.
func (s snapshot) clockOffset(ctx context.Context) (time.Duration, error) {
	var milliseconds int64
	r := s.reads()
	r.addFrom(&milliseconds, "Timestamp", "Now")
	if err := s.read(ctx, r); err != nil {
		return 0, fmt.Errorf("time of block %d: %w", s.Number, err)
	}
	if milliseconds <= 0 {
		return 0, fmt.Errorf("%w: block %d has no time", ErrBadReply, s.Number)
	}
	return time.Since(time.UnixMilli(milliseconds)), nil
}

// Source returns what a [weights.Setter] makes its vectors of: the scores, converted by the options
// and filled up to as many weights as the subnet requires at that moment, with entries of 0. A
// vector that is too short would be refused. WithMinAllowed among the options has no effect.
//
//	setter, err := weights.NewSetter(validator, validator.Source(scores), weights.Epoch{Before: 20})
func (v *Validator) Source(
	scores *weights.Scores, options ...weights.ConvertOption,
) weights.Source {
	options = slices.Clone(options)
	return func(ctx context.Context) (weights.Vector, error) {
		subnet, err := v.client.Hyperparameters(ctx, v.netuid)
		if err != nil {
			return weights.Vector{}, err
		}
		required := weights.WithMinAllowed(int(subnet.MinAllowedWeights))
		return scores.Convert(append(slices.Clip(options), required)...)
	}
}
