package boltqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// op stores a record, or deletes it if there is none.
type op struct {
	in     bucket
	key    uint64
	record []byte
}

// store is the file of a queue. Reads are safe for concurrent use; writes are
// made by one goroutine at a time, see committer.
type store struct {
	path string
	file os.FileInfo // which file path must be
	db   *bbolt.DB

	broken atomic.Pointer[error] // why bbolt is not used any more
	failed atomic.Pointer[error] // why nothing can be written any more

	// Of the goroutine that writes.
	total       total  // what the file adds up to
	transaction uint64 // the last one
}

// openStore opens the file, creates it if there is none, and checks all of it.
// Transaction is one that the file must contain.
func openStore(path string, transaction uint64, noSync bool) (*store, error) {
	if err := ensureFile(path, transaction); err != nil {
		return nil, err
	}
	last, err := verify(path, transaction)
	if err != nil {
		return nil, err
	}
	s := &store{path: path, transaction: last}
	err = s.guard(func() (err error) {
		options := &bbolt.Options{
			Timeout: time.Second, NoSync: noSync, FreelistType: bbolt.FreelistMapType,
		}
		s.db, err = bbolt.Open(path, 0o600, options)
		return err
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%w by another program: %w", ErrInUse, err)
	}
	if err != nil {
		return nil, err
	}
	if s.file, err = os.Stat(path); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// resolve returns the absolute path of a queue's file, the same for all symbolic
// links to it, so that it has one journal.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&os.ModeSymlink != 0 {
		if path, err = filepath.EvalSymlinks(path); errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("%w: it links to a file that does not exist: %w", organic.ErrGone, err)
		}
		if err == nil {
			info, err = os.Stat(path)
		}
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return path, nil
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", invalid("Open: the mode of the file is %v, must be a regular file", info.Mode())
	}
	return path, nil
}

// ensureFile creates the file if there is none. It appears complete or not at
// all, so that an empty one is known to be cut off.
func ensureFile(path string, transaction uint64) error {
	_, err := os.Stat(path)
	if err == nil {
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if transaction > 0 {
		return fmt.Errorf(
			"%w: %s does not exist, but its journal does: remove %s%s to start with an empty queue",
			organic.ErrGone,
			path,
			path,
			journalSuffix,
		)
	}
	incomplete := path + journalSuffix + ".new" // a name that no queue has
	if err := os.Remove(incomplete); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := initFile(incomplete); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := os.Rename(incomplete, path); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

func initFile(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []bucket{sampleBucket, stateBucket, letterBucket, totalBucket} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return (&total{Next: 1, Identity: rand.Uint64()}).put(tx)
	})
	return errors.Join(err, db.Close())
}

// syncFolder makes a rename durable, where folders can be synced.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path) //nolint:gosec // of the caller's file
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// load calls f for each record of the three buckets, in the order of states,
// samples, letters, and then compares what it has seen with the total.
func (s *store) load(f func(in bucket, number uint64, stored []byte) error) error {
	return s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			var seen total
			for _, in := range []bucket{stateBucket, sampleBucket, letterBucket} {
				b := tx.Bucket([]byte(in))
				if b == nil {
					return corrupt("it has no bucket %q", in)
				}
				err := b.ForEach(func(key, stored []byte) error {
					if len(key) != 8 || stored == nil {
						return corrupt("bucket %q has a key that is not a number", in)
					}
					seen.Count++
					seen.Sum += uint64(checksumOf(stored))
					return f(in, binary.BigEndian.Uint64(key), stored)
				})
				if err != nil {
					return err
				}
			}
			return s.loadTotal(tx, seen)
		})
	})
}

func (s *store) loadTotal(tx *bbolt.Tx, seen total) error {
	stored, err := totalIn(tx)
	if err != nil {
		return corrupt("its total: %w", err)
	}
	if seen.Count != stored.Count || seen.Sum != stored.Sum {
		return corrupt("it has %d records, not the %d that were written", seen.Count, stored.Count)
	}
	s.total = stored
	return nil
}

func totalIn(tx *bbolt.Tx) (stored total, err error) {
	b := tx.Bucket([]byte(totalBucket))
	if b == nil {
		return total{}, errChecksum
	}
	_, err = unpack(totalBucket, totalKey, b.Get(keyOf(totalKey)), &stored)
	return stored, err
}

// read returns a copy of one record, or nil.
func (s *store) read(in bucket, number uint64) (record []byte, err error) {
	err = s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			record = append(record, tx.Bucket([]byte(in)).Get(keyOf(number))...)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("boltqueue: read: %w", err)
	}
	return record, nil
}

// firstFrom returns the first record with this number or a higher one, or nil.
func (s *store) firstFrom(in bucket, number uint64) (found uint64, record []byte, err error) {
	err = s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			if key, stored := tx.Bucket([]byte(in)).Cursor().Seek(keyOf(number)); key != nil {
				found = binary.BigEndian.Uint64(key)
				record = append(record, stored...)
			}
			return nil
		})
	})
	if err != nil {
		return 0, nil, fmt.Errorf("boltqueue: read: %w", err)
	}
	return found, record, nil
}

// apply makes one transaction of several writes. When it returns without error
// all of them are stored, otherwise none is, or, with ErrFailed and
// organic.ErrGone, that is not known.
func (s *store) apply(writes []*write) error {
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	after, transaction := s.total, uint64(0)
	err := s.guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			transaction = uint64(tx.ID()) //nolint:gosec // not negative
			for _, w := range writes {
				for _, op := range w.ops {
					if err := after.change(tx, op); err != nil {
						return err
					}
				}
			}
			return after.put(tx)
		})
	})
	if err != nil {
		return s.fail(err)
	}
	s.total, s.transaction = after, transaction
	if err = s.present(); err != nil {
		s.failed.Store(&err)
	}
	return err
}

func (t *total) put(tx *bbolt.Tx) error {
	record := seal(totalBucket, totalKey, pack(t, nil))
	return tx.Bucket([]byte(totalBucket)).Put(keyOf(totalKey), record)
}

// change carries out one op and keeps the total.
func (t *total) change(tx *bbolt.Tx, op op) error {
	b, key := tx.Bucket([]byte(op.in)), keyOf(op.key)
	if old := b.Get(key); old != nil {
		t.Count--
		t.Sum -= uint64(checksumOf(old))
	}
	if op.record == nil {
		return b.Delete(key)
	}
	t.Count++
	t.Sum += uint64(checksumOf(op.record))
	t.Next = max(t.Next, op.key+1)
	return b.Put(key, op.record)
}

// fail is the error of a transaction. If the file does not show it at all, as
// when the disk is full, the next may succeed.
func (s *store) fail(err error) error {
	var stored total
	reread := s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) (err error) {
			stored, err = totalIn(tx)
			return err
		})
	})
	if reread == nil && stored == s.total {
		return fmt.Errorf("boltqueue: write: %w", err)
	}
	err = fmt.Errorf("%w: %w", ErrFailed, errors.Join(err, reread))
	s.failed.Store(&err)
	return err
}

// usable returns why no verdict can be stored, or nil: what is handed out then
// would be scored again.
func (s *store) usable() error {
	for _, reason := range []*error{s.broken.Load(), s.failed.Load()} {
		if reason != nil {
			return *reason
		}
	}
	return s.present()
}

// present returns organic.ErrGone if the file was removed or replaced.
func (s *store) present() error {
	now, err := os.Stat(s.path)
	if err != nil || !os.SameFile(now, s.file) {
		return fmt.Errorf(
			"%w: %s was removed or replaced while it was open",
			organic.ErrGone,
			s.path,
		)
	}
	return nil
}

// close closes the file. One that bbolt cannot close stays locked until the
// process ends.
func (s *store) close() error {
	if err := s.guard(s.db.Close); err != nil {
		return fmt.Errorf("boltqueue: close: %w", err)
	}
	return nil
}

// guard runs f, which uses bbolt, and returns a panic of bbolt as an error, as
// well as a fault of the memory that the file is mapped to: both are what a
// file does that was damaged while it was open. bbolt may then hold its locks
// for ever, so it is not used again.
func (s *store) guard(f func() error) (err error) {
	if broken := s.broken.Load(); broken != nil {
		return *broken
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if panicked := recover(); panicked != nil {
			err = corrupt("bbolt: %v", panicked)
			s.broken.Store(&err)
		}
	}()
	return f()
}
