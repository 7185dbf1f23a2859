package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic/examples/internal/program"
)

// When a miner counts as a copier of another one. Models give the same short answer now and then,
// so it takes several prompts.
const (
	copyPrompts = 6   // to which both gave the same words
	copyShare   = 0.6 // of the prompts that both have answered
	copyMemory  = 128 // prompts that are remembered of each miner
	copyMiners  = 8192
	saveEvery   = 10 * time.Second
)

// copies remembers, by hotkey, the hashes of what each miner answered lately, and finds those that
// repeat another one. Of two that give the same words the one that is mostly later is the copier: a
// miner that has half of its answer out cannot have it from one that has not. Each pair is judged
// by the prompts that both have answered, whenever they registered. It is safe for concurrent use.
type copies struct {
	path   string
	logger *zap.Logger

	mu      sync.Mutex // guards what follows
	memory  copyFile
	changed bool              // since the last save
	known   map[string]string // copier to copied; nil if it is to be computed
}

// copyFile is what is saved. Hashes are keyed, so that the file gives nothing away of the text.
type copyFile struct {
	Key    []byte              `json:"key"`
	Miners map[string][]spoken `json:"miners"` // by hotkey; the newest last, each prompt once
}

// spoken is one answer.
type spoken struct {
	Prompt uint64        `json:"prompt"`
	Round  uint64        `json:"round"` // in which it was asked
	Words  uint64        `json:"words"`
	Half   time.Duration `json:"half"` // when half of the text was there, since the query began
}

func openCopies(path string, logger *zap.Logger) (*copies, error) {
	c := &copies{path: path, logger: logger}
	if err := readState(path, &c.memory); err != nil {
		return nil, err
	}
	if c.memory.Miners == nil {
		c.memory.Miners = make(map[string][]spoken)
		c.memory.Key = make([]byte, 32)
		_, _ = rand.Read(c.memory.Key) // never fails
	}
	return c, nil
}

// see takes in the answers of a sample. A sample that comes again changes nothing.
func (c *copies) see(sample organic.Sample[Prompt]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	prompt, round := c.hash(sample.Payload.Text), c.hash(sample.ID)
	for uid, answer := range sample.Payload.Answers {
		words := plain(answer.Text())
		half, spoke := answer.HalfText()
		hotkey := sample.Payload.Hotkeys[uid]
		if words == "" || !spoke || answer.Ending != relay.Complete || hotkey == "" {
			continue
		}
		c.remember(hotkey, spoken{
			Prompt: prompt, Round: round, Words: c.hash(words), Half: answer.Started + half,
		})
	}
	c.changed, c.known = true, nil
}

// remember keeps an answer in place of that to the same prompt before. The lock is held.
func (c *copies) remember(hotkey string, said spoken) {
	if len(c.memory.Miners) >= copyMiners {
		clear(c.memory.Miners) // many have come and gone
	}
	same := func(other spoken) bool { return other.Prompt == said.Prompt }
	answers := append(slices.DeleteFunc(c.memory.Miners[hotkey], same), said)
	c.memory.Miners[hotkey] = answers[max(len(answers)-copyMemory, 0):]
}

// copiers returns the copiers and whom each of them copies, by hotkey. The map must not be changed.
func (c *copies) copiers() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[string]string)
		counts := c.behind()
		for pair, behind := range counts {
			before := counts[[2]string{pair[1], pair[0]}]
			same := float64(behind + before)
			later := float64(behind-before) > 2*math.Sqrt(same) // by more than chance (a sign test)
			if later && same >= copyPrompts && same >= copyShare*float64(c.both(pair)) {
				c.known[pair[0]] = pair[1]
			}
		}
	}
	return c.known
}

// behind counts, for a miner and the one that was first with the same words in a round, the rounds
// in which that was so.
func (c *copies) behind() map[[2]string]int {
	type words struct{ round, words uint64 }
	type speaker struct {
		hotkey string
		half   time.Duration
	}
	first, counts := make(map[words]speaker), make(map[[2]string]int)
	for hotkey, answers := range c.memory.Miners {
		for _, said := range answers {
			key := words{said.Round, said.Words}
			if best, ok := first[key]; !ok || said.Half < best.half {
				first[key] = speaker{hotkey, said.Half}
			}
		}
	}
	for hotkey, answers := range c.memory.Miners {
		for _, said := range answers {
			if best := first[words{said.Round, said.Words}]; said.Half > best.half {
				counts[[2]string{hotkey, best.hotkey}]++
			}
		}
	}
	return counts
}

// both counts the rounds that both of a pair have answered.
func (c *copies) both(pair [2]string) (count int) {
	rounds := make(map[uint64]bool)
	for _, said := range c.memory.Miners[pair[0]] {
		rounds[said.Round] = true
	}
	for _, said := range c.memory.Miners[pair[1]] {
		if rounds[said.Round] {
			count++
		}
	}
	return count
}

func (c *copies) hash(text string) uint64 {
	mac := hmac.New(sha256.New, c.memory.Key)
	mac.Write([]byte(text))
	return binary.BigEndian.Uint64(mac.Sum(nil))
}

// plain returns the words of a text in lower case, without anything between them: a blank or a mark
// more makes no other answer.
func plain(text string) string {
	return strings.ToLower(strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), " "))
}

// run saves now and then, until ctx ends.
func (c *copies) run(ctx context.Context) {
	for program.Sleep(ctx, saveEvery) == nil {
		if err := c.save(); err != nil {
			c.logger.Warn("memory of copies not saved", zap.Error(err))
		}
	}
}

// save writes what has changed.
func (c *copies) save() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.changed {
		return nil
	}
	if err := writeState(c.path, c.memory); err != nil {
		return err
	}
	c.changed = false
	return nil
}
