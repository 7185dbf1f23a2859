package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
)

const (
	snapshotFormat  = "organic-weights"
	snapshotVersion = 1
)

// envelope is a snapshot file: one JSON object on one line, whose checksum
// tells a whole file from a damaged one.
type envelope struct {
	Format  string          `json:"format"`
	Version int             `json:"version"`
	SHA256  string          `json:"sha256"` // of the bytes of Scores, in hex
	Scores  json.RawMessage `json:"scores"`
}

// savedScores is what Scores save.
type savedScores struct {
	Average string       `json:"average"` // Average.family
	Miners  []savedMiner `json:"miners"`  // by UID
	Rounds  []roundKey   `json:"rounds"`  // the oldest first
}

type savedMiner struct {
	Hotkey    string `json:"hotkey"`
	Since     int64  `json:"since,omitzero"` // Unix nanoseconds
	Organic   part   `json:"organic"`
	Synthetic part   `json:"synthetic"`
}

// Save writes a snapshot of the scores to a file, so that the file is always
// either the old snapshot or the new one: the data goes to a new file beside
// it, named path + ".new", is brought to the disk, and takes the place of the
// old one by renaming. Updates go on meanwhile. Scores of nobody are not saved,
// over a good file perhaps: that is ErrNoMetagraph.
//
// It takes some milliseconds for 256 miners, and two flushes to the disk, so it
// may be called with every sample. With thousands of miners, or a guard that
// keeps requesters, save now and then, and after the scorer was stopped: what
// was not saved at a crash is lost, and nothing else.
//
// The file holds hotkeys, averages, and hashes of requesters and sample IDs.
// Only its owner can read it. No other process may save to the same path.
func (s *Scores) Save(path string) error { return s.saveOn(disk{}, path) }

func (s *Scores) saveOn(files fileSystem, path string) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	saved := s.saved()
	if len(saved.Miners) == 0 {
		return ErrNoMetagraph
	}
	data, err := encode(saved)
	if err == nil {
		err = writeWhole(files, path, data)
	}
	if err != nil {
		return fmt.Errorf("weights: save snapshot: %w", err)
	}
	return nil
}

// Load replaces all scores by those of a snapshot file. Call it at the start,
// before the first update. It does not matter whether SetMetagraph is called
// before or after: a miner gets its score back when the same hotkey is still
// at the same UID, and else starts anew. Rounds that the snapshot has counted
// are not counted again.
//
// On an error everything stays as it was. It is fs.ErrNotExist when there is
// no file, ErrSnapshot when the file is not whole, ErrSnapshotVersion or
// ErrSnapshotAverage.
func (s *Scores) Load(path string) error {
	data, err := os.ReadFile(path) //nolint:gosec // the path is the caller's
	if err != nil {
		return fmt.Errorf("weights: load snapshot: %w", err)
	}
	saved, err := decode(data)
	if err != nil {
		return fmt.Errorf("%w: %s", err, path)
	}
	if saved.Average != s.average.family() {
		return fmt.Errorf("%w: it has a %s average and not that of %v: %s", ErrSnapshotAverage, saved.Average, s.average, path)
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restore(saved, now)
	return nil
}

// saved copies what is to be saved.
func (s *Scores) saved() *savedScores {
	s.mu.Lock()
	defer s.mu.Unlock()
	saved := &savedScores{Average: s.average.family(), Rounds: s.seen.oldestFirst(), Miners: make([]savedMiner, len(s.miners))}
	for uid, miner := range s.miners {
		saved.Miners[uid] = savedMiner{
			Hotkey:    miner.hotkey,
			Organic:   miner.parts[organic.Organic].clone(),
			Synthetic: miner.parts[organic.Synthetic].clone(),
		}
		if !miner.since.IsZero() {
			saved.Miners[uid].Since = miner.since.UnixNano()
		}
	}
	return saved
}

// restore is the opposite of saved, and gives the miners their places.
func (s *Scores) restore(saved *savedScores, now time.Time) {
	s.miners = make([]miner, len(saved.Miners))
	for uid, m := range saved.Miners {
		s.miners[uid] = miner{hotkey: m.Hotkey, parts: [2]part{organic.Organic: m.Organic, organic.Synthetic: m.Synthetic}}
		if m.Since != 0 {
			s.miners[uid].since = time.Unix(0, m.Since)
		}
	}
	s.widest = max(s.widest, len(s.miners))
	s.seen = rounds{}
	for _, key := range saved.Rounds {
		s.seen.addKey(key)
	}
	if s.neurons != nil {
		s.reconcile(s.neurons, now)
	}
}

// clone returns a copy that shares no memory.
func (p *part) clone() part {
	clone := *p
	clone.Requesters, clone.Latest = slices.Clone(p.Requesters), slices.Clone(p.Latest)
	return clone
}

// encode makes a snapshot file.
func encode(saved *savedScores) ([]byte, error) {
	scores, err := json.Marshal(saved)
	if err != nil {
		return nil, err
	}
	return seal(scores), nil
}

// seal puts the envelope round scores. They are the bulk of the file and JSON
// already, so that they are not marshalled once more.
func seal(scores json.RawMessage) []byte {
	file := fmt.Appendf(nil, `{"format":%q,"version":%d,"sha256":"%x","scores":`, snapshotFormat, snapshotVersion, sha256.Sum256(scores))
	return append(append(file, scores...), '}', '\n')
}

// decode reads a snapshot file and trusts nothing in it.
func decode(data []byte) (*savedScores, error) {
	var file envelope
	err := json.Unmarshal(data, &file)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %v", ErrSnapshot, err) //nolint:errorlint // nobody acts on what JSON says
	case file.Format != snapshotFormat:
		return nil, fmt.Errorf("%w: format is %q, not %q", ErrSnapshot, file.Format, snapshotFormat)
	case file.Version > snapshotVersion:
		return nil, fmt.Errorf("%w: %d, this one reads up to %d", ErrSnapshotVersion, file.Version, snapshotVersion)
	case file.Version < 1:
		return nil, fmt.Errorf("%w: version is %d", ErrSnapshot, file.Version)
	}
	if sum := sha256.Sum256(file.Scores); hex.EncodeToString(sum[:]) != file.SHA256 {
		return nil, fmt.Errorf("%w: the checksum is wrong", ErrSnapshot)
	}
	var saved savedScores
	if err := json.Unmarshal(file.Scores, &saved); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSnapshot, err) //nolint:errorlint // nobody acts on what JSON says
	}
	if err := saved.check(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSnapshot, err) //nolint:errorlint // a damaged file is no invalid metagraph
	}
	return &saved, nil
}

// check refuses what could never have been saved.
func (s *savedScores) check() error {
	if len(s.Rounds) > rememberedRounds {
		return fmt.Errorf("%d rounds, at most %d are remembered", len(s.Rounds), rememberedRounds)
	}
	metagraph := Metagraph{Neurons: make([]Neuron, len(s.Miners))}
	for uid, miner := range s.Miners {
		metagraph.Neurons[uid].Hotkey = miner.Hotkey
		if err := errors.Join(miner.Organic.check(), miner.Synthetic.check()); err != nil {
			return fmt.Errorf("UID %d: %w", uid, err)
		}
	}
	return metagraph.check()
}

// largestMean leaves room for rounding.
const largestMean = math.MaxFloat32 * (1 + 1e-9)

// check keeps out what the averages rely on never to happen. JSON has no NaN.
func (p *part) check() error {
	switch {
	case p.Count < 0 || p.Count > math.MaxInt32:
		return errors.New("the count is impossible")
	case !(p.Mass == 0 || p.Mass >= negligible && p.Mass <= 1) || math.Abs(p.Mean) > largestMean:
		return errors.New("the average is impossible")
	case !(p.Variance >= 0 && p.Variance <= 2*math.MaxFloat32*math.MaxFloat32):
		return errors.New("the variance is impossible")
	}
	if len(p.Requesters) > 2/minRequesterShare || len(p.Latest) > maxWindow {
		return errors.New("more requesters or rewards than are kept")
	}
	for _, c := range p.Requesters {
		if !(c.Mass >= negligible && c.Mass <= 1+1e-9 && math.Abs(c.Value) <= c.Mass*largestMean) {
			return errors.New("what a requester brought in is impossible")
		}
	}
	for _, entry := range p.Latest {
		if math.Abs(entry.Value) > math.MaxFloat32 {
			return ErrNotFinite
		}
	}
	return nil
}
