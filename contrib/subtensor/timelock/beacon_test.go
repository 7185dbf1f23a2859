package timelock_test

import (
	"math"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

func seconds(s float64) time.Time {
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(math.Round(part*1e3))*1e6)
}

func TestRevealRoundMatchesVectors(t *testing.T) {
	t.Parallel()
	file := readVectors[struct {
		RevealRound []struct {
			Now          float64 `json:"now"`
			CurrentBlock uint64  `json:"current_block"`
			RevealBlock  uint64  `json:"reveal_block"`
			BlockTime    float64 `json:"block_time"`
			Round        uint64  `json:"round"`
		} `json:"reveal_round"`
	}](t, "epoch_schedule.json")
	require.NotEmpty(t, file.RevealRound)
	for _, c := range file.RevealRound {
		blockTime := time.Duration(c.BlockTime * float64(time.Second))
		got := timelock.Quicknet().RevealRound(c.CurrentBlock, c.RevealBlock, blockTime, seconds(c.Now))
		require.Equal(t, c.Round, got, "%+v", c)
	}
}

func TestRevealRoundAtTheLimits(t *testing.T) {
	t.Parallel()
	now := time.Unix(1692803367, 0)
	for name, c := range map[string]struct {
		current, reveal uint64
		blockTime       time.Duration
		now             time.Time
		want            uint64
	}{
		"before the first round": {0, 0, time.Second, time.Unix(0, 0), 1},
		"reveal block is past":   {100, 10, 12 * time.Second, now.Add(time.Minute), 20},
		"heights overflow":       {0, math.MaxUint64, 12 * time.Second, now.Add(time.Minute), 20},
		"no block time":          {0, 100, 0, now.Add(time.Minute), 20},
		"negative block time":    {0, 100, -time.Second, now.Add(time.Minute), 20},
		"far away": {
			0, math.MaxUint64 / 2, 12 * time.Second, now, uint64(math.MaxInt64 / (3 * time.Second)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(
				t,
				c.want,
				timelock.Quicknet().RevealRound(c.current, c.reveal, c.blockTime, c.now),
			)
		})
	}
}

func TestNewBeaconRefusesWhatIsNoBeacon(t *testing.T) {
	t.Parallel()
	infinity := make([]byte, 96)
	infinity[0] = 0xc0
	for name, key := range map[string][]byte{
		"empty": nil, "short": make([]byte, 95), "zero": make([]byte, 96), "infinity": infinity,
	} {
		_, err := timelock.NewBeacon(key, time.Unix(0, 0), time.Second)
		require.ErrorIs(t, err, organic.ErrInvalidOption, name)
	}
}
