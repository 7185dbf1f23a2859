package boltqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/organic-scoring/organic/contrib/durable"
)

// bucket is a bucket of the file. All its keys are numbers.
type bucket string

const (
	sampleBucket bucket = "samples" // number of a sample → sampleRecord
	stateBucket  bucket = "states"  // number of a sample that failed, is delayed or crashed → stateRecord
	letterBucket bucket = "letters" // number of a dead letter → letterRecord
	totalBucket  bucket = "total"   // totalKey → total
)

// totalKey is the only key of totalBucket.
const totalKey = 0

const sealedFlag = 1

// checksumSize is what sealRecord adds to a record.
const checksumSize = 4

var (
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	errChecksum = errors.New("checksum does not match")
	errFormat   = errors.New("not a record of this version")
)

// checksum covers a record and where it is stored.
func checksum(in bucket, key uint64, record []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte(in))
	sum = crc32.Update(sum, castagnoli, keyOf(key))
	return crc32.Update(sum, castagnoli, record)
}

// sealRecord appends the checksum.
func sealRecord(in bucket, key uint64, record []byte) []byte {
	return binary.BigEndian.AppendUint32(record, checksum(in, key, record))
}

// openRecord verifies and removes the checksum.
func openRecord(in bucket, key uint64, stored []byte) ([]byte, error) {
	if len(stored) < checksumSize {
		return nil, errChecksum
	}
	record := stored[:len(stored)-checksumSize]
	if fingerprint(stored) != uint64(checksum(in, key, record)) {
		return nil, errChecksum
	}
	return record, nil
}

// fingerprint is the checksum that a stored record carries.
func fingerprint(stored []byte) uint64 {
	if len(stored) < checksumSize {
		return 0
	}
	return uint64(binary.BigEndian.Uint32(stored[len(stored)-checksumSize:]))
}

func keyOf(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

// sampleRecord is a sample as it was added.
type sampleRecord struct {
	sealed bool
	id     string
	body   []byte // made by durable.Coder
}

// size is the length of what encode returns.
func (r sampleRecord) size() int {
	return 1 + len(binary.AppendUvarint(nil, uint64(len(r.id)))) + len(r.id) + len(r.body) + checksumSize
}

func (r sampleRecord) encode(number uint64) []byte {
	record := make([]byte, 0, r.size())
	record = append(record, flagsOf(r.sealed))
	record = appendString(record, r.id)
	record = append(record, r.body...)
	return sealRecord(sampleBucket, number, record)
}

func decodeSample(number uint64, stored []byte) (sampleRecord, error) {
	record, err := openRecord(sampleBucket, number, stored)
	if err != nil {
		return sampleRecord{}, err
	}
	f := fields{rest: record}
	r := sampleRecord{sealed: f.byte()&sealedFlag != 0, id: string(f.bytes())}
	r.body = f.rest
	return r, f.err
}

// stateRecord is what has happened to a sample since it was added.
type stateRecord struct {
	failures  int
	crashes   int
	notBefore time.Time // zero: at once
}

func (r stateRecord) encode(number uint64) []byte {
	record := binary.AppendUvarint(nil, uint64(r.failures)) //nolint:gosec // counts are not negative
	record = binary.AppendUvarint(record, uint64(r.crashes))
	record = appendTime(record, r.notBefore)
	return sealRecord(stateBucket, number, record)
}

func decodeState(number uint64, stored []byte) (stateRecord, error) {
	record, err := openRecord(stateBucket, number, stored)
	if err != nil {
		return stateRecord{}, err
	}
	f := fields{rest: record}
	r := stateRecord{failures: f.count(), crashes: f.count(), notBefore: f.time()}
	return r, f.err
}

// letterRecord is a dead letter.
type letterRecord struct {
	sampleRecord
	cause    durable.Cause
	reason   []byte // made by durable.Coder
	attempts int
	time     time.Time
}

func (r letterRecord) encode(number uint64) []byte {
	record := []byte{flagsOf(r.sealed)}
	record = appendString(record, r.id)
	record = appendString(record, string(r.cause))
	record = appendString(record, string(r.reason))
	record = binary.AppendUvarint(record, uint64(r.attempts)) //nolint:gosec // not negative
	record = appendTime(record, r.time)
	record = append(record, r.body...)
	return sealRecord(letterBucket, number, record)
}

func decodeLetter(number uint64, stored []byte) (letterRecord, error) {
	record, err := openRecord(letterBucket, number, stored)
	if err != nil {
		return letterRecord{}, err
	}
	f := fields{rest: record}
	r := letterRecord{sampleRecord: sampleRecord{sealed: f.byte()&sealedFlag != 0, id: string(f.bytes())}}
	r.cause, r.reason = durable.Cause(f.bytes()), f.bytes()
	r.attempts, r.time = f.count(), f.time()
	r.body = f.rest
	return r, f.err
}

// total is what all other records add up to, so that a record that has
// disappeared is noticed.
type total struct {
	count uint64 // of records
	sum   uint64 // of their fingerprints
	next  uint64 // number of the next sample or dead letter, never used before
}

func (t total) encode() []byte {
	record := binary.BigEndian.AppendUint64(nil, t.count)
	record = binary.BigEndian.AppendUint64(record, t.sum)
	record = binary.BigEndian.AppendUint64(record, t.next)
	return sealRecord(totalBucket, totalKey, record)
}

func decodeTotal(stored []byte) (total, error) {
	record, err := openRecord(totalBucket, totalKey, stored)
	if err != nil || len(record) != 24 {
		return total{}, errors.Join(errFormat, err)
	}
	return total{
		count: binary.BigEndian.Uint64(record), sum: binary.BigEndian.Uint64(record[8:]), next: binary.BigEndian.Uint64(record[16:]),
	}, nil
}

func flagsOf(sealed bool) byte {
	if sealed {
		return sealedFlag
	}
	return 0
}

func appendString(record []byte, text string) []byte {
	return append(binary.AppendUvarint(record, uint64(len(text))), text...)
}

func appendTime(record []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(record, 0)
	}
	return binary.AppendVarint(record, t.UnixNano())
}

// fields reads a record from its front. After an error it returns zeros.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) take(n int) []byte {
	if f.err != nil || n < 0 || n > len(f.rest) {
		f.err = errFormat
		return nil
	}
	taken := f.rest[:n]
	f.rest = f.rest[n:]
	return taken
}

func (f *fields) byte() byte {
	if b := f.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) count() int {
	value, n := binary.Uvarint(f.rest)
	if n <= 0 || value > 1<<31 {
		f.err = errFormat
		return 0
	}
	f.take(n)
	return int(value) //nolint:gosec // at most 1<<31
}

func (f *fields) bytes() []byte { return f.take(f.count()) }

func (f *fields) time() time.Time {
	value, n := binary.Varint(f.rest)
	if n <= 0 {
		f.err = errFormat
		return time.Time{}
	}
	f.take(n)
	if value == 0 {
		return time.Time{}
	}
	return time.Unix(0, value)
}

// corrupt is an error about what is stored.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
}
