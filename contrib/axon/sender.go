package axon

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/organic-scoring/organic/contrib/keys"
	"golang.org/x/time/rate"
)

// sender is a hotkey as a request claims it; its parsed key saves a part of
// each verification.
type sender struct {
	hotkey keys.Hotkey
	key    *keys.PublicKey
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
	if !s.proven.Contains(address) {
		s.proven.Add(strings.Clone(address), proven)
	}
}

// buckets are token buckets by key, the least recently used forgotten first: a
// forgotten one starts anew with a full bucket.
type buckets[K comparable] struct {
	perSecond rate.Limit
	burst     int
	limiters  *lru.Cache[K, *rate.Limiter]
}

// look tells whether a token is there, and changes nothing.
func (b buckets[K]) look(key K, now time.Time) bool {
	limiter, ok := b.limiters.Peek(key)
	return !ok || limiter.TokensAt(now) >= 1
}

// take takes a token, if there is one.
func (b buckets[K]) take(key K, now time.Time) bool {
	limiter, ok := b.limiters.Get(key)
	if !ok {
		limiter = rate.NewLimiter(b.perSecond, b.burst)
		if other, ok, _ := b.limiters.PeekOrAdd(key, limiter); ok {
			limiter = other
		}
	}
	return limiter.AllowN(now, 1)
}

// neighbourhood is what shares a bucket: an IPv4 address, or the half of an
// IPv6 address that names a network, since the other half is its owner's to
// choose.
func neighbourhood(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // fails for no address at all, and then is the zero prefix
	return prefix
}
