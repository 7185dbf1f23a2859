package relay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/organic-scoring/organic"
)

// recording is the answer of one miner while it comes in.
type recording struct {
	collection *collection
	uid        organic.UID
	ask        Miner
	queued     bool        // whether the miner has to wait until another is done
	partial    string      // the first bytes of a character, for emit alone
	good       atomic.Bool // whether a chunk was good, see FirstGood

	// Guarded by collection.mu.
	asked      bool
	begun      bool          // whether a chunk had content
	finished   bool          // whether the miner gave the reason of its end
	finishedAt time.Duration // when it did so
	answer     Answer
	size       int                // of the chunks
	cancel     context.CancelFunc // ends the miner's ctx
	goodAt     time.Duration      // when the first good chunk came
	shown      int                // chunks that the requester has been offered
	passed     bool               // whether another answer is shown in its place
}

// run asks the miner, unless its answer has ended.
func (m *recording) run(ctx context.Context) {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	if !m.begin(cancel) {
		return
	}
	emit := func(chunk Chunk) error { return m.emit(&chunk) }
	contain(func() error { return m.ask(own, emit) }, func(err error) {
		c := m.collection
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			m.endFor(ctx)
		case err == nil:
			m.end(Complete, ByMiner, nil)
		case validatorsOwn(err):
			m.end(Failed, ByValidator, err)
		default:
			m.end(Failed, ByMiner, err)
		}
	})
}

func (m *recording) begin(cancel context.CancelFunc) bool {
	c := m.collection
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.hasEnded() {
		return false
	}
	m.asked, m.cancel = true, cancel
	m.answer.Started = time.Since(c.started)
	return true
}

// emit records a chunk and offers it to the requester.
func (m *recording) emit(chunk *Chunk) error {
	c := m.collection
	m.makeValid(chunk)
	good, err := c.stream.judge(m, chunk)
	content, size := chunk.hasContent(), chunk.size()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case m.answer.Err != nil:
		return m.answer.Err
	case m.hasEnded():
		return ErrEnded
	case err != nil:
		m.end(Failed, ByValidator, err)
		return err
	case chunk.empty():
		return nil
	case m.size+size > c.relay.cfg.maxBytes, len(m.answer.Chunks) == c.relay.cfg.maxChunks:
		m.end(CutOff, ByMiner, ErrTooLong)
		return ErrTooLong
	case !c.hold(size + chunkOverhead):
		m.end(CutOff, ByValidator, ErrFull)
		return ErrFull
	}
	chunk.At = time.Since(c.started)
	m.size += size
	m.begun = m.begun || content
	m.append(chunk)
	if chunk.Finish != "" && !m.finished {
		m.finished, m.finishedAt = true, chunk.At
		select {
		case c.finished <- struct{}{}:
		default: // the supervisor has not seen the last one yet
		}
	}
	c.stream.chunk(m, good)
	return nil
}

// append adds a chunk to the answer. Its list grows by half, since most answers wait for long with
// what they have.
func (m *recording) append(chunk *Chunk) {
	if n := len(m.answer.Chunks); n == cap(m.answer.Chunks) {
		grown := make([]Chunk, n, n+n/2+4)
		copy(grown, m.answer.Chunks)
		m.answer.Chunks = grown
	}
	m.answer.Chunks = append(m.answer.Chunks, *chunk)
}

// makeValid makes the text of a chunk UTF-8. A character of which the first bytes stand at the end
// of the text is kept for the next chunk.
func (m *recording) makeValid(chunk *Chunk) {
	if m.partial != "" {
		chunk.Text, m.partial = m.partial+chunk.Text, ""
	}
	if !utf8.ValidString(chunk.Text) {
		whole := wholeCharacters(chunk.Text)
		m.partial = strings.Clone(chunk.Text[whole:])
		chunk.Text = toValid(chunk.Text[:whole])
	}
	chunk.Reasoning = toValid(chunk.Reasoning)
	chunk.Role, chunk.Finish = toValid(chunk.Role), toValid(chunk.Finish)
	if len(chunk.ToolCalls) > 0 {
		chunk.ToolCalls = validCalls(chunk.ToolCalls)
	}
}

// validCalls returns a copy: the miner's own are not changed.
func validCalls(calls []ToolCall) []ToolCall {
	valid := make([]ToolCall, len(calls))
	for i, call := range calls {
		valid[i] = ToolCall{
			call.Index, toValid(call.ID), toValid(call.Name), toValid(call.Arguments),
		}
	}
	return valid
}

func toValid(text string) string { return strings.ToValidUTF8(text, string(utf8.RuneError)) }

// wholeCharacters returns the length of text without the first bytes of a character at its end.
func wholeCharacters(text string) int {
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		at := len(text) - back
		if utf8.RuneStart(text[at]) {
			if utf8.FullRuneInString(text[at:]) {
				return len(text)
			}
			return at
		}
	}
	return len(text)
}

func (m *recording) hasEnded() bool { return m.answer.Ending != 0 }

// end ends the answer, unless it has ended: the first call counts.
func (m *recording) end(ending Ending, by Party, err error) {
	if m.hasEnded() {
		return
	}
	c := m.collection
	m.answer.Ending, m.answer.EndedBy, m.answer.Err = ending, by, err
	m.answer.Ended = time.Since(c.started)
	if c.cut == nil && m.answer.cutShort() {
		c.cut = fmt.Errorf("relay: answers were cut short: %w", err)
	}
	if m.cancel != nil {
		m.cancel()
	}
	c.open--
	c.stream.ended(m, c.open)
	if c.open == 0 {
		close(c.ended)
	}
}

// endFor ends the answer for the reason that ctx gives.
func (m *recording) endFor(ctx context.Context) {
	cause := context.Cause(ctx)
	switch {
	case m.hasEnded():
	case m.finished:
		m.end(Complete, ByMiner, nil)
	case errors.Is(cause, errTimeOver):
		m.endForTime(ByTime, errTimeOver)
	case errors.Is(ctx.Err(), context.DeadlineExceeded): // that of Ask's ctx
		m.endForTime(ByValidator, errTimeOver)
	case !m.asked:
		m.end(NeverStarted, cutBy(cause), cause)
	default:
		m.end(Cancelled, cutBy(cause), cause)
	}
}

// cutBy is who cut a query short.
func cutBy(cause error) Party {
	if errors.Is(cause, ErrLeft) {
		return ByRequester
	}
	return ByValidator
}

// endForTime ends the answer when the time of the query is over. A miner that has waited until
// others were done did not have all of that time.
func (m *recording) endForTime(by Party, err error) {
	if m.queued {
		by = ByValidator
	}
	switch {
	case !m.asked:
		m.end(NeverStarted, ByValidator, err)
	case !m.begun:
		m.end(Silent, by, err)
	default:
		m.end(TimedOut, by, err)
	}
}

// due is when the miner must have emitted its next chunk, if there is such a time.
func (m *recording) due() (time.Duration, bool) {
	cfg := &m.collection.relay.cfg
	switch {
	case !m.asked || m.hasEnded():
		return 0, false
	case m.finished:
		return m.finishedAt + finishGrace, true
	case m.begun:
		return until(m.newest(), cfg.idle), true
	default:
		return until(m.answer.Started, cfg.firstChunk), cfg.firstChunk > 0
	}
}

// until returns the end of a period. The longest periods end at the largest number, which is never
// reached, instead of wrapping around.
func until(began, length time.Duration) time.Duration {
	return began + min(length, math.MaxInt64-began)
}

// newest is when the newest chunk came.
func (m *recording) newest() time.Duration { return m.answer.Chunks[len(m.answer.Chunks)-1].At }

// endLate ends the answer at the time that due gave.
func (m *recording) endLate() {
	switch {
	case m.finished:
		m.end(Complete, ByMiner, nil)
	case m.begun:
		m.end(TimedOut, ByTime, errIdle)
	default:
		m.end(Silent, ByTime, errNoChunk)
	}
}
