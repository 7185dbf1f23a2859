// Package conversations makes synthetic samples from a file of conversations
// with a language model: it cuts each at a turn of the user and changes the
// user's words a little, so that no two samples are alike. A [Dataset] is an
// [organic.SynthDataset].
package conversations

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/conversations/internal/augment"
	"github.com/organic-scoring/organic/contrib/conversations/internal/jsonl"
	"github.com/organic-scoring/organic/internal/random"
)

// Dataset makes samples from a file of conversations. Each sample
// is a conversation that was cut at a random turn of the user and whose user
// turns were changed a little; it ends on that user turn, which is what an
// assistant is to answer.
//
// # The file
//
// One conversation per line, as JSON, plain or compressed with gzip:
//
//	{"conversation": [{"role": "user", "content": "Hello"}, …]}
//
// Other keys are ignored, and so are blank lines, a byte order mark and
// carriage returns at the ends of lines. Conversations in which the user says
// nothing are skipped.
//
// # Order
//
// The file is read in order and never held as a whole. A buffer of lines
// ([WithShuffle]) is filled from it and drawn from at random, so every
// conversation comes once before the file is opened again and the next pass
// begins. A file that was replaced in the meantime is then seen. The first
// call of a pass fills the buffer, so it takes longer than the others. Memory
// is bounded by the buffer's lines times [WithMaxLine], with some room for the
// line being read.
//
// # Changes
//
// In every user turn words are swapped for synonyms (one at least where one
// is found, a tenth of the words at most), and then up to one typo is made for
// each fifty characters, or one in a shorter text: a character is lost, or a
// blank is put between two. White space is otherwise kept, and a turn that
// says something still does. The other turns are never changed.
//
// The Python original reads a fixed data set into memory, cuts before a random
// turn of any role, changes the system prompt too, loses line breaks, and
// fails for or returns empty conversations.
//
// A Dataset is made by [Open]; the methods of another one return
// [organic.ErrNotBuilt]. It is safe for concurrent use.
type Dataset struct {
	config config
	path   string
	open   atomic.Bool

	lock     chan struct{} // holds an element while someone uses what follows
	passing  bool          // a pass has begun, and may have lines left
	reported bool          // it has led to a conversation or an error
	reader   *jsonl.Reader // nil when the pass has read all it can
	waiting  []rawLine     // the shuffle buffer
}

var _ organic.SynthDataset[Conversation] = (*Dataset)(nil)

// rawLine is a line of the file that has not been looked at.
type rawLine struct {
	number int
	text   []byte
}

// Error says what is wrong with a file of conversations, or with
// one line of it. It never holds the line's text.
type Error struct {
	File string // the path as given to Open
	Line int    // from 1; 0 when the error is about the file as a whole
	Err  error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("conversations: %s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("conversations: %s:%d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns the cause, such as [io/fs.ErrNotExist] or
// [io.ErrUnexpectedEOF] for a truncated gzip file.
func (e *Error) Unwrap() error { return e.Err }

// Open opens a file of conversations. Close the dataset after
// use. Bad options are reported all at once and wrap [organic.ErrInvalidOption]; a
// file that cannot be opened or is no regular file, and a gzip file that is
// damaged at its start, is a [*Error]. Lines are not looked at
// before they are sampled.
func Open(path string, opts ...Option) (*Dataset, error) {
	d := &Dataset{
		config: config{
			lookup: augment.Builtin, augment: true, random: random.New(nil),
			shuffle: defaultShuffle, maxLine: defaultMaxLine,
		},
		path: path,
		lock: make(chan struct{}, 1),
	}
	if err := d.config.apply(opts); err != nil {
		return nil, err
	}
	if err := d.begin(); err != nil {
		return nil, err
	}
	d.open.Store(true)
	return d, nil
}

// Sample returns a conversation that ends on a user turn and is the caller's
// to keep and change.
//
// A line that is no conversation is one [*Error], and the next
// call goes on after it. A gzip file that ends too early or is damaged is one
// with the line that was reached; the lines before it are still given out, and
// then the file is read from the top again. A file that has no usable
// conversation at all is an error after each pass. The error is ctx's own when
// ctx ends first, and [organic.ErrClosed] after Close.
func (d *Dataset) Sample(ctx context.Context) (Conversation, error) {
	if !d.built() {
		return nil, organic.ErrNotBuilt
	}
	conversation, err := d.next(ctx)
	if err != nil {
		return nil, err
	}
	if d.config.augment {
		d.config.change(conversation)
	}
	return conversation, nil
}

// built reports whether Open has made the dataset.
func (d *Dataset) built() bool { return d != nil && d.lock != nil }

// Format writes the path of the file and none of its lines, whatever the verb.
func (d *Dataset) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "conversations of %s", d.path)
}

// Close closes the file, after the calls of Sample that are running, which
// it cuts short. Closing again does nothing and returns nil.
func (d *Dataset) Close() error {
	if !d.built() {
		return organic.ErrNotBuilt
	}
	if !d.open.CompareAndSwap(true, false) {
		return nil
	}
	d.lock <- struct{}{}
	defer func() { <-d.lock }()
	d.waiting = nil
	return d.end()
}

// next returns the next conversation as it is in the file, cut.
func (d *Dataset) next(ctx context.Context) (Conversation, error) {
	interrupted := func() error {
		if !d.open.Load() {
			return organic.ErrClosed
		}
		return ctx.Err()
	}
	if err := interrupted(); err != nil {
		return nil, err
	}
	select {
	case d.lock <- struct{}{}:
		defer func() { <-d.lock }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		conversation, err := d.draw(interrupted)
		if err != nil || conversation != nil {
			return conversation, err
		}
	}
}

// draw takes one line out of the buffer. It returns nil where the user says
// nothing.
func (d *Dataset) draw(interrupted func() error) (Conversation, error) {
	if err := interrupted(); err != nil {
		return nil, err
	}
	if err := d.fill(interrupted); err != nil {
		return nil, err
	}
	i, last := d.config.random.IntN(len(d.waiting)), len(d.waiting)-1
	line := d.waiting[i]
	d.waiting[i], d.waiting[last] = d.waiting[last], rawLine{}
	d.waiting = d.waiting[:last]
	conversation, err := parseConversation(line.text)
	if err != nil {
		return nil, d.fail(line.number, err)
	}
	questions := conversation.questions()
	if len(questions) == 0 {
		return nil, nil
	}
	d.reported = true
	return conversation.cut(questions[d.config.random.IntN(len(questions))]), nil
}

// fill reads until the buffer is full or the file has ended, and begins a new
// pass when there is nothing left of the last one. A pass that led to nothing
// is an error, so that no call goes on for ever.
func (d *Dataset) fill(interrupted func() error) error {
	for {
		if !d.passing {
			if err := d.begin(); err != nil {
				return err
			}
		}
		for d.reader != nil && len(d.waiting) < d.config.shuffle {
			if err := d.read(interrupted); err != nil {
				return err
			}
		}
		if len(d.waiting) > 0 {
			return nil
		}
		if d.passing = false; !d.reported {
			return d.fail(0, errors.New("has no conversation in which a user says something"))
		}
	}
}

// read puts one line into the buffer.
func (d *Dataset) read(interrupted func() error) error {
	text, err := d.reader.Next(interrupted)
	number := d.reader.Line()
	switch {
	case err == nil && len(bytes.TrimSpace(text)) > 0:
		d.waiting = append(d.waiting, rawLine{number: number, text: bytes.Clone(text)})
		return nil
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		_ = d.end()
		return nil
	case errors.Is(err, jsonl.ErrTooLong):
		return d.fail(number, fmt.Errorf("longer than %d bytes", d.config.maxLine))
	}
	if stopped := interrupted(); stopped != nil {
		return stopped
	}
	_ = d.end()
	return d.fail(number, err)
}

// begin starts a pass over the file.
func (d *Dataset) begin() error {
	reader, err := jsonl.Open(d.path, d.config.maxLine)
	if err != nil {
		return d.fail(0, err)
	}
	d.reader, d.passing, d.reported = reader, true, false
	return nil
}

// end closes the file, if it is open.
func (d *Dataset) end() error {
	if d.reader == nil {
		return nil
	}
	reader := d.reader
	d.reader = nil
	if err := reader.Close(); err != nil {
		return d.fail(0, err)
	}
	return nil
}

func (d *Dataset) fail(line int, err error) error {
	d.reported = true
	return &Error{File: d.path, Line: line, Err: err}
}
