package subtensortest

import (
	"fmt"
	"strings"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// store reads and writes a state by the names of the metadata. The first error sticks in err, so
// that a block is built without a check after each line and fails as a whole.
type store struct {
	metadata *scale.Metadata
	values   map[string][]byte
	err      error
}

func (s *store) fail(err error) {
	if s.err == nil && err != nil {
		s.err = err
	}
}

func (s *store) key(name string, keys []any) (*scale.StorageItem, string) {
	pallet, item, _ := strings.Cut(name, ".")
	found, err := s.metadata.Storage(pallet, item)
	if err != nil {
		s.fail(err)
		return nil, ""
	}
	key, err := found.Key(keys...)
	s.fail(err)
	return found, string(key)
}

// has reports whether the runtime has a storage item.
func (s *store) has(name string) bool {
	pallet, item, _ := strings.Cut(name, ".")
	_, err := s.metadata.Storage(pallet, item)
	return err == nil
}

// get decodes a value, or the default, into what target points to. It returns false, and leaves
// target alone, if an optional value is absent.
func (s *store) get(target any, name string, keys ...any) bool {
	found, key := s.key(name, keys)
	if s.err != nil {
		return false
	}
	present, err := found.Decode(s.values[key], target)
	s.fail(err)
	return present
}

func (s *store) set(value any, name string, keys ...any) {
	found, key := s.key(name, keys)
	if s.err != nil {
		return
	}
	data, err := found.Encode(value)
	s.fail(err)
	s.values[key] = data
}

func (s *store) remove(name string, keys ...any) {
	if _, key := s.key(name, keys); s.err == nil {
		delete(s.values, key)
	}
}

// number reads a number.
func (s *store) number(name string, keys ...any) uint64 {
	var n uint64
	s.get(&n, name, keys...)
	return n
}

// optional reads a number of an item that the runtime may lack.
func (s *store) optional(initial uint64, name string, keys ...any) uint64 {
	if !s.has(name) {
		return initial
	}
	return s.number(name, keys...)
}

func (s *store) flag(name string, keys ...any) bool {
	var b bool
	s.get(&b, name, keys...)
	return b
}

func (s *store) account(name string, keys ...any) (key [32]byte) {
	s.get(&key, name, keys...)
	return key
}

// accountInfo is System.Account.
type accountInfo struct {
	Nonce       uint32    `scale:"nonce"`
	Consumers   uint32    `scale:"consumers"`
	Providers   uint32    `scale:"providers"`
	Sufficients uint32    `scale:"sufficients"`
	Data        scale.Raw `scale:"data"`
}

func (s *store) nonce(account [32]byte) uint64 {
	var info accountInfo
	s.get(&info, "System.Account", account)
	return uint64(info.Nonce)
}

func (s *store) addNonce(account [32]byte) {
	var info accountInfo
	s.get(&info, "System.Account", account)
	info.Nonce++
	s.set(info, "System.Account", account)
}

// stakeKey is where the node keeps the stake weight of a neuron. The real chain computes it.
func stakeKey(netuid, uid uint16) string {
	return fmt.Sprintf("subtensortest:stake:%d:%d", netuid, uid)
}
