package main

import (
	"context"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/examples/sn1/report"
)

// history keeps what happened when, for the report, and plays the chain: it
// takes the weights. It is safe for concurrent use.
type history struct {
	keep   bool // points for a report
	miners int
	began  time.Time

	mu      sync.Mutex // guards what follows
	last    weights.Vector
	weights []report.WeightPoint
	stages  []report.StagePoint
	queue   []report.QueuePoint
}

var _ weights.ChainFunc = (*history)(nil).SetWeights

// SetWeights takes weights as the chain would.
func (h *history) SetWeights(_ context.Context, vector weights.Vector) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = vector
	if !h.keep {
		return nil
	}
	shares := make([]float64, h.miners) // 0 for those that are in no row
	for _, row := range vector.Rows {
		if int(row.UID) < len(shares) {
			shares[row.UID] = row.Share
		}
	}
	for uid, share := range shares {
		h.weights = append(h.weights, report.WeightPoint{At: time.Since(h.began), UID: uint16(uid), Weight: share})
	}
	return nil
}

// weightOf returns the weight that the chain has for a miner.
func (h *history) weightOf(uid organic.UID) uint16 {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, known := range h.last.UIDs {
		if known == uid {
			return h.last.Weights[i]
		}
	}
	return 0
}

// event keeps how long stages take.
func (h *history) event(e organic.Event) {
	if !h.keep || e.Kind != organic.EventStageDone {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stages = append(h.stages, report.StagePoint{At: e.Time.Sub(h.began), Stage: e.Stage.String(), Took: e.Duration})
}

// look keeps how much waits and how much is under way.
func (h *history) look(stats organic.Stats) {
	if !h.keep {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue = append(h.queue, report.QueuePoint{At: time.Since(h.began), Queued: stats.Queued, InFlight: stats.InFlight})
}
