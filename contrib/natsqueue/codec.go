package natsqueue

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/organic-scoring/organic"
)

// Codec writes samples for the server and reads them back, whole: payload and
// all other fields but Attempt, which the queue sets. Both methods are called
// from any goroutine, several at once. Their errors are logged and kept with
// dead letters, so they must not quote the payload.
type Codec[S any] interface {
	Encode(sample organic.Sample[S]) ([]byte, error)
	// Decode may keep data.
	Decode(data []byte) (organic.Sample[S], error)
}

// JSON is the default [Codec]: encoding/json. Text that is not valid UTF-8
// does not come back as it was. It is empty and safe for concurrent use.
type JSON[S any] struct{}

// Encode writes the sample as one JSON object. Its errors give the type of
// what went wrong, not the text, which may quote the payload.
func (JSON[S]) Encode(sample organic.Sample[S]) ([]byte, error) {
	data, err := json.Marshal(sample)
	if err != nil {
		return nil, fmt.Errorf("natsqueue: encode sample as JSON: %T", err)
	}
	return data, nil
}

// Decode reads what Encode has written.
func (JSON[S]) Decode(data []byte) (sample organic.Sample[S], err error) {
	err = json.Unmarshal(data, &sample)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return organic.Sample[S]{}, fmt.Errorf("not valid JSON at byte %d of %d", syntax.Offset, len(data))
	}
	if err != nil {
		return organic.Sample[S]{}, fmt.Errorf("not the JSON of such a sample: %T", err)
	}
	return sample, nil
}

// codecOf is the codec that was configured, or the default.
func codecOf[S any](configured any) (Codec[S], error) {
	if configured == nil {
		return JSON[S]{}, nil
	}
	codec, ok := configured.(Codec[S])
	if !ok {
		return nil, invalid("WithCodec", "have %T, want %v", configured, reflect.TypeFor[Codec[S]]())
	}
	return codec, nil
}

// isNil also finds nil pointers in interfaces.
func isNil(value any) bool {
	if value == nil {
		return true
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Slice, reflect.Chan, reflect.Interface:
		return v.IsNil()
	default:
		return false
	}
}
