package natsqueue

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/organic-scoring/organic/contrib/durable"
)

const maxPrefetch = 1000

// Option configures a [Queue]. Of two of the same kind the last one counts.
// Options are safe for concurrent use and may serve several queues.
type Option interface {
	apply(cfg *config) error
}

type config struct {
	name        string
	capacity    int
	maxBytes    int64 // -1: no bound
	dropOldest  bool
	maxAge      time.Duration
	replicas    int
	update      bool
	codec       any
	cipher      durable.Cipher
	prefetch    int
	shuffle     bool
	ackWait     time.Duration
	maxLease    time.Duration
	maxCrashes  int
	addTimeout  time.Duration
	deadLetters int
	deadAge     time.Duration
}

type optionFunc func(cfg *config) error

func (f optionFunc) apply(cfg *config) error { return f(cfg) }

// option makes an option of a setter and the condition that its value must meet.
// The call is how the option is written, for the error.
func option(ok bool, must string, set func(cfg *config), call string, args ...any) Option {
	return optionFunc(func(cfg *config) error {
		if !ok {
			return invalid(fmt.Sprintf(call, args...), must)
		}
		set(cfg)
		return nil
	})
}

// WithName names the queue, "organic" by default. Processes that use the same
// name share the queue. The name is that of the stream of samples; "_dead" and
// "_records" are appended for the other two, and all subjects begin with it. A
// name has 1 to 64 letters, digits, - and _.
func WithName(name string) Option {
	set := func(cfg *config) { cfg.name = name }
	must := "must be 1 to 64 letters, digits, - or _"
	return option(isName(name), must, set, "WithName(%q)", name)
}

func isName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return name != "" && len(name) <= 64 && strings.Trim(name, letters+"0123456789-_") == ""
}

// WithCapacity bounds the queue to n samples, 10,000 by default. Samples that
// are leased or delayed count, since the server holds them.
func WithCapacity(n int) Option {
	set := func(cfg *config) { cfg.capacity = n }
	ok := n >= 1 && n <= math.MaxInt32
	return option(ok, "must be from 1 to 2147483647", set, "WithCapacity(%v)", n)
}

// WithMaxBytes bounds the queue by the bytes that the server stores for it as
// well, about 170 more per sample than its codec makes. There is no such bound
// by default. An account whose limits have max_bytes_required needs it; the
// dead letters get the same bound, and 4 KiB more.
func WithMaxBytes(n int64) Option {
	set := func(cfg *config) { cfg.maxBytes = n }
	return option(n >= 1, "must be above 0", set, "WithMaxBytes(%v)", n)
}

// WithDropOldest makes a full queue drop its oldest waiting samples for a new
// one, as many as it needs, instead of returning organic.ErrFull. Add does it:
// it takes them as a scorer would, ends them, reports them to the watchers of
// its own process, and stores the new one, which takes three round trips more.
//
// A sample that is leased, delayed or fetched ahead by another process is not
// dropped. If the others are not enough, Add waits 250 ms for one more, drops
// none and returns ErrFull. (The server's own way to discard old messages takes
// those first and reports nothing.)
func WithDropOldest() Option {
	return optionFunc(func(cfg *config) error { cfg.dropOldest = true; return nil })
}

// WithMaxAge drops samples that were received longer than age ago, at least a
// second; none by default. A process that samples drops them when they are its
// next ones, and reports them; so it does with one whose next attempt would
// come too late. If no process samples, the server removes a sample 2 minutes
// after its time, counted from Add, and reports nothing.
func WithMaxAge(age time.Duration) Option {
	set := func(cfg *config) { cfg.maxAge = age }
	return option(age >= time.Second, "must be at least 1s", set, "WithMaxAge(%v)", age)
}

// WithReplicas sets on how many servers of a cluster the queue is stored: 1 by
// default; 3 survive the loss of one.
func WithReplicas(n int) Option {
	set := func(cfg *config) { cfg.replicas = n }
	return option(n >= 1 && n <= 5, "must be from 1 to 5", set, "WithReplicas(%v)", n)
}

// WithUpdate lets New change the settings of a queue that exists to those of
// the options, if no sample can be lost by it: capacity, maximum age, replicas
// and the time of [WithAckWait]. Without it New returns [ErrMismatch], so that
// two processes with different options do not change it back and forth.
func WithUpdate() Option {
	return optionFunc(func(cfg *config) error { cfg.update = true; return nil })
}

// WithCodec sets how samples are written, durable.JSON by default. S must be
// that of the queue.
func WithCodec[S any](codec durable.Codec[S]) Option {
	set := func(cfg *config) { cfg.codec = codec }
	return option(!isNil(codec), "codec is nil", set, "WithCodec(nil)")
}

// WithCipher encrypts what the codec makes and the reasons of dead letters, so
// that the server holds nothing in the clear but the IDs of samples. See
// durable.NewAESGCM. By default nothing is encrypted.
//
// A sample that no key opens stays in the queue: it is asked for again every 10
// s, and Sample returns durable.ErrUnknownKey if there is no other. So give a
// new key to the scorers first.
func WithCipher(cipher durable.Cipher) Option {
	set := func(cfg *config) { cfg.cipher = cipher }
	return option(!isNil(cipher), "cipher is nil", set, "WithCipher(nil)")
}

// WithPrefetch sets how many samples this process fetches ahead, 1 by default
// and 1000 at most: they are there at once when Sample is called, and no other
// process gets them. What is not taken within 5 s goes back. With the default,
// nothing is fetched ahead if Sample is called less often than that.
func WithPrefetch(n int) Option {
	set := func(cfg *config) { cfg.prefetch, cfg.shuffle = n, false }
	return option(n >= 1 && n <= maxPrefetch, "must be from 1 to 1000", set, "WithPrefetch(%v)", n)
}

// WithShuffle fetches the n oldest samples ahead, and Sample picks one of them
// at random, each with the same probability. JetStream is first in, first out;
// this comes closest to the random order of [organic.MemoryQueue]: it is the
// same as long as no more than n samples wait. What was not picked within 5 s
// goes back, as with [WithPrefetch].
func WithShuffle(n int) Option {
	set := func(cfg *config) { cfg.prefetch, cfg.shuffle = n, true }
	return option(n >= 2 && n <= maxPrefetch, "must be from 2 to 1000", set, "WithShuffle(%v)", n)
}

// WithAckWait sets after what time of silence the server takes a process for
// dead and hands its samples to another, 30 s by default. A living process
// reports each of its samples three times in it.
func WithAckWait(wait time.Duration) Option {
	set := func(cfg *config) { cfg.ackWait = wait }
	return option(wait >= 100*time.Millisecond, "must be at least 100ms", set, "WithAckWait(%v)", wait)
}

// WithMaxLease sets how long a sample may be leased, 10 minutes by default.
// Then it is given back, though its iteration may still be running.
func WithMaxLease(limit time.Duration) Option {
	set := func(cfg *config) { cfg.maxLease = limit }
	ok := limit >= 100*time.Millisecond
	return option(ok, "must be at least 100ms", set, "WithMaxLease(%v)", limit)
}

// WithMaxCrashes sets how many deliveries of a sample may end with the death of
// the process, 5 by default. At the next one the queue moves it to the dead
// letters. A delivery that only waited to be taken counts once at most. A
// process that is cut off for longer than [WithAckWait] counts as dead.
func WithMaxCrashes(n int) Option {
	set := func(cfg *config) { cfg.maxCrashes = n }
	return option(n >= 1, "must be at least 1", set, "WithMaxCrashes(%v)", n)
}

// WithAddTimeout sets how long Add waits for a server that is away or does not
// answer: 5 s by default, less than 2 minutes.
func WithAddTimeout(timeout time.Duration) Option {
	set := func(cfg *config) { cfg.addTimeout = timeout }
	ok := timeout > 0 && timeout < dedupeWindow
	return option(ok, "must be above 0 and below 2m", set, "WithAddTimeout(%v)", timeout)
}

// WithDeadLetters bounds the dead letters: to n, 10,000 by default, of which
// the oldest goes first, and to an age, where 0 is none and the default.
func WithDeadLetters(n int, age time.Duration) Option {
	set := func(cfg *config) { cfg.deadLetters, cfg.deadAge = n, age }
	ok := n >= 1 && n <= math.MaxInt32 && (age == 0 || age >= time.Second)
	must := "must be at least 1, and 0s or at least 1s"
	return option(ok, must, set, "WithDeadLetters(%v, %v)", n, age)
}

// configured applies and checks all options, and reports all that is wrong.
func configured[S any](opts []Option) (cfg config, coder durable.Coder[S], err error) {
	cfg = config{
		name: "organic", capacity: 10_000, maxBytes: -1, replicas: 1, prefetch: 1,
		ackWait: 30 * time.Second, maxLease: 10 * time.Minute, addTimeout: 5 * time.Second,
		deadLetters: 10_000, maxCrashes: 5,
	}
	var errs []error
	for i, opt := range opts {
		if isNil(opt) {
			errs = append(errs, invalid("New", fmt.Sprintf("option %d is nil", i+1)))
			continue
		}
		errs = append(errs, opt.apply(&cfg))
	}
	codec, ok := cfg.codec.(durable.Codec[S])
	if cfg.codec != nil && !ok {
		want := reflect.TypeFor[durable.Codec[S]]()
		errs = append(errs, invalid("WithCodec", fmt.Sprintf("have %T, want %v", cfg.codec, want)))
	}
	return cfg, durable.Coder[S]{Codec: codec, Cipher: cfg.cipher}, errors.Join(errs...)
}

// isExpired reports whether a sample will be too old after a delay.
func (cfg *config) isExpired(received time.Time, delay time.Duration) bool {
	return cfg.maxAge > 0 && time.Since(received) > cfg.maxAge-delay
}

// isNil also finds nil pointers in interfaces.
func isNil(value any) bool {
	v := reflect.ValueOf(value)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}
