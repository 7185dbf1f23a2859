package natsqueue

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/organic-scoring/organic"
)

// What is authenticated besides a sample's ID, so that neither passes for the
// other.
const (
	sealSample = "sample "
	sealReason = "reason "
)

// maxReason is how many bytes of an error's text a dead letter keeps.
const maxReason = 1024

// message makes what the server stores for a sample. Its ID is the only thing
// in the clear where there is a cipher.
func (q *Queue[S]) message(sample organic.Sample[S]) (*nats.Msg, error) {
	body, err := q.codec.Encode(sample)
	if err == nil {
		body, err = q.seal(body, sealSample+sample.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("natsqueue: encode sample %s: %w", sample.ID, err)
	}
	return newMessage(q.subject, messageID(sample.ID), body), nil
}

func newMessage(subject, id string, body []byte) *nats.Msg {
	msg := &nats.Msg{Subject: subject, Header: make(nats.Header, 1), Data: body}
	msg.Header[nats.MsgIdHdr] = []string{id}
	return msg
}

// messageID is a sample's ID as text that a header can hold.
func messageID(id string) string { return url.PathEscape(id) }

// again is the ID under which a sample can be stored a second time within the
// window. The mark does not occur in what messageID returns.
func again(id string, seq uint64) string {
	id, _, _ = strings.Cut(id, "#")
	return id + "#" + strconv.FormatUint(seq, 10)
}

// sampleID is the ID of a message's sample: as it was given, or as it stands
// where somebody else has made the message.
func sampleID(header nats.Header) string {
	escaped, _, _ := strings.Cut(header.Get(nats.MsgIdHdr), "#")
	if id, err := url.PathUnescape(escaped); err == nil {
		return id
	}
	return escaped
}

// decode makes a sample of a message.
func (q *Queue[S]) decode(header nats.Header, body []byte) (organic.Sample[S], error) {
	id := sampleID(header)
	plain, err := q.open(body, sealSample+id)
	if err != nil {
		return organic.Sample[S]{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	sample, err := q.codec.Decode(plain)
	if err != nil {
		return organic.Sample[S]{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	if sample.ID != id {
		return organic.Sample[S]{}, fmt.Errorf("%w: it is stored under another ID than its own", ErrUndecodable)
	}
	return sample, nil
}

func (q *Queue[S]) seal(plain []byte, context string) ([]byte, error) {
	if q.cfg.cipher == nil {
		return plain, nil
	}
	return q.cfg.cipher.Seal(plain, []byte(context))
}

func (q *Queue[S]) open(sealed []byte, context string) ([]byte, error) {
	if q.cfg.cipher == nil {
		return sealed, nil
	}
	return q.cfg.cipher.Open(sealed, []byte(context))
}

// sealedReason is an error's text for a header: quoted, or encrypted like the
// samples, for a hook may have put a prompt into it.
func (q *Queue[S]) sealedReason(id string, err error) string {
	text := "unknown"
	if err != nil {
		text = err.Error()
	}
	text = strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
	if q.cfg.cipher == nil {
		return strconv.QuoteToASCII(text)
	}
	sealed, err := q.seal([]byte(text), sealReason+id)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(sealed)
}

// openReason reads what sealedReason has written.
func (q *Queue[S]) openReason(id, sealed string) string {
	if q.cfg.cipher == nil {
		text, err := strconv.Unquote(sealed)
		if err != nil {
			return ""
		}
		return text
	}
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return ""
	}
	text, err := q.open(data, sealReason+id)
	if err != nil {
		return ""
	}
	return string(text)
}

// isExpired reports whether a sample will be too old after a delay.
func (q *Queue[S]) isExpired(sample *organic.Sample[S], delay time.Duration) bool {
	return q.cfg.maxAge > 0 && time.Since(sample.Received) > q.cfg.maxAge-delay
}
