package main

import (
	"context"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/program"
)

// interrupted plays until users have asked a few queries whose miners are
// still speaking, and returns the counters that the report shows.
func interrupted(t *testing.T, args string) map[string]int {
	t.Helper()
	s := setup(t, "-rate 15 -patience 2s -synthetic 1 "+args)
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		defer interrupt()
		for s.users.counts.asked.Load() < 4 {
			<-time.After(time.Millisecond)
		}
	}()
	var stdout strings.Builder
	require.ErrorIs(t, s.play(ctx, new(strings.Builder)), program.ErrInterrupted)
	require.NoError(t, s.report(&stdout))
	require.Contains(t, stdout.String(), "refused 0\n", "who is cut off by us has left")
	_, line, found := strings.Cut(stdout.String(), "samples: ")
	require.True(t, found)
	line, _, _ = strings.Cut(line, ";")
	counts := make(map[string]int)
	for _, pair := range regexp.MustCompile(`([a-z ]+) (\d+)`).FindAllStringSubmatch(line, -1) {
		n, err := strconv.Atoi(pair[2])
		require.NoError(t, err)
		counts[strings.TrimSpace(pair[1])] = n
	}
	require.Positive(t, counts["accepted"], line)
	require.Equal(t, counts["accepted"], counts["scored"]+counts["dead"]+counts["dropped"]+counts["still queued"], line)
	return counts
}

func TestInterruptForgetsNothing(t *testing.T) {
	t.Parallel()
	t.Run("without state all is scored", func(t *testing.T) {
		t.Parallel()
		counts := interrupted(t, "")
		require.Equal(t, counts["accepted"], counts["scored"])
	})
	t.Run("with state the rest is saved", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		counts := interrupted(t, "-state "+dir)
		samples, err := loadSamples(filepath.Join(dir, "queue.json"))
		require.NoError(t, err)
		require.Len(t, samples, counts["still queued"])
	})
}

func TestAnInterruptWhileItStopsIsASoftOne(t *testing.T) {
	t.Parallel()
	s := setup(t, "")
	ctx, interrupt := context.WithCancel(t.Context())
	hard, release := s.untilSecondInterrupt(ctx)
	interrupt()
	for !s.stopping.Load() {
		<-time.After(time.Millisecond)
	}
	require.NoError(t, hard.Err())
	release()
	require.Error(t, hard.Err())
}
