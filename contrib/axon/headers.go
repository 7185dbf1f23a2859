package axon

import (
	"encoding/hex"
	"math"
	"net/http"
	"strconv"
	"time"
)

// headers reads the headers that authentication uses: each once, not empty, in
// its own form. The first that is wrong is kept as the refusal, and all after
// it read as empty.
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

// token reads a UUID, or what a client uses instead: printable ASCII
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
	if _, err := hex.Decode(signature[:], []byte(value[len(prefix):])); err != nil {
		h.refuse(malformed)
	}
	return signature
}

const hashDigits = 64

// hash reads 64 hex digits in lower case.
func (h *headers) hash(name string) string {
	value := h.text(name, hashDigits, hashDigits)
	for _, char := range []byte(value) {
		if (char < '0' || char > '9') && (char < 'a' || char > 'f') {
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
	if value == "" {
		return 0
	}
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

// optional returns a header that may be absent or empty, but not be there
// twice.
func (h *headers) optional(name string) string {
	values := h.header[name]
	switch len(values) {
	case 0:
		return ""
	case 1:
		return values[0]
	}
	h.refuse(malformed)
	return ""
}
