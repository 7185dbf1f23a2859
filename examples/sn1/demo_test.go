package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic/examples/internal/recorded"
	"github.com/organic-scoring/organic/examples/internal/rouge"
	"github.com/organic-scoring/organic/examples/sn1/sim"
)

const (
	smallData    = "../../testdata/replay.jsonl"
	smallRanking = "../../testdata/replay-ranking.json"
)

// output is what a program prints and logs. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// stand is a demo of the small data that logs everything to its output.
type stand struct {
	*sim.Demo
	config *config
	out    *output
}

func setup(t *testing.T, args string) *stand {
	t.Helper()
	if !strings.Contains(args, "-data") {
		args = "-data " + smallData + " -ranking " + smallRanking + " " + args
	}
	c, simulation, err := parseFlags(strings.Fields(args), nil)
	require.NoError(t, err)
	if c.state == "" {
		c.state = t.TempDir()
	}
	s := &stand{config: &c, out: new(output)}
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	c.logger = zap.New(zapcore.NewCore(encoder, zapcore.AddSync(s.out), zap.DebugLevel))
	s.Demo, err = newDemo(&c, simulation, s.out)
	require.NoError(t, err)
	return s
}

// unhurried lets the validator wait for every answer however slow the machine is. So that it need
// not wait for the hanging miner, that one breaks down.
func unhurried(s *stand) *stand {
	s.config.patience = time.Minute
	for _, m := range s.Subnet.Miners {
		m.Hang = 500 * time.Millisecond
	}
	return s
}

// requireAccounted checks that every query was answered, and that the samples are as many and all
// were scored.
func requireAccounted(t *testing.T, s *stand) {
	t.Helper()
	u := s.Subnet.Users
	asked := u.Asked.Load()
	require.Equal(t, uint64(s.Subnet.Queries()), asked)
	require.Equal(t, asked, u.Answered.Load()+u.Left.Load()+u.Broken.Load())
	require.Zero(t, u.Refused.Load())
	require.Zero(t, s.V.Relay.Stats().DoneFailed)
}

// requireCounts checks the rewards of every honest miner against the file.
func requireCounts(t *testing.T, s *stand, path string, standings []weights.Standing) {
	t.Helper()
	for model, want := range direct(t, path) {
		for _, m := range s.Subnet.Honest() {
			if m.Name != model {
				continue
			}
			for origin, track := range map[string]weights.Track{
				"organic":   standings[m.UID].Organic,
				"synthetic": standings[m.UID].Synthetic,
			} {
				require.Equal(t, len(want), track.Count, "%s, %s", model, origin)
				require.InDelta(t, mean(want), track.Mean, 1e-6, "%s, %s", model, origin)
			}
		}
	}
}

func mean(values []float64) (mean float64) {
	for _, value := range values {
		mean += value / float64(len(values))
	}
	return mean
}

// direct scores a file without a subnet: the ROUGE of each model's answers to the prompts that all
// have answered.
func direct(t *testing.T, path string) map[string][]float64 {
	t.Helper()
	records, err := recorded.Read(path, recorded.ByModel)
	require.NoError(t, err)
	models, err := recorded.Models(records)
	require.NoError(t, err)
	worth := make(map[string][]float64)
	for _, r := range records {
		if len(r.Answers) < len(models) {
			continue
		}
		for model, answer := range r.Answers {
			worth[model] = append(worth[model], rouge.F1(string(*answer), string(r.ReferenceModel)))
		}
	}
	return worth
}

// requireOrder checks that a miner that cheats is paid less than any honest one.
func requireOrder(t *testing.T, s *stand) {
	t.Helper()
	for _, m := range s.Subnet.Miners {
		if slices.Contains([]sim.Kind{sim.Honest, sim.Slow, sim.Failing}, m.Kind) {
			continue
		}
		for _, other := range s.Subnet.Honest() {
			require.Less(t, s.Paid[m.UID], s.Paid[other.UID], "%s and %s", m.Name, other.Name)
		}
	}
}

// requirePrivate checks that no text of the data is in what was printed and logged.
func requirePrivate(t *testing.T, s *stand, path string) {
	t.Helper()
	records, err := recorded.Read(path, recorded.ByModel)
	require.NoError(t, err)
	said := s.out.String()
	require.Contains(t, said, `"level":"debug"`)
	for _, r := range records {
		require.NotContains(t, said, r.Instruction)
		for _, answer := range r.Answers {
			if len(*answer) > 12 { // a shorter one may be a word of ours
				require.NotContains(t, said, string(*answer))
			}
		}
	}
}

// table returns what the demo prints about the miners.
func table(s *stand) string {
	_, rows, _ := strings.Cut(s.out.String(), "uid  miner")
	rows, _, _ = strings.Cut(rows, "Users: asked")
	return "uid  miner" + rows
}

// get returns what a browser gets.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(page)
}

// played plays a demo to its end, and returns the vector that the scores make then.
func played(t *testing.T, s *stand) (vector weights.Vector, standings []weights.Standing) {
	t.Helper()
	t.Cleanup(s.Subnet.Stop)
	require.NoError(t, s.Start(t.Context()))
	require.NoError(t, s.Pass(t.Context()))
	vector, err := s.V.Scores.Convert()
	require.NoError(t, err)
	standings = s.V.Scores.Standings()
	s.Report()
	page, metrics := get(t, s.V.PageURL), get(t, s.V.PageURL+"/metrics")
	require.Contains(t, page, "Validator, all")
	for _, metric := range []string{
		`organic_samples_ended_total{fate="scored",origin="organic"}`, "organic_queue_size 0",
		"organic_relay_queries_total", "organic_axon_requests_verified_total",
		`organic_miner_score{uid="1"}`, "organic_weights_submissions_total",
	} {
		found := strings.Contains(metrics, metric)
		require.True(t, found, metric) // not Contains, which prints all of the text
	}
	s.Say("%s%s", page, metrics) // which requirePrivate reads
	require.NoError(t, s.V.Close(t.Context()))
	return vector, standings
}

func TestTheChainPaysByTheStandings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, args string }{
		{"by time", "-seed 1"},
		{"by blocks", "-seed 2 -steps 1 -legacy -block 100ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := unhurried(setup(t, tt.args))
			vector, standings := played(t, s)
			requireAccounted(t, s)
			requireCounts(t, s, smallData, standings)
			require.Contains(t, s.out.String(), "Queued: 8 organic and 8 synthetic samples, lost 0.")
			paid := make(map[organic.UID]uint16)
			for i, uid := range vector.UIDs {
				paid[uid] = vector.Weights[i]
			}
			require.Equal(t, paid, s.Paid, "what the chain has revealed")
			require.InDelta(t, 1, s.Subnet.Agreement(s.Paid), 1e-12)
			requirePrivate(t, s, smallData)
		})
	}
}

func TestCheatersArePaidLess(t *testing.T) {
	t.Parallel()
	s := unhurried(setup(t, "-seed 4 -queries 48 -synthetic 32 -patience 5s"))
	played(t, s)
	requireAccounted(t, s)
	requireOrder(t, s)
	require.Contains(t, s.out.String(), "UID 7 copies ")
	require.Contains(t, s.out.String(), "UID 8 copies ")
	require.NotContains(t, s.out.String(), `"level":"warn"`, "a healthy run warns of nothing")
}

func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	s := unhurried(setup(t, "-seed 5 -queries 40 -synthetic 8 -hangup 0.4"))
	failures := make(chan error, 1)
	go func() { failures <- s.disturb(t.Context()) }()
	_, standings := played(t, s)
	require.NoError(t, <-failures)
	requireAccounted(t, s)
	require.Positive(t, s.Subnet.Users.Left.Load(), "some have hung up")
	require.Equal(t, 40, standings[1].Organic.Count, "the scores outlive the validator")
	require.InDelta(t, 7.5, standings[1].Synthetic.Count, 0.5, "one can be drawn as the relay closes")
	require.Less(t, standings[0].Organic.Mean, mean(direct(t, smallData)["alder"]), "one was killed")
	requirePrivate(t, s, smallData)
}

// disturb kills a miner, takes the chain away for a while, and restarts the validator, while users
// are asking.
func (s *stand) disturb(ctx context.Context) error {
	until := func(asked uint64) {
		for s.Subnet.Users.Asked.Load() < asked {
			<-time.After(time.Millisecond)
		}
	}
	until(5)
	s.Subnet.Miners[0].Kill()
	node := s.Subnet.Node()
	node.Refuse(http.StatusServiceUnavailable)
	node.Drop()
	until(10)
	node.Refuse(0)
	if err := s.V.Close(ctx); err != nil {
		return err
	}
	return s.OpenValidator(ctx)
}

func TestFrontendAndScorerShareAQueue(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.TempDir(), embedded.WithListen("127.0.0.1:0"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	front := unhurried(setup(t, "-seed 6 -role frontend -queue "+server.URL()))
	t.Cleanup(front.Subnet.Stop)
	require.NoError(t, front.Start(t.Context()))
	scorer := unhurried(setup(t, "-seed 6 -role scorer -join "+front.URL+" -queue "+server.URL()))
	require.NoError(t, scorer.Start(t.Context()))
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- front.Pass(ctx) }()
	go func() { ended <- scorer.Pass(ctx) }()
	require.Eventually(t, func() bool {
		standing := scorer.V.Scores.Standings()[1]
		return standing.Organic.Count == 8 && standing.Synthetic.Count == 8 && scorer.V.Setter.Status().Sets > 0
	}, time.Minute, 20*time.Millisecond)
	standings := scorer.V.Scores.Standings()
	require.Contains(t, get(t, front.V.PageURL), "Validator, frontend")
	metrics := [2]string{get(t, front.V.PageURL+"/metrics"), get(t, scorer.V.PageURL+"/metrics")}
	for i, want := range []bool{true, false} {
		require.Equal(t, want, strings.Contains(metrics[i], "organic_axon_requests_verified_total"))
		require.Equal(t, !want, strings.Contains(metrics[i], "organic_weights_submissions_total"))
	}
	interrupt()
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
	requireAccounted(t, front)
	requireCounts(t, scorer, smallData, standings)
	require.Zero(t, scorer.V.Relay.Stats().Begun, "all traffic to miners leaves by the front-end")
	require.Zero(t, front.V.Scorer.Stats().Scored)
	require.NotEmpty(t, scorer.Paid)
	front.Report()
	scorer.Report()
	require.Contains(t, front.out.String(), "Queued: 8 organic and 8 synthetic samples, lost 0.")
	require.Contains(t, scorer.out.String(), "Samples: scored 16,")
	require.NoError(t, scorer.V.Close(t.Context()))
	require.NoError(t, front.V.Close(t.Context()))
}

func TestDemoInPlainWords(t *testing.T) {
	t.Parallel()
	log, report := filepath.Join(t.TempDir(), "log.jsonl"), filepath.Join(t.TempDir(), "report.html")
	var stdout, stderr output
	args := []string{
		"-data", smallData, "-ranking", smallRanking, "-queries", "4", "-synthetic", "4",
		"-patience", "200ms", "-log", log, "-report", report,
	}
	require.NoError(t, run(t.Context(), args, &stdout, &stderr))
	require.Empty(t, stderr.String())
	for _, want := range []string{
		"The chain is at ws://", "11 miners are registered",
		"4 prompts lack an answer", "The chain has revealed them", "share", "The status page is at http://", "The report is in " + report,
	} {
		require.Contains(t, stdout.String(), want)
	}
	require.FileExists(t, report)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(text), `"msg":"scorer runs"`)
}
