package axon

import "github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

// PublicKey is what the server keeps in its cache of keys.
func (h Hotkey) PublicKey() (*sr25519.PublicKey, error) { return h.publicKey() }

// VerifyParsed is [Hotkey.Verify] with a key from that cache.
func VerifyParsed(key *sr25519.PublicKey, message, signature []byte) bool {
	return verifyParsed(key, message, signature)
}
