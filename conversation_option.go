package organic

import (
	"errors"
	"fmt"

	"github.com/organic-scoring/organic/internal/augment"
	"github.com/organic-scoring/organic/internal/chance"
)

// What the options of conversations stand at when they are not given.
const (
	defaultShuffle = 1024
	defaultMaxLine = 1 << 20
)

// ConversationOption configures a [ConversationDataset]: [WithSynonyms],
// [WithoutAugmentation], [WithShuffle], [WithMaxLine] and [WithSeed]. Of two
// of the same kind the last one wins.
type ConversationOption interface {
	applyConversation(cfg *conversationConfig)
}

// conversationConfig is what the options leave behind.
type conversationConfig struct {
	lookup  augment.Lookup
	augment bool
	shuffle int // lines
	maxLine int // bytes
	random  chance.Source
	errs    []error // what is wrong with the options
}

// apply applies all options and reports all that is wrong with them.
func (c *conversationConfig) apply(opts []ConversationOption) error {
	for i, opt := range opts {
		if isNil(opt) {
			c.refuse("OpenConversations", "option %d must not be nil", i+1)
			continue
		}
		opt.applyConversation(c)
	}
	return errors.Join(c.errs...)
}

// refuse notes what is wrong with an option.
func (c *conversationConfig) refuse(option, format string, args ...any) {
	c.errs = append(c.errs, invalid(option, format, args...))
}

// change augments the turns of the user, in place.
func (c *conversationConfig) change(conversation Conversation) {
	for i, turn := range conversation {
		if turn.Role == roleUser {
			text := augment.Synonyms(turn.Content, c.lookup, &c.random)
			conversation[i].Content = augment.Typos(text, &c.random)
		}
	}
}

// conversationOption makes a function a ConversationOption.
type conversationOption func(cfg *conversationConfig)

func (f conversationOption) applyConversation(cfg *conversationConfig) { f(cfg) }

func (o SeedOption) applyConversation(cfg *conversationConfig) { cfg.random.Seed(o.seed) }

// WithSynonyms sets where a [ConversationDataset] looks synonyms up. The
// function gets a word in lower case, without the punctuation round it, and
// returns its synonyms or nothing. Underscores in them become blanks, and they
// are written with the capitals that the word had. It is called from the
// goroutines that call Sample, so it must be safe for concurrent use, and for
// every word of a text that has few synonyms, so it must be quick. The default
// is a small list of English words.
func WithSynonyms(lookup func(word string) []string) ConversationOption {
	return conversationOption(func(cfg *conversationConfig) {
		if lookup == nil {
			cfg.refuse("WithSynonyms(nil)", "must be a function")
		}
		cfg.lookup = lookup
	})
}

// WithoutAugmentation makes a [ConversationDataset] leave the turns of the
// user as they are in the file, without synonyms and typos, whatever
// WithSynonyms says.
func WithoutAugmentation() ConversationOption {
	return conversationOption(func(cfg *conversationConfig) {
		cfg.augment = false
	})
}

// WithShuffle sets how many lines of the file a [ConversationDataset] holds to
// draw from, 1024 by default. With 1 the conversations come in the order of
// the file. The more lines, the better they are mixed, and the more memory
// they take.
func WithShuffle(n int) ConversationOption {
	return conversationOption(func(cfg *conversationConfig) {
		if n < 1 {
			cfg.refuse(fmt.Sprintf("WithShuffle(%d)", n), "must be at least 1")
		}
		cfg.shuffle = n
	})
}

// WithMaxLine sets how many bytes a line of a [ConversationDataset]'s file may
// have, after decompression and without its end: 1 MiB by default. A longer
// one is an error and is skipped without being held in memory.
func WithMaxLine(bytes int) ConversationOption {
	return conversationOption(func(cfg *conversationConfig) {
		if bytes < 1 {
			cfg.refuse(fmt.Sprintf("WithMaxLine(%d)", bytes), "must be at least 1")
		}
		cfg.maxLine = bytes
	})
}
