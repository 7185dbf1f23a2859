package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunWithoutArguments(t *testing.T) {
	t.Chdir("..")
	var stdout, stderr strings.Builder
	require.NoError(t, run(t.Context(), nil, &stdout, &stderr))
	require.Contains(t, stdout.String(), "human win rates: 1.000\n")
	require.Contains(t, stdout.String(), "accepted 12, scored 12, retried 0, dead 0, dropped 0, still queued 0\n")
	require.Contains(t, stderr.String(), "scored 12 of 12")
	requireTable(t, direct(t, defaultData, referenceModel), stdout.String())
}

func TestRunInTheWrongFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	require.ErrorContains(t, run(t.Context(), nil, nil, nil), "or give a file with -data")
}

func TestRunWithoutRanking(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	args := []string{"-data", smallData, "-rate", "1e6", "-latency", "1ms"}
	require.NoError(t, run(t.Context(), args, &stdout, &stderr))
	require.NotContains(t, stdout.String(), "human")
	require.NotContains(t, stdout.String(), "Spearman")
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"bad flag", []string{"-rate", "0"}, "-rate 0"},
		{"bad data", []string{"-data", file(t, "empty.jsonl", "")}, "empty.jsonl: nothing to replay"},
		{"no data", []string{"-data", "none.jsonl"}, "open none.jsonl: no such file or directory"},
		{"bad ranking", []string{"-data", smallData, "-ranking", file(t, "ranking.json", "{}")}, "ranking.json: human_win_rate has 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, run(t.Context(), tt.args, nil, nil), tt.want)
		})
	}
}

func TestRunHelp(t *testing.T) {
	t.Parallel()
	var stdout strings.Builder
	require.NoError(t, run(t.Context(), []string{"-h"}, &stdout, nil))
	require.Contains(t, stdout.String(), "Usage of replay:")
}
