package weights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

const maxMessage = 200 // bytes of an answer that an error holds

// HTTPError is the answer of a weights API that did not set the weights.
type HTTPError struct {
	Status  int    // 2xx when the chain has refused
	Message string // what the API said of it, 200 bytes at most
}

func (e *HTTPError) Error() string {
	return fmt.Sprintf("weights: not set, the API answered %d: %q", e.Status, e.Message)
}

// answerFields is what an answer may say in an object. JSON in Go does not
// mind the case of names.
type answerFields struct {
	Success json.RawMessage `json:"success"`
	Error   json.RawMessage `json:"error"`
	Msg     json.RawMessage `json:"msg"`
	Message json.RawMessage `json:"message"`
}

// judge tells from an answer whether the weights are set. One that is no JSON
// says nothing beyond its status.
func judge(status int, answer []byte) error {
	refused := &HTTPError{Status: status, Message: shortened(string(answer))}
	if status < 200 || status > 299 {
		return refused
	}
	answer = bytes.TrimSpace(answer)
	if !json.Valid(answer) {
		return nil
	}
	switch answer[0] {
	case '{':
		return judgeObject(refused, answer)
	case '[':
		var list []json.RawMessage
		_ = json.Unmarshal(answer, &list) // is valid
		if len(list) > 0 && string(list[0]) == "true" {
			return nil
		}
		return refused
	case 'f':
		return refused
	}
	return nil
}

func judgeObject(refused *HTTPError, answer []byte) error {
	var fields answerFields
	_ = json.Unmarshal(answer, &fields) // is valid, and raw messages take anything
	failed := !isNothing(fields.Error)
	if !failed && (fields.Success == nil || string(fields.Success) == "true") {
		return nil
	}
	for _, message := range []json.RawMessage{fields.Msg, fields.Message, fields.Error} {
		if !isNothing(message) {
			text := string(message)
			_ = json.Unmarshal(message, &text) // leaves what is no string as it is
			refused.Message = shortened(text)
			break
		}
	}
	return refused
}

// isNothing reports whether a field is missing or says nothing.
func isNothing(field json.RawMessage) bool {
	switch string(field) {
	case "", "null", `""`, "false":
		return true
	}
	return false
}

// shortened cuts what somebody else has written, and no character in two.
func shortened(text string) string {
	const mark = "…"
	if len(text) <= maxMessage {
		return text
	}
	end := maxMessage - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}
