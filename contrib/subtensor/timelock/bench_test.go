package timelock_test

import (
	"math/big"
	"testing"
	"time"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// groupOperations are those that the scheme cannot do without: a point from a hash, a
// multiplication in each group, and a pairing.
func groupOperations(b *testing.B, scalar *big.Int) {
	b.Helper()
	_, _, _, key := bls.Generators()
	point, err := bls.HashToG1([]byte("round"), []byte("domain"))
	require.NoError(b, err)
	var u bls.G2Affine
	u.ScalarMultiplicationBase(scalar)
	point.ScalarMultiplication(&point, scalar)
	_, err = bls.Pair([]bls.G1Affine{point}, []bls.G2Affine{key})
	require.NoError(b, err)
}

// BenchmarkEncrypt is what a commit of 256 weights costs. Its floor is the group operations.
func BenchmarkEncrypt(b *testing.B) {
	scalar, ok := new(big.Int).SetString(
		"4bbe1c2d3a4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9", 16)
	require.True(b, ok)
	b.Run("256/floor", func(b *testing.B) {
		for b.Loop() {
			groupOperations(b, scalar)
		}
	})
	w := timelock.Weights{UIDs: make([]uint16, 256), Values: make([]uint16, 256)}
	beacon := timelock.Quicknet()
	b.Run("256/organic", func(b *testing.B) {
		for b.Loop() {
			plaintext, err := w.Encode()
			require.NoError(b, err)
			_, err = beacon.Encrypt(plaintext, 1000)
			require.NoError(b, err)
		}
	})
}

func BenchmarkDecrypt(b *testing.B) {
	c := ciphertexts(b)[0]
	w := timelock.Weights{UIDs: make([]uint16, 256), Values: make([]uint16, 256)}
	plaintext, err := w.Encode()
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
