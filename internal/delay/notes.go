package delay

import (
	"maps"
	"sync"
	"time"
)

// Notes keeps keys, each until its own time, and no more of them than Limit: a
// key beyond it is not noted. It is safe for concurrent use.
type Notes struct {
	Limit int

	mu    sync.Mutex // guards until
	until map[string]time.Time
}

// Add notes a key from now until a time.
func (n *Notes) Add(key string, now, until time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.until == nil {
		n.until = make(map[string]time.Time)
	}
	if len(n.until) >= n.Limit {
		n.removePast(now)
	}
	if _, noted := n.until[key]; noted || len(n.until) < n.Limit {
		n.until[key] = until
	}
}

// Remove removes a key before its time.
func (n *Notes) Remove(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.until, key)
}

// Len returns the number of keys whose time is after now.
func (n *Notes) Len(now time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.removePast(now)
	return len(n.until)
}

// removePast removes the keys whose time is not after now. The lock is held.
func (n *Notes) removePast(now time.Time) {
	maps.DeleteFunc(n.until, func(_ string, until time.Time) bool { return !until.After(now) })
}
