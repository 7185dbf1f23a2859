//go:build !race

package subtensor_test

const raceDetector = false
