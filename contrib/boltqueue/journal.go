package boltqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"time"
)

const (
	journalSuffix = ".journal"
	headerSize    = 256 // a header has at most 130 bytes
	slotSize      = 16
	maxSlots      = 1 << 20 // more leases than any process has
)

// journal is a small file beside the queue's: who has it open, which
// transaction was the last, and what is leased. It is written at every lease
// and never synced while it is open, which is enough to survive the death of
// the process, and is all that crash counts need. A power cut can lose it, and
// with it the crash counts of what was leased then.
//
// It starts with a header; each lease has a slot of its own, which is cleared
// when the lease ends. It is safe for concurrent use.
type journal struct {
	file   *os.File
	noSync bool

	mu     sync.Mutex // guards what follows
	header header
	slots  int
	free   []int
}

// header is the front of a journal, stored like the records of the file.
type header struct {
	Process     int       `json:"process"`
	Opened      time.Time `json:"opened"`
	Transaction uint64    `json:"transaction"` // the last one that was committed, or an earlier one
}

// headerBucket and headerKey stand for the place of the header in its checksum.
const (
	headerBucket bucket = "journal"
	headerKey           = 0
)

// encode returns the header as a record of headerSize bytes.
func (h header) encode() []byte {
	packed := pack(h, nil)
	padding := make([]byte, headerSize-len(packed)-checksumSize)
	return seal(headerBucket, headerKey, append(packed, padding...))
}

func decodeHeader(data []byte) (h header, known bool) {
	if len(data) < headerSize {
		return header{}, false
	}
	_, err := unpack(headerBucket, headerKey, data[:headerSize], &h)
	return h, err == nil
}

// openJournal locks the journal of a queue's file. It returns what the journal
// knew of the last process: the transaction, 0 if unknown, and what was leased.
func openJournal(path string) (j *journal, transaction uint64, leased []uint64, err error) {
	file, err := os.OpenFile(
		path+journalSuffix,
		os.O_CREATE|os.O_RDWR,
		0o600,
	) //nolint:gosec // beside the caller's file
	if err != nil {
		return nil, 0, nil, fmt.Errorf("boltqueue: %w", err)
	}
	data, err := readAll(file)
	before, known := decodeHeader(data)
	locked, lockErr := lock(file)
	if err = errors.Join(err, lockErr); err == nil && !locked {
		err = inUse(before, known)
	}
	if err == nil { // read again: the holder may have written until now
		data, err = readAll(file)
		before, _ = decodeHeader(data)
	}
	if err != nil {
		return nil, 0, nil, errors.Join(err, file.Close())
	}
	return &journal{file: file, header: before}, before.Transaction, leasedIn(data), nil
}

func readAll(file *os.File) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("boltqueue: %w", err)
	}
	data := make([]byte, min(info.Size(), headerSize+maxSlots*slotSize))
	n, err := file.ReadAt(data, 0)
	if n < len(data) {
		return nil, fmt.Errorf("boltqueue: %w", err)
	}
	return data, nil
}

func inUse(by header, known bool) error {
	if !known {
		return fmt.Errorf("%w by another process", ErrInUse)
	}
	return fmt.Errorf(
		"%w by process %d since %s",
		ErrInUse,
		by.Process,
		by.Opened.Format(time.RFC3339),
	)
}

// leasedIn returns the numbers of the samples whose slots are not cleared.
func leasedIn(data []byte) (numbers []uint64) {
	for slot := 0; headerSize+(slot+1)*slotSize <= len(data); slot++ {
		at := data[headerSize+slot*slotSize:]
		number := binary.BigEndian.Uint64(at)
		if binary.BigEndian.Uint32(at[8:]) == slotChecksum(slot, number) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

func slotChecksum(slot int, number uint64) uint32 {
	data := binary.BigEndian.AppendUint64(nil, uint64(slot)) //nolint:gosec // not negative
	return crc32.Checksum(binary.BigEndian.AppendUint64(data, number), castagnoli)
}

// begin starts a journal without leases, of this process. It is synced, so that
// the transaction is known, or an earlier one, also after a power cut.
func (j *journal) begin(transaction uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.header = header{
		Process:     os.Getpid(),
		Opened:      time.Now().UTC().Truncate(time.Second),
		Transaction: transaction,
	}
	j.slots, j.free = 0, nil
	err := j.file.Truncate(0)
	if err == nil {
		_, err = j.file.WriteAt(j.header.encode(), 0)
	}
	if err == nil && !j.noSync {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("boltqueue: write journal: %w", err)
	}
	return nil
}

// lease notes that a sample is handed out. An error is not reported: on a full
// disk, crashes are not counted, and everything else goes on.
func (j *journal) lease(number uint64) (slot int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if last := len(j.free) - 1; last >= 0 {
		slot, j.free = j.free[last], j.free[:last]
	} else {
		slot = j.slots
		j.slots++
	}
	data := binary.BigEndian.AppendUint64(make([]byte, 0, slotSize), number)
	data = binary.BigEndian.AppendUint32(data, slotChecksum(slot, number))
	_, _ = j.file.WriteAt(data[:slotSize], int64(headerSize+slot*slotSize))
	return slot
}

// release notes that a lease has ended.
func (j *journal) release(slot int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = j.file.WriteAt(make([]byte, slotSize), int64(headerSize+slot*slotSize))
	j.free = append(j.free, slot)
}

// committed notes that a transaction is stored, so that a file that has lost it
// is noticed.
func (j *journal) committed(transaction uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.header.Transaction = transaction
	_, _ = j.file.WriteAt(j.header.encode(), 0)
}

// close ends all leases and unlocks the file.
func (j *journal) close() error {
	j.mu.Lock()
	transaction := j.header.Transaction
	j.mu.Unlock()
	return errors.Join(j.begin(transaction), j.file.Close())
}

// abandon unlocks the file and leaves what is in it.
func (j *journal) abandon() error { return j.file.Close() }
