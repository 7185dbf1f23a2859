package natsqueue

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// The defaults of the options, each explained there.
const (
	defaultName          = "organic"
	defaultCapacity      = 10_000
	defaultDedupe        = 2 * time.Minute
	defaultAckWait       = 30 * time.Second
	defaultMaxLease      = 10 * time.Minute
	defaultMaxDeliveries = 100
	defaultAddTimeout    = 5 * time.Second
	defaultDeadLetters   = 10_000
	defaultPrefetch      = 1
	maxPrefetch          = 1000
)

// Option configures a [Queue]. Of two of the same kind the last one wins.
// Options are safe for concurrent use and may serve several queues.
type Option interface {
	apply(cfg *config) error
}

type config struct {
	name          string
	capacity      int
	maxBytes      int64
	dropOldest    bool
	maxAge        time.Duration
	dedupe        time.Duration
	replicas      int
	update        bool
	codec         any
	cipher        Cipher
	prefetch      int
	shuffle       bool
	ackWait       time.Duration
	maxLease      time.Duration
	maxDeliveries int
	addTimeout    time.Duration
	deadLetters   int
	deadAge       time.Duration
}

type optionFunc func(cfg *config) error

func (f optionFunc) apply(cfg *config) error { return f(cfg) }

// set makes an option of a setter and the condition its value must meet.
func set(ok bool, what, must string, setter func(cfg *config)) Option {
	return optionFunc(func(cfg *config) error {
		if !ok {
			return invalid(what, "%s", must)
		}
		setter(cfg)
		return nil
	})
}

// WithName names the queue, "organic" by default: the stream is called so, the
// one of the dead letters has "_dead" appended, the subjects ".sample" and
// ".dead". Processes that use the same name share the queue. A name has
// letters, digits, - and _, at most 64.
func WithName(name string) Option {
	return set(isName(name), fmt.Sprintf("WithName(%q)", name), "must be 1 to 64 letters, digits, - or _",
		func(cfg *config) { cfg.name = name })
}

func isName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return name != "" && len(name) <= 64 && strings.Trim(name, letters+"0123456789-_") == ""
}

// WithCapacity bounds the queue to n samples, 10 000 by default. Those that
// are leased or wait for their next attempt count, for the server still holds
// them.
func WithCapacity(n int) Option {
	return set(n >= 1 && n <= math.MaxInt32, fmt.Sprintf("WithCapacity(%d)", n), fmt.Sprintf("must be from 1 to %d", math.MaxInt32),
		func(cfg *config) { cfg.capacity = n })
}

// WithMaxBytes bounds the queue by the bytes that the server stores for it
// too, which is some 60 more per sample than its codec makes. There is no such
// bound by default.
func WithMaxBytes(n int64) Option {
	return set(n >= 1, fmt.Sprintf("WithMaxBytes(%d)", n), "must be above 0", func(cfg *config) { cfg.maxBytes = n })
}

// WithDropOldest makes a full queue give up its oldest waiting sample for a new
// one, instead of answering [organic.ErrFull]. Add does it: it takes that
// sample as a scorer would, ends it, tells the watchers of its own process and
// counts it in [Stats], and stores the new one, in three round trips more.
//
// A sample that is leased, held ahead by another process or waiting for its
// next attempt is never dropped for room. When there are none but such, Add
// answers ErrFull. (The server's own discarding of old messages is not used:
// it takes just those first, and tells nobody.)
func WithDropOldest() Option {
	return optionFunc(func(cfg *config) error { cfg.dropOldest = true; return nil })
}

// WithMaxAge drops samples that were received longer than age ago, at least a
// second; none by default. A process that samples drops them as soon as they
// are its next ones, and tells its watchers; so is one whose next attempt
// would come too late. When no process does so, the server removes a sample
// without a word as long after its time, counted from Add, as the window of
// [WithDedupeWindow].
func WithMaxAge(age time.Duration) Option {
	return set(age >= time.Second, fmt.Sprintf("WithMaxAge(%v)", age), "must be at least 1s", func(cfg *config) { cfg.maxAge = age })
}

// WithDedupeWindow sets for how long the server knows the ID of a sample, 2
// minutes by default: a second Add of it is accepted and not stored, whatever
// has become of the first. The ID of a sample that was dropped cannot be used
// again in that time either. The longer, the more memory the server needs.
func WithDedupeWindow(window time.Duration) Option {
	return set(window >= time.Second, fmt.Sprintf("WithDedupeWindow(%v)", window), "must be at least 1s",
		func(cfg *config) { cfg.dedupe = window })
}

// WithReplicas sets on how many servers of a cluster the queue is stored: 1 by
// default, 3 survive the loss of one.
func WithReplicas(n int) Option {
	return set(n >= 1 && n <= 5, fmt.Sprintf("WithReplicas(%d)", n), "must be from 1 to 5", func(cfg *config) { cfg.replicas = n })
}

// WithUpdate lets New change the settings of a queue that exists to those of
// the options, where no sample can be lost by it: the capacity to no less than
// what is stored, a longer maximum age, window, replicas and lease. Without it
// New fails with [ErrMismatch], so that two processes with different options
// do not change it back and forth.
func WithUpdate() Option {
	return optionFunc(func(cfg *config) error { cfg.update = true; return nil })
}

// WithCodec sets how samples are written, as JSON by default. S must be the
// queue's.
func WithCodec[S any](codec Codec[S]) Option {
	return set(!isNil(codec), "WithCodec", "codec is nil", func(cfg *config) { cfg.codec = codec })
}

// WithCipher encrypts what the codec makes and the reasons of dead letters, so
// that the server and its disk hold no clear text but the samples' IDs. See
// [NewAESGCM]. By default nothing is encrypted.
//
// A message that was stored without the cipher cannot be decoded with it: let
// the queue become empty before a change, or put such dead letters back by a
// program that has no cipher, from where they can be added anew.
func WithCipher(cipher Cipher) Option {
	return set(!isNil(cipher), "WithCipher", "cipher is nil", func(cfg *config) { cfg.cipher = cipher })
}

// WithPrefetch sets how many samples this process holds ahead, 1 by default
// and 1000 at most: they are there at once when Sample is called, and nobody
// else gets them. Nothing is held before the first Sample, nor when Sample has
// not been called for the time of [WithMaxLease]. Samples held by a process
// that dies come back after [WithAckWait], and that counts as a delivery.
func WithPrefetch(n int) Option {
	return set(n >= 1 && n <= maxPrefetch, fmt.Sprintf("WithPrefetch(%d)", n), fmt.Sprintf("must be from 1 to %d", maxPrefetch),
		func(cfg *config) { cfg.prefetch, cfg.shuffle = n, false })
}

// WithShuffle holds the n oldest samples ahead and has Sample pick one of them
// at random, each with the same probability. JetStream is first in, first out;
// this is what comes closest to the random order of [organic.MemoryQueue] with
// acknowledgement kept: the same, as long as no more than n samples wait. The
// cost is that of [WithPrefetch], and that one process has the pick of n.
func WithShuffle(n int) Option {
	return set(n >= 2 && n <= maxPrefetch, fmt.Sprintf("WithShuffle(%d)", n), fmt.Sprintf("must be from 2 to %d", maxPrefetch),
		func(cfg *config) { cfg.prefetch, cfg.shuffle = n, true })
}

// WithAckWait sets after what time of silence the server takes a process for
// dead and hands its samples to another, 30 s by default. A living one reports
// each of its samples three times in it.
func WithAckWait(wait time.Duration) Option {
	return set(wait >= 100*time.Millisecond, fmt.Sprintf("WithAckWait(%v)", wait), "must be at least 100ms",
		func(cfg *config) { cfg.ackWait = wait })
}

// WithMaxLease sets how long a sample may be leased, 10 minutes by default.
// Then it is given back, though its iteration may still be running.
func WithMaxLease(limit time.Duration) Option {
	return set(limit >= 100*time.Millisecond, fmt.Sprintf("WithMaxLease(%v)", limit), "must be at least 100ms",
		func(cfg *config) { cfg.maxLease = limit })
}

// WithMaxDeliveries sets how often a sample is delivered before the queue
// itself moves it to the dead letters, at its next delivery: 100 by default.
// It is for samples that end the process each time, of which the scorer never
// gets to count an attempt. Interruptions, RetryAfter and what is held ahead
// by a process that ends count as deliveries; so the default is far above the
// attempts of any retry policy, enough for an hour and a half of RetryAfter of
// a minute, and still ends a row of crashes, at the default of [WithAckWait],
// within the hour. The dead letter can be put back.
func WithMaxDeliveries(n int) Option {
	return set(n >= 1, fmt.Sprintf("WithMaxDeliveries(%d)", n), "must be at least 1", func(cfg *config) { cfg.maxDeliveries = n })
}

// WithAddTimeout sets how long Add waits for a server that is away, or does
// not answer: 5 s by default. It must be below the window of
// [WithDedupeWindow], which makes sending again safe.
func WithAddTimeout(timeout time.Duration) Option {
	return set(timeout > 0, fmt.Sprintf("WithAddTimeout(%v)", timeout), "must be above 0", func(cfg *config) { cfg.addTimeout = timeout })
}

// WithDeadLetters bounds the dead letters: to n, 10 000 by default, of which
// the oldest goes first, and to an age, where 0 is none and the default.
func WithDeadLetters(n int, age time.Duration) Option {
	ok := n >= 1 && n <= math.MaxInt32 && (age == 0 || age >= time.Second)
	return set(ok, fmt.Sprintf("WithDeadLetters(%d, %v)", n, age), "must be at least 1, and 0s or at least 1s",
		func(cfg *config) { cfg.deadLetters, cfg.deadAge = n, age })
}

// configured applies and checks all options, and reports all that is wrong.
func configured(opts []Option) (config, error) {
	cfg := config{
		name: defaultName, capacity: defaultCapacity, dedupe: defaultDedupe, replicas: 1, prefetch: defaultPrefetch,
		ackWait: defaultAckWait, maxLease: defaultMaxLease, maxDeliveries: defaultMaxDeliveries,
		addTimeout: defaultAddTimeout, deadLetters: defaultDeadLetters,
	}
	var errs []error
	for i, opt := range opts {
		if isNil(opt) {
			errs = append(errs, invalid("New", "option %d is nil", i+1))
			continue
		}
		errs = append(errs, opt.apply(&cfg))
	}
	if cfg.addTimeout >= cfg.dedupe {
		errs = append(errs, invalid(fmt.Sprintf("WithAddTimeout(%v)", cfg.addTimeout), "must be below the window of %v in which IDs are known", cfg.dedupe))
	}
	return cfg, errors.Join(errs...)
}
