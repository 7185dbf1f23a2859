package replay

import "sync"

// Counters remember the highest number that each client of an owner has used,
// for senders whose nonce is no date. Nothing is ever forgotten, since a number
// that was forgotten could be used again: without room they refuse. They are
// safe for concurrent use.
type Counters struct {
	perOwner, total int

	mu     sync.Mutex // guards what follows
	owners map[[32]byte]map[string]uint64
	size   int
}

// NewCounters returns room for so many clients of one owner and so many in all.
func NewCounters(perOwner, total int) *Counters {
	return &Counters{perOwner: perOwner, total: total, owners: make(map[[32]byte]map[string]uint64)}
}

// Raise takes the nonce as the client's highest number: Added when it is
// higher than all before, otherwise Seen, or Full. The client's name is kept,
// so it must not alias a larger text.
func (c *Counters) Raise(owner [32]byte, client string, nonce uint64) Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	clients := c.owners[owner]
	last, known := clients[client]
	if known && nonce <= last {
		return Seen
	}
	if !known {
		if c.size >= c.total || len(clients) >= c.perOwner {
			return Full
		}
		if clients == nil {
			clients = make(map[string]uint64)
			c.owners[owner] = clients
		}
		c.size++
	}
	clients[client] = nonce
	return Added
}
