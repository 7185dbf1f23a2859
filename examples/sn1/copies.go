package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	copyPrompts = 6   // to which it gave the words of the other one, later
	copyShare   = 0.6 // of the prompts that both have answered
	copyMemory  = 128 // prompts that are remembered of each miner
	copyMiners  = 8192
	saveEvery   = 10 * time.Second
)

// copies remembers, by hotkey, the hashes of what each miner answered lately, and finds those that
// repeat another one. The later one of two that give the same words is the copier: a miner that has
// half of its answer out cannot have it from one that has not. Each pair is judged by the prompts
// that both have answered, whenever they registered. It is safe for concurrent use.
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
	Key    []byte                       `json:"key"`
	Miners map[string]map[uint64]spoken `json:"miners"` // by hotkey and prompt
}

// spoken is one answer.
type spoken struct {
	Round uint64        `json:"round"` // in which it was asked
	Words uint64        `json:"words"`
	Half  time.Duration `json:"half"` // when half of the text was there, since the query began
	Seen  int64         `json:"seen"` // Unix time
}

func openCopies(path string, logger *zap.Logger) (*copies, error) {
	c := &copies{path: path, logger: logger}
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the folder
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.memory.Key = make([]byte, 32)
		_, _ = rand.Read(c.memory.Key) // never fails
	case err != nil:
		return nil, err
	case json.Unmarshal(data, &c.memory) != nil || len(c.memory.Key) != 32:
		return nil, fmt.Errorf("%s: not a memory of copies", path)
	}
	if c.memory.Miners == nil {
		c.memory.Miners = make(map[string]map[uint64]spoken)
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
		c.remember(hotkey, prompt, spoken{
			Round: round, Words: c.hash(words), Half: answer.Started + half, Seen: sample.Received.Unix(),
		})
	}
	c.changed, c.known = true, nil
}

// remember makes place for an answer. The lock is held.
func (c *copies) remember(hotkey string, prompt uint64, said spoken) {
	miner := c.memory.Miners[hotkey]
	if miner == nil {
		if len(c.memory.Miners) >= copyMiners { // many have come and gone
			clear(c.memory.Miners)
		}
		miner = make(map[uint64]spoken)
		c.memory.Miners[hotkey] = miner
	}
	if miner[prompt].Seen > said.Seen {
		return // that one was asked later
	}
	miner[prompt] = said
	if len(miner) <= copyMemory {
		return
	}
	oldest := prompt
	for other, at := range miner {
		if at.Seen < miner[oldest].Seen {
			oldest = other
		}
	}
	delete(miner, oldest)
}

// copiers returns the copiers and whom each of them copies, by hotkey. The map must not be changed.
func (c *copies) copiers() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known != nil {
		return c.known
	}
	c.known = make(map[string]string)
	for pair, behind := range c.behind() {
		if behind >= copyPrompts && float64(behind) >= copyShare*float64(c.both(pair)) {
			c.known[pair[0]] = pair[1]
		}
	}
	return c.known
}

// behind counts, for a miner and the one that was first with the same words in a round, the
// prompts in which that was so.
func (c *copies) behind() map[[2]string]int {
	type words struct{ prompt, round, words uint64 }
	first := make(map[words]string)
	for hotkey, miner := range c.memory.Miners {
		for prompt, said := range miner {
			key := words{prompt, said.Round, said.Words}
			if best, ok := first[key]; !ok || said.Half < c.memory.Miners[best][prompt].Half {
				first[key] = hotkey
			}
		}
	}
	counts := make(map[[2]string]int)
	for hotkey, miner := range c.memory.Miners {
		for prompt, said := range miner {
			if best := first[words{prompt, said.Round, said.Words}]; best != hotkey {
				counts[[2]string{hotkey, best}]++
			}
		}
	}
	return counts
}

// both counts the prompts that both of a pair have answered in the same round.
func (c *copies) both(pair [2]string) (count int) {
	other := c.memory.Miners[pair[1]]
	for prompt, said := range c.memory.Miners[pair[0]] {
		if theirs, ok := other[prompt]; ok && theirs.Round == said.Round {
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

// save writes what has changed. The file is the old one or the new one, never a part of it.
func (c *copies) save() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.changed {
		return nil
	}
	data, err := json.Marshal(c.memory)
	if err != nil {
		return err
	}
	next := c.path + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	if err := os.Rename(next, c.path); err != nil {
		return err
	}
	c.changed = false
	return nil
}
