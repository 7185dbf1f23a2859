package boltqueue

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

const (
	defaultCapacity    = 10_000
	defaultMaxCrashes  = 5
	defaultDeadLetters = 10_000
)

// Config configures a [Queue]. The zero Config has the defaults: 10,000 samples
// in random order, of which the oldest is dropped if the queue is full, stored
// as JSON and synced to the disk. It is a plain value.
type Config[S any] struct {
	// Capacity is how many samples the queue holds, those that are leased or
	// wait for a delay included; 10,000 by default.
	Capacity int
	// MaxBytes is how many bytes the records of these samples may have
	// together, a record being what the codec makes and some 60 bytes more. The
	// file is larger, by half to two times. There is no such bound by default.
	MaxBytes int64
	// Order is the order in which Sample hands samples out.
	Order organic.Order
	// Refuse makes a full queue return organic.ErrFull. By default it drops its
	// oldest waiting samples, no more than needed. A sample that is leased or
	// delayed is never dropped; if no other is left Add returns
	// organic.ErrFull.
	Refuse bool
	// MaxAge drops samples that were received longer ago; none by default.
	MaxAge time.Duration
	// MaxCrashes is how many deliveries of a sample may end with the death of
	// the process before the queue moves it to the dead letters; 5 by default.
	MaxCrashes int
	// DeadLetters is how many dead letters are kept; the oldest is forgotten
	// for a new one. The default is 10,000. MaxBytes does not count them.
	DeadLetters int
	// Codec writes samples, [durable.JSON] by default.
	Codec durable.Codec[S]
	// Cipher encrypts samples and the reasons of dead letters; none by default.
	Cipher durable.Cipher
	// NoSync leaves it to the operating system when what was written reaches
	// the disk, 5 to 30 s later as a rule. A killed process loses nothing. A
	// power cut or a crash of the operating system can lose the whole file:
	// everything that waits, whenever it was added. Open reports that.
	NoSync bool
}

// withDefaults replaces zeros. It returns all that is wrong.
func (c Config[S]) withDefaults() (Config[S], error) {
	err := errors.Join(
		notNegative("Capacity", int64(c.Capacity)),
		notNegative("MaxBytes", c.MaxBytes),
		notNegative("MaxAge", int64(c.MaxAge)),
		notNegative("MaxCrashes", int64(c.MaxCrashes)),
		notNegative("DeadLetters", int64(c.DeadLetters)),
	)
	if c.Capacity > math.MaxInt32 {
		err = errors.Join(
			err,
			invalid(fmt.Sprintf("Capacity: %d", c.Capacity), "must be at most %d", math.MaxInt32),
		)
	}
	if c.Order > organic.OrderFair {
		err = errors.Join(
			err,
			invalid(
				fmt.Sprintf("Order: %d", c.Order),
				"must be one of the orders of package organic",
			),
		)
	}
	if c.Capacity == 0 {
		c.Capacity = defaultCapacity
	}
	if c.MaxCrashes == 0 {
		c.MaxCrashes = defaultMaxCrashes
	}
	if c.DeadLetters == 0 {
		c.DeadLetters = defaultDeadLetters
	}
	return c, err
}

func notNegative(field string, value int64) error {
	if value >= 0 {
		return nil
	}
	return invalid(fmt.Sprintf("%s: %d", field, value), "must be at least 0, which is the default")
}

func (c Config[S]) limits() limits {
	return limits{capacity: c.Capacity, maxBytes: c.MaxBytes, order: c.Order, maxAge: c.MaxAge}
}
