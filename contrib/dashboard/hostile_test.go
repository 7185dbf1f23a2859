package dashboard_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/dashboard"
	"github.com/organic-scoring/organic/contrib/weights"
)

// hostileScores has numbers and names that none should have.
type hostileScores struct{ lengths bool }

func (hostileScores) Standings() []weights.Standing {
	all := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 5e-324}
	standings := make([]weights.Standing, len(all))
	for i, score := range all {
		standings[i] = weights.Standing{
			UID: organic.UID(i), Score: score, Hotkey: "<script>alert(1)</script>\r\n\x00\xff\u202e",
			Organic: weights.Track{Count: math.MaxInt, Mean: score},
		}
	}
	return standings
}

func (s hostileScores) Convert(...weights.ConvertOption) (weights.Vector, error) {
	if s.lengths {
		return weights.Vector{UIDs: []organic.UID{0, 1}, Weights: []uint16{0}}, nil
	}
	return weights.Vector{}, errors.New("<script>alert(2)</script>\ndata: x")
}

func TestHostileNumbersAndNamesEndNothing(t *testing.T) {
	for _, lengths := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &scorer{stats: organic.Stats{
				Running: true, Queued: math.MaxInt, InFlight: math.MinInt, Delayed: -1,
				OldestInFlight: math.MinInt64, LoopBackoff: math.MaxInt64, Accepted: math.MaxUint64,
				Scored: math.MaxUint64, LastScored: time.Unix(math.MaxInt64/2, 0),
			}}
			d, err := dashboard.New(s, dashboard.WithTitle("</title><script>alert(3)</script>"),
				dashboard.WithScores(hostileScores{lengths}),
				dashboard.WithSetter(setter{
					Running: true, Failures: 1, Err: errors.New("<img src=x>"), NextDue: time.Unix(-1<<60, 0),
					Pending: []weights.Submission{{State: 99, Block: math.MaxUint64, Reason: "</td><script>"}},
				}),
				dashboard.WithQueue(dashboard.Queue{
					Capacity:      math.MaxInt,
					OldestWaiting: func() time.Duration { return math.MinInt64 },
				}),
				dashboard.WithAxon(func() dashboard.Axon {
					return dashboard.Axon{Refused: map[string]uint64{
						"\"><script>alert(4)</script>": math.MaxUint64, "": 0,
					}}
				}),
				dashboard.WithChain(func() dashboard.Chain {
					return dashboard.Chain{Endpoint: "javascript:alert(5)//<script>"}
				}))
			require.NoError(t, err)
			d.Observe(organic.Event{Kind: organic.EventStageDone, Duration: math.MinInt64})
			d.Observe(organic.Event{Kind: organic.EventStageFailed, Stage: 200, Origin: 77})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			require.NoError(t, d.Run(ctx))
			html := report(t, d)
			require.NotContains(t, html, "<script>alert")
			require.NotContains(t, html, "<img src=x>")
			require.Equal(t, 0, strings.Count(html, "\x00"))
		})
	}
}
