package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/recorded"
	"github.com/organic-scoring/organic/examples/internal/rouge"
)

const (
	smallData    = "../../testdata/replay.jsonl"
	smallRanking = "../../testdata/replay-ranking.json"

	// Lies beside a checkout only where somebody has put it there.
	realData    = "../../../shared/data/pandalm/prompts.jsonl"
	realRanking = "../../../shared/data/pandalm/ranking.json"
)

// tally is what a miner must have got, computed without the scorer.
type tally struct {
	count int
	sum   float64
}

func (t tally) mean() float64 { return t.sum / float64(t.count) }

// direct scores a data file line by line.
func direct(t *testing.T, path, reference string) map[string]tally {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	tallies := make(map[string]tally)
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		var prompt map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &prompt))
		for model, answer := range prompt["answers"].(map[string]any) {
			sum := tallies[model]
			sum.count++
			sum.sum += rouge.F1(answer.(string), prompt["reference_"+reference].(string))
			tallies[model] = sum
		}
	}
	require.NoError(t, lines.Err())
	return tallies
}

// replayed runs a pass with the arguments and returns it with its report.
func replayed(t *testing.T, args string) (r *replay, report string) {
	t.Helper()
	cfg, err := parseFlags(strings.Fields(args), nil)
	require.NoError(t, err)
	r, err = newReplay(cfg)
	require.NoError(t, err)
	var progress, table strings.Builder
	require.NoError(t, r.play(t.Context(), &progress))
	require.NoError(t, r.report(&table))
	return r, table.String()
}

// requireTallies checks every miner against the direct computation, in the
// scoreboard to 1e-12 and in the table as far as it shows.
func requireTallies(t *testing.T, want map[string]tally, r *replay, report string) {
	t.Helper()
	require.Len(t, r.validator.miners, len(want))
	for uid, s := range r.validator.board.all() {
		model := r.validator.miners[uid].model
		require.Equal(t, want[model].count, s.count, model)
		require.InDelta(t, want[model].mean(), s.mean(), 1e-12, model)
	}
	requireTable(t, want, report)
}

func requireTable(t *testing.T, want map[string]tally, report string) {
	t.Helper()
	for uid, model := range slices.Sorted(maps.Keys(want)) { // UIDs go by name
		line := fmt.Sprintf(`(?m)^%s +%d +%d +%.6f `, regexp.QuoteMeta(model), uid, want[model].count,
			want[model].mean())
		require.Regexp(t, line, report)
	}
	require.Contains(t, report, "  65535  ", "the weight of the best")
}

func TestEveryPromptIsScoredOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, args, reference string
	}{
		{"defaults", "", recorded.ByModel},
		{"human reference", "-reference human", recorded.ByHuman},
		{"one at a time", "-seed 2 -concurrency 1", recorded.ByModel},
		{"steps", "-seed 3 -trigger steps", recorded.ByModel},
		{
			"steps, one at a time", "-seed 4 -trigger steps -concurrency 1 -reference human",
			recorded.ByHuman,
		},
		{"all arrive at once", "-seed 5 -rate 1e6 -concurrency 100", recorded.ByModel},
		{"miners slower than arrivals", "-seed 6 -rate 0.5 -latency 5s", recorded.ByModel},
		{"miners without latency", "-seed 7 -latency 0s", recorded.ByModel},
		{"failing", "-seed 8 -fail 0.3", recorded.ByModel},
		{
			"failing, steps, one at a time",
			"-seed 9 -fail 0.3 -concurrency 1 -trigger steps -reference human", recorded.ByHuman,
		},
		{
			"failing, all arrive at once", "-seed 10 -fail 0.6 -concurrency 16 -rate 1000",
			recorded.ByModel,
		},
		{"failing mostly", "-seed 11 -fail 0.8 -trigger steps -concurrency 3", recorded.ByModel},
		{"failing, long timeout", "-seed 12 -timeout 1h -fail 0.1", recorded.ByModel},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := direct(t, smallData, tt.reference)
			synctest.Test(t, func(t *testing.T) {
				r, report := replayed(t, "-data "+smallData+" -ranking "+smallRanking+" "+tt.args)
				requireTallies(t, want, r, report)
				require.Contains(t, report, "accepted 12, scored 12, ")
			})
		})
	}
}

func TestRealData(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(realData); err != nil {
		t.Skip("the data is not here")
	}
	for _, tt := range []struct {
		name, args, reference string
		spearman              float64
	}{
		{"model", "", recorded.ByModel, 1},
		{"human", "-reference human", recorded.ByHuman, 0.9},
		{"model, failing", "-fail 0.3 -seed 2 -trigger steps", recorded.ByModel, 1},
		{"human, failing", "-fail 0.5 -seed 3 -concurrency 32 -reference human", recorded.ByHuman, 0.9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := direct(t, realData, tt.reference)
			synctest.Test(t, func(t *testing.T) {
				r, report := replayed(t, "-data "+realData+" -ranking "+realRanking+" "+tt.args)
				requireTallies(t, want, r, report)
				rows, err := r.rows()
				require.NoError(t, err)
				require.InDelta(t, tt.spearman, agreement(rows), 1e-12)
				require.Contains(t, report, fmt.Sprintf("human win rates: %.3f\n", tt.spearman))
				require.Contains(t, report, "accepted 169, scored 169, ")
				require.Less(t, time.Since(r.began), time.Minute*2)
			})
		})
	}
}
