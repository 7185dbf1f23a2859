// Package copies finds miners that repeat what other miners answer.
//
// A [Detector] remembers hashes of what each hotkey has answered lately, and when. Two miners that
// give the same words to several prompts, and to most of those that both have answered, are a pair.
// Of a pair the one that is later, more often than chance explains, is the copier: a miner that has
// half of its answer out cannot have it from one that has not. Each pair is judged by what both
// have answered, so miners that register late and prompts of an outage count like others.
//
//	detector, err := copies.New(copies.Config{})
//	scores, err := weights.NewScores(average, rewards, weights.WithExcluded(detector.Hotkeys))
//
//	// in SetWeights:
//	detector.Add(copies.Round{ID: sample.ID, Prompt: text, Answers: answers, Hotkeys: hotkeys})
//
// The words are compared, not their sense: a copier that rewrites what it copies is not found. And
// honest miners that run the same model without chance give the same words; where a subnet wants
// that, it must not punish copies by their words.
package copies

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

// ErrInvalidOption is what errors of New wrap.
var ErrInvalidOption = errors.New("copies: invalid option")

const (
	maxMiners    = 8192 // hotkeys that are remembered
	recentRounds = 1024 // rounds that are recognized when they are added again
)

// Config configures a [Detector]. A zero field means its default. It is a plain value.
type Config struct {
	// Prompts is to how many distinct prompts a pair must have given the same words, 6 by default:
	// models give the same short answer now and then.
	Prompts int
	// Share is to what share of the prompts that both have answered, 0.6 by default.
	Share float64
	// Memory is how many answers are remembered of each miner, 128 by default.
	Memory int
}

// Round is one prompt and what the miners answered to it. Printed through fmt, zap or slog it shows
// no text. It is a plain value.
type Round struct {
	// ID is that of the sample. A round that is added again, as that of a sample that is tried
	// again, changes nothing if it is among the last 1024. Without an ID it is a round of its own.
	ID      string
	Prompt  string
	Answers map[organic.UID]relay.Answer
	Hotkeys map[organic.UID]string // who held the UIDs when the miners were asked
}

// String gives the ID and the number of answers.
func (r Round) String() string {
	return fmt.Sprintf("round %q of %d answers", r.ID, len(r.Answers))
}

// Format writes the round without its text, whatever the verb.
func (r Round) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue gives slog the round without its text.
func (r Round) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Detector finds copiers. Create it with [New]. As JSON it is what it remembers, so that this can
// outlive a restart: keyed hashes and times, no text. All methods are safe for concurrent use.
type Detector struct {
	cfg Config

	mu      sync.Mutex // guards what follows
	memory  *memory
	copiers map[string]string // copier to copied; nil until it is computed
}

// memory is what is saved. Hashes are keyed, so that a file of them reveals nothing of the text.
type memory struct {
	Key    []byte            `json:"key"`
	Added  uint64            `json:"added"`  // rounds
	Rounds []uint64          `json:"rounds"` // the last ones that have an ID, the newest last
	Miners map[string]*miner `json:"miners"` // by hotkey
}

// miner is what a hotkey has answered.
type miner struct {
	Seen    uint64   `json:"seen"`    // the value of Added at its last answer
	Answers []answer `json:"answers"` // the newest last, one for each prompt
}

// answer is a whole answer.
type answer struct {
	Prompt uint64        `json:"prompt"`
	Round  uint64        `json:"round"`
	Words  uint64        `json:"words"`
	Half   time.Duration `json:"half"` // when half of the text was out, since the query began
}

// New returns a detector that remembers nothing.
func New(cfg Config) (*Detector, error) {
	var errs []error
	require := func(right bool, format string, args ...any) {
		if !right {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrInvalidOption}, args...)...))
		}
	}
	require(cfg.Prompts >= 0, "Config.Prompts is %d: must not be negative", cfg.Prompts)
	require(cfg.Share >= 0 && cfg.Share <= 1, "Config.Share is %v: must be from 0 to 1", cfg.Share)
	require(cfg.Memory >= 0, "Config.Memory is %d: must not be negative", cfg.Memory)
	if cfg.Prompts == 0 {
		cfg.Prompts = 6
	}
	if cfg.Share == 0 {
		cfg.Share = 0.6
	}
	if cfg.Memory == 0 {
		cfg.Memory = 128
	}
	require(cfg.Memory >= cfg.Prompts, "Config.Memory is %d: must be at least Prompts, %d",
		cfg.Memory, cfg.Prompts)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return &Detector{cfg: cfg, memory: &memory{Key: key, Miners: make(map[string]*miner)}}, nil
}

// Add takes in the answers of a round. Only whole answers with visible text count.
func (d *Detector) Add(round Round) {
	d.mu.Lock()
	defer d.mu.Unlock()
	prompt, id := d.hash(round.Prompt), d.hash(round.ID)
	if round.ID != "" {
		if slices.Contains(d.memory.Rounds, id) {
			return
		}
		d.memory.Rounds = append(d.memory.Rounds, id)
		d.memory.Rounds = d.memory.Rounds[max(len(d.memory.Rounds)-recentRounds, 0):]
	}
	d.memory.Added++
	if round.ID == "" {
		id = d.hash(fmt.Sprintf("round %d without an ID", d.memory.Added))
	}
	for uid, given := range round.Answers {
		words, hotkey := plain(given.Text()), round.Hotkeys[uid]
		half, spoke := given.HalfText()
		if words == "" || !spoke || given.Ending != relay.Complete || hotkey == "" {
			continue
		}
		d.remember(hotkey, answer{
			Prompt: prompt, Round: id, Words: d.hash(words), Half: given.Started + half,
		})
	}
	d.copiers = nil
}

// remember keeps an answer in place of an earlier one to the same prompt. The lock is held.
func (d *Detector) remember(hotkey string, given answer) {
	m := d.memory.Miners[hotkey]
	if m == nil {
		d.forget()
		m = new(miner)
		d.memory.Miners[hotkey] = m
	}
	m.Seen = d.memory.Added
	same := func(other answer) bool { return other.Prompt == given.Prompt }
	m.Answers = append(slices.DeleteFunc(m.Answers, same), given)
	m.Answers = m.Answers[max(len(m.Answers)-d.cfg.Memory, 0):]
}

// forget removes the miner that has not answered for the longest, if there are too many.
func (d *Detector) forget() {
	if len(d.memory.Miners) < maxMiners {
		return
	}
	oldest := ""
	for hotkey, m := range d.memory.Miners {
		if oldest == "" || m.Seen < d.memory.Miners[oldest].Seen {
			oldest = hotkey
		}
	}
	delete(d.memory.Miners, oldest)
}

// Copiers returns the copiers and whom each of them copies, by hotkey.
func (d *Detector) Copiers() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.found())
}

// Hotkeys returns the hotkeys of the copiers, sorted.
func (d *Detector) Hotkeys() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.found()))
}

// found computes the copiers if an answer has come since. The lock is held.
func (d *Detector) found() map[string]string {
	if d.copiers != nil {
		return d.copiers
	}
	d.copiers = make(map[string]string)
	counts := d.behind()
	for pair, behind := range counts {
		before := counts[[2]string{pair[1], pair[0]}]
		same := float64(behind + before)
		later := float64(behind-before) > 2*math.Sqrt(same) // a sign test: two standard deviations
		enough := behind+before >= d.cfg.Prompts && same >= d.cfg.Share*float64(d.both(pair))
		if later && enough {
			d.copiers[pair[0]] = pair[1]
		}
	}
	return d.copiers
}

// behind counts, for a miner and the one that was first with the same words in a round, the rounds
// in which that was so.
func (d *Detector) behind() map[[2]string]int {
	type words struct{ round, words uint64 }
	type speaker struct {
		hotkey string
		half   time.Duration
	}
	first, counts := make(map[words]speaker), make(map[[2]string]int)
	for hotkey, m := range d.memory.Miners {
		for _, given := range m.Answers {
			key := words{given.Round, given.Words}
			if best, ok := first[key]; !ok || given.Half < best.half {
				first[key] = speaker{hotkey, given.Half}
			}
		}
	}
	for hotkey, m := range d.memory.Miners {
		for _, given := range m.Answers {
			if best := first[words{given.Round, given.Words}]; given.Half > best.half {
				counts[[2]string{hotkey, best.hotkey}]++
			}
		}
	}
	return counts
}

// both counts the rounds that both of a pair have answered.
func (d *Detector) both(pair [2]string) (count int) {
	rounds := make(map[uint64]bool)
	for _, given := range d.memory.Miners[pair[0]].Answers {
		rounds[given.Round] = true
	}
	for _, given := range d.memory.Miners[pair[1]].Answers {
		if rounds[given.Round] {
			count++
		}
	}
	return count
}

func (d *Detector) hash(text string) uint64 {
	mac := hmac.New(sha256.New, d.memory.Key)
	mac.Write([]byte(text))
	return binary.BigEndian.Uint64(mac.Sum(nil))
}

// plain returns the words of a text in lower case, one blank between them: a further blank or mark
// makes no other answer.
func plain(text string) string {
	return strings.ToLower(strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), " "))
}

// MarshalJSON encodes what the detector remembers.
func (d *Detector) MarshalJSON() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return json.Marshal(d.memory)
}

// UnmarshalJSON replaces what the detector remembers by what MarshalJSON has encoded. After an
// error the detector is as it was.
func (d *Detector) UnmarshalJSON(data []byte) error {
	loaded := new(memory)
	if err := json.Unmarshal(data, loaded); err != nil {
		return fmt.Errorf("copies: %w", err)
	}
	if len(loaded.Key) != sha256.Size || loaded.Miners == nil {
		return errors.New("copies: not the memory of a detector")
	}
	for _, m := range loaded.Miners {
		if m == nil {
			return errors.New("copies: not the memory of a detector")
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memory, d.copiers = loaded, nil
	return nil
}
