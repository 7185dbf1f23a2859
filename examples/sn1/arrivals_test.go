package main

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSyntheticArrivalsAreDrawnFromOrganicOnes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "arrivals.json")
	a, err := openArrivals(path, time.Minute, 1)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(2, 2))
	now := time.Unix(0, 0)
	for range 2000 { // bursts of four, a minute of which is remembered
		for _, gap := range []time.Duration{0, time.Millisecond, time.Millisecond} {
			now = now.Add(gap)
			a.saw(now)
		}
		now = now.Add(time.Second + time.Duration(random.IntN(1000))*time.Millisecond)
		a.saw(now)
	}
	require.Len(t, a.gaps, recentArrivals)
	require.NoError(t, a.save())
	a, err = openArrivals(path, time.Minute, 1) // a restart
	require.NoError(t, err)
	var sum time.Duration
	short, inRow := 0, 0
	var before time.Duration
	const draws = 20000
	for range draws {
		gap := a.next()
		sum += gap
		if gap <= time.Millisecond {
			short++
			if before <= time.Millisecond {
				inRow++
			}
		}
		before = gap
	}
	require.InDelta(t, 1.5/4, sum.Seconds()/draws, 0.03, "the rate")
	require.InDelta(t, 0.75, float64(short)/draws, 0.02, "the gaps")
	require.InDelta(t, 0.50, float64(inRow)/draws, 0.04, "the bursts")
}

func TestSyntheticArrivalsWithoutUsers(t *testing.T) {
	t.Parallel()
	a, err := openArrivals("", time.Second, 3)
	require.NoError(t, err)
	var sum time.Duration
	for range 5000 {
		gap := a.next()
		require.LessOrEqual(t, gap, 4*time.Second)
		sum += gap
	}
	require.InDelta(t, 1, sum.Seconds()/5000, 0.1)

	now := time.Unix(0, 0)
	for range 600 { // an hour between two users
		now = now.Add(time.Hour)
		a.saw(now)
	}
	require.Equal(t, time.Second, a.next(), "no gap is longer than -idle")
	a.saw(now.Add(-time.Hour))
	require.Equal(t, time.Second, a.next())
}
