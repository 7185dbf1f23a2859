package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// defaultEventLimit bounds a line and an event of a miner, in bytes.
const defaultEventLimit = 1 << 20

var doneMark = []byte("[DONE]")

// Forward reads the SSE stream of an OpenAI-style server and emits the data of
// each event, up to the one that says [DONE]: the body of a [Miner] that asks
// over HTTP. Events without text are left out. The emitted bytes are valid
// until emit returns.
//
// Nil means that [DONE] came. A stream that ends without it is an
// io.ErrUnexpectedEOF, since nothing else tells a whole answer from one that
// was cut. One in which the miner reports an error ({"error": …}, or {"object":
// "error"} as vLLM does) is an [ErrReported]. Events longer than 1 MiB are
// [ErrTooLong]. An error of emit ends the reading and is returned as it is. So a
// whole Miner is
//
//	func ask(url string, body []byte) relay.Miner {
//		return func(ctx context.Context, emit func(chunk []byte) error) error {
//			request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
//			if err != nil {
//				return err
//			}
//			response, err := http.DefaultClient.Do(request)
//			if err != nil {
//				return err
//			}
//			defer response.Body.Close()
//			if response.StatusCode != http.StatusOK {
//				return fmt.Errorf("status %d", response.StatusCode)
//			}
//			return relay.Forward(response.Body, emit)
//		}
//	}
func Forward(body io.Reader, emit func(chunk []byte) error) error {
	events := NewEventReader(body, defaultEventLimit)
	for {
		event, err := events.Next()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("relay: stream ended without [DONE]: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return err
		case bytes.Equal(bytes.TrimSpace(event.Data), doneMark):
			return nil
		case reportsError(event.Data):
			return ErrReported
		}
		if len(event.Data) == 0 {
			continue
		}
		if err := emit(event.Data); err != nil {
			return err
		}
	}
}

// reportsError tells whether data is a JSON object with an error in it, or is
// one, as vLLM has it ({"object": "error"}). No error is one that is null, false
// or "".
func reportsError(data []byte) bool {
	if !bytes.Contains(data, []byte(`"error"`)) {
		return false
	}
	var object struct {
		Object any `json:"object"`
		Error  any `json:"error"`
	}
	if json.Unmarshal(data, &object) != nil {
		return false
	}
	switch object.Error {
	case nil, false, "":
		return object.Object == "error"
	default:
		return true
	}
}

// Content returns the text that one chunk of an OpenAI-style stream adds to
// the answer: choices[0].delta.content of a chat, choices[0].text of a
// completion. It is "" for a chunk that adds none, such as the first, which
// only gives a role, and for what is no such chunk: so FirstGood(nil) tells a
// good chunk.
func Content(chunk []byte) string {
	var object struct {
		Choices []struct {
			Index int    `json:"index"`
			Text  string `json:"text"`
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
	}
	if json.Unmarshal(chunk, &object) != nil {
		return ""
	}
	for _, choice := range object.Choices {
		if choice.Index == 0 {
			return choice.Delta.Content + choice.Text
		}
	}
	return ""
}
