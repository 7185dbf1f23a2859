package axon

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
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
	near   netip.Prefix // what the remote shares its rate with

	claim   claim
	sender  sender
	body    bytes.Buffer
	message []byte // what the signature has to be over
	reading bool   // holds one of the server's places for reading
}

// claim is what a request says of itself.
type claim struct {
	protocol  organic.Protocol
	hotkey    string
	uuid      string
	id        string // tells the request from others of the same nonce
	nonce     uint64
	version   int
	signature [signatureSize]byte
	sent      time.Time     // when it was signed
	window    time.Duration // how far from then it is fresh, both ways
	timeout   time.Duration
	uptime    bool   // the nonce is no date but a number that grows
	receiver  string // Epistula: for whom it was signed
	bodyHash  string // Bittensor: of the hashed fields
}

// A step is one check. They are listed by protocol in the order in which they
// are done: cheap before dear, and nothing remembered before all is proven.
type step func(*check) *refusal

var (
	bittensorSteps = []step{
		(*check).dendriteHeaders, (*check).fresh, (*check).hotkey, (*check).rates, (*check).readBody,
		(*check).hashedFields, (*check).signature, (*check).unseen,
	}
	epistula2Steps = []step{
		(*check).epistulaHeaders, (*check).fresh, (*check).addressed, (*check).hotkey, (*check).rates, (*check).readBody,
		(*check).bodyDigest, (*check).signature, (*check).unseen,
	}
	epistula1Steps = []step{
		(*check).bodySignature, (*check).addressRate, (*check).readBody,
		(*check).envelope, (*check).fresh, (*check).addressed, (*check).hotkey, (*check).hotkeyRate,
		(*check).signature, (*check).unseen,
	}
)

// checks are used again, so that what a stranger sends is read into memory that
// is there already.
var checks = sync.Pool{New: func() any { return new(check) }}

// largestKept is the largest body buffer that is used again.
const largestKept = 2 << 20

// verify passes a request through the steps of its protocol.
func (s *Server) verify(w http.ResponseWriter, r *http.Request, route *Route) (*organic.Synapse, *refusal) {
	if no := s.sizes(r); no != nil {
		return nil, no
	}
	c := checks.Get().(*check) //nolint:forcetypeassert // the pool holds checks only
	defer c.release()
	c.server, c.route, c.writer, c.http = s, route, w, r
	c.now = s.cfg.now()
	for _, step := range route.steps(r.Header) {
		if no := step(c); no != nil {
			return nil, no
		}
	}
	return c.synapse(), nil
}

// release gives back what the check holds.
func (c *check) release() {
	if c.reading {
		c.server.reading.leave(c.near)
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
	case slices.ContainsFunc(r.Header["Content-Encoding"], func(coding string) bool { return coding != "" && coding != "identity" }):
		return encoded
	}
	return nil
}

// fresh compares the time of signing with now, both ways.
func (c *check) fresh() *refusal {
	age := c.now.Sub(c.claim.sent)
	switch {
	case c.claim.uptime:
		return nil
	case age > c.claim.window:
		return stale
	case age < -c.claim.window: // not -age: the age of a far future is the lowest duration, which has no opposite
		return future
	case c.claim.sent.Before(c.server.started):
		return stale // what was taken before the start is not remembered
	}
	return nil
}

// addressed refuses what was signed for another, or for nobody.
func (c *check) addressed() *refusal {
	if c.claim.receiver == c.server.address || c.claim.receiver == "" && c.route.cfg.unaddressed {
		return nil
	}
	return notForUs
}

// hotkey decodes the hotkey and looks it up in the allow-list.
func (c *check) hotkey() *refusal {
	sender, no := c.server.senders.find(c.claim.hotkey)
	if no != nil {
		return no
	}
	if list := c.route.cfg.allowed; list != nil && !list.Allows(sender.hotkey) {
		return unlisted
	}
	c.sender = sender
	return nil
}

// rates charges the address and looks at the hotkey's bucket, which is charged
// when the hotkey is proven.
func (c *check) rates() *refusal {
	if no := c.addressRate(); no != nil {
		return no
	}
	return c.hotkeyRate()
}

func (c *check) addressRate() *refusal {
	c.remote, _ = netip.ParseAddrPort(c.http.RemoteAddr) // zero for a listener without addresses
	c.near = neighbourhood(c.remote.Addr())
	if !c.server.addresses.take(c.near, c.now) {
		return tooOften
	}
	return nil
}

func (c *check) hotkeyRate() *refusal {
	if !c.server.hotkeys.look(c.sender.hotkey, c.now) {
		return tooOften
	}
	return nil
}

// smallBody is what is read without a place for reading: most bodies are no
// larger and come with the header, so that slow senders keep none of them out.
const smallBody = 64 << 10

// readBody reads the body into the check's own memory, by the deadline that
// boundBody has set. For a large one it holds a place until the check is over.
func (c *check) readBody() *refusal {
	if c.http.Body == nil || c.http.Body == http.NoBody {
		return nil
	}
	body := http.MaxBytesReader(c.writer, c.http.Body, c.server.cfg.limits.BodyBytes)
	_, err := c.body.ReadFrom(io.LimitReader(body, smallBody))
	if err == nil && c.body.Len() == smallBody {
		if c.reading = c.server.reading.take(c.near); !c.reading {
			return tooManyReads
		}
		_, err = c.body.ReadFrom(body)
	}
	if err == nil {
		_ = http.NewResponseController(c.writer).SetReadDeadline(time.Time{}) // else the hooks would have no longer either
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return largeBody
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return tooSlow
	}
	return badBody
}

// signature verifies the signature over the message, for as many requests at
// once as may cost a core each.
func (c *check) signature() *refusal {
	c.server.verifying <- struct{}{}
	defer func() { <-c.server.verifying }()
	if c.sender.key == nil {
		key, err := c.sender.hotkey.PublicKey(keys.SR25519)
		if err != nil {
			return malformed
		}
		c.sender.key = key
	}
	if c.sender.key.Verify(c.message, c.claim.signature[:]) {
		return nil
	}
	if c.server.cfg.wrappedBytes && c.sender.key.Verify(wrapped(c.message), c.claim.signature[:]) {
		return nil
	}
	return forged
}

// wrapped is what a wallet in a browser signs in place of a message.
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
		if !s.hotkeys.take(c.sender.hotkey, c.now) {
			return tooOften
		}
		return nil
	case replay.Seen:
		return replayed
	case replay.Late:
		return stale
	default:
		return memoryFull
	}
}

func (c *check) remember() replay.Outcome {
	s, id := c.server, strings.Clone(c.claim.id)
	if c.claim.uptime {
		return s.uptimes.Raise(c.sender.hotkey, id, c.claim.nonce)
	}
	return s.replays.Add(s.cfg.now(), replay.Entry{
		Owner: c.sender.hotkey,
		ID:    id,
		Nonce: c.claim.nonce,
		Until: c.claim.sent.Add(s.largestWindow),
	})
}

// synapse is the request as the hooks get it. The body is copied: the check's
// memory is used again.
func (c *check) synapse() *organic.Synapse {
	return &organic.Synapse{
		Name:     c.route.name,
		Path:     c.http.URL.Path,
		Protocol: c.claim.protocol,
		Dendrite: organic.Dendrite{
			Hotkey:  c.claim.hotkey,
			UUID:    c.claim.uuid,
			Nonce:   c.claim.nonce,
			Version: c.claim.version,
		},
		Remote:     c.remote,
		Timeout:    c.claim.timeout,
		Header:     c.http.Header,
		Body:       bytes.Clone(c.body.Bytes()),
		BodySigned: c.route.signsBody(),
	}
}
