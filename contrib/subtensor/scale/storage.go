package scale

import (
	"fmt"

	"golang.org/x/crypto/blake2b"
)

// Hasher is how a part of a storage key is hashed.
type Hasher uint8

// The hashers, by their numbers in metadata.
const (
	Blake2b128 Hasher = iota
	Blake2b256
	Blake2b128Concat
	Twox128
	Twox256
	Twox64Concat
	Identity
)

func (h Hasher) hash(data []byte) []byte {
	switch h {
	case Blake2b128:
		return blake2(data, 16)
	case Blake2b256:
		return blake2(data, 32)
	case Blake2b128Concat:
		return append(blake2(data, 16), data...)
	case Twox128:
		return twox(data, 16)
	case Twox256:
		return twox(data, 32)
	case Twox64Concat:
		return append(twox(data, 8), data...)
	default:
		return data
	}
}

func blake2(data []byte, size int) []byte {
	hash, err := blake2b.New(size, nil)
	if err != nil {
		panic(err) // only for a size or a key that is wrong
	}
	hash.Write(data)
	return hash.Sum(nil)
}

// StorageItem is an item of a pallet's storage, found by [Metadata.Storage].
type StorageItem struct {
	metadata *Metadata
	name     string // with the pallet's
	prefix   string
	item     *StorageType
}

// Storage finds a storage item by the names of pallet and item; a [NotFoundError] if the runtime
// lacks it.
func (m *Metadata) Storage(pallet, item string) (*StorageItem, error) {
	p, err := m.Pallet(pallet)
	if err != nil {
		return nil, err
	}
	for i := range p.Storage {
		if found := &p.Storage[i]; found.Name == item {
			name := pallet + "." + item
			return &StorageItem{metadata: m, name: name, prefix: p.Prefix, item: found}, nil
		}
	}
	return nil, &NotFoundError{Kind: "storage item", Name: pallet + "." + item}
}

// Name returns the names of pallet and item.
func (s *StorageItem) Name() string { return s.name }

// Type returns the description of the item.
func (s *StorageItem) Type() StorageType { return *s.item }

// Prefix returns the bytes that all keys of the item begin with.
func (s *StorageItem) Prefix() []byte {
	return append(twox([]byte(s.prefix), 16), twox([]byte(s.item.Name), 16)...)
}

// Key returns the key of a value. Of a map it takes a key for each hasher; fewer keys give the
// common beginning of the values below them.
func (s *StorageItem) Key(keys ...any) ([]byte, error) {
	if len(keys) > len(s.item.Hashers) {
		return nil, mismatch("%s has %d keys, %d given", s.name, len(s.item.Hashers), len(keys))
	}
	full := s.Prefix()
	for i, key := range keys {
		typ, err := s.keyType(i)
		if err != nil {
			return nil, err
		}
		encoded, err := s.metadata.Encode(typ, key)
		if err != nil {
			return nil, fmt.Errorf("%s: key %d: %w", s.name, i, err)
		}
		full = append(full, s.item.Hashers[i].hash(encoded)...)
	}
	return full, nil
}

// keyType returns the type of key i: with several hashers, the keys are a tuple.
func (s *StorageItem) keyType(i int) (TypeID, error) {
	if len(s.item.Hashers) == 1 {
		return s.item.Key, nil
	}
	tuple := s.metadata.typ(s.item.Key)
	if tuple.Kind != KindTuple || i >= len(tuple.Elems) {
		return 0, malformed("the keys of %s are not a tuple of %d", s.name, len(s.item.Hashers))
	}
	return tuple.Elems[i], nil
}

// Decode decodes a value into what target points to. A nil value is an absent one: the item's
// default takes its place, or, of an optional item, target stays as it is. Present reports whether
// target was written.
func (s *StorageItem) Decode(value []byte, target any) (present bool, err error) {
	if value == nil {
		if s.item.Optional {
			return false, nil
		}
		value = s.item.Default
	}
	if err := s.metadata.Decode(s.item.Value, value, target); err != nil {
		return false, fmt.Errorf("%s: %w", s.name, err)
	}
	return true, nil
}

// Encode returns a value as the chain stores it.
func (s *StorageItem) Encode(value any) ([]byte, error) {
	data, err := s.metadata.Encode(s.item.Value, value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return data, nil
}
