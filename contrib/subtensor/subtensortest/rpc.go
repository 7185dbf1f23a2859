package subtensortest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/organic-scoring/organic/contrib/keys"

	"github.com/organic-scoring/organic/contrib/subtensor"
)

// rpcError is an error of JSON-RPC; raw replaces it as it is.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    string `json:"data,omitempty"`
	raw     json.RawMessage
}

// Error quotes the code, if there is one, and the texts.
func (e *rpcError) Error() string {
	if e.raw != nil {
		return "subtensortest: " + string(e.raw)
	}
	return fmt.Sprintf("subtensortest: %d %s: %s", e.Code, e.Message, e.Data)
}

// MarshalJSON writes raw if there is one.
func (e *rpcError) MarshalJSON() ([]byte, error) {
	if e.raw != nil {
		return e.raw, nil
	}
	type plain rpcError
	return json.Marshal((*plain)(e))
}

// codeUnknownBlock is of errors about blocks and their state.
const codeUnknownBlock = 4003

func badParams(what string) *rpcError {
	return &rpcError{Code: -32602, Message: "Invalid params", Data: what}
}

// request is a request of JSON-RPC.
type request struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// response is the answer to a request.
type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

// null is a result that is written as null.
var null = json.RawMessage("null")

// answer handles a message and returns whether the connection goes on.
func (c *client) answer(data []byte) bool {
	var r request
	if json.Unmarshal(data, &r) != nil || r.ID == nil {
		c.send(response{Version: "2.0", ID: null, Error: &rpcError{Code: -32700, Message: "Parse error"}})
		return true
	}
	n := c.server.node
	n.mu.Lock()
	defer n.mu.Unlock()
	fault := n.faults.of(r.Method)
	if fault.Action == DropBefore {
		return false
	}
	if fault.Action == Fail {
		c.send(response{Version: "2.0", ID: r.ID, Error: &rpcError{raw: json.RawMessage(fault.Error)}})
		return true
	}
	result, failure := c.call(r)
	if fault.Action != Pass {
		return fault.Action == Swallow
	}
	switch {
	case failure != nil:
		result = nil
	case result == nil:
		result = null
	}
	c.send(response{Version: "2.0", ID: r.ID, Result: result, Error: failure})
	if o, ok := result.(opened); ok {
		c.send(notification{Version: "2.0", Method: string(o.feed), Params: params{o.name, o.first}})
	}
	return true
}

// call runs a method; the node is locked.
func (c *client) call(r request) (any, *rpcError) {
	n := c.server.node
	switch r.Method {
	case "chain_subscribeNewHeads":
		return c.subscribe(newHeads, n.headerOf(n.head())), nil
	case "chain_subscribeFinalizedHeads":
		return c.subscribe(finalizedHeads, n.headerOf(n.finalized())), nil
	case "state_subscribeRuntimeVersion":
		return c.subscribe(runtimeVersions, n.head().runtime.Version), nil
	case "chain_unsubscribeNewHeads", "chain_unsubscribeFinalizedHeads",
		"state_unsubscribeRuntimeVersion":
		return c.unsubscribe(r.Params)
	case "author_submitExtrinsic":
		raw, failure := bytesParam(r.Params, 0)
		if failure != nil {
			return nil, failure
		}
		hash, failure := n.submit(raw)
		return hash, failure
	case "system_accountNextIndex":
		return n.accountNextIndex(r.Params)
	case "chain_getBlockHash":
		return n.getBlockHash(r.Params)
	case "chain_getFinalizedHead":
		return n.finalized().hash, nil
	case "chain_getHeader", "chain_getBlock":
		return n.getBlock(r.Method, r.Params)
	}
	return n.readState(r)
}

// subscribe answers with the feed's name; the first notification follows the answer.
func (c *client) subscribe(f feed, first any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastFeed++
	name := c.lastFeed
	c.feeds[name] = f
	return opened{name: feedName(name), feed: f, first: first}
}

// opened is the result of a subscription.
type opened struct {
	name  string
	feed  feed
	first any
}

// MarshalJSON writes the name.
func (o opened) MarshalJSON() ([]byte, error) { return json.Marshal(o.name) }

func (c *client) unsubscribe(params []json.RawMessage) (any, *rpcError) {
	var text string
	if len(params) != 1 || json.Unmarshal(params[0], &text) != nil {
		return nil, badParams("the name of a subscription is needed")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.feeds {
		if feedName(name) == text {
			delete(c.feeds, name)
			return true, nil
		}
	}
	return false, nil
}

func bytesParam(params []json.RawMessage, i int) ([]byte, *rpcError) {
	var text string
	if i >= len(params) || json.Unmarshal(params[i], &text) != nil {
		return nil, badParams(fmt.Sprintf("parameter %d must be text", i))
	}
	digits, ok := strings.CutPrefix(text, "0x")
	data, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return nil, badParams(fmt.Sprintf("parameter %d must be hexadecimal", i))
	}
	return data, nil
}

func isAbsent(params []json.RawMessage, i int) bool {
	return i >= len(params) || string(params[i]) == "null"
}

// blockParam returns the block that a parameter names, or the best one.
func (n *Node) blockParam(params []json.RawMessage, i int) (*block, *rpcError) {
	if isAbsent(params, i) {
		return n.head(), nil
	}
	var hash subtensor.Hash
	if json.Unmarshal(params[i], &hash) != nil {
		return nil, badParams("a block hash is needed")
	}
	b := n.blocks[hash]
	if b == nil {
		return nil, &rpcError{
			Code:    codeUnknownBlock,
			Message: "Client error: UnknownBlock: Header was not found in the database: " + hash.String(),
		}
	}
	return b, nil
}

// stateParam is blockParam for a block whose state is needed.
func (n *Node) stateParam(params []json.RawMessage, i int) (*block, *rpcError) {
	b, failure := n.blockParam(params, i)
	if failure == nil && b.values == nil {
		return nil, &rpcError{
			Code:    codeUnknownBlock,
			Message: "Client error: UnknownBlock: State already discarded for " + b.hash.String(),
		}
	}
	return b, failure
}

func (n *Node) accountNextIndex(params []json.RawMessage) (any, *rpcError) {
	var address string
	if len(params) != 1 || json.Unmarshal(params[0], &address) != nil {
		return nil, badParams("an address is needed")
	}
	account, err := keys.ParseSS58(address)
	if err != nil {
		return nil, badParams("an SS58 address is needed")
	}
	return n.nextIndex(account), nil
}

func (n *Node) getBlockHash(params []json.RawMessage) (any, *rpcError) {
	if isAbsent(params, 0) {
		return n.head().hash, nil
	}
	var height uint64
	if json.Unmarshal(params[0], &height) != nil {
		return nil, badParams("a height is needed")
	}
	if height >= uint64(len(n.chain)) {
		return null, nil
	}
	return n.chain[height].hash, nil
}

type header struct {
	Parent     subtensor.Hash `json:"parentHash"`
	Number     string         `json:"number"`
	StateRoot  subtensor.Hash `json:"stateRoot"`
	Extrinsics subtensor.Hash `json:"extrinsicsRoot"`
}

func (n *Node) headerOf(b *block) header {
	return header{Parent: b.parent, Number: fmt.Sprintf("0x%x", b.number)}
}

func (n *Node) getBlock(method string, params []json.RawMessage) (any, *rpcError) {
	b, failure := n.blockParam(params, 0)
	switch {
	case b == nil && failure.Code == codeUnknownBlock:
		return null, nil // unlike for state, null is the answer for an unknown block
	case failure != nil:
		return nil, failure
	case method == "chain_getHeader":
		return n.headerOf(b), nil
	}
	body := make([]string, len(b.extrinsics))
	for i, extrinsic := range b.extrinsics {
		body[i] = hexText(extrinsic)
	}
	return map[string]any{"block": map[string]any{"header": n.headerOf(b), "extrinsics": body}}, nil
}

func hexText(data []byte) string { return "0x" + hex.EncodeToString(data) }

func (n *Node) readState(r request) (any, *rpcError) {
	switch r.Method {
	case "state_getRuntimeVersion":
		b, failure := n.stateParam(r.Params, 0)
		if failure != nil {
			return nil, failure
		}
		return b.runtime.Version, nil
	case "state_getStorage":
		return n.getStorage(r.Params)
	case "state_queryStorageAt":
		return n.queryStorageAt(r.Params)
	case "state_getKeysPaged":
		return n.getKeysPaged(r.Params)
	case "state_call":
		return n.stateCall(r.Params)
	}
	return nil, &rpcError{Code: -32601, Message: "Method not found"}
}

func (b *block) value(key []byte) any {
	value, ok := b.values[string(key)]
	if !ok {
		return null
	}
	return hexText(value)
}

func (n *Node) getStorage(params []json.RawMessage) (any, *rpcError) {
	key, failure := bytesParam(params, 0)
	if failure != nil {
		return nil, failure
	}
	b, failure := n.stateParam(params, 1)
	if failure != nil {
		return nil, failure
	}
	return b.value(key), nil
}

func (n *Node) queryStorageAt(params []json.RawMessage) (any, *rpcError) {
	var texts []json.RawMessage
	if len(params) == 0 || json.Unmarshal(params[0], &texts) != nil {
		return nil, badParams("a list of keys is needed")
	}
	b, failure := n.stateParam(params, 1)
	if failure != nil {
		return nil, failure
	}
	changes := make([][2]any, len(texts))
	for i := range texts {
		key, failure := bytesParam(texts, i)
		if failure != nil {
			return nil, failure
		}
		changes[i] = [2]any{hexText(key), b.value(key)}
	}
	return []any{map[string]any{"block": b.hash, "changes": changes}}, nil
}

func (n *Node) getKeysPaged(params []json.RawMessage) (any, *rpcError) {
	prefix, failure := bytesParam(params, 0)
	if failure != nil {
		return nil, failure
	}
	var count int
	if len(params) < 2 || json.Unmarshal(params[1], &count) != nil || count < 0 || count > 1000 {
		return nil, badParams("count must be at most 1000")
	}
	var start []byte
	if !isAbsent(params, 2) {
		if start, failure = bytesParam(params, 2); failure != nil {
			return nil, failure
		}
	}
	b, failure := n.stateParam(params, 3)
	if failure != nil {
		return nil, failure
	}
	found := []string{}
	for key := range b.values {
		if strings.HasPrefix(key, string(prefix)) && (start == nil || key > string(start)) {
			found = append(found, key)
		}
	}
	slices.Sort(found)
	found = found[:min(count, len(found))]
	for i := range found {
		found[i] = hexText([]byte(found[i]))
	}
	return found, nil
}
