// Package backoff computes waits that double, without overflow, and keeps the
// health of a source that is not asked for a while after it has failed.
package backoff

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Doubled returns base doubled n times, at most limit. A negative n counts as
// zero.
func Doubled(base time.Duration, n int, limit time.Duration) time.Duration {
	n = max(n, 0)
	if n >= 63 || base > limit>>n {
		return limit
	}
	return base << n
}

// Jittered returns wait changed by up to 20 % either way. Random is a number in
// [0, 1).
func Jittered(wait time.Duration, random float64) time.Duration {
	jittered := float64(wait) * (0.8 + 0.4*random)
	if jittered >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(jittered)
}

// Sum returns a + b for durations that are not negative, or the longest
// duration there is.
func Sum(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Health knows when a source may be asked again: after failures in a row it is
// skipped for a time that doubles from First to Limit. It is safe for
// concurrent use.
type Health struct {
	First, Limit time.Duration

	failures atomic.Int64 // in a row
	mu       sync.Mutex   // guards retryAt and err
	retryAt  time.Time
	err      error
}

// Succeeded notes that the source works.
func (h *Health) Succeeded() {
	if h.failures.Load() > 0 {
		h.failures.Store(0)
	}
}

// Failed notes a failure and returns how long the source is skipped.
func (h *Health) Failed(err error) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	wait := Doubled(h.First, int(h.failures.Add(1))-1, h.Limit)
	h.retryAt, h.err = time.Now().Add(wait), err
	return wait
}

// Wait returns how long the source is still skipped, 0 if it may be asked, and
// the error of its last use if that failed.
func (h *Health) Wait() (wait time.Duration, err error) {
	if h.failures.Load() == 0 {
		return 0, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(time.Until(h.retryAt), 0), h.err
}
