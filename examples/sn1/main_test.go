package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/sn1/sim"
)

// TestMain lets a test run the program itself, in a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("SN1_ITSELF") != "" {
		program.Main("sn1", runItself)
		return
	}
	m.Run()
}

// runItself is run for a chain whose timelocked weights are opened by another beacon than drand's.
func runItself(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, simulation, err := parseFlags(args, stdout)
	if err != nil {
		return err
	}
	pulses, err := sim.NewPulses()
	if err != nil {
		return err
	}
	c.keyOptions = []subtensor.ValidatorOption{subtensor.WithBeacon(pulses.Public())}
	return runConfigured(ctx, c, simulation, stdout, stderr)
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.json")
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
		{
			"counts",
			[]string{"-queries", "-1", "-synthetic", "-1"},
			"-queries -1: must not be negative\n-synthetic -1: must not be negative",
		},
		{"steps", append(small, "-steps", "-1"), "WithTrigger"},
		{"idle", append(small, "-idle", "-1s"), "NewArrivals(-1s, 25ms): both must be above 0"},
		{
			"times",
			[]string{"-patience", "1ms", "-word", "-1s", "-block", "1ms"},
			"-patience 1ms: must be at least 50ms\n-word -1s: must not be negative\n-block 1ms: must be at least 50ms",
		},
		{
			"role",
			[]string{"-role", "boss", "-queue", "nats://x"},
			`-role "boss": must be all, frontend or scorer`,
		},
		{
			"role without queue",
			[]string{"-role", "scorer"},
			"-role scorer: needs a queue that processes share, -queue nats://…",
		},
		{
			"join", append(small, "-join", "ws://x"),
			"-join: must be given with -role scorer, and only then",
		},
		{
			"no join", append(small, "-role", "scorer", "-queue", "nats://x"),
			"-join: must be given with -role scorer",
		},
		{"queue", append(small, "-queue", "nats://127.0.0.1:1"), "-queue: nats: no servers available"},
		{"page", append(small, "-page", "127.0.0.1"), "missing port in address"},
		{"users", []string{"-users", "5x"}, "-users"},
		{"netuid", []string{"-netuid", "65536"}, "-netuid: strconv.ParseUint"},
		{"no netuid", []string{"-chain", "ws://x"}, "-netuid: must be given with -chain"},
		{"no key", []string{"-chain", "ws://x", "-netuid", "1"}, "-key: "},
		{
			"key",
			[]string{"-chain", "ws://x", "-netuid", "1", "-key", bad, "-reference", "openai"},
			"-key: ",
		},
		{"no data", []string{"-data", "none.jsonl"}, "open none.jsonl: no such file or directory"},
		{"bad data", []string{"-data", bad}, "bad.json:1: not a prompt"},
		{"bad ranking", append(small, "-ranking", bad), "bad.json:1: not a ranking"},
		{"log in no folder", append(small, "-log", filepath.Join(bad, "a")), "not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, run(t.Context(), tt.args, new(output), new(output)), tt.want)
		})
	}
}

func TestRunInTheWrongFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	require.ErrorContains(t, run(t.Context(), nil, nil, new(output)), "or give a file with -data")
}

func TestRunHelp(t *testing.T) {
	t.Parallel()
	var stdout output
	require.NoError(t, run(t.Context(), []string{"-h"}, &stdout, nil))
	require.Contains(t, stdout.String(), "Usage of sn1:")
}

func TestStateThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"scores.json": "snapshot",
		"copies.json": "copies.json: unexpected end", "arrivals.json": "arrivals.json: unexpected end", "queue.db": "damaged",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600))
			err := run(t.Context(), []string{"-data", smallData, "-state", dir}, new(output), new(output))
			require.ErrorContains(t, err, want)
		})
	}
}

// interrupter is output that interrupts the program at a line.
type interrupter struct {
	output
	line      string
	interrupt context.CancelFunc
}

func (i *interrupter) Write(line []byte) (int, error) {
	if strings.Contains(string(line), i.line) {
		i.interrupt()
	}
	return i.output.Write(line)
}

func TestInterruptStopsSoftly(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stdout, dir := &interrupter{line: "users ask", interrupt: interrupt}, t.TempDir()
	args := []string{"-data", smallData, "-rate", "2", "-patience", "200ms", "-state", dir}
	require.ErrorIs(t, run(ctx, args, stdout, new(output)), program.ErrInterrupted)
	require.Contains(t, stdout.String(), "refused 0.")
	require.NotContains(t, stdout.String(), "asked 8")
	for _, name := range []string{"scores.json", "queue.db"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
}

func TestSecondInterruptStopsAtOnce(t *testing.T) {
	t.Parallel()
	itself, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), itself, "-data", smallData, "-patience", "1h")
	cmd.Env = append(os.Environ(), "SN1_ITSELF=1")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	for _, sign := range []string{"begins with", "Users: asked"} {
		for lines.Scan() && !strings.Contains(lines.Text(), sign) {
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
