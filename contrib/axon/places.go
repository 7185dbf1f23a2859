package axon

import (
	"net/netip"
	"sync"
)

// places are room for so many connections, or large bodies, at once, of which one
// neighbourhood can have a part only: whoever sends slowly from one address does
// not keep everybody else out. They are safe for concurrent use.
type places struct {
	total, each int

	mu    sync.Mutex // guards what follows
	taken int
	held  map[netip.Prefix]int
}

// newPlaces lets one neighbourhood have a quarter, and one place at least.
func newPlaces(total int) *places {
	return &places{total: total, each: max(1, total/4), held: make(map[netip.Prefix]int)}
}

// take takes a place, if there is one.
func (p *places) take(by netip.Prefix) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.total || p.held[by] >= p.each {
		return false
	}
	p.taken++
	p.held[by]++
	return true
}

// leave gives a place back.
func (p *places) leave(by netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.held[by]--; p.held[by] == 0 {
		delete(p.held, by)
	}
}
