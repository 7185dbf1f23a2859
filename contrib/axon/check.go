package axon

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"

	"github.com/organic-scoring/organic/contrib/axon/internal/replay"
)

// check is one request on its way through the checks that stand between a
// stranger and the hooks. Until the last has passed, nothing but the rate of
// the address is remembered of it.
type check struct {
	server *Server
	route  *Route
	writer http.ResponseWriter
	http   *http.Request
	now    time.Time
	remote netip.AddrPort

	claim   claim
	sender  sender // of a signed request
	party   party  // whom the request is charged to, once it is proven
	body    bytes.Buffer
	piece   io.LimitedReader // the next piece of the body
	readBy  time.Time        // the read deadline
	message []byte           // what the signature has to be over
	conn    *conn
	upload  *upload // nil while the body is small
}

// claim is what a request says of itself.
type claim struct {
	protocol  organic.Protocol
	hotkey    string
	uuid      string
	id        string // distinguishes requests of the same nonce
	nonce     uint64
	version   int
	signature [signatureSize]byte
	sent      time.Time // when it was signed
	window    window
	timeout   time.Duration
	receiver  string      // btauth/1, Epistula: for whom it was signed
	scheme    keys.Scheme // btauth/1: by which scheme
	bodyHash  string      // dendrite: of the hashed fields
	token     string      // bearer: the key
}

// window is how old a signed request may be, and how far ahead of our clock.
type window struct{ past, ahead time.Duration }

// checks are used again, so that what a stranger sends is read into memory that
// is there already.
var checks = sync.Pool{New: func() any { return new(check) }}

// largestKept is the largest body buffer that is used again.
const largestKept = 2 << 20

// verify passes a request through the steps of its protocol.
func (s *Server) verify(
	answer *answer, route *Route, p *protocol,
) (*organic.Synapse, *refusal) {
	r := answer.request
	if no := s.sizes(r); no != nil {
		return nil, no
	}
	c := checks.Get().(*check) //nolint:forcetypeassert // the pool holds checks only
	defer c.release()
	c.server, c.route, c.writer, c.http, c.readBy = s, route, answer.writer, r, answer.readBy()
	c.now = s.cfg.now()
	for _, step := range p.steps {
		if no := step(c); no != nil {
			return nil, no
		}
	}
	return c.synapse(), nil
}

// release gives back what the check holds.
func (c *check) release() {
	if c.upload != nil {
		c.upload.Release()
	}
	body, message := c.body, c.message[:0]
	*c = check{}
	if body.Cap() <= largestKept {
		body.Reset()
		c.body, c.message = body, message
	}
	checks.Put(c)
}

// sizes refuses what is too large by what the request says of itself, before
// any of it is looked at.
func (s *Server) sizes(r *http.Request) *refusal {
	lines, size := 0, 0
	for name, values := range r.Header {
		lines += len(values)
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	switch {
	case lines > s.cfg.limits.HeaderLines || size > s.cfg.limits.HeaderBytes:
		return largeHeader
	case r.ContentLength > s.cfg.limits.BodyBytes:
		return largeBody
	case slices.ContainsFunc(r.Header["Content-Encoding"], isEncoded):
		return encoded
	}
	return nil
}

func isEncoded(coding string) bool {
	return coding != "" && !strings.EqualFold(coding, "identity")
}

// fresh compares the time of signing with now, both ways.
func (c *check) fresh() *refusal {
	age := c.now.Sub(c.claim.sent)
	switch {
	case age > c.claim.window.past:
		return stale
	case age < -c.claim.window.ahead: // -age would overflow for a far future
		return future
	case c.claim.sent.Before(c.server.started):
		return stale // what was taken before the start is not remembered
	}
	return nil
}

// addressed refuses a request that was signed for another receiver, or for none.
func (c *check) addressed() *refusal {
	none := ""
	if c.claim.protocol == organic.BTAuth1 {
		none = unbound
	}
	if c.claim.receiver == c.server.address || c.claim.receiver == none && c.route.cfg.unaddressed {
		return nil
	}
	return notForUs
}

// identify decodes the hotkey, or returns why it cannot be one.
func (c *check) identify() *refusal {
	if c.sender.hotkey != (keys.Hotkey{}) {
		return nil // btauth/1 has done so with the headers
	}
	sender, no := c.server.senders.find(c.claim.hotkey)
	c.sender, c.party = sender, party{hotkey: sender.hotkey}
	return no
}

// hotkey refuses a hotkey that is malformed, weak under the scheme that is
// configured for it, or not on the allow-list.
func (c *check) hotkey() *refusal {
	if no := c.identify(); no != nil {
		return no
	}
	scheme := keys.SR25519
	if c.claim.protocol == organic.BTAuth1 && c.route.cfg.schemes != nil {
		scheme = c.route.cfg.schemes(c.sender.hotkey)
	}
	if c.sender.scheme != scheme {
		c.sender.scheme, c.sender.key, c.sender.known = scheme, nil, false
	}
	if no := c.weak(); no != nil {
		return no
	}
	if list := c.route.cfg.allowed; list != nil && !list.Allows(c.sender.hotkey) {
		return unlisted
	}
	return nil
}

// weak refuses the keys of small order of ed25519, if that is the configured
// scheme or the one that the sender names. The weak key of sr25519 was refused
// when the hotkey was decoded.
func (c *check) weak() *refusal {
	if c.sender.key != nil || c.sender.scheme != keys.Ed25519 && c.claim.scheme != keys.Ed25519 {
		return nil
	}
	key, err := c.sender.hotkey.PublicKey(keys.Ed25519)
	if errors.Is(err, keys.ErrWeakKey) {
		return weakKey
	}
	if c.sender.scheme == keys.Ed25519 {
		c.sender.key = key
	}
	return nil
}

// rates charges the address and looks at the bucket of the party, which is
// charged when the party is proven.
func (c *check) rates() *refusal {
	if no := c.addressRate(); no != nil {
		return no
	}
	return c.partyRate()
}

func (c *check) addressRate() *refusal {
	c.remote = c.server.cfg.proxies.client(c.http)
	return c.server.addresses.take(neighbourhood(c.remote.Addr()), c.now)
}

func (c *check) partyRate() *refusal {
	return c.server.parties.look(c.party, c.now)
}

// signature verifies the signature over the message, for as many requests at
// once as may cost a core each.
func (c *check) signature() *refusal {
	if c.claim.scheme != c.sender.scheme {
		return forged // the configured scheme counts, and the sender says that it used another
	}
	c.server.verifying <- struct{}{}
	defer func() { <-c.server.verifying }()
	if c.sender.key == nil {
		key, err := c.sender.hotkey.PublicKey(c.sender.scheme)
		if err != nil {
			return forged // no signature is good for bytes that are not a key
		}
		c.sender.key = key
	}
	if c.sender.key.Verify(c.message, c.claim.signature[:]) {
		return nil
	}
	wraps := c.server.cfg.wrappedBytes && c.claim.protocol != organic.BTAuth1
	if wraps && c.sender.key.Verify(wrapped(c.message), c.claim.signature[:]) {
		return nil
	}
	return forged
}

// wrapped is what a wallet in a browser signs instead of a message.
func wrapped(message []byte) []byte {
	return slices.Concat([]byte("<Bytes>"), message, []byte("</Bytes>"))
}

// unseen remembers the request, now that its hotkey is proven, and charges the
// hotkey for it: not for a replay, which need not be the hotkey's doing.
func (c *check) unseen() *refusal {
	s := c.server
	s.senders.remember(c.claim.hotkey, c.sender)
	switch c.remember() {
	case replay.Added:
		return c.charge()
	case replay.Seen:
		return replayed
	case replay.Late:
		return stale
	default:
		return memoryFull
	}
}

func (c *check) remember() replay.Outcome {
	s := c.server
	return s.replays.Add(s.cfg.now(), replay.Entry{
		Network: network(c.remote.Addr()),
		Owner:   c.sender.hotkey,
		ID:      c.claim.id,
		Nonce:   c.claim.nonce,
		Sent:    c.claim.sent,
		Until:   c.claim.sent.Add(s.largestWindow),
	})
}

// charge takes a token from the bucket of the party.
func (c *check) charge() *refusal {
	return c.server.parties.take(c.party, c.now)
}

// synapse is the request as the hooks get it. The body is copied, since the
// memory of the check is used again.
func (c *check) synapse() *organic.Synapse {
	requester := c.claim.hotkey
	if c.claim.protocol == organic.Bearer {
		requester = c.party.name
	}
	return &organic.Synapse{
		Name:      c.route.name,
		Path:      c.route.path,
		Protocol:  c.claim.protocol,
		Requester: requester,
		Dendrite: organic.Dendrite{
			Hotkey:  c.claim.hotkey,
			UUID:    c.claim.uuid,
			Nonce:   c.claim.nonce,
			Version: c.claim.version,
		},
		Remote:     c.remote,
		Timeout:    c.claim.timeout,
		Header:     c.withoutKey(),
		Body:       bytes.Clone(c.body.Bytes()),
		BodySigned: c.signsBody(),
	}
}

// withoutKey is the header of the request without a bearer key, which a signed request
// can carry too.
func (c *check) withoutKey() http.Header {
	header := c.http.Header
	if slices.ContainsFunc(header[headerAuthorization], isBearer) {
		header = header.Clone()
		header.Del(headerAuthorization)
	}
	return header
}

// signsBody reports whether the signature covers the body, or the hashed fields
// of it.
func (c *check) signsBody() bool {
	switch c.claim.protocol {
	case organic.Bearer:
		return false
	case organic.Bittensor:
		return !c.route.cfg.unhashedBody
	default:
		return true
	}
}
