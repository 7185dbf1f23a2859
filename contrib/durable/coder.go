package durable

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/internal/usercode"
)

const (
	// MaxReason is how many bytes of an error's text a dead letter keeps.
	MaxReason = 1024
	// MaxID is how many bytes the ID of a sample in a durable queue may have.
	MaxID = 512
)

// What a cipher authenticates besides the ID, so that neither can be taken for
// the other.
const (
	contextSample = "sample "
	contextReason = "reason "
)

// Coder is the codec and the cipher of a queue: what the queue stores is
// encoded first and sealed then. A queue stores the sample's ID beside the
// bytes, in the clear, and whether they are sealed. Coder is for
// implementations of [Queue]. It returns a panic of codec or cipher as an error.
//
// The zero Coder encodes as JSON and does not seal. It is safe for concurrent
// use.
type Coder[S any] struct {
	Codec  Codec[S] // nil: JSON
	Cipher Cipher   // nil: nothing is sealed
}

// Sealed reports whether Encode and EncodeReason seal what they return.
func (c Coder[S]) Sealed() bool { return c.Cipher != nil }

// Encode returns what a queue stores for a sample. It returns an error for an
// ID that is empty, longer than [MaxID] or not valid UTF-8.
func (c Coder[S]) Encode(sample organic.Sample[S]) ([]byte, error) {
	if err := checkID(sample.ID); err != nil {
		return nil, err
	}
	data, err := call("codec", func() ([]byte, error) { return c.codec().Encode(sample) })
	if err == nil {
		data, err = c.seal(data, contextSample+sample.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("durable: encode sample %s: %w", sample.ID, err)
	}
	return data, nil
}

func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("durable: sample has no ID, make it with organic.NewSample")
	case len(id) > MaxID:
		return fmt.Errorf(
			"durable: ID of the sample has %d bytes, must have at most %d",
			len(id),
			MaxID,
		)
	case !utf8.ValidString(id):
		return errors.New("durable: ID of the sample is not valid UTF-8")
	}
	return nil
}

// Decode returns the sample of this ID that Encode has encoded. Its errors wrap
// [ErrUndecodable] or [ErrUnknownKey].
func (c Coder[S]) Decode(id string, data []byte, sealed bool) (organic.Sample[S], error) {
	plain, err := c.open(data, contextSample+id, sealed)
	if err != nil {
		return organic.Sample[S]{}, fmt.Errorf("%w: sample %s: %w", ErrUnknownKey, id, err)
	}
	decode := func() (organic.Sample[S], error) { return c.codec().Decode(plain) }
	sample, err := call("codec", decode)
	if err != nil {
		return organic.Sample[S]{}, fmt.Errorf("%w: sample %s: %w", ErrUndecodable, id, err)
	}
	if sample.ID != id {
		return organic.Sample[S]{}, fmt.Errorf(
			"%w: sample %s is stored under another ID",
			ErrUndecodable,
			id,
		)
	}
	return sample, nil
}

// EncodeReason returns what a queue stores for the reason of a dead letter:
// the first [MaxReason] bytes of the error's text, sealed if samples are, since
// a hook may have quoted the payload in it.
func (c Coder[S]) EncodeReason(id string, reason error) ([]byte, error) {
	if reason == nil {
		return nil, nil
	}
	text := usercode.Text(reason)
	text = strings.ToValidUTF8(text[:min(len(text), MaxReason)], "")
	data, err := c.seal([]byte(text), contextReason+id)
	if err != nil {
		return nil, fmt.Errorf("durable: encode reason of sample %s: %w", id, err)
	}
	return data, nil
}

// DecodeReason returns the text that EncodeReason has encoded, or an empty one
// if it cannot be opened.
func (c Coder[S]) DecodeReason(id string, data []byte, sealed bool) string {
	if len(data) == 0 {
		return ""
	}
	text, err := c.open(data, contextReason+id, sealed)
	if err != nil {
		return ""
	}
	return string(text)
}

func (c Coder[S]) codec() Codec[S] {
	if c.Codec == nil {
		return JSON[S]{}
	}
	return c.Codec
}

func (c Coder[S]) seal(plain []byte, context string) ([]byte, error) {
	if c.Cipher == nil {
		return plain, nil
	}
	return call("cipher", func() ([]byte, error) { return c.Cipher.Seal(plain, []byte(context)) })
}

func (c Coder[S]) open(data []byte, context string, sealed bool) ([]byte, error) {
	switch {
	case sealed && c.Cipher == nil:
		return nil, errors.New("it is sealed and the queue has no cipher")
	case !sealed && c.Cipher != nil:
		return nil, errors.New("it is not sealed and the queue has a cipher")
	case !sealed:
		return data, nil
	}
	return call("cipher", func() ([]byte, error) { return c.Cipher.Open(data, []byte(context)) })
}

// call calls a codec or cipher and returns a panic as an error that gives the
// type of the value, which may hold a payload.
func call[T any](name string, fn func() (T, error)) (result T, err error) {
	err = usercode.Call(func() (err error) {
		result, err = fn()
		return err
	}, func(value any) error {
		return fmt.Errorf("%s panicked with a value of type %T", name, value)
	})
	return result, err
}
