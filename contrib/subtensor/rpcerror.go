package subtensor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Errors of the connection to a node; compare with errors.Is.
var (
	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("subtensor: client is closed")
	// ErrDisconnected is returned when the connection was lost while a request
	// was in flight that must not be sent twice, or again and again while a
	// request was in flight that may be. Whether the node acted on the request
	// is not known.
	ErrDisconnected = errors.New("subtensor: connection lost while a request was in flight")
	// ErrPruned is returned for a read at a block whose state the node no longer
	// has. Read at a newer block.
	ErrPruned = errors.New("subtensor: node has discarded the state of the block")
	// ErrBadReply is returned for an answer that does not have the form that
	// the method promises.
	ErrBadReply = errors.New("subtensor: malformed answer")

	// errNotSent is in the error of a submission that no node has received.
	errNotSent = errors.New("not sent")
)

// WrongChainError is returned by Dial when a node serves another chain than the
// configured one.
type WrongChainError struct {
	Endpoint   string // host and port
	Genesis    Hash   // of the node
	Configured Hash   // of the [Network]
}

// Error names both hashes.
func (e *WrongChainError) Error() string {
	return fmt.Sprintf("subtensor: %s serves the chain with genesis %s, not %s",
		e.Endpoint, e.Genesis, e.Configured)
}

// codeBusy is what public endpoints answer when the client asks too often.
const codeBusy = -32999

// maxErrorText bounds what is kept of a node's error.
const maxErrorText = 2048

// RPCError is an error that a node returned for a request.
type RPCError struct {
	Method  string
	Code    int    // 0 if the node gave none
	Message string // the node's words, cut to 2 KiB
	Data    string // JSON, or the text if it is a JSON string; cut to 2 KiB
}

// Error quotes the node's words.
func (e *RPCError) Error() string {
	text := fmt.Sprintf("subtensor: %s: node returned error %d %q", e.Method, e.Code, e.Message)
	if e.Data != "" {
		text += fmt.Sprintf(" (%q)", e.Data)
	}
	return text
}

// Is reports a node's complaint about missing state as [ErrPruned].
func (e *RPCError) Is(target error) bool {
	const pruned = "State already discarded for"
	return target == ErrPruned &&
		(strings.Contains(e.Message, pruned) || strings.Contains(e.Data, pruned))
}

// UnmarshalJSON reads the object of JSON-RPC. Nodes deviate from it: the code
// may be absent, or the whole error may be a text or an object of another form,
// which is kept as the message.
func (e *RPCError) UnmarshalJSON(data []byte) error {
	var object struct {
		Code    *int            `json:"code"`
		Message *string         `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	err := json.Unmarshal(data, &object)
	if err != nil || object.Message == nil {
		e.Message = clip(textOf(data))
		if object.Code != nil {
			e.Code = *object.Code
		}
		return nil
	}
	if object.Code != nil {
		e.Code = *object.Code
	}
	e.Message, e.Data = clip(*object.Message), clip(textOf(object.Data))
	return nil
}

// textOf returns the text of a JSON string, and other JSON as it is.
func textOf(data json.RawMessage) string {
	var text string
	if json.Unmarshal(data, &text) == nil {
		return text
	}
	return string(bytes.TrimSpace(data))
}

func clip(text string) string {
	if len(text) > maxErrorText {
		return strings.ToValidUTF8(text[:maxErrorText], "")
	}
	return text
}
