//go:build !race

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const realRanking = "../../../shared/data/pandalm/ranking.json"

// TestRealData puts some 3000 signed requests to the miners in ten seconds and
// expects each word in time, which is too much for the race detector.
func TestRealData(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(realData); err != nil {
		t.Skip("the data is not here")
	}
	page := filepath.Join(t.TempDir(), "page.html")
	s := unhurried(setupWith(t, "-data "+realData+" -ranking "+realRanking+" -patience 2s -rate 20 -report "+page))
	table := played(t, s)
	t.Log("\n" + table)
	requireAccounted(t, s)
	requirePass(t, s, realData)
	requireOrder(t, s, copying, empty, hanging)
	require.GreaterOrEqual(t, s.agreement(), 0.9)
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(html), "pythia-6.9b")
}
