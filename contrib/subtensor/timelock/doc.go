// Package timelock encrypts weights so that the chain itself reveals them at a
// given time, as Bittensor's commit-reveal of version 4 asks.
//
// A ciphertext is made for a round of a drand [Beacon]. The beacon publishes a
// signature of each round when its time has come, and [Decrypt] needs it. The
// chain stores the signatures and decrypts by itself: weights cannot be copied
// before, and a validator sends them once.
//
//	beacon := timelock.Quicknet()
//	plaintext, err := timelock.Weights{Hotkey: hotkey, UIDs: uids, Values: values}.Encode()
//	block, err := schedule.RevealBlock(period)
//	round := beacon.RevealRound(schedule.CurrentBlock, block, blockTime, time.Now())
//	commit, err := beacon.Encrypt(plaintext, round)
//
// The scheme is Boneh and Franklin's identity-based encryption (FullIdent) on
// BLS12-381 in the exact form of the crate tle at revision 5416406, which the
// chain uses. Other forms, such as those of drand's own tlock and of later
// crates, are not compatible with it.
//
// Encryption runs in variable time. A key protects its message only until the
// round is published, and is used once.
package timelock
