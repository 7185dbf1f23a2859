package timelock

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fp"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fr"
)

const (
	// Overhead is how much longer a ciphertext is than its plaintext, in bytes.
	Overhead = bls.SizeOfG2AffineCompressed + (8 + secretSize) + (8 + secretSize) +
		8 + (8 + tagSize) + (8 + nonceSize) + 8 + len(suite)
	// SignatureSize is the length of a beacon's signature in bytes.
	SignatureSize = bls.SizeOfG1AffineCompressed

	secretSize = 32
	nonceSize  = 12
	tagSize    = 16
	suite      = "AES_GCM_"
)

var (
	// ErrMalformed is returned for a ciphertext or signature that is not one.
	ErrMalformed = errors.New("timelock: malformed")
	// ErrDecrypt is returned for a ciphertext that was made for another round
	// or beacon than the signature's, or that was changed.
	ErrDecrypt = errors.New("timelock: cannot be decrypted with this signature")
)

// domain separates the hashes of drand's quicknet from other uses of the curve.
var domain = []byte("BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_")

// entropy is what is random in a ciphertext.
type entropy struct {
	sigma, key [secretSize]byte
	nonce      [nonceSize]byte
}

// Encrypt encrypts plaintext so that it can be read once the beacon has
// published the signature of round. Two ciphertexts of one plaintext differ.
// The result is plaintext's length plus [Overhead] long. It fails only when the
// system cannot compute what the curve promises.
func (b *Beacon) Encrypt(plaintext []byte, round uint64) ([]byte, error) {
	var e entropy
	_, _ = rand.Read(e.sigma[:]) // never fails
	_, _ = rand.Read(e.key[:])
	_, _ = rand.Read(e.nonce[:])
	return b.encrypt(plaintext, round, e)
}

func (b *Beacon) encrypt(plaintext []byte, round uint64, e entropy) ([]byte, error) {
	q, err := identity(round)
	if err != nil {
		return nil, err
	}
	r := exponent(e.sigma[:], e.key[:])
	var u bls.G2Affine
	u.ScalarMultiplicationBase(r)
	q.ScalarMultiplication(&q, r)
	g, err := bls.Pair([]bls.G1Affine{q}, []bls.G2Affine{b.publicKey})
	if err != nil {
		return nil, fmt.Errorf("timelock: encrypt: %w", err)
	}
	aead, err := newAEAD(e.key[:])
	if err != nil {
		return nil, err
	}
	point := u.Bytes()
	out := make([]byte, 0, len(plaintext)+Overhead)
	out = append(out, point[:]...)
	out = appendVec(out, xor(e.sigma[:], hashOf(&g)))
	hash := sha256.Sum256(e.sigma[:])
	out = appendVec(out, xor(e.key[:], hash[:]))
	out = appendLength(out, 8+len(plaintext)+tagSize+8+nonceSize)
	out = appendLength(out, len(plaintext)+tagSize)
	out = aead.Seal(out, e.nonce[:], plaintext, nil)
	out = appendVec(out, e.nonce[:])
	return appendVec(out, []byte(suite)), nil
}

// Decrypt returns the plaintext, given the signature that the beacon has
// published for the ciphertext's round. It does not check that the signature is
// the beacon's: one that is not decrypts nothing.
func Decrypt(ciphertext, signature []byte) ([]byte, error) {
	parts, err := parse(ciphertext)
	if err != nil {
		return nil, err
	}
	point, err := parseSignature(signature)
	if err != nil {
		return nil, err
	}
	g, err := bls.Pair([]bls.G1Affine{point}, []bls.G2Affine{parts.u})
	if err != nil {
		return nil, fmt.Errorf("timelock: decrypt: %w", err)
	}
	sigma := xor(parts.v, hashOf(&g))
	hash := sha256.Sum256(sigma)
	key := xor(parts.w, hash[:])
	var u bls.G2Affine
	u.ScalarMultiplicationBase(exponent(sigma, key))
	if !u.Equal(&parts.u) {
		return nil, ErrDecrypt
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, parts.nonce, parts.sealed, nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

// ciphertext is a ciphertext taken to pieces.
type ciphertext struct {
	u                   bls.G2Affine
	v, w, sealed, nonce []byte
}

func parse(data []byte) (ciphertext, error) {
	var c ciphertext
	if len(data) < Overhead {
		return c, fmt.Errorf("%w: ciphertext of %d bytes", ErrMalformed, len(data))
	}
	if n, err := c.u.SetBytes(data[:bls.SizeOfG2AffineCompressed]); err != nil ||
		n != bls.SizeOfG2AffineCompressed {
		return c, fmt.Errorf("%w: point of the ciphertext", ErrMalformed)
	}
	rest := data[bls.SizeOfG2AffineCompressed:]
	var body, name, tail []byte
	var ok [6]bool
	c.v, rest, ok[0] = cutVec(rest)
	c.w, rest, ok[1] = cutVec(rest)
	body, rest, ok[2] = cutVec(rest)
	name, rest, ok[3] = cutVec(rest)
	c.sealed, tail, ok[4] = cutVec(body)
	c.nonce, tail, ok[5] = cutVec(tail)
	switch {
	case slices.Contains(ok[:], false), len(rest) > 0, len(tail) > 0:
		return c, fmt.Errorf("%w: lengths in the ciphertext", ErrMalformed)
	case len(c.v) != secretSize, len(c.w) != secretSize, len(c.nonce) != nonceSize:
		return c, fmt.Errorf("%w: fields of the ciphertext", ErrMalformed)
	case string(name) != suite:
		return c, fmt.Errorf("%w: cipher suite of the ciphertext", ErrMalformed)
	}
	return c, nil
}

// identity is the point that a round's signature is a multiple of.
func identity(round uint64) (bls.G1Affine, error) {
	hash := sha256.Sum256(binary.BigEndian.AppendUint64(nil, round))
	point, err := bls.HashToG1(hash[:], domain)
	if err != nil {
		return point, fmt.Errorf("timelock: round %d: %w", round, err)
	}
	return point, nil
}

// exponent binds a ciphertext to its key, so that a changed one is detected.
func exponent(sigma, key []byte) *big.Int {
	hash := sha256.Sum256(slices.Concat(sigma, key))
	var scalar fr.Element
	scalar.SetBytes(hash[:]) // reduces by the order of the group
	return scalar.BigInt(new(big.Int))
}

// hashOf hashes an element of the target group as arkworks serializes it: twelve
// base-field elements, little-endian.
func hashOf(g *bls.GT) []byte {
	hash := sha256.New()
	for _, element := range []*fp.Element{
		&g.C0.B0.A0, &g.C0.B0.A1, &g.C0.B1.A0, &g.C0.B1.A1, &g.C0.B2.A0, &g.C0.B2.A1,
		&g.C1.B0.A0, &g.C1.B0.A1, &g.C1.B1.A0, &g.C1.B1.A1, &g.C1.B2.A0, &g.C1.B2.A1,
	} {
		text := element.Bytes()
		slices.Reverse(text[:])
		hash.Write(text[:])
	}
	return hash.Sum(nil)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("timelock: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("timelock: %w", err)
	}
	return aead, nil
}

func xor(a, b []byte) []byte {
	out := make([]byte, secretSize)
	subtle.XORBytes(out, a, b)
	return out
}

func appendLength(out []byte, length int) []byte {
	return binary.LittleEndian.AppendUint64(out, uint64(length)) //nolint:gosec // a length
}

func appendVec(out, data []byte) []byte { return append(appendLength(out, len(data)), data...) }

func cutVec(data []byte) (vec, rest []byte, ok bool) {
	if len(data) < 8 {
		return nil, nil, false
	}
	length, data := binary.LittleEndian.Uint64(data), data[8:]
	if length > uint64(len(data)) {
		return nil, nil, false
	}
	return data[:length], data[length:], true
}
