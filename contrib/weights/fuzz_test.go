package weights_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// FuzzConvert makes UIDs and scores of any bytes. The result keeps the promises of Convert, or is
// an error that names the wrong input.
func FuzzConvert(f *testing.F) {
	entry := func(uid uint16, score float64) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(nil, uid),
			math.Float64bits(score))
	}
	f.Add(slices.Concat(entry(0, 0.5), entry(1, 0.25), entry(7, 1e-9)), uint16(8), int16(1), 0.5,
		uint16(6553))
	f.Add(slices.Concat(entry(3, 1), entry(2, 0), entry(1, 0)), uint16(4), int16(3), 0.9, uint16(0))
	f.Add(slices.Concat(entry(0, math.NaN()), entry(0, math.Inf(-1))), uint16(1), int16(-1), 65535.0,
		uint16(65535))
	f.Add(slices.Concat(entry(0, 3e38), entry(1, 3e38), entry(2, -1)), uint16(3), int16(0), 1.0,
		uint16(0))
	f.Add([]byte{}, uint16(0), int16(0), 0.0, uint16(0))
	known := []error{
		weights.ErrEmpty, weights.ErrUIDRange, weights.ErrDuplicateUID, weights.ErrNotFinite,
		weights.ErrNegative, weights.ErrInvalidOption,
	}
	f.Fuzz(func(
		t *testing.T, data []byte, neurons uint16, minimum int16, limit float64, quantile uint16,
	) {
		c := conversionCase{
			neurons: int(neurons % 1024), minimum: int(minimum), limit: limit,
			quantile: quantile, tolerance: 1e-3,
		}
		for ; len(data) >= 10; data = data[10:] {
			c.uids = append(c.uids, organic.UID(binary.BigEndian.Uint16(data)))
			c.scores = append(c.scores, math.Float64frombits(binary.BigEndian.Uint64(data[2:])))
		}
		vector, err := c.convert()
		if err != nil {
			require.Zero(t, vector)
			require.True(t, slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) }),
				"%v", err)
			return
		}
		require.NoError(t, broken(c, vector))
	})
}

// FuzzLoad loads any bytes, as a file and as the content of a file with a good checksum. What is
// loaded can be used and saved again, and anything else changes nothing.
func FuzzLoad(f *testing.F) {
	good := func(average weights.Average) []byte {
		s, err := weights.NewScores(average, wide, weights.WithGuards(weights.MaxRequesterShare(0.5)))
		require.NoError(f, err)
		require.NoError(f, s.SetMetagraph(cheated))
		for _, origin := range []organic.Origin{organic.Organic, organic.Synthetic, organic.Organic} {
			update(f, s, weights.Round{
				ID: origin.String(), Origin: origin, Metagraph: cheated,
				Requester: "user",
			}, organic.Rewards{0: 0.5, 1: -1})
		}
		return content(f, snapshot(f, s))
	}
	for _, average := range []weights.Average{weights.Hold(0.1), weights.Window(3, 0)} {
		file := good(average)
		var envelope struct{ Scores json.RawMessage }
		require.NoError(f, json.Unmarshal(file, &envelope))
		f.Add(file, false)
		f.Add([]byte(envelope.Scores), true)
	}
	f.Add([]byte(`{"average":"exponential","miners":[{"hotkey":"a","organic":{"mass":1e-12,"mean":-3e38}}]}`), true)
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		if sealed {
			data = weights.Seal(data)
		}
		if weights.Decodable(data) != nil {
			return // OpenSaver refuses it, and writing to the disk takes most of the time
		}
		for _, average := range []weights.Average{weights.Decay(0.1), weights.Window(3, 0)} {
			requireLoadable(t, average, written(t, data))
		}
	})
}

func requireLoadable(t *testing.T, average weights.Average, path string) {
	t.Helper()
	guards := weights.WithGuards(weights.MaxRequesterShare(0.1), weights.AroundSynthetic(0.5, 1))
	scores := newScores(t, average, []string{"cheater", "b"}, guards)
	update(t, scores, weights.Round{}, organic.Rewards{0: 1, 1: 1})
	before := scores.Standings()
	saver, err := weights.OpenSaver(path, scores, weights.SaverConfig{})
	if err != nil {
		require.Equal(t, before, scores.Standings())
		return
	}
	require.NoError(t, saver.Close())
	again := newScores(t, average, []string{"cheater", "b"}, guards)
	load(t, snapshot(t, scores), again)
	require.Equal(t, scores.Standings(), again.Standings())
	update(t, scores, weights.Round{Requester: "user"}, organic.Rewards{0: 1, 1: 1})
	for _, standing := range scores.Standings() {
		require.False(t, math.IsNaN(standing.Score) || math.IsInf(standing.Score, 0), "%+v", standing)
	}
}
