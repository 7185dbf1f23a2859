package timelock

import (
	"encoding/hex"
	"fmt"
	"math"
	"time"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/organic-scoring/organic"
)

// Beacon is a drand network with keys in G2 and signatures in G1, which signs
// the number of a round every period. It does not change and is safe for
// concurrent use. Create it with [Quicknet] or [NewBeacon].
type Beacon struct {
	publicKey bls.G2Affine
	genesis   time.Time
	period    time.Duration
}

const (
	quicknetKey = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c" +
		"8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb" +
		"5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
	quicknetGenesis = 1692803367
	quicknetPeriod  = 3 * time.Second
)

// Quicknet returns the beacon that Bittensor's chain follows: drand's quicknet,
// a round every 3 seconds.
func Quicknet() *Beacon {
	key, err := hex.DecodeString(quicknetKey)
	if err != nil {
		panic(err) // a constant
	}
	beacon, err := NewBeacon(key, time.Unix(quicknetGenesis, 0), quicknetPeriod)
	if err != nil {
		panic(err) // constants
	}
	return beacon
}

// NewBeacon returns a beacon with a compressed public key of 96 bytes, whose
// first round is at genesis, for a chain that follows another beacon than
// quicknet. All that is wrong wraps [organic.ErrInvalidOption].
func NewBeacon(publicKey []byte, genesis time.Time, period time.Duration) (*Beacon, error) {
	b := &Beacon{genesis: genesis, period: period}
	if len(publicKey) != bls.SizeOfG2AffineCompressed {
		return nil, fmt.Errorf("%w: timelock: publicKey has %d bytes: must have %d",
			organic.ErrInvalidOption, len(publicKey), bls.SizeOfG2AffineCompressed)
	}
	if _, err := b.publicKey.SetBytes(publicKey); err != nil || b.publicKey.IsInfinity() {
		return nil, fmt.Errorf("%w: timelock: publicKey is no point of the group G2",
			organic.ErrInvalidOption)
	}
	if period <= 0 {
		return nil, fmt.Errorf("%w: timelock: period %v: must be positive",
			organic.ErrInvalidOption, period)
	}
	return b, nil
}

// Verify checks that signature is the beacon's for a round. It returns nil,
// [ErrMalformed], or [ErrDecrypt] for the signature of another round or beacon.
func (b *Beacon) Verify(round uint64, signature []byte) error {
	point, err := parseSignature(signature)
	if err != nil {
		return err
	}
	q, err := identity(round)
	if err != nil {
		return err
	}
	_, _, _, generator := bls.Generators()
	point.Neg(&point)
	same, err := bls.PairingCheck(
		[]bls.G1Affine{point, q}, []bls.G2Affine{generator, b.publicKey})
	if err != nil {
		return fmt.Errorf("timelock: verify: %w", err)
	}
	if !same {
		return ErrDecrypt
	}
	return nil
}

func parseSignature(signature []byte) (bls.G1Affine, error) {
	var point bls.G1Affine
	if len(signature) != SignatureSize {
		return point, fmt.Errorf("%w: signature of %d bytes", ErrMalformed, len(signature))
	}
	if _, err := point.SetBytes(signature); err != nil {
		return point, fmt.Errorf("%w: signature is no point of the group G1", ErrMalformed)
	}
	return point, nil
}

// securityBlocks is how many blocks later than the reveal block a commit's round
// is, so that it cannot be read before.
const securityBlocks = 3

// RevealRound returns the round for a commit that the chain is to reveal at
// revealBlock, if current is the height now and a block takes blockTime. The
// result is at least 1. A clock that is a minute slow makes it 20 rounds too
// early, and the chain refuses a round that is already published.
func (b *Beacon) RevealRound(
	current, revealBlock uint64, blockTime time.Duration, now time.Time,
) uint64 {
	var blocks uint64
	if last := revealBlock + securityBlocks; last > current && last >= revealBlock {
		blocks = last - current
	}
	return b.round(now.Add(duration(blocks, blockTime)))
}

// duration returns how long so many blocks take, at most the longest time there is.
func duration(blocks uint64, blockTime time.Duration) time.Duration {
	switch {
	case blockTime <= 0:
		return 0
	case blocks > uint64(math.MaxInt64/blockTime): //nolint:gosec // positive
		return math.MaxInt64
	default:
		return time.Duration(blocks) * blockTime //nolint:gosec // bounded above
	}
}

// round is how many periods have passed since the beginning, at least 1.
func (b *Beacon) round(at time.Time) uint64 {
	return uint64(max(1, at.Sub(b.genesis)/b.period))
}
