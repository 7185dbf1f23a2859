package boltqueue

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/organic-scoring/organic/contrib/durable"
)

// bucket is a bucket of the file. All its keys are numbers.
type bucket string

const (
	// The number of a sample → sampleHeader and what durable.Coder made.
	sampleBucket bucket = "samples"
	// The number of a sample that failed, was delayed or crashed → state.
	stateBucket bucket = "states"
	// The number of a dead letter → letterHeader and what durable.Coder made.
	letterBucket bucket = "letters"
	// totalKey → total.
	totalBucket bucket = "total"
)

// totalKey is the only key of totalBucket.
const totalKey = 0

// sampleHeader is stored before a sample.
type sampleHeader struct {
	ID     string `json:"id"`
	Sealed bool   `json:"sealed,omitempty"`
}

// state is what has happened to a sample. Failures include those with which it
// was added: a codec need not keep them.
type state struct {
	Failures  int       `json:"failures,omitempty"`
	Crashes   int       `json:"crashes,omitempty"`
	Counted   uint64    `json:"counted,omitempty"` // transaction of the journal with the last crash
	NotBefore time.Time `json:"not_before,omitzero"`
	// Delay is the wait that NotBefore was set for.
	Delay time.Duration `json:"delay,omitempty"`
}

// delay sets NotBefore.
func (s *state) delay(now time.Time, delay time.Duration) {
	s.NotBefore, s.Delay = time.Time{}, max(delay, 0)
	if delay > 0 {
		s.NotBefore = now.Add(delay)
	}
}

// resume continues a delay that was loaded. It then ends by the monotonic clock,
// and lasts at most Delay, even if the clock was set back meanwhile.
func (s *state) resume(now time.Time) {
	if left := s.NotBefore.Sub(now); left > 0 {
		s.NotBefore = now.Add(min(left, s.Delay))
	}
}

// letterHeader is stored before the sample of a dead letter.
type letterHeader struct {
	sampleHeader
	Cause    durable.Cause `json:"cause"`
	Reason   []byte        `json:"reason,omitempty"` // made by durable.Coder
	Failures int           `json:"failures,omitempty"`
	Time     time.Time     `json:"time"`
}

// total is what all other records add up to, so that a record that has
// disappeared is noticed.
type total struct {
	Count uint64 `json:"count"`
	Sum   uint64 `json:"sum"`  // of the checksums of the records
	Next  uint64 `json:"next"` // number of the next sample or dead letter, never used before
	// Identity distinguishes the file from all others.
	Identity uint64 `json:"identity"`
}

const (
	lengthSize   = 4 // of the header's length, before it
	checksumSize = 4 // of the checksum, at the end of a record
)

var (
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	errChecksum = errors.New("checksum does not match")
)

// pack returns a record without its checksum: a header as JSON and a body.
func pack(header any, body []byte) []byte {
	data, err := json.Marshal(header)
	if err != nil {
		panic(err) // the headers above can all be written as JSON
	}
	record := make([]byte, 0, lengthSize+len(data)+len(body)+checksumSize)
	record = binary.BigEndian.AppendUint32(record, uint32(len(data))) //nolint:gosec // far below
	return append(append(record, data...), body...)
}

// seal appends the checksum, which covers also where the record is stored.
func seal(in bucket, key uint64, record []byte) []byte {
	return binary.BigEndian.AppendUint32(record, checksum(in, key, record))
}

// unpack verifies a record, decodes its header and returns its body.
func unpack(in bucket, key uint64, stored []byte, header any) (body []byte, err error) {
	end := len(stored) - checksumSize
	if end < lengthSize || checksumOf(stored) != checksum(in, key, stored[:end]) {
		return nil, errChecksum
	}
	length := int64(binary.BigEndian.Uint32(stored))
	if length > int64(end-lengthSize) {
		return nil, errors.New("header is longer than the record")
	}
	if err := json.Unmarshal(stored[lengthSize:lengthSize+length], header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return stored[lengthSize+length : end], nil
}

func checksum(in bucket, key uint64, record []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte(in))
	sum = crc32.Update(sum, castagnoli, keyOf(key))
	return crc32.Update(sum, castagnoli, record)
}

// checksumOf returns the checksum that a record carries.
func checksumOf(stored []byte) uint32 {
	if len(stored) < checksumSize {
		return 0
	}
	return binary.BigEndian.Uint32(stored[len(stored)-checksumSize:])
}

func keyOf(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

// put is the op that stores a record; packed has no checksum yet.
func put(in bucket, key uint64, packed []byte) op {
	return op{in: in, key: key, record: seal(in, key, packed)}
}

// corrupt is an error about what is stored.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
}
