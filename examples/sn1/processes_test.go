package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/wire"
	"github.com/organic-scoring/organic/examples/sn1/sim"
)

// enough is how long the test waits for other processes.
const enough = 4 * time.Minute

// realSubnet is what the program finds at -chain and around it: a node at a real socket, with a
// subnet that demands timelocked weights, its one miner, a server that makes references, and users.
type realSubnet struct {
	dir, chain string
	validator  *keys.Keypair
	users      []*keys.Keypair
	tap        *wiretap
	reference  *httptest.Server
	node       *subtensortest.Node
	client     *subtensor.Client
}

func newRealSubnet(t *testing.T) *realSubnet {
	t.Helper()
	s := &realSubnet{dir: t.TempDir(), tap: newWiretap(t)}
	seed := bytes.Repeat([]byte{7}, 32)
	var err error
	s.validator, err = keys.FromSeed(seed, keys.SR25519)
	require.NoError(t, err)
	file := fmt.Sprintf(`{"secretSeed": "0x%s", "ss58Address": %q}`,
		hex.EncodeToString(seed), s.validator.Hotkey())
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "key"), []byte(file), 0o600))
	miner, err := keys.Generate(keys.SR25519)
	require.NoError(t, err)
	for range 6 {
		user, err := keys.Generate(keys.SR25519)
		require.NoError(t, err)
		s.users = append(s.users, user)
	}
	s.startNode(t, miner.Hotkey())
	s.writePrompts(t)
	var asked atomic.Int64
	s.reference = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%10 == 0 { // which no miner may notice
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, `{"choices": [{"message": {"content": "two words"}}]}`)
	}))
	t.Cleanup(s.reference.Close)
	return s
}

// startNode starts a chain with the validator at UID 0 and the miner at UID 1, and lets it show the
// address of the wiretap for the miner.
func (s *realSubnet) startNode(t *testing.T, miner keys.Hotkey) {
	t.Helper()
	runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{BlockTime: 250 * time.Millisecond})
	require.NoError(t, err)
	pulses, err := sim.NewPulses()
	require.NoError(t, err)
	node, err := subtensortest.New(subtensortest.Config{
		Runtime: runtime, Clock: true, Pulses: pulses, States: 1 << 20,
	})
	require.NoError(t, err)
	t.Cleanup(node.Close)
	s.node = node
	require.NoError(t, node.AddSubnet(sim.Netuid, subtensortest.Subnet{
		Tempo: 40, CommitReveal: true, RateLimit: 4,
		Neurons: []subtensortest.Neuron{
			{Hotkey: s.validator.Hotkey(), Coldkey: keys.Hotkey{1}, Stake: 5e12, Permit: true},
			{Hotkey: miner, Coldkey: keys.Hotkey{2}},
		},
	}))
	shown := map[string]any{ // written, since serve_axon takes no loopback address
		"block": uint64(1), "version": uint32(1), "ip": [16]byte{1, 0, 0, 127},
		"port": uint16(s.tap.listener.Addr().(*net.TCPAddr).Port), "ip_type": uint8(4),
		"protocol": uint8(4), "placeholder1": uint8(0), "placeholder2": uint8(0),
	}
	require.NoError(t, node.Set("SubtensorModule.Axons", shown, uint16(sim.Netuid), miner))
	s.chain, err = node.Listen(t.Context())
	require.NoError(t, err)
	s.client, err = subtensor.Dial(t.Context(), node.Network(), subtensor.WithDialer(node.Dial))
	require.NoError(t, err)
	t.Cleanup(s.client.Close)
}

// writePrompts writes the synthetic prompts, whose texts have the label.
func (s *realSubnet) writePrompts(t *testing.T) {
	t.Helper()
	random := rand.New(rand.NewPCG(19, 4))
	var lines bytes.Buffer
	for i := range 500 {
		line := `{"id": "%d", "instruction": %q, "answers": {"any": "any"}, "reference_model": "any"}` + "\n"
		fmt.Fprintf(&lines, line, i, labelled("synthetic", random))
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "prompts.jsonl"), lines.Bytes(), 0o600))
}

// process is the program in a process of its own.
type process struct {
	cmd     *exec.Cmd
	address string // of the axon
	page    string
	log     string
}

// start starts the program, and returns when it runs.
func (s *realSubnet) start(t *testing.T, name string, flags ...string) *process {
	t.Helper()
	itself, err := os.Executable()
	require.NoError(t, err)
	var hotkeys []string
	for _, user := range s.users {
		hotkeys = append(hotkeys, user.Hotkey().String())
	}
	p := &process{log: filepath.Join(s.dir, name+".log")}
	p.cmd = exec.CommandContext(t.Context(), itself, append(flags,
		"-chain", s.chain, "-netuid", fmt.Sprint(sim.Netuid), "-key", filepath.Join(s.dir, "key"),
		"-listen", "127.0.0.1:0", "-external", "203.0.113.7:8091", "-patience", "1m", "-idle", "200ms",
		"-pace", "1ms",
		"-users", strings.Join(hotkeys, ","), "-data", filepath.Join(s.dir, "prompts.jsonl"),
		"-state", filepath.Join(s.dir, name), "-log", p.log)...)
	p.cmd.Env = append(os.Environ(), "SN1_ITSELF=1", "OPENAI_BASE_URL="+s.reference.URL,
		"OPENAI_MODEL=any")
	var stderr bytes.Buffer
	p.cmd.Stderr = &stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if _, address, ok := strings.Cut(lines.Text(), "Users are served at "); ok {
			p.address = strings.TrimSuffix(address, ".")
		}
		if _, page, ok := strings.Cut(lines.Text(), "The status page is at "); ok {
			p.page = strings.TrimSuffix(page, ".")
		}
		if strings.HasSuffix(lines.Text(), "is on subnet 1.") {
			return p
		}
	}
	require.Fail(t, "the program has ended", "%v: %s", p.cmd.Wait(), &stderr)
	return nil
}

// interrupt stops the program softly, and checks that it ends well.
func (p *process) interrupt(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	require.NoError(t, p.cmd.Wait())
}

// ask puts one query as a user does, and returns when it is answered or, if the user leaves, begun
// to be.
func (s *realSubnet) ask(p *process, number int, body []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	defer cancel()
	url := "http://" + p.address + wire.ChatPath
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	signing := &axon.Transport{Keypair: s.users[number%len(s.users)], Receiver: s.validator.Hotkey()}
	response, err := signing.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	if leaves(number) {
		_, err = response.Body.Read(make([]byte, 1))
		return err
	}
	text, err := io.ReadAll(response.Body)
	if err == nil && !bytes.Contains(text, []byte("data: [DONE]")) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// scored returns how many samples of each origin a log says were scored, each counted once.
func scored(t *testing.T, log string) (count [2]int) {
	t.Helper()
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	seen := make(map[string]bool)
	for line := range bytes.Lines(text) {
		var event struct{ Msg, ID, Origin string }
		if json.Unmarshal(line, &event) != nil || event.Msg != "sample scored" || seen[event.ID] {
			continue // one line was cut when the process was killed
		}
		seen[event.ID] = true
		if event.Origin == organic.Synthetic.String() {
			count[organic.Synthetic]++
		} else {
			count[organic.Organic]++
		}
	}
	return count
}

// seen returns how many queries of each origin the miner was asked.
func (w *wiretap) seen() (count [2]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.all {
		count[int(truth(s.synthetic))]++
	}
	return count
}

// askAll lets users ask, while the validator asks too, and checks that all are answered.
func (s *realSubnet) askAll(t *testing.T, p *process, queries int) {
	t.Helper()
	errs := make(chan error, queries)
	askAsUsers(t, queries, func(number int, body []byte) { errs <- s.ask(p, number, body) })
	for range queries {
		require.NoError(t, <-errs)
	}
}

const queries = 800 // enough for the classifier

// A validator at a real socket of a node, in a process of its own, with its queue in a file: each
// query is answered and scored, the weights are committed and revealed, and a miner cannot tell
// organic from synthetic. It runs alone: no other test may be in what the miner sees.
func TestValidatorOnARealChain(t *testing.T) {
	s := newRealSubnet(t)
	v := s.start(t, "validator")
	s.askAll(t, v, queries)
	s.requireWeights(t)
	page := get(t, v.page)
	require.Contains(t, page, "Validator, all")
	requireNoText(t, page)
	requireNoText(t, get(t, v.page+"/metrics"))
	v.interrupt(t)
	asked := s.tap.seen()
	require.Equal(t, queries, asked[organic.Organic])
	requireAlike(t, s.tap.sightings(t))

	// What was queued at the interrupt is scored at the next start. Without the times of users the
	// validator asks less of its own meanwhile than any machine can score.
	require.NoError(t, os.Remove(filepath.Join(s.dir, "validator", "arrivals.json")))
	v = s.start(t, "validator")
	require.Eventually(t, func() bool {
		count := scored(t, v.log)
		return count[organic.Organic] == queries && count[organic.Synthetic] >= asked[organic.Synthetic]
	}, enough, 50*time.Millisecond)
	v.interrupt(t)
	requireNoTextIn(t, v.log)
}

// The validator of two processes: whatever happens to the scorer, all of that is so too, and the
// miner is asked by the front-end alone.
func TestFrontendAndScorerAreProcesses(t *testing.T) {
	s := newRealSubnet(t)
	server, err := embedded.Start(t.TempDir(), embedded.WithListen("127.0.0.1:0"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	front := s.start(t, "frontend", "-role", "frontend", "-queue", server.URL())
	scorer := s.start(t, "scorer", "-role", "scorer", "-queue", server.URL())

	killed := make(chan struct{})
	go func() { // kill -9, in the middle of it
		defer close(killed)
		for scored(t, scorer.log)[organic.Organic] < queries/4 {
			<-time.After(10 * time.Millisecond)
		}
		_ = scorer.cmd.Process.Signal(syscall.SIGKILL)
		_ = scorer.cmd.Wait()
	}()
	s.askAll(t, front, queries)
	<-killed
	require.Equal(t, -1, scorer.cmd.ProcessState.ExitCode())
	front.interrupt(t)
	asked := s.tap.seen()
	require.Equal(t, queries, asked[organic.Organic])

	scorer = s.start(t, "scorer", "-role", "scorer", "-queue", server.URL())
	require.Eventually(t, func() bool { return scored(t, scorer.log) == asked },
		enough, 50*time.Millisecond, "all that the miner was asked is scored")
	s.requireWeights(t)
	metrics := get(t, scorer.page+"/metrics")
	require.Contains(t, metrics, "\norganic_relay_queries_total 0\n")
	require.NotContains(t, metrics, "organic_axon_requests_verified_total")
	scorer.interrupt(t)
	require.Equal(t, asked, s.tap.seen(), "all traffic to miners leaves by the front-end")
	requireAlike(t, s.tap.sightings(t))
	requireNoTextIn(t, front.log, scorer.log)
}

// requireWeights waits until the chain has revealed the validator's weights, and checks that they
// were commits, and that the chain has the address to which users go.
func (s *realSubnet) requireWeights(t *testing.T) {
	t.Helper()
	var rows map[organic.UID][]subtensor.Weight
	require.Eventually(t, func() bool {
		var err error
		rows, err = s.client.Weights(t.Context(), sim.Netuid, 0)
		return err == nil && len(rows) > 0
	}, enough, 50*time.Millisecond)
	require.Equal(t, map[organic.UID][]subtensor.Weight{0: {{UID: 1, Weight: 65535}}}, rows)
	names := make(map[string]int)
	for height := uint64(1); height <= s.node.Height(); height++ {
		events, err := s.node.Events(height)
		require.NoError(t, err)
		for _, event := range events {
			names[event.Name]++
		}
	}
	require.Positive(t, names["TimelockedWeightsCommitted"])
	require.Positive(t, names["TimelockedWeightsRevealed"])
	metagraph, err := s.client.Metagraph(t.Context(), sim.Netuid)
	require.NoError(t, err)
	require.Equal(t, "203.0.113.7:8091", metagraph.Neurons[0].Axon.String())
}

// requireNoText checks that there is no text of users, miners or synthetic prompts.
func requireNoText(t *testing.T, printed string) {
	t.Helper()
	require.NotEmpty(t, printed)
	for _, text := range []string{"organic : word", "synthetic word", "two words"} {
		require.NotContains(t, printed, text)
	}
}

// requireNoTextIn checks it of log files.
func requireNoTextIn(t *testing.T, logs ...string) {
	t.Helper()
	for _, log := range logs {
		text, err := os.ReadFile(log)
		require.NoError(t, err)
		require.Contains(t, string(text), "scorer runs")
		requireNoText(t, string(text))
	}
}
