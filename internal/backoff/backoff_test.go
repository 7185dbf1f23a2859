package backoff_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/backoff"
)

func TestDoubled(t *testing.T) {
	t.Parallel()
	const longest = time.Duration(math.MaxInt64)
	for _, tt := range []struct {
		name  string
		base  time.Duration
		n     int
		limit time.Duration
		want  time.Duration
	}{
		{"not yet", time.Second, 0, time.Minute, time.Second},
		{"negative", time.Second, -3, time.Minute, time.Second},
		{"twice", time.Second, 2, time.Minute, 4 * time.Second},
		{"at the limit", time.Second, 6, time.Minute, time.Minute},
		{"many times", time.Second, 1 << 40, time.Minute, time.Minute},
		{"would overflow", time.Hour, 62, longest, longest},
		{"base above the limit", time.Hour, 0, time.Minute, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, backoff.Doubled(tt.base, tt.n, tt.limit))
		})
	}
}

func TestJitteredAndSumDoNotOverflow(t *testing.T) {
	t.Parallel()
	const longest = time.Duration(math.MaxInt64)
	require.Equal(t, 8*time.Second, backoff.Jittered(10*time.Second, 0))
	require.Equal(t, 10*time.Second, backoff.Jittered(10*time.Second, 0.5))
	require.Equal(t, longest, backoff.Jittered(longest, 0.999))
	require.Equal(t, 3*time.Second, backoff.Sum(time.Second, 2*time.Second))
	require.Equal(t, longest, backoff.Sum(longest, time.Nanosecond))
}

func TestHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errFirst, errSecond := errors.New("first"), errors.New("second")
		health := backoff.Health{First: time.Second, Limit: 3 * time.Second}
		requireWait := func(wantWait time.Duration, wantErr error) {
			wait, err := health.Wait()
			require.Equal(t, wantWait, wait)
			require.Equal(t, wantErr, err)
		}
		requireWait(0, nil)
		require.Equal(t, time.Second, health.Failed(errFirst))
		requireWait(time.Second, errFirst)
		time.Sleep(time.Second)
		requireWait(0, errFirst)
		require.Equal(t, 2*time.Second, health.Failed(errSecond))
		require.Equal(t, 3*time.Second, health.Failed(errSecond))
		requireWait(3*time.Second, errSecond)
		health.Succeeded()
		requireWait(0, nil)
		require.Equal(t, time.Second, health.Failed(errFirst))
	})
}
