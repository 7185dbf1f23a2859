package subtensor

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// maxRuntimes is how many metadata are kept: a runtime upgrade needs two at a time.
const maxRuntimes = 3

// runtimes keeps metadata by the runtime's spec version. The zero value is empty and ready.
type runtimes struct {
	mu    sync.Mutex // guards known
	known map[uint32]*scale.Metadata
}

func (r *runtimes) get(spec uint32) *scale.Metadata {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[spec]
}

// put keeps metadata and forgets the oldest if there are too many.
func (r *runtimes) put(spec uint32, meta *scale.Metadata) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = make(map[uint32]*scale.Metadata)
	}
	r.known[spec] = meta
	oldest := spec
	for other := range r.known {
		oldest = min(oldest, other)
	}
	if len(r.known) > maxRuntimes {
		delete(r.known, oldest)
	}
}

func (r *runtimes) forgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.known)
}

// snapshot is a block with the metadata to read its state by.
type snapshot struct {
	view
	version RuntimeVersion
	meta    *scale.Metadata
}

// best returns a snapshot of the node's best block.
func (c *Client) best(ctx context.Context) (snapshot, error) {
	v, err := c.session.best(ctx)
	if err != nil {
		return snapshot{}, err
	}
	return c.at(ctx, v)
}

// at returns a snapshot of a block. The version of the runtime is asked for each time, so that an
// upgrade is seen at the block where it is in force.
func (c *Client) at(ctx context.Context, v view) (snapshot, error) {
	version, err := v.runtimeVersion(ctx)
	if err != nil {
		return snapshot{}, err
	}
	meta := c.runtimes.get(version.Spec)
	if meta == nil {
		if meta, err = v.metadata(ctx); err != nil {
			return snapshot{}, fmt.Errorf("subtensor: metadata of runtime %d: %w", version.Spec, err)
		}
		c.runtimes.put(version.Spec, meta)
	}
	return snapshot{view: v, version: version, meta: meta}, nil
}

// metadata asks for metadata of version 15, and for version 16 if there is none.
func (v view) metadata(ctx context.Context) (*scale.Metadata, error) {
	for _, version := range []uint32{15, 16} {
		argument := binary.LittleEndian.AppendUint32(nil, version)
		result, err := v.call(ctx, "Metadata_metadata_at_version", argument)
		if err != nil {
			return nil, err
		}
		meta, err := scale.ParseResult(result)
		if meta != nil || err != nil {
			return meta, err
		}
	}
	return nil, fmt.Errorf("%w: the runtime offers neither V15 nor V16", scale.ErrVersion)
}

// invoke calls a runtime API by trait and method, and decodes the result into what target points
// to.
func (s snapshot) invoke(ctx context.Context, target any, trait, method string, args ...any) error {
	api, err := s.meta.API(trait, method)
	if err != nil {
		return fmt.Errorf("subtensor: %w", err)
	}
	encoded, err := api.Encode(args...)
	if err != nil {
		return fmt.Errorf("subtensor: %w", err)
	}
	result, err := s.call(ctx, api.Name(), encoded)
	if err != nil {
		return err
	}
	if err := api.Decode(result, target); err != nil {
		return fmt.Errorf("subtensor: %w", err)
	}
	return nil
}

// reads collects storage items that are read with one request.
type reads struct {
	meta *scale.Metadata
	keys [][]byte
	into []func(value []byte) error
	err  error // the first
}

func (s snapshot) reads() *reads { return &reads{meta: s.meta} }

// add reads an item of the pallet SubtensorModule into what target points to. An absent value gives
// the default of the metadata, or leaves target as it is.
func (r *reads) add(target any, item string, keys ...any) {
	r.addFrom(target, subtensorModule, item, keys...)
}

func (r *reads) addFrom(target any, pallet, item string, keys ...any) {
	if r.err != nil {
		return
	}
	found, err := r.meta.Storage(pallet, item)
	if err != nil {
		r.err = err
		return
	}
	key, err := found.Key(keys...)
	if err != nil {
		r.err = err
		return
	}
	r.keys = append(r.keys, key)
	r.into = append(r.into, func(value []byte) error {
		_, err := found.Decode(value, target)
		return err
	})
}

// addKnown reads an item that not every runtime has. Target stays as it is where it is missing.
func (r *reads) addKnown(target any, item string, keys ...any) {
	if _, err := r.meta.Storage(subtensorModule, item); err == nil {
		r.add(target, item, keys...)
	}
}

// read sends the request and decodes.
func (s snapshot) read(ctx context.Context, r *reads) error {
	if r.err != nil {
		return fmt.Errorf("subtensor: %w", r.err)
	}
	values, err := s.storage(ctx, r.keys...)
	if err != nil {
		return err
	}
	for i, value := range values {
		if err := r.into[i](value); err != nil {
			return fmt.Errorf("subtensor: block %d: %w", s.Number, err)
		}
	}
	return nil
}

// subtensorModule is the pallet of subnets, neurons and weights.
const subtensorModule = "SubtensorModule"

// mechanismStep is how far the storage indices of two mechanisms of a subnet are apart.
const mechanismStep = 4096

// maxMechanisms is how many mechanisms have a storage index of 16 bits.
const maxMechanisms = 1 << 16 / mechanismStep

// checkNetuid and checkMechanism refuse numbers whose storage index is that of another mechanism.
func checkNetuid(netuid uint16) error {
	if netuid >= mechanismStep {
		return invalid("netuid", "is %d: must be below %d", netuid, mechanismStep)
	}
	return nil
}

func checkMechanism(what string, mechanism uint8) error {
	if mechanism >= maxMechanisms {
		return invalid(what, "is %d: must be below %d", mechanism, maxMechanisms)
	}
	return nil
}

// storageIndex returns the index of a mechanism of a subnet in the chain's storage.
func storageIndex(netuid uint16, mechanism uint8) uint16 {
	return uint16(mechanism)*mechanismStep + netuid
}
