package conversations

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Turn is what one side said in a [Conversation].
type Turn struct {
	// Role says who: "user", "assistant" or "system"; others are kept as they
	// are. Only "user", written just so, counts as the user.
	Role string `json:"role"`
	// Content is the text, valid UTF-8.
	Content string `json:"content"`
}

// Conversation is a dialogue with a language model, the oldest turn first. It
// is a plain value: it may be changed by who has it, and used from several
// goroutines when none changes it.
type Conversation []Turn

// roleUser is the role of the turns that a conversation is cut at.
const roleUser = "user"

// questions returns the indexes of the user turns that say something.
func (c Conversation) questions() []int {
	var questions []int
	for i, turn := range c {
		if turn.Role == roleUser && strings.TrimSpace(turn.Content) != "" {
			questions = append(questions, i)
		}
	}
	return questions
}

// cut ends the conversation after one of its turns.
func (c Conversation) cut(last int) Conversation { return slices.Clone(c[:last+1]) }

// parseConversation reads one line of a file. Its errors say what is wrong and
// where, and never quote the line.
func parseConversation(line []byte) (Conversation, error) {
	if !utf8.Valid(line) {
		return nil, errors.New("not valid UTF-8")
	}
	if err := checkSyntax(line); err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(line, &object) != nil || object == nil {
		return nil, errors.New("not a JSON object")
	}
	list, ok := object["conversation"]
	if !ok {
		return nil, errors.New(`no "conversation" key`)
	}
	var turns []json.RawMessage
	if json.Unmarshal(list, &turns) != nil || turns == nil {
		return nil, errors.New(`"conversation" is not an array`)
	}
	conversation := make(Conversation, len(turns))
	for i, turn := range turns {
		if err := conversation[i].parse(turn); err != nil {
			return nil, fmt.Errorf("turn %d: %w", i+1, err)
		}
	}
	return conversation, nil
}

// checkSyntax replaces the texts of encoding/json, which quote what they read.
func checkSyntax(line []byte) error {
	var value json.RawMessage
	err := json.Unmarshal(line, &value)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not valid JSON at byte %d of %d", syntax.Offset, len(line))
	}
	if err != nil {
		return errors.New("not valid JSON")
	}
	return nil
}

func (t *Turn) parse(turn json.RawMessage) (err error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(turn, &object) != nil || object == nil {
		return errors.New("not a JSON object")
	}
	if t.Role, err = stringOf(object, "role"); err != nil {
		return err
	}
	if strings.TrimSpace(t.Role) == "" {
		return errors.New(`"role" is empty`)
	}
	t.Content, err = stringOf(object, "content")
	return err
}

func stringOf(object map[string]json.RawMessage, key string) (string, error) {
	value, ok := object[key]
	if !ok {
		return "", fmt.Errorf("no %q key", key)
	}
	var text *string
	if json.Unmarshal(value, &text) != nil || text == nil {
		return "", fmt.Errorf("%q is not a string", key)
	}
	return *text, nil
}
