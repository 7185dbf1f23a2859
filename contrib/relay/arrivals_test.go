package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

// newArrivals returns Arrivals that draw the same gaps in each run of the test.
func newArrivals(t *testing.T, longest time.Duration) *relay.Arrivals {
	t.Helper()
	a, err := relay.NewArrivals(longest, time.Microsecond)
	require.NoError(t, err)
	a.Seed(1)
	return a
}

// waits returns how long each of so many calls of Wait takes.
func waits(t *testing.T, a *relay.Arrivals, count int) []time.Duration {
	t.Helper()
	took := make([]time.Duration, count)
	for i := range took {
		began := time.Now()
		require.NoError(t, a.Wait(t.Context()))
		took[i] = time.Since(began)
	}
	return took
}

func mean(gaps []time.Duration) float64 {
	var sum time.Duration
	for _, gap := range gaps {
		sum += gap
	}
	return sum.Seconds() / float64(len(gaps))
}

func TestArrivalsHaveRateGapsAndBurstsOfUsers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newArrivals(t, 2*time.Second)
		random := rand.New(rand.NewPCG(2, 2))
		for range 2000 { // bursts of four
			for range 4 {
				time.Sleep(time.Millisecond)
				a.Observe()
			}
			time.Sleep(time.Second + time.Duration(random.IntN(1000))*time.Millisecond)
		}
		saved, err := json.Marshal(a)
		require.NoError(t, err)
		var gaps []time.Duration
		require.NoError(t, json.Unmarshal(saved, &gaps))
		require.Len(t, gaps, 512)

		a = newArrivals(t, 2*time.Second) // after a restart
		require.NoError(t, json.Unmarshal(saved, a))
		again, err := json.Marshal(a)
		require.NoError(t, err)
		require.JSONEq(t, string(saved), string(again))
		drawn := waits(t, a, 20_000)
		short, inRow, before := 0.0, 0.0, time.Duration(0)
		for _, gap := range drawn {
			if gap <= time.Millisecond {
				short++
				if before <= time.Millisecond {
					inRow++
				}
			}
			before = gap
		}
		require.InDelta(t, mean(gaps), mean(drawn), 0.03, "the rate")
		require.InDelta(t, 0.75, short/float64(len(drawn)), 0.02, "the gaps")
		require.InDelta(t, 0.50, inRow/float64(len(drawn)), 0.04, "the bursts")
	})
}

func TestArrivalsWithFewUsers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newArrivals(t, time.Second)
		drawn := waits(t, a, 5000)
		for _, gap := range drawn {
			require.LessOrEqual(t, gap, 4*time.Second)
		}
		require.InDelta(t, 1, mean(drawn), 0.1)

		for range 600 {
			time.Sleep(time.Hour)
			a.Observe()
		}
		require.NoError(t, a.Wait(t.Context())) // is overdue
		require.Equal(t, time.Second, waits(t, a, 1)[0], "no gap is longer")
	})
}

// burst is what one user can do: so many queries half a millisecond apart.
func burst(a *relay.Arrivals, queries int) {
	for range queries {
		time.Sleep(500 * time.Microsecond)
		a.Observe()
	}
}

func TestArrivalsBecomeFewerWhenUsersStop(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a := newArrivals(t, time.Minute)
			burst(a, 20)
			if restart {
				saved, err := json.Marshal(a)
				require.NoError(t, err)
				a = newArrivals(t, time.Minute)
				require.NoError(t, json.Unmarshal(saved, a))
			}
			time.Sleep(time.Hour)
			require.InDelta(t, 3, mean(waits(t, a, 20_000)), 0.3, "one gap of 20 is a minute")
		})
	}
}

func TestArrivalsHaveABoundedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, err := relay.NewArrivals(time.Minute, 100*time.Millisecond)
		require.NoError(t, err)
		a.Seed(1)
		burst(a, 600)
		go burst(a, 2*60*2000) // for two minutes
		var asked []time.Time
		for began := time.Now(); time.Since(began) < 2*time.Minute; {
			require.NoError(t, a.Wait(t.Context()))
			asked = append(asked, time.Now())
		}
		require.Greater(t, len(asked), 1100, "and no lower rate")
		for i := range asked[64:] {
			took := asked[i+64].Sub(asked[i])
			require.GreaterOrEqual(t, took, 6400*time.Millisecond-time.Millisecond)
		}
	})
}

func TestArrivalsKeepTheirTimesAndSkipThoseOfAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newArrivals(t, time.Minute)
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			a.Observe()
		}
		waits(t, a, 1)
		time.Sleep(30 * time.Millisecond) // that the caller takes
		require.Equal(t, 70*time.Millisecond, waits(t, a, 1)[0])
		time.Sleep(time.Minute)
		require.Zero(t, waits(t, a, 1)[0], "one is overdue")
		require.Equal(t, 100*time.Millisecond, waits(t, a, 1)[0], "and no more are asked in a rush")
	})
}

func TestArrivalsHeedTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newArrivals(t, time.Hour)
		reason := errors.New("reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Millisecond, func() { cancel(reason) })
		require.ErrorIs(t, a.Wait(ctx), reason)
		require.ErrorIs(t, a.Wait(ctx), reason)
	})
}

func TestBadArrivals(t *testing.T) {
	t.Parallel()
	for _, durations := range [][2]time.Duration{{0, 1}, {1, 0}, {-1, -2}, {1, 2}} {
		_, err := relay.NewArrivals(durations[0], durations[1])
		require.ErrorIs(t, err, relay.ErrInvalidOption)
	}
	_, err := relay.NewArrivals(0, time.Second)
	require.ErrorContains(t, err, "NewArrivals(0s, 1s): both must be above 0")

	a := newArrivals(t, time.Second)
	require.NoError(t, json.Unmarshal([]byte(`[-5, 9000000000]`), a))
	saved, err := json.Marshal(a)
	require.NoError(t, err)
	require.JSONEq(t, `[0, 1000000000]`, string(saved))
	require.ErrorContains(t, a.UnmarshalJSON([]byte(`{}`)), "relay: arrivals: ")
}

func TestTheLongestGapsDoNotWrapAround(t *testing.T) {
	t.Parallel()
	for _, shortest := range []time.Duration{time.Second, math.MaxInt64} {
		synctest.Test(t, func(t *testing.T) {
			for range 20 {
				arrivals, err := relay.NewArrivals(math.MaxInt64, shortest)
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), 365*24*time.Hour)
				due := 0
				for due < 65 && arrivals.Wait(ctx) == nil {
					due++
				}
				cancel()
				require.LessOrEqual(t, due, 1, "of a mean gap of 292 years")
			}
		})
	}
}
