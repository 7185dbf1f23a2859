//go:build !race

package axon_test

const raceDetector = false
