package main

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

// Prompt is what the miners are asked.
type Prompt struct {
	ID          string `json:"id"`
	Instruction string `json:"instruction"`
	Input       string `json:"input"`
}

// Answer is what a miner says, and what a reference says.
type Answer string

// record is one line of a data file: a prompt, what the models answered, and
// two references. A model that is missing in Answers gave none.
type record struct {
	Prompt
	Answers        map[string]*Answer `json:"answers"`
	ReferenceHuman Answer             `json:"reference_human"`
	ReferenceModel Answer             `json:"reference_model"`
}

// reference returns the reference of the kind that -reference names.
func (r record) reference(kind string) Answer {
	if kind == referenceHuman {
		return r.ReferenceHuman
	}
	return r.ReferenceModel
}

// check says what the record lacks for being scored against the reference.
func (r record) check(reference string) error {
	switch {
	case r.ID == "":
		return errors.New("id is missing")
	case strings.TrimSpace(r.Instruction) == "":
		return errors.New("instruction is missing")
	case len(r.Answers) == 0:
		return errors.New("answers is missing, must have at least one")
	case strings.TrimSpace(string(r.reference(reference))) == "":
		return fmt.Errorf("reference_%s is missing", reference)
	}
	for _, model := range slices.Sorted(maps.Keys(r.Answers)) {
		if r.Answers[model] == nil {
			return fmt.Errorf("answer of %q is null, must be a string or left out", model)
		}
	}
	return nil
}

// readRecords reads a JSONL file. Empty lines are skipped; an error names the
// file and the line.
func readRecords(path, reference string) ([]record, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the user says which file
	if err != nil {
		return nil, err
	}
	var records []record
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

func parseRecord(line []byte, reference string) (record, error) {
	var r record
	if !utf8.Valid(line) {
		return r, errors.New("not valid UTF-8")
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("not a prompt: %w", err)
	}
	return r, r.check(reference)
}

// modelsOf returns the names of all models that answered, sorted: the place of
// a name is the UID of its miner.
func modelsOf(records []record) ([]string, error) {
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
