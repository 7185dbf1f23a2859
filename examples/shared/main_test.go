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
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary a scorer when the front-end starts it so.
func TestMain(m *testing.M) {
	if os.Getenv(scorerOf) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := run(ctx, nil, &slow{})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// slow is the standard output of a scorer that takes its time over its second
// sample, so that it can be killed meanwhile on any machine.
type slow struct{ took int }

func (s *slow) Write(line []byte) (int, error) {
	n, err := os.Stdout.Write(line)
	if bytes.HasPrefix(line, []byte("took")) {
		if s.took++; s.took == 2 {
			<-time.After(5 * time.Second)
		}
	}
	return n, err
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
	require.Contains(t, after, "scorer 2 scored "+id+", attempt 1", text)
}

// TestNoScorerLeft: scorers that cannot work are an error, not waited for.
func TestNoScorerLeft(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := watch(t.Context(), "nats://127.0.0.1:1", map[string]bool{"a": true}, &out)
	require.ErrorContains(t, err, "no scorer is left, and 1 queries wait")
	require.Contains(t, out.String(), "scorer 1 has ended: exit status 1")
	require.Contains(t, out.String(), "scorer 2 has ended: exit status 1")
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, run(t.Context(), []string{"-n", "0"}, &bytes.Buffer{}),
		"must be at least 1")
}
