package relay

import (
	"sync/atomic"

	"github.com/organic-scoring/organic"
)

// stream is what one requester is to see, between the miners, who add to it,
// and the writer, who takes from it. The collection's lock guards it, but for
// wake and what judge reads.
type stream struct {
	view    View
	decided atomic.Bool   // whether chunks need not be judged
	wake    chan struct{} // one slot: there is something to take

	picked  *recording // whose answer is seen
	queue   []frame    // queue[taken:] waits for the writer
	taken   int
	lag     int // bytes of chunks that have not been written
	maxLag  int
	offered bool    // whether there has been a chunk
	over    bool    // nothing more comes
	failure Failure // why, when not zero

	state  StreamState
	chunks int
	bytes  int
}

// frame is a chunk, or with an ending the end of a miner's answer.
type frame struct {
	uid    organic.UID
	ending Ending
	text   []byte
	unseen bool // the wire has nothing for it
}

func newStream(view View, maxLag int, shown bool) *stream {
	s := &stream{view: view, wake: make(chan struct{}, 1), maxLag: maxLag, over: !shown}
	if !shown || view.kind != viewFirst {
		s.decided.Store(true)
	}
	return s
}

// judge tells whether a chunk makes its miner the one to be seen. It is called
// without the lock.
func (s *stream) judge(chunk []byte) bool {
	return len(chunk) > 0 && !s.decided.Load() && s.view.good(chunk)
}

// chunk takes in a chunk that m has recorded.
func (s *stream) chunk(m *recording, text []byte, good bool) {
	switch {
	case s.over:
	case s.view.kind == viewAll || s.picked == m:
		s.offer(frame{uid: m.uid, text: text})
	case s.picked == nil && good:
		s.picked = m
		s.decided.Store(true)
		s.maxLag += m.size // what is past is not the requester's fault
		for _, chunk := range m.answer.Chunks {
			s.offer(frame{uid: m.uid, text: chunk.Text})
		}
	}
}

// ended takes in that m's answer has ended; open answers have not.
func (s *stream) ended(m *recording, open int) {
	if s.view.kind == viewAll {
		s.offer(frame{uid: m.uid, ending: m.answer.Ending})
	}
	switch {
	case s.view.kind != viewAll && s.picked == m:
		s.finish(s.verdict(m.answer.Ending == Complete))
	case open == 0:
		s.finish(s.verdict(true))
	}
}

// verdict is how the stream ends, now that there will be no further chunk.
func (s *stream) verdict(complete bool) Failure {
	switch {
	case !s.offered:
		return NoAnswer
	case !complete:
		return BrokenOff
	default:
		return 0
	}
}

func (s *stream) offer(f frame) {
	if s.over {
		return
	}
	s.lag += len(f.text)
	if s.lag > s.maxLag {
		s.finish(TooSlow)
		s.queue, s.taken = nil, 0
		return
	}
	if s.taken == len(s.queue) {
		s.queue, s.taken = s.queue[:0], 0
	}
	s.queue = append(s.queue, f)
	s.offered = s.offered || f.ending == 0
	s.signal()
}

// finish ends the stream, once.
func (s *stream) finish(failure Failure) {
	if s.over {
		return
	}
	s.over, s.failure = true, failure
	s.decided.Store(true)
	s.signal()
}

func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // the writer has not seen the last one yet
	}
}

// take moves frames of about max bytes into batch, which it returns. Last says
// that no more will come.
func (s *stream) take(batch []frame, most int) (taken []frame, last bool) {
	for size := 0; s.taken < len(s.queue) && size < most; s.taken++ {
		f := s.queue[s.taken]
		batch = append(batch, f)
		size += len(f.text) + 1
	}
	return batch, s.over && s.taken == len(s.queue)
}

// wrote notes what the requester has been given.
func (s *stream) wrote(batch []frame) {
	for _, f := range batch {
		if s.lag -= len(f.text); f.ending == 0 && !f.unseen {
			s.chunks++
			s.bytes += len(f.text)
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
