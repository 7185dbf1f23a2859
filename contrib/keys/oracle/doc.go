// Package oracle holds tests only. They compare package keys with
// go-schnorrkel, another implementation of sr25519 by other people, in a module
// of their own so that nobody who uses it has to download it.
package oracle
