package axon

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/organic-scoring/organic/contrib/keys"
	"golang.org/x/time/rate"
)

// sender is a hotkey as a request claims it, and the scheme that is configured
// for it. Its parsed key saves a part of each verification.
type sender struct {
	hotkey keys.Hotkey
	scheme keys.Scheme
	key    *keys.PublicKey // nil until it is needed
	known  bool            // it is remembered so
}

// party is whom a request is charged to: a hotkey, or the name that belongs to
// a bearer key.
type party struct {
	hotkey keys.Hotkey
	name   string
}

// senders remembers the keys of hotkeys that have proven themselves, by their
// address, the least recently used forgotten first.
type senders struct {
	proven *lru.Cache[string, sender]
}

// find decodes an address strictly, or remembers it.
func (s senders) find(address string) (sender, *refusal) {
	if known, ok := s.proven.Get(address); ok {
		return known, nil
	}
	hotkey, err := keys.ParseSS58(address)
	switch {
	case errors.Is(err, keys.ErrWeakKey):
		return sender{}, weakKey
	case err != nil:
		return sender{}, malformed
	}
	return sender{hotkey: hotkey}, nil
}

// remember keeps a sender that has proven itself. The address is cloned: it
// may be a part of a whole request's header.
func (s senders) remember(address string, proven sender) {
	if !proven.known {
		proven.known = true
		s.proven.Add(strings.Clone(address), proven)
	}
}

// buckets are token buckets by key, the least recently used forgotten first: a
// forgotten one starts again with a full bucket.
type buckets[K comparable] struct {
	perSecond rate.Limit
	burst     int
	limiters  *lru.Cache[K, *rate.Limiter]
}

// look refuses if there is no token, and changes nothing.
func (b buckets[K]) look(key K, now time.Time) *refusal {
	limiter, ok := b.limiters.Peek(key)
	if !ok || limiter.TokensAt(now) >= 1 {
		return nil
	}
	return b.tooOften(limiter, now)
}

// take takes a token, or refuses if there is none.
func (b buckets[K]) take(key K, now time.Time) *refusal {
	limiter, ok := b.limiters.Get(key)
	if !ok {
		limiter = rate.NewLimiter(b.perSecond, b.burst)
		if other, ok, _ := b.limiters.PeekOrAdd(key, limiter); ok {
			limiter = other
		}
	}
	if limiter.AllowN(now, 1) {
		return nil
	}
	return b.tooOften(limiter, now)
}

// tooOften is the refusal that names the time until there is a token.
func (b buckets[K]) tooOften(limiter *rate.Limiter, now time.Time) *refusal {
	seconds := math.Ceil((1 - limiter.TokensAt(now)) / float64(b.perSecond))
	no := *tooOften
	no.retryAfter = strconv.Itoa(int(min(max(seconds, 1), longestRetry.Seconds())))
	return &no
}

// longestRetry is the longest time that a refusal names.
const longestRetry = time.Hour
