package main

import (
	"fmt"

	"github.com/organic-scoring/organic/contrib/axon"
)

// keyOf derives a key pair that is the same in every run, so that saved scores
// find their miners again. Everybody knows such keys: real ones are in wallets,
// see [axon.LoadKeypair].
func keyOf(what string, number int) (*axon.Keypair, error) {
	return axon.KeypairFromURI(fmt.Sprintf("//sn1//%s//%d", what, number))
}
