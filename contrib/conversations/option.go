package conversations

import (
	"errors"
	"fmt"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/conversations/internal/augment"
	"github.com/organic-scoring/organic/internal/option"
	"github.com/organic-scoring/organic/internal/random"
)

// What the options of conversations stand at when they are not given.
const (
	defaultShuffle = 1024
	defaultMaxLine = 1 << 20
)

// Option configures a [Dataset]: [WithSynonyms],
// [WithoutAugmentation], [WithShuffle], [WithMaxLine] and [WithSeed]. Of two
// of the same kind the last one wins.
type Option interface {
	apply(cfg *config)
}

// config is what the options leave behind.
type config struct {
	lookup  augment.Lookup
	augment bool
	shuffle int // lines
	maxLine int // bytes
	random  *random.Source
	errs    []error // what is wrong with the options
}

// apply applies all options and reports all that is wrong with them.
func (c *config) apply(opts []Option) error {
	for i, opt := range opts {
		if option.IsNil(opt) {
			c.refuse("Open", "option %d must not be nil", i+1)
			continue
		}
		opt.apply(c)
	}
	return errors.Join(c.errs...)
}

// refuse notes what is wrong with an option.
func (c *config) refuse(name, format string, args ...any) {
	c.errs = append(c.errs, option.Invalid(organic.ErrInvalidOption, name, format, args...))
}

// change augments the turns of the user, in place.
func (c *config) change(conversation Conversation) {
	for i, turn := range conversation {
		if turn.Role == roleUser {
			text := augment.Synonyms(turn.Content, c.lookup, c.random)
			conversation[i].Content = augment.Typos(text, c.random)
		}
	}
}

// optionFunc makes a function a Option.
type optionFunc func(cfg *config)

func (f optionFunc) apply(cfg *config) { f(cfg) }

// WithSeed makes the choices and changes of a [Dataset] repeatable. Without it
// they differ from run to run.
func WithSeed(seed uint64) Option {
	return optionFunc(func(cfg *config) { cfg.random = random.New(&seed) })
}

// WithSynonyms sets where a [Dataset] looks synonyms up. The
// function gets a word in lower case, without the punctuation round it, and
// returns its synonyms or nothing. Underscores in them become blanks, and they
// are written with the capitals that the word had. It is called from the
// goroutines that call Sample, so it must be safe for concurrent use, and for
// every word of a text that has few synonyms, so it must be quick. The default
// is a small list of English words.
func WithSynonyms(lookup func(word string) []string) Option {
	return optionFunc(func(cfg *config) {
		if lookup == nil {
			cfg.refuse("WithSynonyms(nil)", "must be a function")
		}
		cfg.lookup = lookup
	})
}

// WithoutAugmentation makes a [Dataset] leave the turns of the
// user as they are in the file, without synonyms and typos, whatever
// WithSynonyms says.
func WithoutAugmentation() Option {
	return optionFunc(func(cfg *config) {
		cfg.augment = false
	})
}

// WithShuffle sets how many lines of the file a [Dataset] holds to
// draw from, 1024 by default. With 1 the conversations come in the order of
// the file. The more lines, the better they are mixed, and the more memory
// they take.
func WithShuffle(n int) Option {
	return optionFunc(func(cfg *config) {
		if n < 1 {
			cfg.refuse(fmt.Sprintf("WithShuffle(%d)", n), "must be at least 1")
		}
		cfg.shuffle = n
	})
}

// WithMaxLine sets how many bytes a line of a [Dataset]'s file may
// have, after decompression and without its end: 1 MiB by default. A longer
// one is an error and is skipped without being held in memory.
func WithMaxLine(bytes int) Option {
	return optionFunc(func(cfg *config) {
		if bytes < 1 {
			cfg.refuse(fmt.Sprintf("WithMaxLine(%d)", bytes), "must be at least 1")
		}
		cfg.maxLine = bytes
	})
}
