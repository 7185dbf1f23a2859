package promweights_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/prometheus/promweights"
)

type setter weights.Status

func (s setter) Status() weights.Status { return weights.Status(s) }

func TestReasonOfFailedTries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status weights.Status
		want   string // "" if no reason is 1
	}{
		{"none", weights.Status{}, ""},
		{"an error of the past", weights.Status{Err: weights.ErrClock}, ""},
		{"clock", weights.Status{Failures: 1, Err: &weights.ChainError{Kind: weights.ErrClock}}, "clock"},
		{
			"stopped",
			weights.Status{Stopped: true, Err: fmt.Errorf("set: %w", weights.ErrNotRegistered)},
			"not_registered",
		},
		{"unknown", weights.Status{Failures: 3, Err: fmt.Errorf("text of a source")}, "other"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, err := testutil.CollectAndFormat(
				promweights.NewSetter(
					setter(test.status),
					time.Hour,
				),
				expfmt.TypeTextPlain,
				"organic_weights_error",
			)
			require.NoError(t, err)
			var raised []string
			for line := range strings.Lines(string(out)) {
				if !strings.HasPrefix(line, "#") && strings.HasSuffix(line, " 1\n") {
					raised = append(raised, line)
				}
			}
			if test.want == "" {
				require.Empty(t, raised)
				return
			}
			require.Equal(
				t,
				[]string{fmt.Sprintf("organic_weights_error{reason=%q} 1\n", test.want)},
				raised,
			)
		})
	}
}

func TestSetterShowsWhereItsSubmissionsStand(t *testing.T) {
	t.Parallel()
	status := weights.Status{
		LastSet: time.Unix(1_800_000_000, 0), Entries: 12, Sets: 3, Lost: 1,
		Pending: []weights.Submission{{State: weights.Committed}, {State: weights.Committed}},
		Held:    "too few rewards",
	}
	want := `
# HELP organic_weights_last_set_timestamp_seconds When the chain last set the weights; absent if never.
# TYPE organic_weights_last_set_timestamp_seconds gauge
organic_weights_last_set_timestamp_seconds 1.8e+09
# HELP organic_weights_pending Submissions under way, by how far they have come.
# TYPE organic_weights_pending gauge
organic_weights_pending{state="committed"} 2
organic_weights_pending{state="included"} 0
organic_weights_pending{state="submitted"} 0
# HELP organic_weights_submissions_total Submissions that have ended, by outcome.
# TYPE organic_weights_submissions_total counter
organic_weights_submissions_total{outcome="lost"} 1
organic_weights_submissions_total{outcome="set"} 3
# HELP organic_weights_held 1 while the first weights wait for the warm-up, else 0.
# TYPE organic_weights_held gauge
organic_weights_held 1
`
	require.NoError(t, testutil.CollectAndCompare(
		promweights.NewSetter(setter(status), time.Hour),
		strings.NewReader(want),
		"organic_weights_last_set_timestamp_seconds",
		"organic_weights_pending",
		"organic_weights_submissions_total",
		"organic_weights_held",
		"organic_weights_next_due_timestamp_seconds",
	))
}
