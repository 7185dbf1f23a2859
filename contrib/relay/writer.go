package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"time"
)

// oneWrite is about how many bytes of waiting chunks are written at once. A long chunk takes
// several writes of up to twice that.
const oneWrite = 16 << 10

// What a writer keeps while it waits, in bytes and in pieces.
const (
	keptBuffer = 2 << 10
	keptBatch  = 4
)

// writer writes the stream of a collection to its requester. It belongs to one goroutine, the one
// that serves the request.
type writer struct {
	collection *collection
	out        http.ResponseWriter
	control    *http.ResponseController
	begun      bool // whether bytes are out
	shown      bool // whether these, or those in buf, have a chunk among them
	limited    bool // whether the connection has a write deadline
	encoder    Encoder
	timer      *time.Timer
	written    time.Time // when something was written last
	given      time.Time // when a chunk was written last; zero: none yet
	batch      []piece
	buf        []byte
	state      StreamState
}

// serve writes the stream until it has ended, one way or another.
func (c *collection) serve(ctx context.Context, out http.ResponseWriter) error {
	w := &writer{
		collection: c,
		out:        out,
		control:    http.NewResponseController(out),
		written:    c.started,
		timer:      time.NewTimer(c.relay.cfg.keepAlive),
		state:      StreamLeft,
	}
	defer w.close() // also when a wire or the response writer panics
	w.encoder = c.query.Wire.Open(c.start())
	for {
		last, failure, err := w.take(ctx)
		if err != nil {
			return err
		}
		for i := range w.batch {
			w.append(&w.batch[i])
		}
		reported := true
		if last && failure != TooSlow && !w.shown {
			failure = NoAnswer // the wire had nothing for any chunk
		}
		switch {
		case last && failure != 0:
			w.buf, reported = w.encoder.Fail(w.buf, failure)
		case last:
			w.buf = w.encoder.Done(w.buf)
		}
		if err := w.flush(last && reported); err != nil {
			return err
		}
		switch {
		case last && !reported:
			w.state = stateOf(failure)
			return failure.err(w.begun)
		case last:
			w.state = stateOf(failure)
			return nil
		}
	}
}

// start is what the encoder of the stream knows.
func (c *collection) start() Start {
	id := c.query.ID
	if id == "" {
		id = rand.Text()
	}
	return Start{ID: id, Time: c.started, All: c.query.View.kind == viewAll}
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
		w.shrink()
		if err := w.wait(ctx); err != nil {
			return false, 0, err
		}
	}
}

// shrink frees what a burst of chunks has left, before a wait.
func (w *writer) shrink() {
	if cap(w.buf) > keptBuffer {
		w.buf = nil
	}
	if cap(w.batch) > keptBatch {
		w.batch = nil
	}
}

// wait waits for the stream to change. Meanwhile it keeps the stream alive, and ends it if the
// requester has waited for too long.
func (w *writer) wait(ctx context.Context) error {
	w.unlimit()
	cfg := &w.collection.relay.cfg
	next := cfg.keepAlive - time.Since(w.written)
	if !w.given.IsZero() {
		next = min(next, cfg.streamIdle-time.Since(w.given))
	}
	w.timer.Reset(next)
	select {
	case <-w.collection.stream.wake:
	case <-ctx.Done():
	case now := <-w.timer.C:
		if !w.given.IsZero() && now.Sub(w.given) >= cfg.streamIdle {
			w.given = now // the next miner has its whole time
			w.collection.stalled()
			return nil
		}
		w.written = now
		if comment := w.encoder.KeepAlive(w.buf); len(comment) > 0 {
			return w.write(comment, true)
		}
	}
	return nil
}

// stalled says that the requester has waited for too long.
func (c *collection) stalled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream.stalled(c.miners, c.open)
}

// append puts a piece into the buffer, and notes whether there is anything to be seen of it.
func (w *writer) append(p *piece) {
	if p.ending != 0 {
		w.buf = w.encoder.MinerDone(w.buf, p.uid, p.ending)
		return
	}
	before := len(w.buf)
	w.buf = w.encoder.Chunk(w.buf, p.uid, p.chunk)
	if p.unseen = len(w.buf) == before; !p.unseen {
		w.shown, w.given = true, time.Now()
	}
}

// flush sends the buffer. The last flush is done even if that is empty: it renews the deadline, for
// what the server itself writes at the end.
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

// write gives a piece to the requester, which must take it within the write timeout if the response
// writer supports deadlines.
func (w *writer) write(piece []byte, flush bool) error {
	c := w.collection
	w.written = time.Now()
	w.limited = w.control.SetWriteDeadline(w.written.Add(c.relay.cfg.writeTimeout)) == nil
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

// unlimit takes the deadline off while nothing is to be written: over HTTP/2 it would end the
// stream all the same.
func (w *writer) unlimit() {
	if w.limited {
		w.limited = false
		_ = w.control.SetWriteDeadline(time.Time{})
	}
}

// close notes how the stream has ended.
func (w *writer) close() {
	c := w.collection
	w.timer.Stop()
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
