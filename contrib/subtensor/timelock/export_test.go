package timelock

// EncryptWith encrypts with given randomness.
func (b *Beacon) EncryptWith(
	plaintext []byte,
	round uint64,
	sigma, key, nonce []byte,
) ([]byte, error) {
	var e entropy
	copy(e.sigma[:], sigma)
	copy(e.key[:], key)
	copy(e.nonce[:], nonce)
	return b.encrypt(plaintext, round, e)
}
