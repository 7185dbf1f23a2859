// Package recorded reads prompts with the answers that models gave to them, and
// the order in which human judges put the models.
package recorded

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// The kinds of reference.
const (
	ByModel = "model"
	ByHuman = "human"
)

// Prompt is what the models were asked.
type Prompt struct {
	ID          string `json:"id"`
	Instruction string `json:"instruction"`
	Input       string `json:"input"`
}

// Text is how the prompt is put to a model.
func (p Prompt) Text() string {
	if p.Input == "" {
		return p.Instruction
	}
	return p.Instruction + "\n\n" + p.Input
}

// Answer is what a model said, and what a reference says.
type Answer string

// Record is one line of a data file: a prompt, what the models answered, and
// two references. A model that is missing in Answers gave none.
type Record struct {
	Prompt
	Answers        map[string]*Answer `json:"answers"`
	ReferenceHuman Answer             `json:"reference_human"`
	ReferenceModel Answer             `json:"reference_model"`
}

// Reference returns the reference of a kind, [ByModel] or [ByHuman].
func (r Record) Reference(kind string) Answer {
	if kind == ByHuman {
		return r.ReferenceHuman
	}
	return r.ReferenceModel
}

// check says what the record lacks for being scored against the reference.
func (r Record) check(reference string) error {
	switch {
	case r.ID == "":
		return errors.New("id is missing")
	case strings.TrimSpace(r.Instruction) == "":
		return errors.New("instruction is missing")
	case len(r.Answers) == 0:
		return errors.New("answers is missing, must have at least one")
	case strings.TrimSpace(string(r.Reference(reference))) == "":
		return fmt.Errorf("reference_%s is missing", reference)
	}
	for _, model := range slices.Sorted(maps.Keys(r.Answers)) {
		if r.Answers[model] == nil {
			return fmt.Errorf("answer of %q is null, must be a string or left out", model)
		}
	}
	return nil
}

// Read reads a JSONL file, whose lines must have the kind of reference. Empty lines are
// skipped; an error names the file and the line.
func Read(path, reference string) ([]Record, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the user says which file
	if err != nil {
		return nil, err
	}
	var records []Record
	lines := make(map[string]int) // of the IDs
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		r, err := parseRecord(line, reference)
		if err == nil && lines[r.ID] > 0 {
			err = fmt.Errorf("id %q is that of line %d too", r.ID, lines[r.ID])
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		lines[r.ID] = number
		records = append(records, r)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s: nothing to replay, the file has no prompts", path)
	}
	return records, nil
}

// ReadTexts returns the texts of the prompts of a file that Read takes.
func ReadTexts(path string) ([]string, error) {
	records, err := Read(path, ByModel)
	texts := make([]string, len(records))
	for i, r := range records {
		texts[i] = r.Text()
	}
	return texts, err
}

func parseRecord(line []byte, reference string) (Record, error) {
	var r Record
	if !utf8.Valid(line) {
		return r, errors.New("not valid UTF-8")
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("not a prompt: %w", err)
	}
	return r, r.check(reference)
}

// Models returns the names of all models that answered, sorted: the place of
// a name is the UID of its miner.
func Models(records []Record) ([]string, error) {
	names := make(map[string]struct{})
	for _, r := range records {
		for model := range r.Answers {
			names[model] = struct{}{}
		}
	}
	if len(names) > math.MaxUint16+1 {
		return nil, fmt.Errorf("%d models, a subnet has room for %d", len(names), math.MaxUint16+1)
	}
	return slices.Sorted(maps.Keys(names)), nil
}
