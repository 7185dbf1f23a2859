package durable

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/organic-scoring/organic"
)

// Codec writes samples as bytes and reads them back. It keeps all fields but
// Attempt, which the queue counts itself. Its errors are logged and kept with
// dead letters, so they must not quote the payload.
//
// Queues call both methods from any goroutine, several at once.
type Codec[S any] interface {
	Encode(sample organic.Sample[S]) ([]byte, error)
	// Decode may keep data.
	Decode(data []byte) (organic.Sample[S], error)
}

// JSON is the default [Codec]: encoding/json. Text that is not valid UTF-8 does
// not come back as it was. It is empty and safe for concurrent use.
type JSON[S any] struct{}

// Encode returns the sample as one JSON object. Its errors give the type of the
// error of encoding/json and not its text, which may quote the payload.
func (JSON[S]) Encode(sample organic.Sample[S]) ([]byte, error) {
	data, err := json.Marshal(sample)
	if err != nil {
		return nil, fmt.Errorf("encode as JSON: %T", err)
	}
	return data, nil
}

// Decode reads what Encode has written.
func (JSON[S]) Decode(data []byte) (sample organic.Sample[S], err error) {
	err = json.Unmarshal(data, &sample)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return organic.Sample[S]{}, fmt.Errorf(
			"not valid JSON at byte %d of %d",
			syntax.Offset,
			len(data),
		)
	}
	if err != nil {
		return organic.Sample[S]{}, fmt.Errorf("not the JSON of such a sample: %T", err)
	}
	return sample, nil
}
