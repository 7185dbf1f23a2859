package timelock_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

type scheduleVector struct {
	Name                string  `json:"name"`
	LastEpochBlock      uint64  `json:"last_epoch_block"`
	PendingEpochAt      uint64  `json:"pending_epoch_at"`
	SubnetEpochIndex    uint64  `json:"subnet_epoch_index"`
	Tempo               uint16  `json:"tempo"`
	BlocksSinceLastStep uint64  `json:"blocks_since_last_step"`
	CurrentBlock        uint64  `json:"current_block"`
	Period              uint64  `json:"reveal_period_epochs"`
	CommitEpoch         uint64  `json:"commit_epoch"`
	RevealBlock         *uint64 `json:"reveal_block"`
	Error               string  `json:"error"`
}

func (v scheduleVector) schedule() timelock.Schedule {
	return timelock.Schedule{
		LastEpochBlock: v.LastEpochBlock, PendingEpochAt: v.PendingEpochAt,
		SubnetEpochIndex: v.SubnetEpochIndex, Tempo: v.Tempo,
		BlocksSinceLastStep: v.BlocksSinceLastStep, CurrentBlock: v.CurrentBlock,
	}
}

func TestRevealBlockMatchesVectors(t *testing.T) {
	t.Parallel()
	file := readVectors[struct{ Cases []scheduleVector }](t, "epoch_schedule.json")
	require.Len(t, file.Cases, 88)
	for _, c := range file.Cases {
		block, err := c.schedule().RevealBlock(c.Period)
		switch {
		case c.Error == "TempoIsZero":
			require.ErrorIs(t, err, timelock.ErrTempo, c.Name)
			continue
		case c.RevealBlock == nil:
			require.ErrorIs(t, err, timelock.ErrTooFar, c.Name)
			continue
		}
		require.NoError(t, err, c.Name)
		require.Equal(t, *c.RevealBlock, block, "%+v", c)
		epoch, err := c.schedule().CommitEpoch()
		require.NoError(t, err)
		require.Equal(t, c.CommitEpoch, epoch, "%+v", c)
	}
}

// search is the chain's own way, block by block.
func search(s timelock.Schedule, period uint64) (block uint64, ok bool) {
	fires := func(b uint64) bool {
		since := uint64(0)
		if b > s.LastEpochBlock {
			since = b - s.LastEpochBlock
		}
		return s.PendingEpochAt > 0 && b >= s.PendingEpochAt ||
			s.BlocksSinceLastStep > 50400 || since >= uint64(s.Tempo)
	}
	epoch := func(b uint64) uint64 {
		if fires(b) {
			return s.SubnetEpochIndex + 1
		}
		return s.SubnetEpochIndex
	}
	first := s.CurrentBlock + 1
	target := epoch(first) + period
	for b := first; b <= first+(period+1)*50400; b++ {
		if epoch(b) == target {
			return b, true
		}
		if fires(b) {
			s.LastEpochBlock, s.PendingEpochAt, s.BlocksSinceLastStep = b, 0, 0
			s.SubnetEpochIndex++
		} else {
			s.BlocksSinceLastStep++
		}
	}
	return 0, false
}

func TestRevealBlockIsWhatASearchBlockByBlockFinds(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	near := func(center, spread uint64) uint64 { return center - spread/2 + random.Uint64N(spread) }
	for range 3000 {
		s := timelock.Schedule{
			CurrentBlock:   1_000_000,
			LastEpochBlock: near(1_000_000, 800), Tempo: uint16(1 + random.UintN(400)),
			SubnetEpochIndex: random.Uint64N(100), BlocksSinceLastStep: random.Uint64N(400),
		}
		switch random.UintN(6) {
		case 0:
			s.Tempo = uint16(50300 + random.UintN(200))
			s.LastEpochBlock = near(970_000, 60_000)
		case 1:
			s.BlocksSinceLastStep = near(50400, 20)
		case 2, 3:
			s.PendingEpochAt = near(1_000_000, 600)
		}
		period := random.Uint64N(5)
		want, ok := search(s, period)
		require.True(t, ok)
		got, err := s.RevealBlock(period)
		require.NoError(t, err)
		require.Equal(t, want, got, "%+v period %d", s, period)
	}
}

func TestRevealBlockOfHostileState(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		schedule timelock.Schedule
		period   uint64
	}{
		"height":       {timelock.Schedule{CurrentBlock: math.MaxUint64, Tempo: 1}, 1},
		"last epoch":   {timelock.Schedule{LastEpochBlock: math.MaxUint64, Tempo: 60000}, 0xffff_fffe},
		"last, period": {timelock.Schedule{LastEpochBlock: math.MaxUint64, Tempo: 60000}, math.MaxUint64},
		"period":       {timelock.Schedule{Tempo: 360}, math.MaxUint64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			block, err := c.schedule.RevealBlock(c.period)
			if err == nil {
				require.Greater(t, block, c.schedule.CurrentBlock)
				return
			}
			require.ErrorIs(t, err, timelock.ErrTooFar)
		})
	}
	_, err := timelock.Schedule{Tempo: 60000}.RevealBlock(30000) // 50,402 blocks an epoch
	require.ErrorIs(t, err, timelock.ErrTooFar)
	_, err = timelock.Schedule{}.NextEpochBlock()
	require.ErrorIs(t, err, timelock.ErrTempo)
}
