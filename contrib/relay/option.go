package relay

import (
	"fmt"
	"time"
)

// Option configures a [Relay]; [New] lists what is wrong with all of them at
// once. Of two options of the same kind the last one wins.
type Option interface {
	apply(cfg *config) error
}

type config struct {
	maxOpen      int
	maxInFlight  int64
	parallel     int // 0: all miners of a query at once
	timeout      time.Duration
	firstChunk   time.Duration // 0: no limit
	idle         time.Duration
	streamIdle   time.Duration
	maxBytes     int
	maxChunks    int
	maxLag       int
	writeTimeout time.Duration
	keepAlive    time.Duration
	keepBytes    int
	keepAge      time.Duration
	doneRetry    time.Duration // 0: Query.Done is called once
	doneFailed   func(result *Result, err error)
}

func defaultConfig() config {
	return config{
		maxOpen:      1000,
		maxInFlight:  512 << 20,
		timeout:      2 * time.Minute,
		idle:         time.Minute,
		streamIdle:   30 * time.Second,
		maxBytes:     4 << 20,
		maxChunks:    1 << 14,
		maxLag:       4 << 20,
		writeTimeout: 10 * time.Second,
		keepAlive:    15 * time.Second,
		keepBytes:    64 << 20,
		keepAge:      10 * time.Minute,
	}
}

// optionFunc makes a function an Option.
type optionFunc func(cfg *config) error

func (f optionFunc) apply(cfg *config) error { return f(cfg) }

// invalid returns the error of an option: which one, and what would be right.
func invalid(option, want string) error {
	return fmt.Errorf("%w: %s: %s", ErrInvalidOption, option, want)
}

// WithMaxOpen sets how many relays may be open at once, 1000 by default. A
// relay is open until its last miner function has returned and its Done has.
func WithMaxOpen(n int) Option {
	return optionFunc(func(cfg *config) error {
		cfg.maxOpen = n
		if n < 1 {
			return invalid(fmt.Sprintf("WithMaxOpen(%d)", n), "must be at least 1")
		}
		return nil
	})
}

// WithMaxInFlight sets how many bytes the chunks of all open relays may have in memory, counted
// with 128 bytes for each beside its text. When so many are there, new queries are refused with
// [ErrBusy], and the next chunk of any answer ends that as CutOff, with [ErrFull].
//
// The default is 512 MiB, half a MiB for each relay that may be open by default: ten answers of 400
// chunks each. It is an eighth of a machine with 4 GiB. What relays take beside their chunks is
// bounded by WithMaxOpen; see the package comment.
func WithMaxInFlight(bytes int) Option {
	return optionFunc(func(cfg *config) error {
		cfg.maxInFlight = int64(bytes)
		if bytes < 1 {
			return invalid(fmt.Sprintf("WithMaxInFlight(%d)", bytes), "must be at least 1")
		}
		return nil
	})
}

// WithParallel sets how many miners of one query are asked at the same time, in the order of their
// UIDs, the chosen one first. The default is all. A miner that has to wait is not to blame for
// that: the times for its chunks count from the moment it is asked, and if the time of the query is
// over before the miner has ended, the validator has ended the answer (ByValidator).
func WithParallel(n int) Option {
	return optionFunc(func(cfg *config) error {
		cfg.parallel = n
		if n < 1 {
			return invalid(fmt.Sprintf("WithParallel(%d)", n), "must be at least 1")
		}
		return nil
	})
}

// WithTimeout sets how long the miners of a query have in all, 2 min by
// default. Query.Timeout makes it shorter for one query.
func WithTimeout(timeout time.Duration) Option {
	return optionFunc(func(cfg *config) error {
		cfg.timeout = timeout
		return positive("WithTimeout", timeout)
	})
}

// WithFirstChunk ends the answer of a miner that has not begun when this time has passed since it
// was asked: its answer ends Silent. Text, reasoning or a tool call is a beginning; a role or a
// blank is not. The default is to wait until the query's time is over.
func WithFirstChunk(timeout time.Duration) Option {
	return optionFunc(func(cfg *config) error {
		cfg.firstChunk = timeout
		return positive("WithFirstChunk", timeout)
	})
}

// WithIdle sets how long a miner that has begun to answer may pause between two chunks, 1 min by
// default: then its answer ends TimedOut.
func WithIdle(timeout time.Duration) Option {
	return optionFunc(func(cfg *config) error {
		cfg.idle = timeout
		return positive("WithIdle", timeout)
	})
}

// WithStreamIdle sets how long a requester that has got a chunk waits for the next one, 30 s by
// default: then its stream ends as one that broke off, or another miner is shown, see
// [View.Failover]. The miner has the time of WithIdle all the same.
func WithStreamIdle(timeout time.Duration) Option {
	return optionFunc(func(cfg *config) error {
		cfg.streamIdle = timeout
		return positive("WithStreamIdle", timeout)
	})
}

// WithMaxAnswer sets how long one answer may be: 4 MiB and 16 384 chunks by
// default. The chunk that would pass a limit ends the answer as CutOff.
func WithMaxAnswer(bytes, chunks int) Option {
	return optionFunc(func(cfg *config) error {
		cfg.maxBytes, cfg.maxChunks = bytes, chunks
		if bytes < 1 || chunks < 1 {
			option := fmt.Sprintf("WithMaxAnswer(%d, %d)", bytes, chunks)
			return invalid(option, "both must be at least 1")
		}
		return nil
	})
}

// WithMaxLag sets how many bytes of chunks may wait to be written to a requester, 4 MiB by default:
// one that lags behind by more is cut off. Miners that are faster than any network make lag too, so
// leave enough for a whole answer. Waiting chunks take hardly more memory than the answers do
// anyway.
func WithMaxLag(bytes int) Option {
	return optionFunc(func(cfg *config) error {
		cfg.maxLag = bytes
		if bytes < 1 {
			return invalid(fmt.Sprintf("WithMaxLag(%d)", bytes), "must be at least 1")
		}
		return nil
	})
}

// WithWriteTimeout sets how long one write to a requester may take, 10 s by default: one that does
// not take 32 KiB, or what there is, in this time is cut off. It needs a response writer that
// supports write deadlines, as those of net/http and contrib/axon do.
func WithWriteTimeout(timeout time.Duration) Option {
	return optionFunc(func(cfg *config) error {
		cfg.writeTimeout = timeout
		return positive("WithWriteTimeout", timeout)
	})
}

// WithKeepAlive sets after how long without any write a stream says that it is alive, 15 s by
// default, so that no proxy ends it: [SSE] writes a comment. With the first such comment the header
// and the status 200 are out.
func WithKeepAlive(every time.Duration) Option {
	return optionFunc(func(cfg *config) error {
		cfg.keepAlive = every
		return positive("WithKeepAlive", every)
	})
}

// WithKeep sets how many bytes of complete answers are kept for [Relay.Answers], the newest, and
// for how long: 64 MiB and 10 min by default. With zero bytes none are kept. The memory of answers
// that are too old is freed when the next relay is complete.
//
// Answers that are gone are [ErrUnknown], at which a QueryMiners asks the miners a second time:
// keep them for longer than samples wait in the queue.
func WithKeep(bytes int, age time.Duration) Option {
	return optionFunc(func(cfg *config) error {
		cfg.keepBytes, cfg.keepAge = bytes, age
		if bytes < 0 || age < 0 {
			return invalid(fmt.Sprintf("WithKeep(%d, %v)", bytes, age), "neither may be below 0")
		}
		return nil
	})
}

// WithDoneRetry calls a Query.Done that has returned an error again, after this wait and then after
// twice as long each time, for as long as its ctx lasts: a queue that fails for a moment then loses
// no answers, which are in memory only. Done is called once by default, and after a panic. The last
// error goes to WithDoneFailed.
//
// A call that failed may have stored the sample, as one that a queue on a server could not confirm:
// organic.ErrDuplicate from the second call on is success. Done is not called again after an error
// that stays: organic.ErrDuplicate at the first call, organic.ErrClosed, organic.ErrNotBuilt,
// organic.ErrInvalidOption, durable.ErrClosed and durable.ErrTooLarge.
func WithDoneRetry(wait time.Duration) Option {
	return optionFunc(func(cfg *config) error {
		cfg.doneRetry = wait
		return positive("WithDoneRetry", wait)
	})
}

// WithDoneFailed sets what gets the results whose Query.Done has failed, with
// its error, an *organic.PanicError perhaps: the last place to save them. It
// is called from the goroutine of that relay, which Close waits for. Without
// it they are only counted, see [Stats].
func WithDoneFailed(handle func(result *Result, err error)) Option {
	return optionFunc(func(cfg *config) error {
		cfg.doneFailed = handle
		if handle == nil {
			return invalid("WithDoneFailed(nil)", "must be a function")
		}
		return nil
	})
}

func positive(option string, d time.Duration) error {
	if d <= 0 {
		return invalid(fmt.Sprintf("%s(%v)", option, d), "must be above 0")
	}
	return nil
}
