package axon

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
)

// The headers of btauth/1, as net/http spells them.
const (
	headerVersion   = "X-Bittensor-Version"
	headerHotkey    = "X-Bittensor-Hotkey"
	headerReceiver  = "X-Bittensor-Receiver"
	headerNonce     = "X-Bittensor-Nonce"
	headerCrypto    = "X-Bittensor-Crypto"
	headerSignature = "X-Bittensor-Signature"
)

const unbound = "-" // stands for the receiver of a request that names none

// btauthHeaders reads the headers of btauth/1.
func (c *check) btauthHeaders() *refusal {
	h := headers{c.http.Header, nil}
	if version := h.one(headerVersion); version != "" && version != "1" {
		return badVersion
	}
	c.claim = claim{
		protocol:  organic.BTAuth1,
		version:   1,
		hotkey:    h.text(headerHotkey, ss58Chars, ss58Chars),
		nonce:     h.digits(headerNonce, nonceDigits),
		scheme:    h.scheme(c.route.cfg.schemes != nil), // the length of the signature depends on it
		signature: h.signature(headerSignature),
		receiver:  h.receiver(),
		window:    window{c.server.cfg.past, c.server.cfg.ahead},
		timeout:   c.server.cfg.limits.ServeTime,
	}
	if h.refusal != nil {
		return h.refusal
	}
	c.claim.sent = time.Unix(0, int64(c.claim.nonce)) //nolint:gosec // digits has read 63 bits at most
	if no := c.identify(); no == malformed {
		return no // a weak key is judged later
	}
	return nil
}

// receiver reads the receiver, which may be absent: then it is "-". A header
// with that text, or an empty one, is another receiver than ours.
func (h *headers) receiver() string {
	switch receiver := h.optional(headerReceiver); {
	case len(h.header[headerReceiver]) == 0:
		return unbound
	case receiver == unbound:
		return ""
	default:
		return receiver
	}
}

// scheme reads the scheme that the sender says it signs by. Schemes of the SDK
// that are not accepted are refused by name, everything else as malformed.
func (h *headers) scheme(ed25519 bool) keys.Scheme {
	switch scheme := h.optional(headerCrypto); scheme {
	case "sr25519":
	case "ed25519":
		if !ed25519 {
			h.refuse(badScheme)
		}
		return keys.Ed25519
	case "hashed", "mldsa":
		h.refuse(badScheme)
	default:
		if len(h.header[headerCrypto]) > 0 {
			h.refuse(malformed)
		}
	}
	return keys.SR25519
}

// payload builds what the sender signed, from the request as it was received.
func (c *check) payload() *refusal {
	target := receivedTarget
	if c.route.cfg.target != nil {
		target = c.route.cfg.target
	}
	c.message = appendPayload(c.message[:0], payload{
		scheme: c.claim.scheme, method: c.http.Method, target: target(c.http), body: c.body.Bytes(),
		nonce: c.claim.nonce, sender: c.claim.hotkey, receiver: c.claim.receiver,
	})
	return nil
}

// receivedTarget returns path and query as they stood on the request line,
// never decoded. A proxy sends an absolute URI.
func receivedTarget(r *http.Request) string {
	target := r.RequestURI
	if target == "" {
		target = r.URL.RequestURI() // the request was not read by a server
	}
	return pathAndQuery(target)
}

// pathAndQuery is what counts of a request target, which may be an absolute URI.
func pathAndQuery(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	if _, rest, absolute := strings.Cut(target, "://"); absolute {
		start := strings.IndexAny(rest, "/?")
		switch {
		case start < 0:
			return "/"
		case rest[start] == '?':
			return "/" + rest[start:]
		}
		return rest[start:]
	}
	return target
}

// payload is what btauth/1 signs.
type payload struct {
	scheme           keys.Scheme
	method, target   string
	body             []byte
	nonce            uint64
	sender, receiver string
}

// appendPayload appends the eight lines of a payload.
func appendPayload(dst []byte, p payload) []byte {
	sum := sha256.Sum256(p.body)
	dst = append(dst, "btauth/1\n"...)
	dst = append(dst, p.scheme.String()...)
	dst = append(dst, '\n')
	dst = append(dst, strings.ToUpper(p.method)...)
	dst = append(dst, '\n')
	dst = append(dst, p.target...)
	dst = append(dst, '\n')
	dst = hex.AppendEncode(dst, sum[:])
	dst = append(dst, '\n')
	dst = strconv.AppendUint(dst, p.nonce, 10)
	dst = append(dst, '\n')
	dst = append(dst, p.sender...)
	dst = append(dst, '\n')
	return append(dst, p.receiver...)
}
