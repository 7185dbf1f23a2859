//go:build !race

package e2e_test

// identitySamples is how many samples the identity is proven with.
const identitySamples = 200_000
