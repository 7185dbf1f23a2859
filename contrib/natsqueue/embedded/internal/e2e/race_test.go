//go:build race

package e2e_test

// identitySamples is how many samples the identity is proven with: the race
// detector makes each of them many times as slow.
const identitySamples = 10_000
