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

// setup builds a demo of the small data that logs everything to its output.
func setup(t *testing.T, args string) *demo {
	t.Helper()
	if !strings.Contains(args, "-data") {
		args = "-data " + smallData + " -ranking " + smallRanking + " " + args
	}
	cfg, err := parseFlags(strings.Fields(args), nil)
	require.NoError(t, err)
	if cfg.state == "" {
		cfg.state = t.TempDir()
	}
	out := new(output)
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	cfg.logger = zap.New(zapcore.NewCore(encoder, zapcore.AddSync(out), zap.DebugLevel))
	d, err := newDemo(cfg, out)
	require.NoError(t, err)
	return d
}

// unhurried lets the validator wait for every answer however slow the machine is. So that it need
// not wait for the hanging miner, that one breaks down.
func unhurried(d *demo) *demo {
	d.cfg.patience = time.Minute
	for _, m := range d.subnet.Miners {
		m.Hang = 500 * time.Millisecond
	}
	return d
}

// requireAccounted checks that every query was answered, and that the samples are as many and all
// were scored.
func requireAccounted(t *testing.T, d *demo) {
	t.Helper()
	u := d.subnet.Users
	asked := u.Asked.Load()
	require.Equal(t, uint64(d.subnet.Queries()), asked)
	require.Equal(t, asked, u.Answered.Load()+u.Left.Load()+u.Broken.Load())
	require.Zero(t, u.Refused.Load())
	require.Zero(t, d.v.lost.Load())
}

// requireCounts checks the rewards of every honest miner against the file.
func requireCounts(t *testing.T, d *demo, path string, standings []weights.Standing) {
	t.Helper()
	for model, want := range direct(t, path) {
		for _, m := range d.subnet.Honest() {
			if m.Name != model {
				continue
			}
			for origin, track := range map[string]weights.Track{"organic": standings[m.UID].Organic, "synthetic": standings[m.UID].Synthetic} {
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
func requireOrder(t *testing.T, d *demo) {
	t.Helper()
	for _, m := range d.subnet.Miners {
		if slices.Contains([]sim.Kind{sim.Honest, sim.Slow, sim.Failing}, m.Kind) {
			continue
		}
		for _, other := range d.subnet.Honest() {
			require.Less(t, d.paid[m.UID], d.paid[other.UID], "%s and %s", m.Name, other.Name)
		}
	}
}

// requirePrivate checks that no text of the data is in what was printed and logged.
func requirePrivate(t *testing.T, d *demo, path string) {
	t.Helper()
	records, err := recorded.Read(path, recorded.ByModel)
	require.NoError(t, err)
	said := d.out.(*output).String()
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
func table(d *demo) string {
	said := d.out.(*output).String()
	_, said, _ = strings.Cut(said, "uid  miner")
	return "uid  miner" + said
}

// statusPage returns what a browser gets.
func statusPage(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(page), "Validator, all")
	return string(page)
}

// played plays a demo to its end, and returns the vector that the scores make then.
func played(t *testing.T, d *demo) (vector weights.Vector, standings []weights.Standing) {
	t.Helper()
	t.Cleanup(d.subnet.Stop)
	require.NoError(t, d.start(t.Context()))
	require.NoError(t, d.pass(t.Context()))
	vector, err := d.v.vector(t.Context())
	require.NoError(t, err)
	standings = d.v.scores.Standings()
	d.report()
	d.say("%s", statusPage(t, d.v.pageURL))
	require.NoError(t, d.v.close(t.Context()))
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
			d := unhurried(setup(t, tt.args))
			vector, standings := played(t, d)
			requireAccounted(t, d)
			requireCounts(t, d, smallData, standings)
			require.Equal(t, [2]uint64{8, 8}, [2]uint64{d.v.kept[0].Load(), d.v.kept[1].Load()})
			paid := make(map[organic.UID]uint16)
			for i, uid := range vector.UIDs {
				paid[uid] = vector.Weights[i]
			}
			require.Equal(t, paid, d.paid, "what the chain has revealed")
			require.InDelta(t, 1, d.subnet.Agreement(d.paid), 1e-12)
			requirePrivate(t, d, smallData)
		})
	}
}

func TestCheatersArePaidLess(t *testing.T) {
	t.Parallel()
	d := unhurried(setup(t, "-seed 4 -queries 48 -synthetic 32 -patience 5s"))
	played(t, d)
	requireAccounted(t, d)
	requireOrder(t, d)
	require.Contains(t, d.out.(*output).String(), "UID 7 copies ")
	require.Contains(t, d.out.(*output).String(), "UID 8 copies ")
	require.NotContains(t, d.out.(*output).String(), `"level":"warn"`, "a healthy run warns of nothing")
}

func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	d := unhurried(setup(t, "-seed 5 -queries 40 -synthetic 8 -hangup 0.4"))
	failures := make(chan error, 1)
	var before [2]uint64
	go func() { failures <- d.disturb(t.Context(), &before) }()
	_, standings := played(t, d)
	require.NoError(t, <-failures)
	requireAccounted(t, d)
	require.Positive(t, d.subnet.Users.Left.Load(), "some have hung up")
	require.Equal(t, uint64(40), before[organic.Organic]+d.v.kept[organic.Organic].Load())
	require.Equal(t, 40, standings[1].Organic.Count, "the scores outlive the validator")
	require.InDelta(t, 7.5, standings[1].Synthetic.Count, 0.5, "one can be drawn as the relay closes")
	require.Less(t, standings[0].Organic.Mean, mean(direct(t, smallData)["alder"]), "one was killed")
	requirePrivate(t, d, smallData)
}

// disturb kills a miner, takes the chain away for a while, and restarts the validator, while users
// are asking.
func (d *demo) disturb(ctx context.Context, before *[2]uint64) error {
	until := func(asked uint64) {
		for d.subnet.Users.Asked.Load() < asked {
			<-time.After(time.Millisecond)
		}
	}
	until(5)
	d.subnet.Miners[0].Kill()
	node := d.subnet.Node()
	node.Refuse(http.StatusServiceUnavailable)
	node.Drop()
	until(10)
	node.Refuse(0)
	v := d.v
	err := d.restart(ctx)
	before[0], before[1] = v.kept[0].Load(), v.kept[1].Load()
	return err
}

func TestFrontendAndScorerShareAQueue(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.TempDir(), embedded.WithListen("127.0.0.1:0"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	front := unhurried(setup(t, "-seed 6 -role frontend -queue "+server.URL()))
	t.Cleanup(front.subnet.Stop)
	require.NoError(t, front.start(t.Context()))
	url := front.cfg.network.Endpoints[0]
	scorer := unhurried(setup(t, "-seed 6 -role scorer -join "+url+" -queue "+server.URL()))
	require.NoError(t, scorer.start(t.Context()))
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- front.pass(ctx) }()
	go func() { ended <- scorer.pass(ctx) }()
	require.Eventually(t, func() bool {
		standing := scorer.v.scores.Standings()[1]
		return standing.Organic.Count == 8 && standing.Synthetic.Count == 8 && scorer.v.setter.Status().Sets > 0
	}, time.Minute, 20*time.Millisecond)
	standings := scorer.v.scores.Standings()
	interrupt()
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
	requireAccounted(t, front)
	requireCounts(t, scorer, smallData, standings)
	require.Zero(t, scorer.v.relay.Stats().Begun, "all traffic to miners leaves by the front-end")
	require.NotEmpty(t, scorer.paid)
	front.report()
	scorer.report()
	require.Contains(t, front.out.(*output).String(), "Queued: 8 organic and 8 synthetic samples, lost 0.")
	require.Contains(t, scorer.out.(*output).String(), "Samples: scored 16,")
	require.NoError(t, scorer.v.close(t.Context()))
	require.NoError(t, front.v.close(t.Context()))
}

func TestDemoInPlainWords(t *testing.T) {
	t.Parallel()
	log, report := filepath.Join(t.TempDir(), "log.jsonl"), filepath.Join(t.TempDir(), "report.html")
	var stdout, stderr output
	args := []string{"-data", smallData, "-ranking", smallRanking, "-queries", "4", "-synthetic", "4", "-patience", "200ms", "-log", log, "-report", report}
	require.NoError(t, run(t.Context(), args, &stdout, &stderr))
	require.Empty(t, stderr.String())
	for _, want := range []string{"The chain is at ws://", "11 miners are registered", "4 prompts lack an answer", "The chain has revealed them", "share", "The status page is at http://", "The report is in " + report} {
		require.Contains(t, stdout.String(), want)
	}
	require.FileExists(t, report)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(text), `"msg":"scorer runs"`)
}
