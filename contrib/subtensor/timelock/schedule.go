package timelock

import (
	"errors"
	"math"
)

var (
	// ErrTempo is returned for a subnet whose tempo is 0: it has no epochs.
	ErrTempo = errors.New("timelock: tempo is 0")
	// ErrTooFar is returned when no reveal block is found within the number of
	// blocks that the chain's own code searches.
	ErrTooFar = errors.New("timelock: reveal block is too far away")
)

const (
	// maxTempo is the chain's MAX_TEMPO: after more blocks than this without an
	// epoch, one begins.
	maxTempo = 50400
	// maxHeight and maxPeriod keep the arithmetic within 64 bits.
	maxHeight = math.MaxUint64 / 4
	maxPeriod = math.MaxUint32
)

// Schedule is the state of a subnet's epochs at one block, which all fields must
// be read at. The rules are those of the runtime from spec version 424 on.
type Schedule struct {
	LastEpochBlock      uint64
	PendingEpochAt      uint64 // 0 if none is pending
	SubnetEpochIndex    uint64
	Tempo               uint16 // blocks
	BlocksSinceLastStep uint64
	CurrentBlock        uint64
}

// NextEpochBlock returns the first block after the current one at which an epoch
// begins. It returns [ErrTempo] for a tempo of 0.
func (s Schedule) NextEpochBlock() (uint64, error) {
	if s.Tempo == 0 {
		return 0, ErrTempo
	}
	if s.CurrentBlock > maxHeight {
		return 0, ErrTooFar
	}
	next := s.CurrentBlock + 1
	tempo := uint64(s.Tempo)
	begins := uint64(math.MaxUint64)
	if s.LastEpochBlock <= math.MaxUint64-tempo {
		begins = s.LastEpochBlock + tempo
	}
	if s.PendingEpochAt > 0 {
		begins = min(begins, s.PendingEpochAt)
	}
	overdue := next
	if s.BlocksSinceLastStep <= maxTempo {
		overdue += maxTempo + 1 - s.BlocksSinceLastStep
	}
	return max(next, min(begins, overdue)), nil
}

// CommitEpoch returns the index of the epoch that a commit in the next block
// belongs to.
func (s Schedule) CommitEpoch() (uint64, error) {
	begins, err := s.NextEpochBlock()
	if err != nil {
		return 0, err
	}
	if begins == s.CurrentBlock+1 {
		return s.SubnetEpochIndex + 1, nil
	}
	return s.SubnetEpochIndex, nil
}

// RevealBlock returns the block at which the chain reveals a commit that is in
// the next block, for a reveal period in epochs. It returns [ErrTempo] or
// [ErrTooFar].
func (s Schedule) RevealBlock(period uint64) (uint64, error) {
	first, err := s.NextEpochBlock()
	if err != nil {
		return 0, err
	}
	next := s.CurrentBlock + 1
	if period > maxPeriod {
		return 0, ErrTooFar
	}
	epochs := period // that begin until then
	if first == next {
		epochs++
	}
	block := next
	if period > 0 {
		if first > maxHeight*2 {
			return 0, ErrTooFar
		}
		// After the first one, epochs begin at equal distances.
		block = first + (epochs-1)*min(uint64(s.Tempo), maxTempo+2)
	}
	if block > next+(period+1)*maxTempo {
		return 0, ErrTooFar
	}
	return block, nil
}
