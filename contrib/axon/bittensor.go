package axon

import (
	"crypto/subtle"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/organic-scoring/organic"
)

// The headers of a dendrite, as net/http spells them; on the wire they are in
// lower case.
const (
	headerTimeout   = "Timeout"
	headerHotkey    = "Bt_header_dendrite_hotkey"
	headerNonce     = "Bt_header_dendrite_nonce"
	headerUUID      = "Bt_header_dendrite_uuid"
	headerSignature = "Bt_header_dendrite_signature"
	headerVersion   = "Bt_header_dendrite_version"
	headerBodyHash  = "Computed_body_hash"
)

const (
	signatureSize = 64
	ss58Chars     = 48

	bittensorWindow = 4 * time.Second // the SDK's allowance, before the timeout
	longestTimeout  = 24 * time.Hour  // more than anybody waits; keeps the arithmetic safe

	// uptimeCeiling parts nonces that are an uptime from those that are a date:
	// ten years in nanoseconds, as a date in 1980.
	uptimeCeiling = 10 * 365 * 24 * uint64(time.Hour)

	nonceDigits = 19 // Unix nanoseconds until the year 2286
)

// dendriteHeaders reads what a dendrite of the SDK sends. What it does not sign
// is used for nothing that it could loosen: the timeout is capped, the version
// decides nothing.
func (c *check) dendriteHeaders() *refusal {
	h := headers{c.http.Header, nil}
	claim := claim{
		protocol:  organic.Bittensor,
		hotkey:    h.text(headerHotkey, ss58Chars, ss58Chars),
		nonce:     h.digits(headerNonce, nonceDigits),
		uuid:      h.token(headerUUID),
		signature: h.signature(headerSignature),
		bodyHash:  h.hash(headerBodyHash),
		timeout:   h.seconds(headerTimeout),
	}
	if h.refusal != nil {
		return h.refusal
	}
	claim.id = claim.uuid
	claim.version, _ = strconv.Atoi(c.http.Header.Get(headerVersion)) // unsigned and for show: 0 when it is none
	claim.sent = time.Unix(0, int64(claim.nonce))                     //nolint:gosec // digits has read 63 bits at most
	claim.window = bittensorWindow + min(claim.timeout, c.server.cfg.timeoutCap)
	claim.uptime = c.server.cfg.uptimeNonces && claim.nonce < uptimeCeiling
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
	c.message = appendDendriteMessage(c.message[:0], c.claim.nonce, c.claim.hotkey, c.server.address, c.claim.uuid, c.claim.bodyHash)
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

// headers reads the headers that authentication uses: each once, not empty, in
// its own form. The first that is not right is kept as the refusal, and the
// rest reads as nothing.
type headers struct {
	header  http.Header
	refusal *refusal
}

func (h *headers) refuse(no *refusal) {
	if h.refusal == nil {
		h.refusal = no
	}
}

// one returns a header that must be there, and once.
func (h *headers) one(name string) string {
	values := h.header[name]
	switch {
	case h.refusal != nil:
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		h.refuse(missing)
	case len(values) > 1:
		h.refuse(malformed)
	default:
		return values[0]
	}
	return ""
}

// text returns a header of a length within these bounds.
func (h *headers) text(name string, shortest, longest int) string {
	value := h.one(name)
	if value != "" && (len(value) < shortest || len(value) > longest) {
		h.refuse(malformed)
		return ""
	}
	return value
}

// digits reads a decimal number without sign and leading zero.
func (h *headers) digits(name string, most int) uint64 {
	value := h.text(name, 1, most)
	if value == "" {
		return 0
	}
	n, ok := decimal(value)
	if !ok {
		h.refuse(malformed)
	}
	return n
}

// decimal reads digits alone, the way a number is written: no sign, no leading
// zero.
func decimal(text string) (uint64, bool) {
	for _, digit := range []byte(text) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
	}
	if text == "" || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return n, err == nil
}

const longestToken = 64

// token reads a UUID, or whatever a client has in its place: printable ASCII
// without a space, and without a dot, which would make the joined message
// ambiguous.
func (h *headers) token(name string) string {
	value := h.text(name, 1, longestToken)
	for _, char := range []byte(value) {
		if char <= ' ' || char > '~' || char == '.' {
			h.refuse(malformed)
			return ""
		}
	}
	return value
}

// signature reads 0x and 128 hex digits of either case.
func (h *headers) signature(name string) (signature [signatureSize]byte) {
	const prefix = "0x"
	value := h.one(name)
	if value == "" {
		return signature
	}
	if len(value) != len(prefix)+2*signatureSize || value[:len(prefix)] != prefix {
		h.refuse(malformed)
		return signature
	}
	for i := range signature {
		high, ok1 := hexDigit(value[len(prefix)+2*i])
		low, ok2 := hexDigit(value[len(prefix)+2*i+1])
		if !ok1 || !ok2 {
			h.refuse(malformed)
			return signature
		}
		signature[i] = high<<4 | low
	}
	return signature
}

func hexDigit(char byte) (byte, bool) {
	switch {
	case '0' <= char && char <= '9':
		return char - '0', true
	case 'a' <= char && char <= 'f':
		return char - 'a' + 10, true
	case 'A' <= char && char <= 'F':
		return char - 'A' + 10, true
	}
	return 0, false
}

const hashDigits = 64

// hash reads 64 hex digits in lower case.
func (h *headers) hash(name string) string {
	value := h.text(name, hashDigits, hashDigits)
	for _, char := range []byte(value) {
		if _, ok := hexDigit(char); !ok || 'A' <= char && char <= 'F' {
			h.refuse(malformed)
			return ""
		}
	}
	return value
}

// seconds reads a time in seconds, finite and not negative; without the header
// it is none.
func (h *headers) seconds(name string) time.Duration {
	if len(h.header[name]) == 0 {
		return 0
	}
	value := h.one(name)
	for _, char := range []byte(value) {
		if (char < '0' || char > '9') && char != '.' {
			h.refuse(malformed)
			return 0
		}
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsInf(seconds, 0) {
		h.refuse(malformed)
		return 0
	}
	return time.Duration(min(seconds, longestTimeout.Seconds()) * float64(time.Second))
}
