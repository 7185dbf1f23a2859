package main

import (
	"slices"
	"time"

	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// role is what one miner plays.
type role struct {
	name    string
	kind    kind
	latency time.Duration     // before the first word
	word    time.Duration     // for each further one
	hang    time.Duration     // before a hanging one breaks down
	answers map[string]string // by the prompt's text
}

// newCast returns the roles of a subnet, by UID: an honest miner for each model
// and one miner of each other kind. Slow and failing ones have no model of
// their own and serve now one, now another.
func newCast(models []string, records []recorded.Record, patience, word time.Duration) []role {
	var cast []role
	for i, model := range models {
		cast = append(cast, role{
			name:    model,
			kind:    honest,
			latency: patience / 50 * time.Duration(i%5+1), // up to a tenth
			word:    word,
			answers: answersOf(model, records),
		})
	}
	victim := cast[0]
	return append(cast,
		role{name: "slow", kind: slow, latency: patience * 3 / 4, word: word, answers: mixedAnswers(0, models, records)},
		role{name: "failing", kind: failing, latency: patience / 5, word: word, answers: mixedAnswers(1, models, records)},
		role{name: "hanging", kind: hanging, hang: 20 * patience}, // longer than anybody waits
		role{name: "copying", kind: copying, latency: victim.latency + patience/10, word: word, answers: victim.answers},
		role{name: "empty", kind: empty},
	)
}

func answersOf(model string, records []recorded.Record) map[string]string {
	answers := make(map[string]string)
	for _, r := range records {
		if answer := r.Answers[model]; answer != nil {
			answers[textOf(r.Prompt)] = string(*answer)
		}
	}
	return answers
}

// mixedAnswers takes one answer from each model in turn, the first from the
// model at a place.
func mixedAnswers(place int, models []string, records []recorded.Record) map[string]string {
	answers := make(map[string]string)
	for i, r := range records {
		having := slices.DeleteFunc(slices.Clone(models), func(model string) bool { return r.Answers[model] == nil })
		model := having[(place+i)%len(having)]
		answers[textOf(r.Prompt)] = string(*r.Answers[model])
	}
	return answers
}

// textOf is how a prompt is put to a miner.
func textOf(prompt recorded.Prompt) string {
	if prompt.Input == "" {
		return prompt.Instruction
	}
	return prompt.Instruction + "\n\n" + prompt.Input
}
