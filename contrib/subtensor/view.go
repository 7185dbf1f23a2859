package subtensor

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// view reads the state at one block, so that what is read belongs together.
type view struct {
	session *session
	Number  uint64
	Hash    Hash
}

// header is what the client needs of a block's header.
type header struct {
	Parent Hash
	Number uint64
}

// UnmarshalJSON reads the header as nodes write it.
func (h *header) UnmarshalJSON(data []byte) error {
	var fields struct {
		Parent *Hash  `json:"parentHash"`
		Number string `json:"number"`
	}
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	digits, ok := strings.CutPrefix(fields.Number, "0x")
	number, err := strconv.ParseUint(digits, 16, 64)
	if !ok || err != nil || fields.Parent == nil {
		return fmt.Errorf("%w: header", ErrBadReply)
	}
	h.Parent, h.Number = *fields.Parent, number
	return nil
}

// best returns a view of the node's best block.
func (s *session) best(ctx context.Context) (view, error) {
	return s.viewOf(ctx, "chain_getBlockHash")
}

// finalized returns a view of the last block that cannot be replaced.
func (s *session) finalized(ctx context.Context) (view, error) {
	return s.viewOf(ctx, "chain_getFinalizedHead")
}

func (s *session) viewOf(ctx context.Context, method string) (view, error) {
	var hash Hash
	if err := s.call(ctx, &hash, method); err != nil {
		return view{}, err
	}
	if hash == (Hash{}) {
		return view{}, fmt.Errorf("%w to %s: no block", ErrBadReply, method)
	}
	head, err := s.header(ctx, hash)
	if err != nil {
		return view{}, err
	}
	return view{session: s, Number: head.Number, Hash: hash}, nil
}

func (s *session) header(ctx context.Context, at Hash) (header, error) {
	var head *header
	if err := s.call(ctx, &head, "chain_getHeader", at); err != nil {
		return header{}, err
	}
	if head == nil {
		return header{}, fmt.Errorf("%w: the node does not know block %s", ErrBadReply, at)
	}
	return *head, nil
}

// blockHash returns the hash of the block at a height of the best chain; ok is
// false if the chain is not that long.
func (s *session) blockHash(ctx context.Context, number uint64) (hash Hash, ok bool, err error) {
	var answer *Hash
	if err := s.call(ctx, &answer, "chain_getBlockHash", number); err != nil || answer == nil {
		return Hash{}, false, err
	}
	return *answer, true, nil
}

// extrinsics returns the body of a block. There is always one: each block but the first has the
// extrinsic of its time.
func (s *session) extrinsics(ctx context.Context, at Hash) ([][]byte, error) {
	var answer *struct {
		Block struct {
			Extrinsics []hexBytes `json:"extrinsics"`
		} `json:"block"`
	}
	if err := s.call(ctx, &answer, "chain_getBlock", at); err != nil {
		return nil, err
	}
	if answer == nil {
		return nil, fmt.Errorf("%w: the node does not know block %s", ErrBadReply, at)
	}
	if len(answer.Block.Extrinsics) == 0 {
		return nil, fmt.Errorf("%w: block %s has no body", ErrBadReply, at)
	}
	body := make([][]byte, len(answer.Block.Extrinsics))
	for i, extrinsic := range answer.Block.Extrinsics {
		body[i] = extrinsic
	}
	return body, nil
}

// runtimeVersion asks for the version that the next block is made with.
func (v view) runtimeVersion(ctx context.Context) (RuntimeVersion, error) {
	var version RuntimeVersion
	if err := v.session.call(ctx, &version, "state_getRuntimeVersion", v.Hash); err != nil {
		return RuntimeVersion{}, err
	}
	return version, version.check()
}

// check refuses a version that the node has not given.
func (v RuntimeVersion) check() error {
	if v.Spec == 0 {
		return fmt.Errorf("%w: no spec version", ErrBadReply)
	}
	return nil
}

// call runs a function of the runtime, such as Metadata_metadata_at_version.
func (v view) call(ctx context.Context, function string, arguments []byte) ([]byte, error) {
	var result *hexBytes
	err := v.session.call(ctx, &result, "state_call", function, hexBytes(arguments), v.Hash)
	if err != nil {
		return nil, err
	}
	if result == nil {
		return nil, fmt.Errorf("%w to state_call %s: no result", ErrBadReply, function)
	}
	return *result, nil
}

// storage reads values by their keys: one value for each key, nil if the node says that there is
// none. A key that the node says nothing about is an error: some nodes answer so for a block that
// they do not know.
func (v view) storage(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	names := make([]hexBytes, len(keys))
	position := make(map[string]int, len(keys))
	for i, key := range keys {
		names[i] = key
		position[string(key)] = i
	}
	var sets []struct {
		Changes [][2]*hexBytes `json:"changes"`
	}
	if err := v.session.call(ctx, &sets, "state_queryStorageAt", names, v.Hash); err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	answered := make([]bool, len(keys))
	for _, set := range sets {
		for _, change := range set.Changes {
			if change[0] == nil {
				return nil, fmt.Errorf("%w to state_queryStorageAt", ErrBadReply)
			}
			i, asked := position[string(*change[0])]
			if !asked {
				return nil, fmt.Errorf("%w to state_queryStorageAt: a key that was not asked for", ErrBadReply)
			}
			answered[i] = true
			if change[1] != nil {
				values[i] = append([]byte{}, *change[1]...)
			}
		}
	}
	for i, key := range keys {
		at := position[string(key)]
		if !answered[at] {
			return nil, fmt.Errorf("%w to state_queryStorageAt: nothing about a key", ErrBadReply)
		}
		values[i] = values[at]
	}
	return values, nil
}

const (
	keysPerPage = 1000
	maxKeys     = 1 << 18
)

// keys returns the storage keys that begin with prefix, in their order. More
// than 262,144 are an error.
func (v view) keys(ctx context.Context, prefix []byte) ([][]byte, error) {
	var all [][]byte
	params := []any{hexBytes(prefix), keysPerPage, nil, v.Hash}
	for {
		var page []hexBytes
		if err := v.session.call(ctx, &page, "state_getKeysPaged", params...); err != nil {
			return nil, err
		}
		for _, key := range page {
			if len(all) > 0 && string(key) <= string(all[len(all)-1]) {
				return nil, fmt.Errorf("%w to state_getKeysPaged: keys are not in order", ErrBadReply)
			}
			all = append(all, key)
		}
		switch {
		case len(page) < keysPerPage:
			return all, nil
		case len(all) >= maxKeys:
			return nil, fmt.Errorf("%w to state_getKeysPaged: more than %d keys", ErrBadReply, maxKeys)
		}
		params[2] = page[len(page)-1]
	}
}

// hexBytes is bytes as nodes write them in JSON: hexadecimal with 0x in front.
type hexBytes []byte

// MarshalText never fails.
func (b hexBytes) MarshalText() ([]byte, error) {
	text := make([]byte, 2+hex.EncodedLen(len(b)))
	copy(text, "0x")
	hex.Encode(text[2:], b)
	return text, nil
}

// UnmarshalText does not quote the text in its error.
func (b *hexBytes) UnmarshalText(text []byte) error {
	if len(text) < 2 || text[0] != '0' || text[1] != 'x' {
		return fmt.Errorf("%w: bytes without 0x", ErrBadReply)
	}
	data := make([]byte, hex.DecodedLen(len(text)-2))
	if _, err := hex.Decode(data, text[2:]); err != nil {
		return fmt.Errorf("%w: not hexadecimal", ErrBadReply)
	}
	*b = data
	return nil
}
