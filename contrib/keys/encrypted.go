package keys

import (
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/nacl/secretbox"
)

// An encrypted key file is this prefix, a nonce and a secretbox. Its key is
// derived from the password by argon2i with libsodium's SENSITIVE limits.
const (
	naclPrefix = "$NACL"
	naclNonce  = 24
	naclSalt   = "137183dff15a09bc9c90b5518739e9b1" // the same for all wallets
	naclPasses = 8
	naclMemory = 512 << 10 // KiB
)

// decrypt opens an encrypted key file.
func decrypt(data []byte, password func() ([]byte, error)) ([]byte, error) {
	if password == nil {
		return nil, ErrEncrypted
	}
	sealed := data[len(naclPrefix):]
	if len(sealed) < naclNonce+secretbox.Overhead {
		return nil, fmt.Errorf("%w: the encrypted key file is cut off", ErrUnsupported)
	}
	secret, err := password()
	if err != nil {
		return nil, fmt.Errorf("keys: password: %w", err)
	}
	salt, err := hex.DecodeString(naclSalt)
	if err != nil {
		return nil, err
	}
	key := [32]byte(argon2.Key(secret, salt, naclPasses, naclMemory, 1, 32))
	plain, ok := secretbox.Open(nil, sealed[naclNonce:], (*[naclNonce]byte)(sealed), &key)
	if !ok {
		return nil, ErrPassword
	}
	return plain, nil
}
