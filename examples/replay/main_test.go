package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// file writes a file for one test and returns its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// TestMain lets a test run the program itself, in a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("REPLAY_ITSELF") != "" {
		main()
		return
	}
	m.Run()
}

func TestRunWithoutArguments(t *testing.T) {
	t.Chdir("..")
	var stdout, stderr strings.Builder
	require.NoError(t, run(t.Context(), nil, &stdout, &stderr))
	require.Contains(t, stdout.String(), "human win rates: 1.000\n")
	require.Contains(t, stdout.String(),
		"accepted 12, scored 12, retried 0, dead 0, dropped 0, still queued 0\n")
	require.Contains(t, stderr.String(), "scored 12 of 12")
	requireTable(t, direct(t, defaultData, recorded.ByModel), stdout.String())
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
		{
			"bad ranking",
			[]string{"-data", smallData, "-ranking", file(t, "ranking.json", "{}")},
			"ranking.json: human_win_rate has 0",
		},
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

func TestInterruptStopsSoftly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var stdout, stderr strings.Builder
	err := run(ctx, []string{"-data", smallData, "-rate", "0.01", "-latency", "1s"}, &stdout, &stderr)
	require.ErrorIs(t, err, program.ErrInterrupted)
	require.ErrorContains(t, err, "1 of 12 prompts were scored", "what was in flight is scored")
	require.Contains(t, stdout.String(), "accepted 1, scored 1,")
}

func TestSecondInterruptStopsAtOnce(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-data", smallData, "-latency", "10h")
	cmd.Env = append(os.Environ(), "REPLAY_ITSELF=1")
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	lines := bufio.NewScanner(stderr)
	for _, sign := range []string{
		"scored",
		"stopping",
	} { // the first progress, the first after the interrupt
		for lines.Scan() && !strings.HasPrefix(lines.Text(), sign) {
			continue
		}
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
	}
	var last string
	for lines.Scan() {
		last = lines.Text()
	}
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Equal(t, "0 of 12 prompts were scored", last)
	require.Contains(t, stdout.String(), "scored 0, ")
}
