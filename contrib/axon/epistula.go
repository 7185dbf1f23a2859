package axon

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/organic-scoring/organic"
)

// The headers of Epistula, as net/http spells them.
const (
	headerEpistulaVersion   = "Epistula-Version"
	headerEpistulaTimestamp = "Epistula-Timestamp"
	headerEpistulaUUID      = "Epistula-Uuid"
	headerEpistulaSignedBy  = "Epistula-Signed-By"
	headerEpistulaSignedFor = "Epistula-Signed-For"
	headerEpistulaSignature = "Epistula-Request-Signature"
	headerBodySignature     = "Body-Signature" // version 1
)

const (
	epistula2Window = 8 * time.Second
	epistula1Window = 5 * time.Second

	timestampDigits = 13 // Unix milliseconds until the year 2286
)

// epistulaHeaders reads the headers of version 2.
func (c *check) epistulaHeaders() *refusal {
	h := headers{c.http.Header, nil}
	if version := h.one(headerEpistulaVersion); version != "" && version != "2" {
		return badVersion
	}
	c.claim = claim{
		protocol:  organic.EpistulaV2,
		version:   2,
		hotkey:    h.text(headerEpistulaSignedBy, ss58Chars, ss58Chars),
		nonce:     h.digits(headerEpistulaTimestamp, timestampDigits),
		uuid:      h.token(headerEpistulaUUID),
		signature: h.signature(headerEpistulaSignature),
		receiver:  h.optional(headerEpistulaSignedFor),
		window:    window{epistula2Window, epistula2Window},
	}
	c.claim.id = c.claim.uuid
	c.claim.sent = time.UnixMilli(int64(c.claim.nonce)) //nolint:gosec // 13 digits fit
	return h.refusal
}

// bodyDigest builds the message of version 2 over the bytes of the body as they
// came.
func (c *check) bodyDigest() *refusal {
	claim := &c.claim
	c.message = appendEpistulaMessage(c.message[:0],
		c.body.Bytes(), claim.uuid, claim.nonce, claim.receiver)
	return nil
}

// appendEpistulaMessage appends what a sender of version 2 signs; a message
// without a receiver ends in a dot.
func appendEpistulaMessage(
	dst, body []byte, uuid string, timestamp uint64, receiver string,
) []byte {
	sum := sha256.Sum256(body)
	dst = hex.AppendEncode(dst, sum[:])
	dst = append(dst, '.')
	dst = append(dst, uuid...)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, timestamp, 10)
	dst = append(dst, '.')
	return append(dst, receiver...)
}

// bodySignature reads the one header of version 1.
func (c *check) bodySignature() *refusal {
	h := headers{c.http.Header, nil}
	c.claim = claim{
		protocol:  organic.EpistulaV1,
		version:   1,
		signature: h.signature(headerBodySignature),
		window:    window{epistula1Window, epistula1Window},
	}
	return h.refusal
}

// envelope reads what version 1 carries in the body, all of which is signed.
func (c *check) envelope() *refusal {
	read, no := readEnvelope(c.body.Bytes())
	if no != nil {
		return no
	}
	sum := sha256.Sum256(c.body.Bytes())
	c.claim.hotkey = read.signedBy
	c.claim.receiver = read.signedFor
	c.claim.nonce = read.nonce
	c.claim.id = string(sum[:])                    // version 1 has no UUID: the body itself stands in
	c.claim.sent = time.Unix(0, int64(read.nonce)) //nolint:gosec // at most 19 digits
	c.message = append(c.message[:0], c.body.Bytes()...)
	return nil
}
