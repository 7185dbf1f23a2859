package subtensor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// frame is one message of a node: the answer to the request with this id, or a
// notification of a subscription, in which an error says that the subscription has ended.
type frame struct {
	id           uint64
	isAnswer     bool
	result       json.RawMessage
	err          *RPCError
	subscription string // the node's name for it, as JSON; "" unless a notification
}

var errFrame = errors.New("subtensor: node sent a malformed frame")

// parseFrame reads a message of a node. The error does not quote the message.
func parseFrame(data []byte) (frame, error) {
	var message struct {
		ID     json.RawMessage `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  *RPCError       `json:"error"`
		Method string          `json:"method"`
		Params struct {
			Subscription json.RawMessage `json:"subscription"`
			Result       json.RawMessage `json:"result"`
			Error        *RPCError       `json:"error"`
		} `json:"params"`
	}
	if err := json.Unmarshal(data, &message); err != nil {
		return frame{}, errFrame
	}
	if message.Method != "" {
		params := message.Params
		return frame{
			subscription: string(params.Subscription), result: params.Result, err: params.Error,
		}, nil
	}
	if isAbsent(message.ID) {
		if message.Error == nil {
			return frame{}, errFrame
		}
		return frame{err: message.Error}, nil
	}
	id, err := strconv.ParseUint(string(message.ID), 10, 64)
	if err != nil {
		return frame{}, errFrame
	}
	return frame{id: id, isAnswer: true, result: message.Result, err: message.Error}, nil
}

func isAbsent(value json.RawMessage) bool {
	return len(value) == 0 || bytes.Equal(value, []byte("null"))
}

// encodeRequest fails only for parameters that JSON cannot express.
func encodeRequest(id uint64, method string, params []any) ([]byte, error) {
	if params == nil {
		params = []any{}
	}
	data, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      uint64 `json:"id"`
		Method  string `json:"method"`
		Params  []any  `json:"params"`
	}{"2.0", id, method, params})
	if err != nil {
		return nil, fmt.Errorf("subtensor: %s: encode parameters: %w", method, err)
	}
	return data, nil
}
