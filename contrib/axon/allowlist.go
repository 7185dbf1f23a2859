package axon

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"github.com/organic-scoring/organic/contrib/keys"
)

// AllowList is a set of hotkeys that may be changed while it is in use; a
// request is judged by the list as it is at that moment. The zero value accepts
// no hotkey. It is safe for concurrent use and must not be copied.
type AllowList struct {
	mu      sync.RWMutex // guards hotkeys
	hotkeys map[keys.Hotkey]struct{}
}

// NewAllowList returns a list of these hotkeys.
func NewAllowList(hotkeys ...keys.Hotkey) *AllowList {
	list := &AllowList{}
	list.Allow(hotkeys...)
	return list
}

// Allow puts hotkeys on the list.
func (l *AllowList) Allow(hotkeys ...keys.Hotkey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hotkeys == nil {
		l.hotkeys = make(map[keys.Hotkey]struct{}, len(hotkeys))
	}
	for _, hotkey := range hotkeys {
		l.hotkeys[hotkey] = struct{}{}
	}
}

// Remove takes hotkeys off the list. Requests that were accepted before go on.
func (l *AllowList) Remove(hotkeys ...keys.Hotkey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, hotkey := range hotkeys {
		delete(l.hotkeys, hotkey)
	}
}

// Replace makes these hotkeys the whole list, in one step: for lists that
// follow the metagraph.
func (l *AllowList) Replace(hotkeys ...keys.Hotkey) {
	fresh := make(map[keys.Hotkey]struct{}, len(hotkeys))
	for _, hotkey := range hotkeys {
		fresh[hotkey] = struct{}{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hotkeys = fresh
}

// Allows reports whether a hotkey is on the list.
func (l *AllowList) Allows(hotkey keys.Hotkey) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, ok := l.hotkeys[hotkey]
	return ok
}

// Hotkeys returns the list in the order of the keys' bytes.
func (l *AllowList) Hotkeys() []keys.Hotkey {
	l.mu.RLock()
	defer l.mu.RUnlock()
	byBytes := func(a, b keys.Hotkey) int { return bytes.Compare(a[:], b[:]) }
	return slices.SortedFunc(maps.Keys(l.hotkeys), byBytes)
}
