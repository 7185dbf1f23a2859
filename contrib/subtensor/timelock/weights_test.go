package timelock_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

func TestWeightsAreEncodedAsTheChainReadsThem(t *testing.T) {
	t.Parallel()
	w := timelock.Weights{UIDs: []uint16{1, 0x0203}, Values: []uint16{65535, 7}, VersionKey: 9}
	w.Hotkey[0], w.Hotkey[31] = 0xd4, 0x7d
	data, err := w.Encode()
	require.NoError(t, err)
	require.Equal(t, "80d4"+"000000000000000000000000000000000000000000000000000000000000"+"7d"+
		"0801000302"+"08ffff0700"+"0900000000000000", hex.EncodeToString(data))
	back, err := timelock.DecodeWeights(data)
	require.NoError(t, err)
	require.Equal(t, w, back)
}

func TestPlaintextsOfTheVectorsDecode(t *testing.T) {
	t.Parallel()
	decoded := 0
	for _, c := range ciphertexts(t) {
		w, err := timelock.DecodeWeights(c.Plaintext)
		if len(c.Plaintext) < 50 {
			require.ErrorIs(t, err, timelock.ErrMalformed)
			continue
		}
		require.NoError(t, err)
		decoded++
		again, err := w.Encode()
		require.NoError(t, err)
		require.Equal(t, []byte(c.Plaintext), again)
	}
	require.Positive(t, decoded)
}

func TestEncodeRefusesWhatTheChainRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		uids, values int
		want         error
	}{
		{0, 0, nil},
		{63, 63, nil},
		{64, 64, nil},
		{1177, 1177, nil},
		{1178, 1178, timelock.ErrTooLong},
		{65536, 65536, timelock.ErrTooLong},
	} {
		w := timelock.Weights{UIDs: make([]uint16, c.uids), Values: make([]uint16, c.values)}
		data, err := w.Encode()
		if c.want != nil {
			require.ErrorIs(t, err, c.want)
			continue
		}
		require.NoError(t, err)
		require.LessOrEqual(t, len(data)+timelock.Overhead, timelock.MaxCommit)
		back, err := timelock.DecodeWeights(data)
		require.NoError(t, err)
		require.Len(t, back.UIDs, c.uids)
	}
	_, err := timelock.Weights{UIDs: make([]uint16, 2), Values: make([]uint16, 1)}.Encode()
	require.ErrorContains(t, err, "2 UIDs and 1 values")
}

func FuzzDecodeWeights(f *testing.F) {
	for _, c := range ciphertexts(f) {
		f.Add([]byte(c.Plaintext))
	}
	// Lists of length 0 with a compact number of two bytes, which the chain refuses.
	f.Add(append(append([]byte{32 << 2}, make([]byte, 32)...), 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := timelock.DecodeWeights(data)
		if err != nil {
			require.ErrorIs(t, err, timelock.ErrMalformed)
			return
		}
		again, err := w.Encode()
		if err != nil {
			require.ErrorIs(t, err, timelock.ErrTooLong)
			return
		}
		require.Equal(t, data, again, "there is one form")
	})
}
