package main

import (
	"fmt"

	"github.com/organic-scoring/organic/contrib/keys"
)

// keyOf derives a key pair that is the same in every run, so that saved scores
// find their miners again. Everybody knows such keys: real ones are in wallets,
// see [keys.Load].
func keyOf(what string, number int) (*keys.Keypair, error) {
	return keys.FromURI(fmt.Sprintf("//sn1//%s//%d", what, number), keys.SR25519)
}
