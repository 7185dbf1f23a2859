package subtensor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/organic-scoring/organic"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// Hyperparameters are the settings of a subnet, and of the chain, that matter to those who set
// weights, at one block. It is a plain value.
type Hyperparameters struct {
	Block   uint64
	Neurons uint16 // how many there are
	// Tempo is the length of an epoch in blocks.
	Tempo uint16
	// WeightsRateLimit is how many blocks must lie between two weights of a validator.
	WeightsRateLimit uint64
	// MinAllowedWeights is how many entries a vector must have, at most one for each neuron.
	MinAllowedWeights uint16
	// WeightsVersionKey is the lowest version key that the subnet accepts; 0 accepts all.
	WeightsVersionKey uint64
	// CommitReveal says that weights must be timelocked commits, and RevealPeriod after how many
	// epochs they are revealed. CommitRevealVersion is their format; 0 where the runtime has none.
	CommitReveal        bool
	RevealPeriod        uint64
	CommitRevealVersion uint16
	// StakeThreshold is the stake weight in RAO that setting weights requires; 0 where the runtime
	// has none.
	StakeThreshold uint64
	// Mechanisms is how many mechanisms the subnet has; 1 where the runtime has none.
	Mechanisms uint8
	// ServingRateLimit is how many blocks must lie between two publications of an axon.
	ServingRateLimit uint64
	// ActivityCutoff is after how many blocks without weights a validator does not count; 0 where
	// it cannot be told.
	ActivityCutoff uint64
	// BlockTime is the time between two blocks.
	BlockTime time.Duration
}

// Hyperparameters reads the settings of a subnet at the best block, from storage, since not every
// runtime lists them. The error wraps [ErrNoSubnet] for a subnet that does not exist.
func (c *Client) Hyperparameters(ctx context.Context, netuid uint16) (Hyperparameters, error) {
	s, err := c.best(ctx)
	if err != nil {
		return Hyperparameters{}, err
	}
	h, err := s.hyperparameters(ctx, netuid)
	if err != nil {
		return Hyperparameters{}, fmt.Errorf("hyperparameters of subnet %d: %w", netuid, err)
	}
	return h, nil
}

func (s snapshot) hyperparameters(ctx context.Context, netuid uint16) (Hyperparameters, error) {
	h := Hyperparameters{Block: s.Number, Mechanisms: 1}
	var exists bool
	var cutoff uint16
	var factor uint32
	r := s.reads()
	r.add(&exists, "NetworksAdded", netuid)
	r.add(&h.Neurons, "SubnetworkN", netuid)
	r.add(&h.Tempo, "Tempo", netuid)
	r.add(&h.WeightsRateLimit, "WeightsSetRateLimit", netuid)
	r.add(&h.MinAllowedWeights, "MinAllowedWeights", netuid)
	r.add(&h.WeightsVersionKey, "WeightsVersionKey", netuid)
	r.add(&h.CommitReveal, "CommitRevealWeightsEnabled", netuid)
	r.add(&h.RevealPeriod, "RevealPeriodEpochs", netuid)
	r.add(&h.ServingRateLimit, "ServingRateLimit", netuid)
	r.addKnown(&h.CommitRevealVersion, "CommitRevealWeightsVersion")
	r.addKnown(&h.StakeThreshold, "StakeThreshold")
	r.addKnown(&h.Mechanisms, "MechanismCountCurrent", netuid)
	r.addKnown(&factor, "ActivityCutoffFactorMilli", netuid)
	r.addKnown(&cutoff, "ActivityCutoff", netuid)
	if err := s.read(ctx, r); err != nil {
		return Hyperparameters{}, err
	}
	if !exists {
		return Hyperparameters{}, ErrNoSubnet
	}
	h.ActivityCutoff = uint64(cutoff)
	if factor > 0 {
		h.ActivityCutoff = uint64(factor) * uint64(h.Tempo) / 1000
	}
	var err error
	h.BlockTime, err = s.blockTime()
	return h, err
}

// blockTime returns the time between two blocks, a constant of the runtime.
func (s snapshot) blockTime() (time.Duration, error) {
	var milliseconds uint64
	if err := s.meta.Constant("Aura", "SlotDuration", &milliseconds); err != nil {
		return 0, fmt.Errorf("subtensor: %w", err)
	}
	const day = 24 * 60 * 60 * 1000
	if milliseconds == 0 || milliseconds > day {
		return 0, fmt.Errorf("%w: Aura.SlotDuration is %d ms", ErrBadReply, milliseconds)
	}
	return time.Duration(milliseconds) * time.Millisecond, nil
}

// EpochSchedule is the state of a subnet's epochs at one block. It is a plain value.
type EpochSchedule struct {
	timelock.Schedule

	// RevealPeriod is after how many epochs a timelocked commit is revealed.
	RevealPeriod uint64
	BlockTime    time.Duration
}

// EpochSchedule reads the state of a subnet's epochs at the best block. The error wraps
// [ErrNoSubnet] for a subnet that does not exist, and [scale.ErrNotFound] for a runtime before spec
// version 424, which has another schedule.
func (c *Client) EpochSchedule(ctx context.Context, netuid uint16) (EpochSchedule, error) {
	s, err := c.best(ctx)
	if err != nil {
		return EpochSchedule{}, err
	}
	e, err := s.epochSchedule(ctx, netuid)
	if err != nil {
		return EpochSchedule{}, fmt.Errorf("epochs of subnet %d: %w", netuid, err)
	}
	return e, nil
}

func (s snapshot) epochSchedule(ctx context.Context, netuid uint16) (EpochSchedule, error) {
	var e EpochSchedule
	var exists bool
	e.CurrentBlock = s.Number
	r := s.reads()
	r.add(&exists, "NetworksAdded", netuid)
	r.add(&e.LastEpochBlock, "LastEpochBlock", netuid)
	r.add(&e.PendingEpochAt, "PendingEpochAt", netuid)
	r.add(&e.SubnetEpochIndex, "SubnetEpochIndex", netuid)
	r.add(&e.Tempo, "Tempo", netuid)
	r.add(&e.BlocksSinceLastStep, "BlocksSinceLastStep", netuid)
	r.add(&e.RevealPeriod, "RevealPeriodEpochs", netuid)
	if err := s.read(ctx, r); err != nil {
		return EpochSchedule{}, err
	}
	if !exists {
		return EpochSchedule{}, ErrNoSubnet
	}
	var err error
	e.BlockTime, err = s.blockTime()
	return e, err
}

// Weight is an entry of a row of weights: what a validator gives to a neuron.
type Weight struct {
	UID    organic.UID
	Weight uint16
}

// rowsPerRequest bounds the size of a request for rows.
const rowsPerRequest = 512

// Weights reads the weights that are set on a mechanism of a subnet at the best block: for each UID
// its row, without those that are empty. Timelocked weights are in it once they are revealed. The
// error wraps [ErrNoSubnet] for a subnet that does not exist, and [organic.ErrInvalidOption] for
// numbers that no subnet or mechanism can have.
func (c *Client) Weights(
	ctx context.Context, netuid uint16, mechanism uint8,
) (map[organic.UID][]Weight, error) {
	if err := errors.Join(checkNetuid(netuid), checkMechanism("mechanism", mechanism)); err != nil {
		return nil, err
	}
	s, err := c.best(ctx)
	if err != nil {
		return nil, err
	}
	var exists bool
	var neurons uint16
	r := s.reads()
	r.add(&exists, "NetworksAdded", netuid)
	r.add(&neurons, "SubnetworkN", netuid)
	if err := s.read(ctx, r); err != nil {
		return nil, err
	}
	if !exists {
		return nil, fmt.Errorf("weights of subnet %d: %w", netuid, ErrNoSubnet)
	}
	rows := make(map[organic.UID][]Weight)
	for first := 0; first < int(neurons); first += rowsPerRequest {
		page := make([][]Weight, min(rowsPerRequest, int(neurons)-first))
		r := s.reads()
		for i := range page {
			r.add(&page[i], "Weights", storageIndex(netuid, mechanism), first+i)
		}
		if err := s.read(ctx, r); err != nil {
			return nil, err
		}
		for i, row := range page {
			if len(row) > 0 {
				rows[organic.UID(first+i)] = row
			}
		}
	}
	return rows, nil
}

// isUnreadable reports whether an error is that the runtime offers something in no form, or in one
// that cannot be read.
func isUnreadable(err error) bool { return isMissing(err) || errors.Is(err, scale.ErrType) }
