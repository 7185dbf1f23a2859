package axon

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/organic-scoring/organic"
)

const (
	headerAuthorization = "Authorization"

	longestKey   = 1024
	shortestKey  = 16 // of BearerKeys: shorter keys can be guessed
	bearerPrefix = "Bearer "
)

// ErrUnknownKey is the error with which a function of [WithBearer] refuses a
// key. The requester gets status 401.
var ErrUnknownKey = errors.New("axon: unknown bearer key")

// WithBearer accepts requests with an API key (Authorization: Bearer KEY), as
// clients of OpenAI's API send them, from users that have no hotkey. The
// function returns who the requester is; the name becomes
// [organic.Synapse.Requester], and the limits per hotkey hold for it. A request
// that is signed by one of the route's protocols is never looked at as a bearer
// request, even if it carries a key.
//
// The function is called for each request, from any goroutine, after the rate
// of the address was checked; it should be quick and compare in constant time.
// [BearerKeys] is a ready one. If its error is [ErrUnknownKey] the answer is
// 401; an error of [organic.Refuse] is answered as it states, any other with
// 500.
//
// Nothing is signed: without TLS the key can be read and used by others on the
// way, and a request can be sent again. Allow-lists do not concern bearer requests.
func WithBearer(
	check func(ctx context.Context, token string) (requester string, err error),
) RouteOption {
	return routeOption(func(cfg *routeConfig) error {
		if check == nil {
			return invalid("WithBearer", "nil, must be a function, such as BearerKeys.Check")
		}
		cfg.bearer = check
		return nil
	})
}

// bearerToken reads the key of a request.
func (c *check) bearerToken() *refusal {
	h := headers{c.http.Header, nil}
	value := h.text(headerAuthorization, len(bearerPrefix)+1, len(bearerPrefix)+longestKey)
	if h.refusal != nil {
		return h.refusal
	}
	if !isBearer(value) {
		return malformed
	}
	token := value[len(bearerPrefix):]
	if !isPrintable(token) {
		return malformed
	}
	c.claim = claim{protocol: organic.Bearer, token: token, timeout: c.server.cfg.limits.ServeTime}
	return nil
}

// isBearer reports whether the value of an Authorization header is a bearer key.
func isBearer(value string) bool {
	return len(value) >= len(bearerPrefix) &&
		strings.EqualFold(value[:len(bearerPrefix)], bearerPrefix)
}

// bearerKey asks whose key it is.
func (c *check) bearerKey() *refusal {
	name, err := c.route.cfg.bearer(c.http.Context(), c.claim.token)
	switch {
	case errors.Is(err, ErrUnknownKey), err == nil && name == "":
		return unknownKey
	case err != nil:
		return refusalOf(err)
	}
	c.party = party{name: name}
	return nil
}

// BearerKeys is a table of bearer keys for [WithBearer]. It keeps the SHA-256 of
// each key and not the key. Check compares in constant time. BearerKeys can be
// replaced while it is in use and is safe for concurrent use.
type BearerKeys struct {
	names atomic.Pointer[map[[sha256.Size]byte]string]
}

// NewBearerKeys returns a table of keys and the names of their requesters. A key
// has 16 to 1024 characters of printable ASCII without spaces; a name is not
// empty. Several keys can have one name. The error has all that is wrong. It names the
// requesters, never a key, nor a name that could be one, as in a table that was inverted.
func NewBearerKeys(names map[string]string) (*BearerKeys, error) {
	b := &BearerKeys{}
	if err := b.Replace(names); err != nil {
		return nil, err
	}
	return b, nil
}

// Replace makes these keys the whole table, in one step, for example after its
// source was read again. After an error the table is unchanged.
func (b *BearerKeys) Replace(names map[string]string) error {
	fresh := make(map[[sha256.Size]byte]string, len(names))
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(names)) {
		name := names[key]
		switch {
		case name == "":
			errs = append(errs, invalid("BearerKeys", "a key has an empty name, must name its requester"))
		case len(key) < shortestKey || len(key) > longestKey:
			errs = append(errs, invalid("BearerKeys", "a key of %s has %d characters, must have %d to %d",
				quoteName(name), len(key), shortestKey, longestKey))
		case !isPrintable(key):
			errs = append(errs, invalid("BearerKeys",
				"a key of %s must be printable ASCII without spaces", quoteName(name)))
		}
		fresh[sha256.Sum256([]byte(key))] = name
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	b.names.Store(&fresh)
	return nil
}

// quoteName quotes the name of a requester, unless it could be a key.
func quoteName(name string) string {
	if len(name) >= shortestKey && isPrintable(strings.TrimSpace(name)) {
		return "a requester"
	}
	return strconv.Quote(name)
}

// isPrintable reports whether a text is printable ASCII without spaces.
func isPrintable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Check returns the name of the requester with this key, or [ErrUnknownKey]. Its
// time depends only on the SHA-256 of the key, which reveals nothing about other
// keys.
func (b *BearerKeys) Check(_ context.Context, token string) (string, error) {
	names := b.names.Load()
	if names == nil {
		return "", ErrUnknownKey
	}
	name, ok := (*names)[sha256.Sum256([]byte(token))]
	if !ok {
		return "", ErrUnknownKey
	}
	return name, nil
}
