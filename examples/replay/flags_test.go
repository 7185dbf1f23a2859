package main

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseFlags(t *testing.T) {
	t.Parallel()
	defaults := config{
		data: defaultData, ranking: defaultRanking, reference: "model", trigger: "seconds",
		rate: 20, concurrency: 4, seed: 1, latency: 20 * time.Millisecond,
	}
	cfg, err := parseFlags(nil, nil)
	require.NoError(t, err)
	require.Equal(t, defaults, cfg)

	cfg, err = parseFlags([]string{"-data", "x.jsonl"}, nil)
	require.NoError(t, err)
	require.Equal(t, "x.jsonl", cfg.data)
	require.Empty(t, cfg.ranking, "the default ranking is that of the default data")
}

func TestParseFlagsRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, args, want string
	}{
		{"unknown flag", "-speed 3", "flag provided but not defined: -speed"},
		{"no number", "-rate fast", `invalid value "fast" for flag -rate`},
		{
			"argument", "prompts.jsonl",
			`unexpected argument "prompts.jsonl": the file of prompts is given with -data`,
		},
		{"reference", "-reference best", `-reference "best": must be model or human`},
		{"trigger", "-trigger blocks", `-trigger "blocks": must be seconds or steps`},
		{"rate of zero", "-rate 0", "-rate 0: must be from 0.01 to 1e6"},
		{"rate is NaN", "-rate NaN", "-rate NaN: must be from 0.01 to 1e6"},
		{"concurrency", "-concurrency 0", "-concurrency 0: must be at least 1"},
		{"everything fails", "-fail 1", "-fail 1: must be from 0 to below 1"},
		{"fail is negative", "-fail -0.1", "-fail -0.1: must be from 0 to below 1"},
		{"latency", "-latency -1s", "-latency -1s: must not be negative"},
		{"timeout", "-timeout -1s", "-timeout -1s: must not be negative"},
		{
			"all at once", "-rate 0 -fail 2",
			"-rate 0: must be from 0.01 to 1e6\n-fail 2: must be from 0 to below 1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseFlags(strings.Fields(tt.args), nil)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestHelpGoesToStdout(t *testing.T) {
	t.Parallel()
	var stdout strings.Builder
	_, err := parseFlags([]string{"-help"}, &stdout)
	require.ErrorIs(t, err, flag.ErrHelp)
	require.Contains(t, stdout.String(), "-concurrency iterations")
}
