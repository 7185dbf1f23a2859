//go:build !race

package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	// realData lies beside a checkout only where it was put there.
	realData    = "../../../shared/data/pandalm/prompts.jsonl"
	realRanking = "../../../shared/data/pandalm/ranking.json"
)

// TestRealData makes some 3,000 signed requests to the miners in ten seconds, which is too much for
// the race detector.
func TestRealData(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(realData); err != nil {
		t.Skip("the data is not here")
	}
	s := unhurried(setup(t, "-seed 8 -rate 20 -word 1ms -data "+realData+" -ranking "+realRanking))
	_, standings := played(t, s)
	t.Log("\n" + table(s))
	requireAccounted(t, s)
	requireCounts(t, s, realData, standings)
	requireOrder(t, s)
	require.GreaterOrEqual(t, s.Subnet.Agreement(s.Paid), 0.9)
	requirePrivate(t, s, realData)
}
