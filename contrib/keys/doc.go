// Package keys holds the identities of Bittensor: hotkeys and their SS58
// addresses, key pairs that sign, and the key files of Bittensor wallets.
// Package axon and package subtensor build on it.
//
// # Hotkeys
//
// A [Hotkey] is the public half of a neuron's key, 32 bytes that [ParseSS58]
// reads from an address:
//
//	hotkey, err := keys.ParseSS58("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")
//	ok := keys.Verify(keys.SR25519, hotkey, message, signature)
//
// The same type holds coldkeys. The bytes do not contain the [Scheme] of the key:
// a verifier must know it. On Bittensor it is sr25519 unless stated otherwise.
//
// # Key pairs
//
// A [Keypair] comes from a file ([Load]), a seed, a mnemonic phrase or a secret
// URI, for sr25519 or ed25519:
//
//	keypair, err := keys.Load("/home/me/.bittensor/wallets/validator/hotkeys/default", nil)
//	signature, err := keypair.Sign(message)
//
// A key pair prints, logs and marshals as its address. Its secret cannot be
// read back, and no error of this package contains a secret, not even one that
// was passed instead of a path.
//
// # Encrypted files
//
// [Load] opens files that are encrypted with a password, as coldkeys usually
// are, if it is given a function that returns the password:
//
//	keypair, err := keys.Load(path, func() ([]byte, error) { return term.ReadPassword(0) })
//
// The key derivation takes seconds and 512 MiB of memory; that is the format.
//
// # Errors
//
// Test for [ErrAddress], [ErrWeakKey], [ErrEncrypted], [ErrPassword] and
// [ErrUnsupported] with errors.Is.
package keys
