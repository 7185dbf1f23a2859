package relay

import (
	"math"
	"sync/atomic"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/internal/usercode"
)

// stream is what one requester is to see, between the miners, which add to it, and the writer,
// which takes from it. The collection's lock guards it, but for wake and what judge reads.
type stream struct {
	view    View
	judging atomic.Bool   // whether chunks must be judged
	wake    chan struct{} // one slot: there is something to take

	picked  *recording // whose answer is shown
	seen    bool       // whether text or a tool call of it is among what is shown, for Failover
	queue   []frame    // queue[taken:] waits for the writer
	taken   int
	lag     int // bytes of chunks that have not been written
	maxLag  int
	over    bool    // nothing more comes
	failure Failure // why, if not zero

	state  StreamState
	chunks int
	bytes  int
}

// frame is the chunk of an answer at an index, or with answerEnd the end of that answer.
type frame struct {
	of    *recording
	index int
}

const answerEnd = -1

// piece is a frame as the writer gets it.
type piece struct {
	uid    organic.UID
	ending Ending // not zero: the end of the answer
	chunk  Chunk
	unseen bool // the wire has nothing for it
}

func newStream(view View, maxLag int, shown bool) *stream {
	s := &stream{view: view, wake: make(chan struct{}, 1), maxLag: maxLag, over: !shown}
	s.judging.Store(shown && (view.kind == viewFirst || view.failover))
	return s
}

// judge reports whether a chunk is the first good one of its miner. It is called without the lock.
// The error is that of a panic.
func (s *stream) judge(m *recording, chunk *Chunk) (good bool, err error) {
	if !s.judging.Load() || m.good.Load() {
		return false, nil
	}
	err = usercode.Call(func() error {
		good = s.view.good(*chunk)
		return nil
	}, panicError)
	return good, err
}

// chunk takes in the newest chunk of m.
func (s *stream) chunk(m *recording, good bool) {
	newest := len(m.answer.Chunks) - 1
	if good {
		m.good.Store(true)
		m.goodAt = m.answer.Chunks[newest].At
	}
	switch {
	case s.over:
	case s.view.kind == viewAll || s.picked == m:
		s.offer(m, newest)
	case s.picked == nil && m.good.Load():
		s.pick(m)
	}
}

// pick shows the answer of m, from where it was left if it has been shown before.
func (s *stream) pick(m *recording) {
	s.picked = m
	if !s.view.failover {
		s.judging.Store(false)
	}
	s.maxLag += min(m.size, math.MaxInt-s.maxLag) // a backlog is not the requester's fault
	for i := m.shown; i < len(m.answer.Chunks); i++ {
		s.offer(m, i)
	}
}

// ended takes in that m's answer has ended; open answers have not.
func (s *stream) ended(m *recording, open int) {
	if s.view.kind == viewAll {
		s.add(frame{of: m, index: answerEnd}, 0)
	}
	switch {
	case s.over:
	case s.view.kind != viewAll && s.picked == m:
		if s.mayFailOver() {
			s.failOver(m.collection.miners, open)
			return
		}
		s.finish(verdict(m.answer))
	case open == 0:
		s.finishUnpicked(m.collection.miners)
	}
}

// finishUnpicked ends a stream that shows no one answer, when all answers have ended.
func (s *stream) finishUnpicked(miners []*recording) {
	if s.view.kind == viewAll {
		s.finish(0)
		return
	}
	for _, m := range miners {
		if s.view.byText && m.answer.Ending == Complete && len(m.answer.ToolCalls()) > 0 {
			s.pick(m)
			s.finish(0)
			return
		}
	}
	s.finish(NoAnswer)
}

// stalled takes in that the requester has waited for too long since the last chunk.
func (s *stream) stalled(miners []*recording, open int) {
	switch {
	case s.over || s.picked == nil && s.view.kind != viewAll:
	case s.mayFailOver():
		s.failOver(miners, open)
	default:
		s.finish(BrokenOff)
	}
}

func (s *stream) mayFailOver() bool { return s.view.failover && !s.seen }

// failOver shows another answer than the picked one, or none until there is a good one.
func (s *stream) failOver(miners []*recording, open int) {
	for {
		next := s.candidate(miners)
		if next == nil {
			break
		}
		s.pick(next)
		if !next.hasEnded() {
			return
		}
		if !s.mayFailOver() {
			s.finish(verdict(next.answer))
			return
		}
		next.passed = true
	}
	s.picked = nil
	if open == 0 {
		s.finishUnpicked(miners)
	}
}

// candidate returns the answer to show in place of the picked one: one that has not failed rather
// than one that has, and of these the one that was good first.
func (s *stream) candidate(miners []*recording) *recording {
	var best *recording
	failed := func(m *recording) bool { return m.hasEnded() && m.answer.Ending != Complete }
	for _, m := range miners {
		switch {
		case m == s.picked || m.passed || !m.good.Load():
		case best == nil,
			failed(best) && !failed(m),
			failed(best) == failed(m) && m.goodAt < best.goodAt:
			best = m
		}
	}
	return best
}

// verdict is how a stream ends whose answer has ended.
func verdict(answer Answer) Failure {
	if answer.Ending == Complete {
		return 0
	}
	return BrokenOff
}

// offer shows a chunk of m.
func (s *stream) offer(m *recording, index int) {
	m.shown = index + 1
	chunk := &m.answer.Chunks[index]
	size := chunk.size()
	if s.view.hideReasoning && chunk.Reasoning != "" {
		shown := s.shownOf(*chunk)
		if size = shown.size(); shown.empty() {
			return
		}
	}
	if s.over {
		return
	}
	if s.view.failover && !s.seen && (chunk.HasText() || chunk.HasToolCall()) {
		s.seen = true
		s.judging.Store(false)
	}
	s.add(frame{of: m, index: index}, size)
}

// shownOf returns what the requester is to see of a chunk.
func (s *stream) shownOf(chunk Chunk) Chunk {
	if s.view.hideReasoning {
		chunk.Reasoning = ""
	}
	return chunk
}

func (s *stream) add(f frame, size int) {
	if s.over {
		return
	}
	s.lag += size
	if s.lag > s.maxLag {
		s.finish(TooSlow)
		s.queue, s.taken = nil, 0
		return
	}
	if s.taken == len(s.queue) {
		s.queue, s.taken = s.queue[:0], 0
	}
	s.queue = append(s.queue, f)
	s.signal()
}

// finish ends the stream, once.
func (s *stream) finish(failure Failure) {
	if s.over {
		return
	}
	s.over, s.failure = true, failure
	s.judging.Store(false)
	s.signal()
}

func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // the writer has not seen the last one yet
	}
}

// take moves pieces of about most bytes into batch, which it returns. Last says that no more will
// come.
func (s *stream) take(batch []piece, most int) (taken []piece, last bool) {
	for size := 0; s.taken < len(s.queue) && size < most; s.taken++ {
		f := s.queue[s.taken]
		p := piece{uid: f.of.uid}
		if f.index == answerEnd {
			p.ending = f.of.answer.Ending
		} else {
			p.chunk = s.shownOf(f.of.answer.Chunks[f.index])
		}
		batch = append(batch, p)
		size += p.chunk.size() + 1
	}
	return batch, s.over && s.taken == len(s.queue)
}

// wrote notes what the requester has been given.
func (s *stream) wrote(batch []piece) {
	for _, p := range batch {
		size := p.chunk.size()
		if s.lag -= size; p.ending == 0 && !p.unseen {
			s.chunks++
			s.bytes += size
		}
	}
}

// close ends the stream for good.
func (s *stream) close(state StreamState) {
	s.finish(0)
	s.state = state
	s.queue, s.taken = nil, 0
}

func (s *stream) report() Stream {
	report := Stream{State: s.state, Chunks: s.chunks, Bytes: s.bytes}
	if s.picked != nil {
		report.Picked, report.UID = true, s.picked.uid
	}
	return report
}
