package weights

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/organic-scoring/organic/internal/wholefile"
)

// Saver keeps a snapshot of [Scores], and of the state of a [Setter], in a file: see [OpenSaver].
// All methods are safe for concurrent use.
type Saver struct {
	path   string
	scores *Scores
	cfg    SaverConfig
	files  fileSystem
	lock   *fileLock

	saving sync.Mutex // held while a snapshot is written; guards written
	// written is the version of the scores on the disk, and setterWritten that of the setter.
	written, setterWritten uint64
	closed                 bool

	mu            sync.Mutex // guards what follows
	setter        *savedSetter
	setterVersion uint64
	status        SaverStatus
}

// SaverConfig configures [OpenSaver]. The zero value stands for the defaults. It is a plain value.
type SaverConfig struct {
	// Interval is the time between two snapshots of Run, 10 s by default: what was counted in it is
	// lost at a crash.
	Interval time.Duration
	// MaxAge is the age from which on a snapshot is not loaded but set aside; 0 is no limit.
	MaxAge time.Duration
	// SetAside lets OpenSaver start with empty scores if there is a snapshot that cannot be loaded,
	// and rename that. Without it OpenSaver fails and changes nothing.
	SetAside bool
	// Logger logs what was set aside and saves that failed. The default logs nothing.
	Logger *zap.Logger
}

// SaverStatus is what a [Saver] has done. It is a plain value.
type SaverStatus struct {
	// Loaded is when the snapshot was saved that the scores come from; zero if there was none.
	Loaded time.Time
	// SetAside are the files that could not be loaded, by their new names.
	SetAside []string
	// Saved is when the last snapshot was written, and Err why the last try failed; nil if it did
	// not.
	Saved time.Time
	Err   error
}

// OpenSaver locks a snapshot file for this process, loads it into the scores, and returns the saver
// that replaces it from then on. Call it at the start, before the first update, before or after
// SetMetagraph: a miner gets its score back if the same hotkey is still at the same UID. Rounds
// that the snapshot has counted are not counted again.
//
// If there is no file the scores stay as they are. If the file is damaged, the last generation (the
// snapshot before, in path + ".old") takes its place, and the damaged file is renamed. A snapshot
// that could not be loaded is never replaced.
//
// The errors are ErrInvalidOption; ErrLocked, which names the process that has the file; and for a
// file that cannot be loaded ErrSnapshot, ErrSnapshotVersion or ErrSnapshotAverage, unless
// SaverConfig.SetAside is set. The scores have not changed then.
func OpenSaver(path string, scores *Scores, cfg SaverConfig) (*Saver, error) {
	s := &Saver{path: path, scores: scores, cfg: cfg, files: disk{}}
	if err := s.configure(); err != nil {
		return nil, err
	}
	lock, err := acquireLock(path + lockSuffix)
	if err != nil {
		return nil, fmt.Errorf("weights: open snapshot: %w", err)
	}
	s.lock = lock
	_ = wholefile.RemoveTemporary(path) // of a killed process; what stays is only in the way
	if err := s.load(time.Now()); err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return s, nil
}

func (s *Saver) configure() error {
	var errs []error
	if s.path == "" {
		errs = append(errs, invalid("OpenSaver", "path must not be empty"))
	}
	if s.scores == nil {
		errs = append(errs, invalid("OpenSaver", "scores must not be nil"))
	}
	if s.cfg.Interval < 0 || s.cfg.MaxAge < 0 {
		errs = append(
			errs,
			invalid("SaverConfig", "Interval is %v and MaxAge %v, must not be negative",
				s.cfg.Interval, s.cfg.MaxAge),
		)
	}
	if s.cfg.Interval == 0 {
		s.cfg.Interval = 10 * time.Second
	}
	if s.cfg.Logger == nil {
		s.cfg.Logger = zap.NewNop()
	}
	s.cfg.Logger = s.cfg.Logger.Named("weights")
	return errors.Join(errs...)
}

// load takes the newest generation that is whole.
func (s *Saver) load(now time.Time) error {
	saved, err := s.read(s.path)
	missing := errors.Is(err, fs.ErrNotExist)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrSnapshot) {
		if older, olderErr := s.read(s.path + oldSuffix); olderErr == nil {
			if err := s.putAside(s.path, err, now); err != nil {
				return err
			}
			saved, err = older, nil
		} else if !errors.Is(olderErr, fs.ErrNotExist) {
			err, missing = errors.Join(err, olderErr), false
		}
	}
	switch {
	case err == nil && s.cfg.MaxAge > 0 && now.Sub(time.Unix(0, saved.SavedAt)) > s.cfg.MaxAge:
		return s.putAllAside(fmt.Errorf("snapshot is older than %v", s.cfg.MaxAge), now)
	case err == nil:
		s.scores.restore(saved, now)
		s.setter, s.status.Loaded = saved.Setter, time.Unix(0, saved.SavedAt)
		return nil
	case missing:
		return nil
	case s.cfg.SetAside:
		return s.putAllAside(err, now)
	}
	return fmt.Errorf("weights: load snapshot: %w", err)
}

func (s *Saver) putAllAside(reason error, now time.Time) error {
	return errors.Join(s.putAside(s.path, reason, now), s.putAside(s.path+oldSuffix, reason, now))
}

// putAside renames a file that could not be loaded, if there is one.
func (s *Saver) putAside(path string, reason error, now time.Time) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	aside, err := setAside(path, now)
	if err != nil {
		return fmt.Errorf("weights: set snapshot aside: %w", err)
	}
	s.status.SetAside = append(s.status.SetAside, aside)
	warn(
		s.cfg.Logger,
		"snapshot not loaded, set aside",
		zap.String("file", aside),
		zap.Error(reason),
	)
	return nil
}

// read reads one file.
func (s *Saver) read(path string) (*savedScores, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the path is the caller's
	if err != nil {
		return nil, err
	}
	saved, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, path)
	}
	if saved.Average != s.scores.average.family() {
		return nil, fmt.Errorf("%w: it has a %s average and not that of %v: %s",
			ErrSnapshotAverage, saved.Average, s.scores.average, path)
	}
	return saved, nil
}

// Run saves at the interval, if something has changed, until ctx ends, and once more then. It
// returns what that last save returns. A save that fails in between is in Status and in the log,
// and is tried again at the next interval.
func (s *Saver) Run(ctx context.Context) error {
	ticker := time.NewTicker(s.cfg.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = s.Save() // is in Status and in the log
		case <-ctx.Done():
			return s.Save()
		}
	}
}

// Save returns nil when everything that was counted before the call is on the disk. It writes
// nothing if that is so already: concurrent calls share one write, and two calls for one sample
// cost one write. Call it before a durable queue settles a sample that must not be lost in a crash;
// with 256 miners it takes some milliseconds. Before the first metagraph it returns ErrNoMetagraph,
// and after Close ErrClosed.
func (s *Saver) Save() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	if s.closed {
		return ErrClosed
	}
	return s.save(time.Now())
}

// save writes a snapshot, if something has changed. The caller holds saving.
func (s *Saver) save(now time.Time) error {
	saved, version := s.scores.saved(now)
	s.mu.Lock()
	setter, setterVersion := s.setter, s.setterVersion
	s.mu.Unlock()
	if version == s.written && setterVersion == s.setterWritten {
		return nil
	}
	if len(saved.Miners) == 0 {
		return ErrNoMetagraph
	}
	saved.Setter = setter
	data, err := encode(saved)
	if err == nil {
		err = writeWhole(s.files, s.path, data)
	}
	if err != nil {
		err = fmt.Errorf("weights: save snapshot: %w", err)
	} else {
		s.written, s.setterWritten = version, setterVersion
	}
	s.mu.Lock()
	repeated := s.status.Err != nil && err != nil && s.status.Err.Error() == err.Error()
	s.status.Err = err
	if err == nil {
		s.status.Saved = now
	}
	s.mu.Unlock()
	if err != nil && !repeated {
		warn(s.cfg.Logger, "snapshot not saved, will be tried again", zap.Error(err))
	}
	return err
}

// Close saves what has changed, and lets another process have the file. It returns what the save
// returns, but ErrNoMetagraph. Further calls do nothing.
func (s *Saver) Close() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.save(time.Now())
	if errors.Is(err, ErrNoMetagraph) {
		err = nil
	}
	return errors.Join(err, s.lock.release())
}

// Status returns what was done so far.
func (s *Saver) Status() SaverStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// keptSetter returns the state of the setter, or nil.
func (s *Saver) keptSetter() *savedSetter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setter
}

// keepSetter saves a new state of the setter at once. The state belongs to the saver.
func (s *Saver) keepSetter(state *savedSetter) error {
	s.mu.Lock()
	s.setter = state
	s.setterVersion++
	s.mu.Unlock()
	return s.Save()
}
