package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary a scorer when the front-end starts it so.
func TestMain(m *testing.M) {
	if os.Getenv(scorerOf) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := run(ctx, nil, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestSurvivesAKilledScorer: all queries are scored, also the one that the
// killed scorer had.
func TestSurvivesAKilledScorer(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-n", "8"}, &out))
	text := out.String()
	require.Contains(t, text, "8 queries taken")
	require.True(t, strings.HasSuffix(text, "all are scored\n"), text)
	_, after, killed := strings.Cut(text, "scorer 1 is killed now, with ")
	require.True(t, killed, text)
	id, after, _ := strings.Cut(after, " ")
	require.Contains(t, after, "scorer 2 scored "+id+", delivery 2", text)
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, run(t.Context(), []string{"-n", "0"}, &bytes.Buffer{}), "must be at least 1")
}
