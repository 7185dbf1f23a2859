package boltqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
	"time"
)

const (
	journalSuffix = ".journal"
	slotSize      = 16      // a number of 8 bytes, its checksum, and 4 bytes of padding
	maxSlots      = 1 << 20 // more leases than any process has
)

// The first slots of a journal; those of leases follow.
const (
	transactionSlot = iota // the last transaction, or an earlier one
	processSlot            // who has the queue open
	openedSlot             // since when, in Unix seconds
	identitySlot           // of the queue's file
	firstLeaseSlot
)

// journal is a small file beside the queue's: which file that is, who has it
// open, which transaction was the last, and what is leased. It is written at
// every lease and not synced while it is open, which is enough to survive the
// death of the process, and is all that crash counts need. A power cut can lose
// it, and with it the crash counts of what was leased then.
//
// Each lease has a slot of its own, which is cleared when the lease ends. A
// journal is safe for concurrent use.
type journal struct {
	file   *os.File
	noSync bool

	mu          sync.Mutex // guards what follows
	identity    uint64
	transaction uint64
	slots       int
	free        []int
}

// lastRun is what a journal knows of the last process. What is unknown is 0.
type lastRun struct {
	identity    uint64
	transaction uint64
	leased      []uint64
}

// openJournal locks the journal of a queue's file.
func openJournal(path string) (j *journal, known lastRun, err error) {
	path += journalSuffix
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the caller's
	if err != nil {
		return nil, known, err
	}
	locked, err := lock(file)
	data, readErr := io.ReadAll(io.NewSectionReader(file, 0, maxSlots*slotSize))
	switch {
	case err == nil && !locked:
		err = inUse(data)
	case err == nil && readErr != nil:
		err = fmt.Errorf("read journal: %w", readErr)
	}
	if err != nil {
		return nil, known, errors.Join(err, file.Close())
	}
	for slot := firstLeaseSlot; slot < len(data)/slotSize; slot++ {
		if number, ok := slotIn(data, slot); ok {
			known.leased = append(known.leased, number)
		}
	}
	known.transaction = knownIn(data, transactionSlot)
	known.identity = knownIn(data, identitySlot)
	j = &journal{file: file}
	_ = j.identify() // begin reports it
	return j, known, nil
}

// identify writes who has the queue open.
func (j *journal) identify() error {
	return errors.Join(
		j.write(processSlot, uint64(os.Getpid())),      //nolint:gosec // not negative
		j.write(openedSlot, uint64(time.Now().Unix())), //nolint:gosec // not negative
	)
}

// inUse is the error of a journal that is locked.
func inUse(data []byte) error {
	process, ok := slotIn(data, processSlot)
	opened, _ := slotIn(data, openedSlot)
	if !ok {
		return fmt.Errorf("%w by another process", ErrInUse)
	}
	since := time.Unix(int64(opened), 0).Format(time.RFC3339) //nolint:gosec // written below
	return fmt.Errorf("%w by process %d since %s", ErrInUse, process, since)
}

// slotIn returns the number in a slot, or false if it is clear or damaged.
func slotIn(data []byte, slot int) (number uint64, ok bool) {
	if len(data) < (slot+1)*slotSize {
		return 0, false
	}
	at := data[slot*slotSize:]
	number = binary.BigEndian.Uint64(at)
	return number, binary.BigEndian.Uint32(at[8:]) == slotChecksum(slot, number)
}

// knownIn returns the number in a slot, or 0.
func knownIn(data []byte, slot int) uint64 {
	if number, ok := slotIn(data, slot); ok {
		return number
	}
	return 0
}

func slotChecksum(slot int, number uint64) uint32 {
	data := binary.BigEndian.AppendUint64(nil, uint64(slot)) //nolint:gosec // not negative
	return crc32.Checksum(binary.BigEndian.AppendUint64(data, number), castagnoli)
}

// write fills a slot.
func (j *journal) write(slot int, number uint64) error {
	data := binary.BigEndian.AppendUint64(make([]byte, 0, slotSize), number)
	data = binary.BigEndian.AppendUint32(data, slotChecksum(slot, number))
	_, err := j.file.WriteAt(data[:slotSize], int64(slot*slotSize))
	return err
}

// begin starts a journal without leases, of this process. It is synced, so that
// the transaction is known, or an earlier one, also after a power cut.
func (j *journal) begin(identity, transaction uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.identity, j.transaction = identity, transaction
	j.slots, j.free = firstLeaseSlot, nil
	err := errors.Join(
		j.file.Truncate(firstLeaseSlot*slotSize), // what stays has space on a full disk
		j.write(transactionSlot, transaction),
		j.write(identitySlot, identity),
		j.identify(),
	)
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
	_ = j.write(slot, number)
	return slot
}

// release notes that a lease has ended.
func (j *journal) release(slot int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = j.file.WriteAt(make([]byte, slotSize), int64(slot*slotSize))
	j.free = append(j.free, slot)
}

// committed notes that a transaction is stored, so that a file that has lost it
// is noticed.
func (j *journal) committed(transaction uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.transaction = transaction
	_ = j.write(transactionSlot, transaction)
}

// close ends all leases and unlocks the file.
func (j *journal) close() error {
	j.mu.Lock()
	identity, transaction := j.identity, j.transaction
	j.mu.Unlock()
	return errors.Join(j.begin(identity, transaction), j.abandon())
}

// abandon unlocks the file and leaves what is in it.
func (j *journal) abandon() error { return j.file.Close() }
