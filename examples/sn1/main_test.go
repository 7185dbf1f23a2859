package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/program"
)

// TestMain lets a test run the program itself, in a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("SN1_ITSELF") != "" {
		main()
		return
	}
	m.Run()
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	require.NoError(t, os.WriteFile(bad, []byte("{"), 0o600))
	small := []string{"-data", smallData}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"argument", []string{"more"}, `unexpected argument "more"`},
		{"unknown flag", []string{"-x"}, "not defined: -x"},
		{"reference", []string{"-reference", "any"}, `-reference "any": must be model, human or openai`},
		{"rate", []string{"-rate", "0"}, "-rate 0: must be from 0.01"},
		{"share", []string{"-hangup", "2"}, "-hangup 2: must be from 0 to 1"},
		{"counts", []string{"-queries", "-1", "-synthetic", "-1"}, "-queries -1: must not be negative\n-synthetic -1: must not be negative"},
		{"concurrency", []string{"-concurrency", "0"}, "-concurrency 0: must be at least 1"},
		{"times", []string{"-patience", "1ms", "-word", "-1s", "-weights", "0s"}, "-patience 1ms: must be at least 50ms\n-word -1s: must not be negative\n-weights 0s: must be positive"},
		{"role", []string{"-role", "boss"}, `-role "boss": must be all, frontend or scorer`},
		{"role without queue", []string{"-role", "scorer"}, "-role scorer: needs a queue that processes share, -queue nats://…\n-role scorer: -miners must name a port, the same in all processes"},
		{"queue", []string{"-queue", "embedded:"}, `-queue "embedded:": must be memory, embedded:FOLDER or nats://…`},
		{"miners", []string{"-miners", "here"}, `-miners "here": must be host:port`},
		{"no data", []string{"-data", "none.jsonl"}, "open none.jsonl: no such file or directory"},
		{"bad data", []string{"-data", bad}, "bad.json:1: not a prompt"},
		{"bad ranking", append(small, "-ranking", bad), "bad.json:1: not a ranking"},
		{"journal in no folder", append(small, "-journal", filepath.Join(bad, "a")), "not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, run(t.Context(), tt.args, nil, nil), tt.want)
		})
	}
}

func TestRunInTheWrongFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	require.ErrorContains(t, run(t.Context(), nil, nil, nil), "or give a file with -data")
}

func TestRunHelp(t *testing.T) {
	t.Parallel()
	var stdout strings.Builder
	require.NoError(t, run(t.Context(), []string{"-h"}, &stdout, nil))
	require.Contains(t, stdout.String(), "Usage of sn1:")
}

func TestStateThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"scores.json", "queue.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600))
			var stderr strings.Builder
			err := run(t.Context(), []string{"-data", smallData, "-state", dir}, &stderr, &stderr)
			require.ErrorContains(t, err, "not a ")
		})
	}
}

// interrupter is output that interrupts the program at a line.
type interrupter struct {
	strings.Builder
	line      string
	interrupt context.CancelFunc
}

func (i *interrupter) Write(line []byte) (int, error) {
	if strings.Contains(string(line), i.line) {
		i.interrupt()
	}
	return i.Builder.Write(line)
}

func TestInterruptStopsSoftly(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stderr := &interrupter{line: "asked ", interrupt: interrupt}
	var stdout strings.Builder
	dir := t.TempDir()
	args := []string{"-data", smallData, "-rate", "2", "-patience", "1s", "-state", dir}
	require.ErrorIs(t, run(ctx, args, &stdout, stderr), program.ErrInterrupted)
	require.Contains(t, stdout.String(), "still queued ")
	require.NotContains(t, stdout.String(), "asked 12")
	require.FileExists(t, filepath.Join(dir, "scores.json"))
	require.FileExists(t, filepath.Join(dir, "queue.json"))
}

func TestSecondInterruptStopsAtOnce(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-data", smallData, "-patience", "1h")
	cmd.Env = append(os.Environ(), "SN1_ITSELF=1")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stderr)
	for _, sign := range []string{"asked", "stopping"} { // the first progress, the first after the interrupt
		for lines.Scan() && !strings.HasPrefix(lines.Text(), sign) {
			continue
		}
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
	}
	for lines.Scan() {
		continue
	}
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
}
