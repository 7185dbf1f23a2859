package dashboard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/dashboard"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/weights"
)

// scorer returns numbers that a test sets.
type scorer struct {
	mu    sync.Mutex
	stats organic.Stats
}

func (s *scorer) Stats() organic.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *scorer) set(stats organic.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = stats
}

func (s *scorer) Pause()  { s.set(organic.Stats{Running: true, Paused: true}) }
func (s *scorer) Resume() { s.set(organic.Stats{Running: true}) }

// setter returns a status.
type setter weights.Status

func (s setter) Status() weights.Status { return weights.Status(s) }

// scores has miners whose scores are 1, 1/2, 1/3, and so on.
type scores struct{ miners int }

func (s scores) Standings() []weights.Standing {
	standings := make([]weights.Standing, s.miners)
	for i := range standings {
		standings[i] = weights.Standing{
			UID:    organic.UID(i),
			Hotkey: fmt.Sprint("hotkey", i),
			Score:  1 / float64(i+1),
		}
	}
	return standings
}

func (s scores) Convert(...weights.ConvertOption) (weights.Vector, error) {
	if s.miners == 0 {
		return weights.Vector{}, weights.ErrNoScores
	}
	return weights.Vector{UIDs: []organic.UID{0, 1}, Weights: []uint16{49151, 16384}}, nil
}

type streams struct{}

func (streams) Stats() relay.Stats { return relay.Stats{Whole: 31, Left: 4} }

func report(t *testing.T, d *dashboard.Dashboard) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, d.WriteReport(&out))
	return out.String()
}

// cells returns a page as text, one cell of a table after the other.
func cells(html string) string {
	for _, tag := range []string{"</td>", "</th>", "</tr>"} {
		html = strings.ReplaceAll(html, tag, "|")
	}
	var text strings.Builder
	inTag := false
	for _, c := range html {
		switch {
		case c == '<':
			inTag = true
		case c == '>':
			inTag = false
		case !inTag:
			text.WriteRune(c)
		}
	}
	return text.String()
}

func TestNewReportsAllThatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opt  dashboard.Option
		want string
	}{
		{"title", dashboard.WithTitle(""), `WithTitle("")`},
		{"queue", dashboard.WithQueue(dashboard.Queue{Capacity: -1}), "WithQueue: Capacity is -1"},
		{"scores", dashboard.WithScores(nil), "WithScores(nil)"},
		{"setter", dashboard.WithSetter((*weights.Setter)(nil)), "WithSetter(nil)"},
		{"relay", dashboard.WithRelay((*relay.Relay)(nil)), "WithRelay(nil)"},
		{"axon", dashboard.WithAxon(nil), "WithAxon(nil)"},
		{"chain", dashboard.WithChain(nil), "WithChain(nil)"},
		{"controls", dashboard.WithControls(nil), "WithControls(nil)"},
		{"nil", nil, "option 1 is nil"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := dashboard.New(nil, test.opt)
			require.ErrorIs(t, err, dashboard.ErrInvalidOption)
			require.ErrorContains(t, err, "New(nil): scorer must not be nil")
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestVerdictNamesTheReasonInWords(t *testing.T) {
	t.Parallel()
	running := organic.Stats{Running: true, LastScored: time.Now()}
	with := func(change func(s *organic.Stats)) organic.Stats {
		s := running
		change(&s)
		return s
	}
	working := weights.Status{Running: true}
	tests := []struct {
		name    string
		stats   organic.Stats
		setter  weights.Status
		chain   string
		verdict string
		reason  string
	}{
		{"healthy", running, working, "node", "Healthy", "The scorer runs."},
		{"ended", organic.Stats{}, weights.Status{}, "node", "Ended", "The scorer does not run."},
		{
			"paused",
			with(func(s *organic.Stats) { s.Paused = true }),
			working,
			"node",
			"Paused",
			"The scorer is paused.",
		},
		{
			"back-off", with(func(s *organic.Stats) { s.LoopBackoff = 90 * time.Second }), working, "node",
			"Unhealthy", "All iterations fail; the loop starts one every 1 min 30 s only.",
		},
		{
			"stalled", with(func(s *organic.Stats) {
				s.Queued, s.LastScored = 1, time.Now().Add(-25*time.Hour)
			}), working,
			"node", "Unhealthy", "1 sample waits in the queue, and none was scored for 25 h.",
		},
		{
			"full", with(func(s *organic.Stats) { s.Queued = 100 }), working, "node",
			"Unhealthy", "The queue is full (100)",
		},
		{
			"nearly full", with(func(s *organic.Stats) { s.Queued = 80 }), working, "node",
			"Needs attention", "The queue is nearly full: 80 of 100.",
		},
		{
			"abandoned", with(func(s *organic.Stats) { s.Abandoned = 2 }), working, "node",
			"Needs attention", "2 hooks ignore the end of the ctx and still run.",
		},
		{"no node", running, working, "", "Unhealthy", "No node of the chain is connected."},
		{"setter off", running, weights.Status{}, "node", "Healthy", "The setter does not run"},
		{
			"setter stopped", running,
			weights.Status{Running: true, Stopped: true, Err: weights.ErrNotRegistered},
			"node",
			"Unhealthy", "waits for Recheck: weights: hotkey is not registered on the subnet.",
		},
		{
			"failed tries", running,
			weights.Status{Running: true, Failures: 3, Err: weights.ErrClock},
			"node",
			"Needs attention",
			"The last 3 tries to set weights failed: weights: reveal round refused, check the clock.",
		},
		{
			"warm-up", running,
			weights.Status{Running: true, Held: "few rewards"},
			"node",
			"Healthy", "The first weights wait: few rewards.",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, err := dashboard.New(&scorer{stats: test.stats},
				dashboard.WithSetter(setter(test.setter)), dashboard.WithQueue(dashboard.Queue{Capacity: 100}),
				dashboard.WithChain(func() dashboard.Chain { return dashboard.Chain{Endpoint: test.chain} }))
			require.NoError(t, err)
			page := report(t, d)
			require.Contains(t, page, `<h2 id="verdict">`+test.verdict+`</h2>`)
			require.Contains(t, page, test.reason)
		})
	}
}

func TestPageShowsAllPartsInTables(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scorer{stats: organic.Stats{
			Running: true, Accepted: 10, Scored: 6, Dead: 2, Queued: 2,
			SyntheticScored: 3, SyntheticFailed: 1,
		}}
		d, err := dashboard.New(
			s,
			dashboard.WithTitle(
				"My <validator>",
			),
			dashboard.WithScores(scores{3}),
			dashboard.WithRelay(streams{}),
			dashboard.WithQueue(dashboard.Queue{DeadLetters: func() int { return 7 }}),
			dashboard.WithAxon(func() dashboard.Axon {
				return dashboard.Axon{Verified: 12, Refused: map[string]uint64{"stale": 5, "rate": 9}}
			}),
			dashboard.WithSetter(setter{
				Running: true, LastSet: time.Now(), NextDue: time.Now().Add(20 * time.Minute), Sets: 4, Lost: 1,
				LastSubmission: weights.Submission{State: weights.Revealed, Block: 100, RevealedIn: 460},
				Pending:        []weights.Submission{{State: weights.Committed, Block: 470, RevealBlock: 830}},
			}),
		)
		require.NoError(t, err)
		d.Observe(
			organic.Event{
				Kind:     organic.EventStageDone,
				Stage:    organic.StageQuery,
				Duration: 1200 * time.Millisecond,
			},
		)
		d.Observe(organic.Event{
			Kind: organic.EventStageFailed, Stage: organic.StageQuery, Origin: organic.Synthetic,
			Duration: time.Minute,
		})
		run(t, d, 3*time.Second)
		html := report(t, d)
		require.Contains(t, html, "My &lt;validator&gt;")
		require.NotContains(t, html, "ZgotmplZ", "the template refuses no value")
		page := cells(html)
		for _, want := range []string{
			"waiting|2|2|2|", "dead letters|7|",
			"query, organic|1|1.2 s|1.2 s|1.2 s|0|–|", "query, synthetic|0|0 s|0 s|0 s|1|1 min|",
			"scored|6|75 %|", "dead|2|25 %|", "synthetic failed|1|25 %|",
			"0|hotkey0|75 %|49151|1|", "1|hotkey1|25 %|16384|0.5|", "2|hotkey2|0 %|0|0.333|",
			"evidence|committed in block 100, revealed in block 460|",
			"next due|2000-01-01 00:20:00 UTC, in 19 min 57 s|",
			"1|committed|committed in block 470, reveal expected in block 830|",
			"rate|9|", "stale|5|", "verified|12|", "whole|31|", "requester left|4|",
		} {
			require.Contains(t, page, want)
		}
		require.Less(t, strings.Index(page, "rate|9|"), strings.Index(page, "stale|5|"))
	})
}

// run runs the dashboard for a while.
func run(t *testing.T, d *dashboard.Dashboard, d2 time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d2)
	defer cancel()
	require.NoError(t, d.Run(ctx))
}

func TestOutagesAreListedWithBeginAndEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scorer{stats: organic.Stats{Running: true}}
		d, err := dashboard.New(s)
		require.NoError(t, err)
		go func() {
			time.Sleep(10*time.Second - time.Millisecond)
			s.set(organic.Stats{Running: true, LoopBackoff: time.Second})
			time.Sleep(30 * time.Second)
			s.set(organic.Stats{Running: true})
			d.Observe(organic.Event{Kind: organic.EventSourceFailed, Duration: 4 * time.Second})
			time.Sleep(40 * time.Second)
			s.set(organic.Stats{})
		}()
		run(t, d, 2*time.Minute)
		page := cells(report(t, d))
		require.Contains(
			t,
			page,
			"all iterations fail|2000-01-01 00:00:10 UTC|2000-01-01 00:00:40 UTC|30 s|",
		)
		require.Contains(
			t,
			page,
			"a source of samples fails|2000-01-01 00:00:40 UTC|2000-01-01 00:00:44 UTC|4 s|",
		)
		require.Contains(t, page, "scorer does not run|2000-01-01 00:01:20 UTC|lasts|40 s|")
	})
}

func TestAPartThatPanicsIsNamedAndDoesNotEndThePage(t *testing.T) {
	t.Parallel()
	d, err := dashboard.New(&scorer{stats: organic.Stats{Running: true}},
		dashboard.WithAxon(func() dashboard.Axon { panic("broken") }))
	require.NoError(t, err)
	require.Contains(t, report(t, d), "These parts do not answer: the axon.")
}

func TestHistoryStaysBoundedAndKeepsPeaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scorer{stats: organic.Stats{Running: true, Queued: 1}}
		d, err := dashboard.New(s, dashboard.WithScores(scores{3}))
		require.NoError(t, err)
		run(t, d, time.Hour)
		hour := len(report(t, d))
		s.set(organic.Stats{Running: true, Queued: 100}) // a peak of one second
		run(t, d, time.Second)
		s.set(organic.Stats{Running: true, Queued: 1})
		run(t, d, 6*time.Hour)
		html := report(t, d)
		require.Less(t, len(html), 2*hour)
		require.Contains(t, cells(html), "|100|", "a peak is not lost")
	})
}

// prompts is a validator all of whose texts are secret.
type prompts struct {
	*organic.OrganicScorer[string, string]
	organic.DefaultHooks[string, string]
}

const secret = "Waldsterben"

func (*prompts) QueryMiners(
	context.Context,
	organic.Sample[string],
) (map[organic.UID]string, error) {
	return map[organic.UID]string{1: secret}, nil
}

func (*prompts) GenerateReference(context.Context, organic.Sample[string]) (string, error) {
	return secret, nil
}

func (*prompts) GenerateRewards(
	_ context.Context, sample organic.Sample[string], _ map[organic.UID]string, _ string,
) (organic.Rewards, error) {
	if strings.HasPrefix(sample.Payload, "fail") {
		return nil, errors.New("cannot judge " + secret)
	}
	return organic.Rewards{1: 1}, nil
}

func (*prompts) SetWeights(context.Context, organic.Sample[string], organic.Rewards) error {
	return nil
}

func TestPageOfARealScorerHoldsNoPayloadRequesterOrError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := &prompts{}
		d, err := dashboard.New(v, dashboard.WithControls(v))
		require.NoError(t, err)
		v.OrganicScorer, err = organic.New(v, organic.WithObserver(d.Observe),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		require.NoError(t, err)
		for _, payload := range []string{secret, "fail " + secret} {
			_, err := v.EnqueueSample(
				t.Context(),
				organic.Sample[string]{Payload: payload, Requester: secret, ID: "id-" + payload},
			)
			require.NoError(t, err)
		}
		require.NoError(t, v.Start(t.Context()))
		run(t, d, time.Minute)
		require.NoError(t, v.Stop(t.Context()))
		html := report(t, d)
		require.Contains(t, cells(html), "scored|1|100 %|")
		require.Contains(t, cells(html), "rewards, organic|1|")
		require.NotContains(t, html, secret)
	})
}

func TestASecondRunIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, err := dashboard.New(&scorer{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = d.Run(ctx) }()
		synctest.Wait()
		require.ErrorIs(t, d.Run(ctx), organic.ErrRunning)
		cancel()
		synctest.Wait()
		run(t, d, time.Second)
	})
}

func TestWriteReportReturnsTheErrorOfItsWriter(t *testing.T) {
	t.Parallel()
	d, err := dashboard.New(&scorer{})
	require.NoError(t, err)
	require.ErrorIs(t, d.WriteReport(broken{}), io.ErrShortWrite)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
