package subtensortest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"time"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fr"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// Pulses is where a [Node] gets the signatures of a beacon from.
type Pulses interface {
	// Pulse returns the signature of a round, and false if there is none.
	Pulse(round uint64) (signature []byte, ok bool)
	// Last returns the last round that is published at a time, 0 if there is none.
	Last(at time.Time) uint64
}

// Beacon is a drand beacon of a key of its own: it can sign any round. Give its Public to the
// client. It does not change and is safe for concurrent use.
type Beacon struct {
	public  *timelock.Beacon
	secret  *big.Int
	genesis time.Time
	period  time.Duration
}

var _ Pulses = (*Beacon)(nil)

// NewBeacon returns a beacon whose key is derived from a seed, with a round every 3 seconds since
// 1970: earlier than quicknet, since the time in a bubble of testing/synctest begins in 2000.
func NewBeacon(seed string) (*Beacon, error) {
	hash := sha256.Sum256([]byte(seed))
	var scalar fr.Element
	scalar.SetBytes(hash[:])
	secret := scalar.BigInt(new(big.Int))
	var point bls.G2Affine
	point.ScalarMultiplicationBase(secret)
	key := point.Bytes()
	b := &Beacon{secret: secret, genesis: time.Unix(0, 0), period: 3 * time.Second}
	var err error
	if b.public, err = timelock.NewBeacon(key[:], b.genesis, b.period); err != nil {
		return nil, fmt.Errorf("subtensortest: beacon: %w", err)
	}
	return b, nil
}

// Public returns what encrypts for this beacon.
func (b *Beacon) Public() *timelock.Beacon { return b.public }

// Last returns the round at a time. In drand, round 1 is at the beginning.
func (b *Beacon) Last(at time.Time) uint64 {
	if at.Before(b.genesis) {
		return 0
	}
	return uint64(at.Sub(b.genesis)/b.period) + 1 //nolint:gosec // not negative
}

// Pulse signs a round.
func (b *Beacon) Pulse(round uint64) (signature []byte, ok bool) {
	hash := sha256.Sum256(binary.BigEndian.AppendUint64(nil, round))
	point, err := bls.HashToG1(hash[:], []byte("BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"))
	if err != nil {
		return nil, false
	}
	point.ScalarMultiplication(&point, b.secret)
	text := point.Bytes()
	return text[:], true
}

// Recorded is pulses of drand's quicknet, by round. A round is published when the node's clock has
// reached it.
type Recorded map[uint64][]byte

var _ Pulses = Recorded(nil)

// Pulse returns what was recorded.
func (r Recorded) Pulse(round uint64) (signature []byte, ok bool) {
	signature, ok = r[round]
	return signature, ok
}

// Last returns the highest recorded round that quicknet has published at a time.
func (r Recorded) Last(at time.Time) (last uint64) {
	beacon := Beacon{genesis: time.Unix(1692803367, 0), period: 3 * time.Second}
	for round := range r {
		if round > last && round <= beacon.Last(at) {
			last = round
		}
	}
	return last
}
