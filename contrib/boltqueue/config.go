package boltqueue

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
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
	// everything that waits, whenever it was added. Open reports that, but not
	// a file that is merely older.
	NoSync bool
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("boltqueue: %w: %w", organic.ErrInvalidOption, fmt.Errorf(format, args...))
}

// withDefaults replaces zeros. Its error names all that is wrong.
func (c Config[S]) withDefaults() (Config[S], error) {
	var errs []error
	check := func(ok bool, field string, value any, must string) {
		if !ok {
			errs = append(errs, invalid("Config.%s is %v, must be %s", field, value, must))
		}
	}
	const orDefault = "at least 1, or 0 for the default"
	check(c.Capacity >= 0 && c.Capacity <= math.MaxInt32, "Capacity", c.Capacity,
		fmt.Sprintf("from 1 to %d, or 0 for the default", math.MaxInt32))
	check(c.MaxBytes >= 0, "MaxBytes", c.MaxBytes, "at least 1, or 0 for none")
	check(c.Order <= organic.OrderFair, "Order", uint8(c.Order), "an order of package organic")
	check(c.MaxAge >= 0, "MaxAge", c.MaxAge, "above 0, or 0 for none")
	check(c.MaxCrashes >= 0, "MaxCrashes", c.MaxCrashes, orDefault)
	check(c.DeadLetters >= 0, "DeadLetters", c.DeadLetters, orDefault)
	c.Capacity = cmp.Or(c.Capacity, 10_000)
	c.MaxCrashes = cmp.Or(c.MaxCrashes, 5)
	c.DeadLetters = cmp.Or(c.DeadLetters, 10_000)
	return c, errors.Join(errs...)
}

func (c Config[S]) limits() limits {
	return limits{capacity: c.Capacity, maxBytes: c.MaxBytes, order: c.Order, maxAge: c.MaxAge}
}
