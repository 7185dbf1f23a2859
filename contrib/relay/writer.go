package relay

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"
)

// oneWrite is about how many bytes of waiting chunks are written at once. A
// long chunk takes several writes of up to twice that.
const oneWrite = 16 << 10

// writer writes the stream of a collection to its requester. It belongs to one
// goroutine, the one that serves the request.
type writer struct {
	collection *collection
	out        http.ResponseWriter
	control    *http.ResponseController
	begun      bool // whether bytes are out
	shown      bool // whether these, or those in buf, have a chunk among them
	limited    bool // whether the connection has a write deadline
	alive      KeepAliveWire
	idle       *time.Timer // nil: no keep-alive
	batch      []frame
	buf        []byte
	state      StreamState
}

// serve writes the stream until it has ended, one way or another.
func (c *collection) serve(ctx context.Context, out http.ResponseWriter) error {
	w := &writer{collection: c, out: out, control: http.NewResponseController(out), state: StreamLeft}
	w.keepAlive()
	defer w.close() // also when a wire or the response writer panics
	for {
		last, failure, err := w.take(ctx)
		if err != nil {
			return err
		}
		for i := range w.batch {
			w.append(&w.batch[i])
		}
		told := true
		if last && failure != TooSlow && !w.shown {
			failure = NoAnswer // the wire had nothing for any chunk
		}
		switch {
		case last && failure != 0:
			w.buf, told = c.query.Wire.Fail(w.buf, failure)
		case last:
			w.buf = c.query.Wire.Done(w.buf)
		}
		if err := w.flush(last && told); err != nil {
			return err
		}
		switch {
		case last && !told:
			w.state = stateOf(failure)
			return failure.err(w.begun)
		case last:
			w.state = stateOf(failure)
			return nil
		}
	}
}

func stateOf(failure Failure) StreamState {
	switch failure {
	case 0:
		return StreamWhole
	case TooSlow:
		return StreamTooSlow
	default:
		return StreamFailed
	}
}

// take waits for something to write, which is then in w.batch.
func (w *writer) take(ctx context.Context) (last bool, failure Failure, err error) {
	c := w.collection
	w.batch, w.buf = w.batch[:0], w.buf[:0]
	for {
		if ctx.Err() != nil {
			return false, 0, left(context.Cause(ctx))
		}
		c.mu.Lock()
		w.batch, last = c.stream.take(w.batch, oneWrite)
		failure = c.stream.failure
		c.mu.Unlock()
		if last || len(w.batch) > 0 {
			return last, failure, nil
		}
		if err := w.wait(ctx); err != nil {
			return false, 0, err
		}
	}
}

// keepAlive makes the timer that does, if it is wanted and the wire can.
func (w *writer) keepAlive() {
	c := w.collection
	every := c.relay.cfg.keepAlive
	if wire, ok := c.query.Wire.(KeepAliveWire); ok && every > 0 {
		w.alive, w.idle = wire, time.NewTimer(every)
	}
}

// wait waits for the stream to change, and keeps it alive when it has not.
func (w *writer) wait(ctx context.Context) error {
	w.unlimit()
	var idle <-chan time.Time
	if w.idle != nil {
		w.idle.Reset(w.collection.relay.cfg.keepAlive)
		idle = w.idle.C
	}
	select {
	case <-w.collection.stream.wake:
	case <-ctx.Done():
	case <-idle:
		return w.write(w.alive.KeepAlive(w.buf), true)
	}
	return nil
}

// append puts a frame into the buffer, and notes whether there is anything to
// be seen of it.
func (w *writer) append(f *frame) {
	before := len(w.buf)
	tagged, _ := w.collection.query.Wire.(TaggedWire) // as the query was checked
	switch {
	case f.ending != 0:
		w.buf = tagged.MinerDone(w.buf, f.uid, f.ending)
		return
	case w.collection.query.View.kind == viewAll:
		w.buf = tagged.TaggedChunk(w.buf, f.uid, f.text)
	default:
		w.buf = w.collection.query.Wire.Chunk(w.buf, f.text)
	}
	f.unseen = len(w.buf) == before
	w.shown = w.shown || !f.unseen
}

// flush sends the buffer. The last flush is done even if that is empty: it
// renews the deadline, for what the server itself writes at the end.
func (w *writer) flush(last bool) error {
	for rest, more := w.buf, last; len(rest) > 0 || more; more = false {
		piece := rest[:min(len(rest), 2*oneWrite)]
		rest = rest[len(piece):]
		if err := w.write(piece, len(rest) == 0); err != nil {
			return err
		}
	}
	c := w.collection
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream.wrote(w.batch)
	return nil
}

// write gives a piece to the requester, who must take it within the write
// timeout where the response writer supports deadlines.
func (w *writer) write(piece []byte, flush bool) error {
	c := w.collection
	w.limited = w.control.SetWriteDeadline(time.Now().Add(c.relay.cfg.writeTimeout)) == nil // where it can
	if !w.begun {
		w.begun = true
		c.query.Wire.Header(w.out.Header())
	}
	var err error
	if len(piece) > 0 {
		_, err = w.out.Write(piece)
	}
	if err == nil && flush {
		err = w.control.Flush()
	}
	switch {
	case err == nil, errors.Is(err, errors.ErrUnsupported):
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.state = StreamTooSlow
		return ErrTooSlow
	default:
		return left(err)
	}
}

// unlimit takes the deadline off while nothing is to be written: over HTTP/2 it
// would end the stream all the same.
func (w *writer) unlimit() {
	if w.limited {
		w.limited = false
		_ = w.control.SetWriteDeadline(time.Time{})
	}
}

// close notes how the stream has ended.
func (w *writer) close() {
	c := w.collection
	if w.idle != nil {
		w.idle.Stop()
	}
	c.mu.Lock()
	c.stream.close(w.state)
	c.mu.Unlock()
	if c.query.StopOnLeave && (w.state == StreamLeft || w.state == StreamTooSlow) {
		c.cancel(ErrLeft)
	}
	c.relay.count(func(stats *Stats) {
		switch w.state {
		case StreamWhole:
			stats.Whole++
		case StreamTooSlow:
			stats.TooSlow++
		case StreamLeft:
			stats.Left++
		default:
			stats.Failed++
		}
	})
}
