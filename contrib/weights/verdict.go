package weights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"unicode/utf8"
)

const maxMessage = 200 // bytes of an answer that an error holds

// HTTPError is the answer of a weights API that did not set the weights.
type HTTPError struct {
	Status  int    // 2xx if the chain has refused, or the answer has an unknown shape
	Message string // the API's message or answer, 200 bytes at most
}

func (e *HTTPError) Error() string {
	return fmt.Sprintf("weights: not set, the API answered %d: %q", e.Status, e.Message)
}

// answerFields is what an answer can hold in an object. JSON in Go ignores the case of names.
type answerFields struct {
	Success json.RawMessage `json:"success"`
	OK      json.RawMessage `json:"ok"`
	Error   json.RawMessage `json:"error"`
	Msg     json.RawMessage `json:"msg"`
	Message json.RawMessage `json:"message"`
}

// judge decides by the rule of HTTP whether an answer is a success, and returns it as evidence.
func judge(status int, answer []byte) (evidence string, err error) {
	refused := &HTTPError{Status: status, Message: shortened(string(answer))}
	answer = bytes.TrimSpace(answer)
	if status != http.StatusOK && status != http.StatusCreated || !json.Valid(answer) {
		return "", refused
	}
	var set bool
	switch answer[0] {
	case '{':
		var fields answerFields
		_ = json.Unmarshal(answer, &fields) // is valid, and raw messages take anything
		set = fields.success()
		refused.Message = fields.message(refused.Message)
	case '[':
		var list []json.RawMessage
		_ = json.Unmarshal(answer, &list) // is valid
		set = len(list) > 0 && string(list[0]) == "true"
	default:
		set = string(answer) == "true"
	}
	if !set {
		return "", refused
	}
	return fmt.Sprintf("the API answered %d: %s", status, shortened(string(answer))), nil
}

// success reports whether a field means success, and none means failure.
func (f *answerFields) success() bool {
	success, ok := string(f.Success), string(f.OK)
	switch {
	case !isNothing(f.Error):
		return false
	case success == "":
		return ok == "true"
	case ok == "":
		return success == "true"
	}
	return success == "true" && ok == "true"
}

// message returns what the API says about a refusal.
func (f *answerFields) message(otherwise string) string {
	for _, message := range []json.RawMessage{f.Msg, f.Message, f.Error} {
		if !isNothing(message) {
			text := string(message)
			_ = json.Unmarshal(message, &text) // leaves what is no string as it is
			return shortened(text)
		}
	}
	return otherwise
}

// isNothing reports whether a field is missing or says nothing.
func isNothing(field json.RawMessage) bool {
	var compact bytes.Buffer
	_ = json.Compact(&compact, field) // fails for a missing one, which says nothing
	switch compact.String() {
	case "", "null", `""`, "false", "0", "{}", "[]":
		return true
	}
	return false
}

// shortened cuts a text of another party, between two characters.
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
