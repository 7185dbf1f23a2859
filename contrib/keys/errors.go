package keys

import "errors"

var (
	// ErrAddress is the error of [ParseSS58] for a text that is not a strict
	// Bittensor address.
	ErrAddress = errors.New("keys: not a Bittensor address")

	// ErrWeakKey is the error for a public key whose signatures can be forged
	// without its secret: the all-zero key, and under ed25519 every key of small
	// order.
	ErrWeakKey = errors.New("keys: weak key: signatures can be forged without its secret")

	// ErrEncrypted is the error of [Load] and [Parse] for an encrypted key file
	// if no password function was given.
	ErrEncrypted = errors.New("keys: the key file is encrypted and no password was given")

	// ErrPassword is the error of [Load] and [Parse] if the password does not
	// open the key file, or if the file is damaged: the two cannot be
	// distinguished.
	ErrPassword = errors.New("keys: wrong password for the key file")

	// ErrUnsupported is the error of [Load] and [Parse] for a file that holds a
	// key in a format or of a type that this package does not read. The text
	// names the format and what to do.
	ErrUnsupported = errors.New("keys: unsupported key file")
)
