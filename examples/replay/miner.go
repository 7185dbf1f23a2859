package main

import (
	"context"
	"time"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// miner plays one model: it gives the answers that were recorded, each after
// its latency. It is safe for concurrent use.
type miner struct {
	model   string
	latency time.Duration
	answers map[string]Answer // by the prompt's ID
}

// newMiners returns a miner for each model, with latencies from a fraction up
// to the slowest.
func newMiners(models []string, records []recorded.Record, slowest time.Duration) []miner {
	miners := make([]miner, len(models))
	for i, model := range models {
		latency := slowest * time.Duration(i+1) / time.Duration(len(models))
		miners[i] = miner{model: model, latency: latency, answers: make(map[string]Answer)}
		for _, r := range records {
			if answer := r.Answers[model]; answer != nil {
				miners[i].answers[r.ID] = *answer
			}
		}
	}
	return miners
}

// ask returns the answer, and false if the model gave none or ctx ended first.
func (m miner) ask(ctx context.Context, id string) (Answer, bool) {
	answer, ok := m.answers[id]
	if !ok || program.Sleep(ctx, m.latency) != nil {
		return "", false
	}
	return answer, true
}
