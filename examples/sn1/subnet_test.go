package main

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/recorded"
	"github.com/organic-scoring/organic/examples/internal/rouge"
)

const (
	smallData    = "../../testdata/replay.jsonl"
	smallRanking = "../../testdata/replay-ranking.json"

	// Lies beside a checkout only where somebody has put it there.
	realData = "../../../shared/data/pandalm/prompts.jsonl"
)

// patient keeps the miners apart in time on slow machines.
const patient = " -patience 2500ms "

// unhurried lets the validator wait for every answer however slow the machine
// is, for tests in which none may be late. So that it need not wait for the
// hanging miner, that one breaks down.
func unhurried(s *subnet) *subnet {
	s.cfg.patience, s.judge.patience = time.Minute, time.Minute
	for _, m := range s.miners {
		m.hang = 500 * time.Millisecond
	}
	return s
}

// setup builds a subnet of the small data.
func setup(t *testing.T, args string) *subnet {
	t.Helper()
	return setupWith(t, "-data "+smallData+" -ranking "+smallRanking+" "+args)
}

func setupWith(t *testing.T, args string) *subnet {
	t.Helper()
	cfg, err := parseFlags(strings.Fields(args), nil)
	require.NoError(t, err)
	s, err := newSubnet(cfg)
	require.NoError(t, err)
	return s
}

// played is a subnet after a pass, with its table.
func played(t *testing.T, s *subnet) string {
	t.Helper()
	var progress, table strings.Builder
	require.NoError(t, s.play(t.Context(), &progress))
	require.NoError(t, s.report(&table))
	return table.String()
}

// direct scores a data file without a subnet: how many answers each model has,
// and what they are worth.
func direct(t *testing.T, path string) map[string]*mean {
	t.Helper()
	records, err := recorded.Read(path, recorded.ByModel)
	require.NoError(t, err)
	worth := make(map[string]*mean)
	for _, r := range records {
		for model, answer := range r.Answers {
			if worth[model] == nil {
				worth[model] = new(mean)
			}
			worth[model].add(rouge.F1(string(*answer), string(r.ReferenceModel)))
		}
	}
	return worth
}

// requirePass checks every honest miner against the file, after each prompt
// was asked once by a user and once by the validator.
func requirePass(t *testing.T, s *subnet, path string) {
	t.Helper()
	counts := s.tally.all()
	for model, want := range direct(t, path) {
		for _, uid := range s.honest() {
			if s.miners[uid].name != model {
				continue
			}
			require.Equal(t, 2*want.count, counts[uid].answers, model)
			for _, origin := range []organic.Origin{organic.Organic, organic.Synthetic} {
				require.Equal(t, want.count, counts[uid].quality[origin].count, "%s, %s", model, origin)
				require.InDelta(t, want.value(), counts[uid].quality[origin].value(), 1e-9, "%s, %s", model, origin)
			}
		}
	}
}

// requireAccounted checks that every query was answered, and that the samples
// are as many and all were scored.
func requireAccounted(t *testing.T, s *subnet) {
	t.Helper()
	counts, stats := &s.users.counts, s.stats()
	asked := counts.asked.Load()
	require.Equal(t, uint64(len(s.queries)), asked)
	require.Equal(t, asked, counts.answered.Load()+counts.left.Load()+counts.broken.Load())
	require.Zero(t, counts.refused.Load())
	require.Equal(t, asked, stats.Accepted)
	require.Equal(t, asked, stats.Scored)
	require.Zero(t, stats.Queued)
	require.Equal(t, int(stats.Scored), s.tally.samples(organic.Organic))
}

// requireOrder checks that nobody of these kinds earns as much as any honest
// miner.
func requireOrder(t *testing.T, s *subnet, kinds ...kind) {
	t.Helper()
	for uid, m := range s.miners {
		if !slices.Contains(kinds, m.kind) {
			continue
		}
		for _, other := range s.honest() {
			require.Less(t, s.history.weightOf(organic.UID(uid)), s.history.weightOf(organic.UID(other)), "%s and %s", m.name, s.miners[other].name)
		}
	}
}

func TestEverythingIsScoredOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args func(t *testing.T) string
	}{
		{"memory", func(*testing.T) string { return "-rate 20" }},
		{"all hang up", func(*testing.T) string { return "-rate 1000 -hangup 1 -seed 2" }},
		{"embedded", func(t *testing.T) string { t.Helper(); return "-rate 20 -seed 3 -queue embedded:" + t.TempDir() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := unhurried(setup(t, patient+tt.args(t)))
			table := played(t, s)
			requireAccounted(t, s)
			requirePass(t, s, smallData)
			requireOrder(t, s, empty, hanging)
			require.Less(t, s.history.weightOf(7), s.history.weightOf(0), "copier and copied: a dozen prompts prove it late")
			require.InDelta(t, 1, s.agreement(), 1e-12)
			require.Contains(t, table, "human win rates: 1.000\n")
			require.Equal(t, uint64(12), s.stats().SyntheticScored)
			require.Zero(t, s.stats().SyntheticFailed)
		})
	}
}

func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	for _, queue := range []string{"memory", "embedded"} {
		t.Run(queue, func(t *testing.T) {
			t.Parallel()
			args := "-patience 1500ms -queries 30 -rate 15 -hangup 0.4 -state " + t.TempDir()
			if queue != "memory" {
				args += " -queue embedded:" + t.TempDir()
			}
			s := setup(t, args)
			failures := make(chan error, 1)
			go func() { failures <- s.disturb(t.Context()) }()
			played(t, s)
			require.NoError(t, <-failures)
			requireAccounted(t, s)
			require.Positive(t, s.users.counts.left.Load(), "some have hung up")
			require.Less(t, s.tally.all()[0].answers, s.tally.all()[1].answers, "one was killed")
			require.Equal(t, uint64(12), s.stats().SyntheticScored)
			require.Zero(t, s.stats().SyntheticFailed)
			scored := 0
			for _, standing := range s.current().scores.Standings() {
				scored = max(scored, standing.Organic.Count)
			}
			require.Equal(t, 30, scored, "the scores outlive the validator")
		})
	}
}

// disturb kills a miner and restarts the validator while users are asking.
func (s *subnet) disturb(ctx context.Context) error {
	for s.users.counts.asked.Load() < 8 {
		<-time.After(time.Millisecond)
	}
	s.miners[0].kill()
	for s.users.counts.asked.Load() < 12 {
		<-time.After(time.Millisecond)
	}
	return s.restart(ctx)
}

func TestFrontendAndScorersShareAQueue(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.TempDir(), embedded.WithListen("127.0.0.1:0"))
	require.NoError(t, err)
	shared := patient + "-rate 50 -miners 127.0.0.1:" + freePorts(t, 9) + " -queue " + server.URL()
	front := unhurried(setup(t, shared+" -role frontend"))
	scorer := unhurried(setup(t, shared+" -role scorer -synthetic 4"))
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var progress strings.Builder
	go func() { ended <- scorer.play(ctx, &progress) }()
	played(t, front)
	require.Eventually(t, func() bool { return scorer.tally.samples(organic.Organic) == 12 }, 20*time.Second, 5*time.Millisecond)
	interrupt()
	require.NoError(t, <-ended, "an interrupt is how a scorer ends")

	require.Equal(t, uint64(12), front.users.counts.answered.Load()+front.users.counts.left.Load())
	require.Equal(t, uint64(12), scorer.stats().Scored)
	for model, want := range direct(t, smallData) {
		for _, uid := range scorer.honest() {
			if scorer.miners[uid].name == model {
				require.InDelta(t, want.value(), scorer.tally.all()[uid].quality[organic.Organic].value(), 1e-9, model)
			}
		}
	}
	require.NoError(t, server.Stop(t.Context()))
}

func TestAnotherMayScoreWhatThisProcessWasAsked(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.TempDir(), embedded.WithListen("127.0.0.1:0"))
	require.NoError(t, err)
	shared := "-patience 1s -rate 50 -miners 127.0.0.1:" + freePorts(t, 9) + " -queue " + server.URL()
	all, other := setup(t, shared), setup(t, shared+" -role scorer -synthetic 4")
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- other.play(ctx, new(strings.Builder)) }()
	require.Eventually(t, func() bool { return other.tally.samples(organic.Synthetic) > 0 }, 20*time.Second, 5*time.Millisecond, "it scores")
	err = all.play(t.Context(), new(strings.Builder))
	interrupt()
	require.NoError(t, <-ended)
	require.Equal(t, uint64(12), all.stats().Accepted)
	require.Equal(t, uint64(12), all.stats().Scored+other.stats().Scored)
	if other.stats().Scored > 0 {
		require.ErrorContains(t, err, "of 12 samples were scored")
	}
	require.NoError(t, server.Stop(t.Context()))
}

// freePorts returns the first of n ports in a row that nobody listens on.
func freePorts(t *testing.T, n int) string {
	t.Helper()
	for range 100 {
		first, err := listen(t.Context(), "127.0.0.1:0")
		require.NoError(t, err)
		port := first.Addr().(*net.TCPAddr).Port
		held := []net.Listener{first}
		for i := 1; i < n && err == nil; i++ {
			var next net.Listener
			if next, err = listen(t.Context(), net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i))); err == nil {
				held = append(held, next)
			}
		}
		for _, listener := range held {
			require.NoError(t, listener.Close())
		}
		if err == nil {
			return strconv.Itoa(port)
		}
	}
	require.FailNow(t, "no ports in a row")
	return ""
}
