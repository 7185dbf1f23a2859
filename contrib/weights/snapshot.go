package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
)

const (
	snapshotFormat  = "organic-weights"
	snapshotVersion = 2
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
	Average string         `json:"average"`  // Average.family
	SavedAt int64          `json:"saved_at"` // Unix nanoseconds
	Began   int64          `json:"began,omitzero"`
	Block   uint64         `json:"block,omitzero"`
	Widest  int            `json:"widest,omitzero"` // how many UIDs there ever were
	Miners  []savedMiner   `json:"miners"`          // by UID
	Missing []savedMissing `json:"missing,omitempty"`
	Rounds  []roundKey     `json:"rounds"` // the oldest first
	Setter  *savedSetter   `json:"setter,omitempty"`
}

type savedMiner struct {
	Hotkey    string `json:"hotkey"`
	Since     int64  `json:"since,omitzero"` // Unix nanoseconds
	Clamped   int    `json:"clamped,omitzero"`
	Organic   part   `json:"organic"`
	Synthetic part   `json:"synthetic"`
}

// savedMissing is a miner that was missing in the last metagraph.
type savedMissing struct {
	UID   organic.UID `json:"uid"`
	At    int64       `json:"at"` // since when, Unix nanoseconds
	Miner savedMiner  `json:"miner"`
}

// saved copies what is to be saved, and returns which version it is.
func (s *Scores) saved(now time.Time) (*savedScores, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	saved := &savedScores{
		Average: s.average.family(),
		SavedAt: now.UnixNano(),
		Began:   unixNano(s.began),
		Block:   s.block,
		Widest:  s.widest,
		Rounds:  s.seen.oldestFirst(),
		Miners:  make([]savedMiner, len(s.miners)),
	}
	for uid := range s.miners {
		saved.Miners[uid] = s.miners[uid].saved()
	}
	for uid, gone := range s.missing {
		saved.Missing = append(saved.Missing,
			savedMissing{UID: uid, At: gone.since.UnixNano(), Miner: gone.miner.saved()})
	}
	return saved, s.version
}

func (m *miner) saved() savedMiner {
	return savedMiner{
		Hotkey: m.hotkey, Since: unixNano(m.since), Clamped: m.clamped,
		Organic: m.parts[organic.Organic].clone(), Synthetic: m.parts[organic.Synthetic].clone(),
	}
}

func (m *savedMiner) restored(now time.Time) miner {
	m.Organic.notAfter(now)
	m.Synthetic.notAfter(now)
	return miner{
		hotkey: m.Hotkey, since: past(m.Since, now), clamped: m.Clamped,
		parts: [2]part{organic.Organic: m.Organic, organic.Synthetic: m.Synthetic},
	}
}

// unixNano keeps the zero time zero.
func unixNano(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixNano()
}

func fromUnixNano(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}

// past is the time of Unix nanoseconds, but not after now: a clock that was ahead when they were
// saved must not hold anything back for as long.
func past(nanoseconds int64, now time.Time) time.Time {
	if at := fromUnixNano(nanoseconds); at.Before(now) {
		return at
	}
	return now
}

// notAfter does the same for the rewards of a Window.
func (p *part) notAfter(now time.Time) {
	for i := range p.Latest {
		p.Latest[i].At = min(p.Latest[i].At, now.UnixNano())
	}
}

// restore is the opposite of saved. If the metagraph is known already, miners that have gone since
// do not come back.
func (s *Scores) restore(saved *savedScores, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.miners = make([]miner, len(saved.Miners))
	for uid := range saved.Miners {
		s.miners[uid] = saved.Miners[uid].restored(now)
	}
	s.missing = make(map[organic.UID]missingMiner, len(saved.Missing))
	for i := range saved.Missing {
		gone := &saved.Missing[i]
		s.missing[gone.UID] = missingMiner{
			miner: gone.Miner.restored(now),
			since: past(gone.At, now),
		}
	}
	s.widest = max(s.widest, saved.Widest, len(s.miners))
	s.began, s.seen = past(saved.Began, now), rounds{}
	for _, key := range saved.Rounds {
		s.seen.addKey(key)
	}
	if s.neurons != nil {
		s.reconcile(s.neurons, now)
		return
	}
	s.block = saved.Block
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

// seal puts the envelope around scores. They are the bulk of the file and JSON
// already, so they are not marshalled again.
func seal(scores json.RawMessage) []byte {
	file := fmt.Appendf(
		nil,
		`{"format":%q,"version":%d,"sha256":"%x","scores":`,
		snapshotFormat,
		snapshotVersion,
		sha256.Sum256(scores),
	)
	return append(append(file, scores...), '}', '\n')
}

// decode reads a snapshot file and trusts nothing in it.
func decode(data []byte) (*savedScores, error) {
	var file envelope
	err := json.Unmarshal(data, &file)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %v", ErrSnapshot, err) //nolint:errorlint // its text is enough
	case file.Format != snapshotFormat:
		return nil, fmt.Errorf("%w: format is %q, not %q", ErrSnapshot, file.Format, snapshotFormat)
	case file.Version > snapshotVersion:
		return nil, fmt.Errorf(
			"%w: %d, this one reads %d",
			ErrSnapshotVersion,
			file.Version,
			snapshotVersion,
		)
	case file.Version < snapshotVersion:
		return nil, fmt.Errorf("%w: version is %d", ErrSnapshot, file.Version)
	}
	if sum := sha256.Sum256(file.Scores); hex.EncodeToString(sum[:]) != file.SHA256 {
		return nil, fmt.Errorf("%w: the checksum is wrong", ErrSnapshot)
	}
	var saved savedScores
	if err := json.Unmarshal(file.Scores, &saved); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSnapshot, err) //nolint:errorlint // its text is enough
	}
	if err := saved.check(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSnapshot, err) //nolint:errorlint // the file is damaged
	}
	return &saved, nil
}

// check refuses what could never have been saved.
func (s *savedScores) check() error {
	if s.Widest < 0 || s.Widest > maxNeurons {
		return fmt.Errorf("%d UIDs, at most %d can be", s.Widest, maxNeurons)
	}
	if len(s.Rounds) > rememberedRounds {
		return fmt.Errorf("%d rounds, at most %d are remembered", len(s.Rounds), rememberedRounds)
	}
	metagraph := Metagraph{Neurons: make([]Neuron, len(s.Miners))}
	for uid := range s.Miners {
		metagraph.Neurons[uid].Hotkey = s.Miners[uid].Hotkey
		if err := s.Miners[uid].check(); err != nil {
			return fmt.Errorf("UID %d: %w", uid, err)
		}
	}
	if len(s.Missing) > maxNeurons {
		return fmt.Errorf("%d missing miners, at most %d have a UID", len(s.Missing), maxNeurons)
	}
	for i := range s.Missing {
		if err := s.Missing[i].Miner.check(); err != nil {
			return fmt.Errorf("missing UID %d: %w", s.Missing[i].UID, err)
		}
	}
	if s.Setter != nil && len(s.Setter.Pending) > maxPending {
		return fmt.Errorf(
			"%d submissions, at most %d are followed",
			len(s.Setter.Pending),
			maxPending,
		)
	}
	return metagraph.check()
}

func (m *savedMiner) check() error { return errors.Join(m.Organic.check(), m.Synthetic.check()) }

// largestMean leaves room for rounding.
const largestMean = math.MaxFloat32 * (1 + 1e-9)

// check keeps out what the averages rely on never to happen. JSON has no NaN.
func (p *part) check() error {
	switch {
	case p.Count < 0 || p.Count > math.MaxInt32:
		return errors.New("the count is impossible")
	case !(p.Mass == 0 || p.Mass >= negligible && p.Mass <= 1) || math.Abs(p.Mean) > largestMean:
		return errors.New("the average is impossible")
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
		if !(math.Abs(entry.Value) <= math.MaxFloat32 && entry.Weight > 0 && entry.Weight <= 1) {
			return errors.New("a reward is impossible")
		}
	}
	return nil
}
