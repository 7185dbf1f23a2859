package axon

import (
	"crypto/subtle"
	"strconv"
	"time"

	"github.com/organic-scoring/organic"
)

// The headers of a dendrite, as net/http spells them; on the wire they are in
// lower case.
const (
	headerTimeout           = "Timeout"
	headerDendriteHotkey    = "Bt_header_dendrite_hotkey"
	headerDendriteNonce     = "Bt_header_dendrite_nonce"
	headerDendriteUUID      = "Bt_header_dendrite_uuid"
	headerDendriteSignature = "Bt_header_dendrite_signature"
	headerDendriteVersion   = "Bt_header_dendrite_version"
	headerBodyHash          = "Computed_body_hash"
)

const (
	signatureSize = 64
	ss58Chars     = 48

	dendriteWindow = 4 * time.Second // the SDK's allowance, before the timeout
	longestTimeout = 24 * time.Hour  // keeps the arithmetic safe

	nonceDigits = 19 // Unix nanoseconds until the year 2286
)

// dendriteHeaders reads what a dendrite of the SDK sends. What it does not sign
// is used for nothing that it could loosen: the timeout is capped, the version
// decides nothing.
func (c *check) dendriteHeaders() *refusal {
	h := headers{c.http.Header, nil}
	claim := claim{
		protocol:  organic.Bittensor,
		hotkey:    h.text(headerDendriteHotkey, ss58Chars, ss58Chars),
		nonce:     h.digits(headerDendriteNonce, nonceDigits),
		uuid:      h.token(headerDendriteUUID),
		signature: h.signature(headerDendriteSignature),
		bodyHash:  h.hash(headerBodyHash),
		timeout:   h.seconds(headerTimeout),
	}
	if h.refusal != nil {
		return h.refusal
	}
	claim.id = claim.uuid
	// Unsigned and only for show: 0 if it is not a number.
	claim.version, _ = strconv.Atoi(c.http.Header.Get(headerDendriteVersion))
	claim.sent = time.Unix(0, int64(claim.nonce)) //nolint:gosec // digits has read 63 bits at most
	delta := dendriteWindow + min(claim.timeout, c.server.cfg.timeoutCap)
	claim.window = window{delta, delta}
	c.claim = claim
	return nil
}

// hashedFields recomputes the hash of the hashed fields, and builds the message
// that the dendrite has signed: with our own hotkey as the receiver, whatever
// the header says.
func (c *check) hashedFields() *refusal {
	computed, err := c.route.class.AppendHash(c.message[:0], c.body.Bytes())
	if err != nil {
		return badBody
	}
	if subtle.ConstantTimeCompare(computed, []byte(c.claim.bodyHash)) != 1 {
		return badBodyHash
	}
	claim := &c.claim
	c.message = appendDendriteMessage(c.message[:0],
		claim.nonce, claim.hotkey, c.server.address, claim.uuid, claim.bodyHash)
	return nil
}

// appendDendriteMessage appends what a dendrite signs.
func appendDendriteMessage(dst []byte, nonce uint64, dendrite, axon, uuid, bodyHash string) []byte {
	dst = strconv.AppendUint(dst, nonce, 10)
	for _, part := range [...]string{dendrite, axon, uuid, bodyHash} {
		dst = append(dst, '.')
		dst = append(dst, part...)
	}
	return dst
}
