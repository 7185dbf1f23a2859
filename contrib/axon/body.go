package axon

import (
	"errors"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/organic-scoring/organic/contrib/axon/internal/fair"
)

const (
	// smallBody is what is read without a claim for reading: most bodies are no
	// larger and come with the header, so that slow ones keep none of them out. Over
	// HTTP/2 every body needs a claim, since one connection can have hundreds.
	smallBody = 64 << 10

	// rateTime is how long the rate of a body is measured over.
	rateTime = 2 * time.Second

	// rateGrain is by how much a read deadline must move to be set again.
	rateGrain = 10 * time.Millisecond

	// readingGrace is how long a body is not slow after a piece of it has arrived.
	readingGrace = 250 * time.Millisecond
)

// upload is a large body that is being read, and then checked.
type upload struct {
	fair.Claim[netip.Prefix, *upload]

	writer http.ResponseWriter

	mu      sync.Mutex // guards what follows
	arrived bool       // all of it
	evicted bool       // before it had arrived
}

// interrupt ends the reading of a body, for one of another party. A body that has arrived
// is slow no longer; to interrupt it would end the ctx of its request.
func (u *upload) interrupt() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.arrived {
		u.evicted = true
		setReadDeadline(u.writer, time.Unix(1, 0))
	}
}

func (u *upload) isEvicted() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.evicted
}

// arrive notes that the body has arrived, and reports whether that was in time.
func (u *upload) arrive() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.arrived = !u.evicted
	return u.arrived
}

// boundBody gives the first piece of a body its time to arrive, be the body wanted
// or not: net/http reads what is left of a body before it sends an answer, and would
// wait for it without end.
func (a *answer) boundBody() {
	if body := a.request.Body; body != nil && body != http.NoBody {
		setReadDeadline(a.writer, a.readBy())
	}
}

func (a *answer) readBy() time.Time { return a.began.Add(min(rateTime, a.limits.BodyTime)) }

// readBody reads the body into the check's own memory, each piece of it in the time
// that the rate demands. For a large one it holds a claim until the check is over.
func (c *check) readBody() *refusal {
	if c.http.Body == nil || c.http.Body == http.NoBody {
		return nil
	}
	c.conn = connOf(c.http)
	if c.http.ProtoMajor >= 2 {
		if no := c.claimReading(); no != nil {
			return no
		}
	}
	limits := &c.server.cfg.limits
	pieceBytes := int64(min(limits.BodyRate, largestNumber)) * int64(rateTime/time.Second)
	now := time.Now()
	last := now.Add(limits.BodyTime)
	c.piece.R = http.MaxBytesReader(c.writer, c.http.Body, limits.BodyBytes)
	for ; ; now = time.Now() {
		c.piece.N = pieceBytes
		if c.upload == nil {
			c.piece.N = min(pieceBytes, int64(smallBody-c.body.Len()))
		}
		c.extendReading(now, last)
		_, err := c.body.ReadFrom(&c.piece)
		switch {
		case err != nil:
			return c.unread(err)
		case c.piece.N > 0: // the end of the body
			if c.upload != nil && !c.upload.arrive() {
				return tooManyReads
			}
			setReadDeadline(c.writer, time.Time{}) // else the hooks would have no longer either
			return nil
		case c.body.Len() >= smallBody && c.upload == nil:
			if no := c.claimReading(); no != nil {
				return no
			}
		}
	}
}

// extendReading notes that a piece has arrived, and gives the next one its time.
func (c *check) extendReading(now, last time.Time) {
	deadline := now.Add(rateTime)
	if deadline.After(last) {
		deadline = last
	}
	if deadline.Sub(c.readBy) > rateGrain {
		c.readBy = deadline
		setReadDeadline(c.writer, deadline)
	}
	c.conn.touch()
	if c.upload == nil {
		return
	}
	c.upload.Touch()
	if c.upload.isEvicted() {
		c.upload.interrupt() // it may have been before the deadline was set
	}
}

func (c *check) claimReading() *refusal {
	u := &upload{writer: c.writer}
	u.Value, u.Party = u, addressParty(c.remote.Addr())
	if !c.server.reading.Take(&u.Claim, nil) {
		return tooManyReads
	}
	c.upload = u
	return nil
}

// unread is the refusal for a body that cannot be read to its end.
func (c *check) unread(err error) *refusal {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return largeBody
	}
	switch {
	case c.upload != nil && c.upload.isEvicted():
		return tooManyReads
	case errors.Is(err, os.ErrDeadlineExceeded):
		return tooSlow
	}
	return badBody
}

// setReadDeadline does nothing for a writer without deadlines, which has its own.
func setReadDeadline(w http.ResponseWriter, deadline time.Time) {
	_ = http.NewResponseController(w).SetReadDeadline(deadline)
}
