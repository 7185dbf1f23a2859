//go:build race

package axon_test

// raceDetector makes a verification ten times as dear.
const raceDetector = true
