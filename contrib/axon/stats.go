package axon

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Stats is what a server has counted since it was made, and what it holds now.
// Each number is exact, together they are no snapshot.
type Stats struct {
	Verified uint64            // requests that passed all checks of the axon
	Served   uint64            // verified requests that the hooks answered without an error
	Refused  map[Reason]uint64 // all others that have ended, before or after verification

	Reading    int // large bodies that are being read and checked
	Serving    int // requests in Forward
	Waiting    int // verified requests that wait for their turn
	Remembered int // requests in the replay memory
	Addresses  int // addresses whose rate is remembered
	Hotkeys    int // proven hotkeys whose key is remembered
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	serving, waiting := s.gate.Counts()
	reading, _ := s.reading.Len()
	return Stats{
		Verified:   s.counts.verified.Load(),
		Served:     s.counts.served.Load(),
		Refused:    s.counts.all(),
		Reading:    reading,
		Serving:    serving,
		Waiting:    waiting,
		Remembered: s.replays.Len(),
		Addresses:  s.addresses.limiters.Len(),
		Hotkeys:    s.senders.proven.Len(),
	}
}

// counters count requests.
type counters struct {
	verified, served atomic.Uint64

	mu      sync.Mutex // guards reasons
	reasons map[Reason]uint64
}

func (c *counters) refused(reason Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reasons == nil {
		c.reasons = make(map[Reason]uint64)
	}
	c.reasons[reason]++
}

func (c *counters) all() map[Reason]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.reasons)
}
