package boltqueue

import "sync"

// maxBatch is how many writes share a transaction at most.
const maxBatch = 1000

// write is what one call wants stored, all of it or nothing.
type write struct {
	ops  []op
	err  error
	turn chan bool // true: lead the next batch; false: it is done, see err
}

// committer lets calls that come at the same time share one transaction and
// its sync. A call that finds nothing under way commits at once. Those that
// come meanwhile wait, and when the transaction ends the first of them commits
// the next one for all.
type committer struct {
	apply func(batch []*write) error // one transaction

	mu      sync.Mutex // guards what follows
	busy    bool
	waiting []*write
}

// commit stores ops and returns when they are on the disk, or with the error of
// the transaction.
func (c *committer) commit(ops ...op) error {
	w := &write{ops: ops, turn: make(chan bool, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, w)
	busy := c.busy
	c.busy = true
	c.mu.Unlock()
	if busy && !<-w.turn {
		return w.err
	}
	batch := c.next()
	err := c.apply(batch)
	c.pass()
	for _, other := range batch {
		other.err = err
		if other != w {
			other.turn <- false
		}
	}
	return err
}

// next returns the batch of a call that leads, which is the first of it.
func (c *committer) next() []*write {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), maxBatch)
	batch := c.waiting[:n:n]
	c.waiting = append([]*write(nil), c.waiting[n:]...)
	return batch
}

// pass lets the first call that waits lead.
func (c *committer) pass() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = len(c.waiting) > 0
	if c.busy {
		c.waiting[0].turn <- true
	}
}
