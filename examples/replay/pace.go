package main

import (
	"time"

	"github.com/organic-scoring/organic"
)

// How iterations are paced, by either trigger: every 100 ms, 10 ms sooner for
// each prompt that waits, but not sooner than 5 ms.
const (
	stepEvery = 5 * time.Millisecond

	frequency        = 100 * time.Millisecond
	shortest         = stepEvery
	promptsPerSecond = 100 // shorten the wait by one second
)

// newTrigger returns the trigger that the flag names.
func newTrigger(name string) organic.Trigger {
	if name == triggerSteps {
		return organic.Steps{
			Frequency:     int(frequency / stepEvery),
			Min:           int(shortest / stepEvery),
			ScalingFactor: promptsPerSecond * stepEvery.Seconds(),
		}
	}
	return organic.Seconds{Frequency: frequency, Min: shortest, ScalingFactor: promptsPerSecond}
}
