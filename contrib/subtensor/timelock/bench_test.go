package timelock_test

import (
	"testing"
	"time"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// BenchmarkEncrypt256Weights is what a commit costs. Its floor is one pairing.
func BenchmarkEncrypt256Weights(b *testing.B) {
	w := timelock.Weights{UIDs: make([]uint16, 256), Values: make([]uint16, 256)}
	beacon := timelock.Quicknet()
	for b.Loop() {
		plaintext, err := w.Encode()
		require.NoError(b, err)
		_, err = beacon.Encrypt(plaintext, 1000)
		require.NoError(b, err)
	}
}

func BenchmarkFloorPairing(b *testing.B) {
	_, _, p, q := bls.Generators()
	for b.Loop() {
		_, err := bls.Pair([]bls.G1Affine{p}, []bls.G2Affine{q})
		require.NoError(b, err)
	}
}

func BenchmarkDecrypt256Weights(b *testing.B) {
	c := ciphertexts(b)[0]
	plaintext, err := timelock.Weights{UIDs: make([]uint16, 256), Values: make([]uint16, 256)}.Encode()
	require.NoError(b, err)
	ciphertext, err := timelock.Quicknet().Encrypt(plaintext, c.Round)
	require.NoError(b, err)
	for b.Loop() {
		_, err := timelock.Decrypt(ciphertext, c.Signature)
		require.NoError(b, err)
	}
}

func BenchmarkRevealBlock(b *testing.B) {
	s := timelock.Schedule{LastEpochBlock: 1000, Tempo: 360, CurrentBlock: 1200}
	beacon := timelock.Quicknet()
	for b.Loop() {
		block, err := s.RevealBlock(3)
		require.NoError(b, err)
		beacon.RevealRound(s.CurrentBlock, block, 12*time.Second, time.Unix(1784809824, 0))
	}
}
