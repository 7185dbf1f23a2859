// Package oracle holds tests only. They compare package keys with
// go-schnorrkel, another implementation of sr25519 by other people, in a module
// of their own so that its users need not download it.
package oracle
