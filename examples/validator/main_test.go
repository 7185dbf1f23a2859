package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/boltqueue"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
)

const netuid = 7

// subnet is a chain that is not real, with a validator, a user, and two miners at their axons.
type subnet struct {
	node            *subtensortest.Node
	client          *subtensor.Client
	validator, user *keys.Keypair
}

func newSubnet(t *testing.T) *subnet {
	t.Helper()
	const block = 20 * time.Millisecond
	runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{BlockTime: block})
	require.NoError(t, err)
	node, err := subtensortest.New(subtensortest.Config{Runtime: runtime, Clock: true})
	require.NoError(t, err)
	t.Cleanup(node.Close)

	var pairs []*keys.Keypair // by UID
	for range 4 {
		pair, err := keys.Generate(keys.SR25519)
		require.NoError(t, err)
		pairs = append(pairs, pair)
	}
	const stake = 5000e9
	require.NoError(t, node.AddSubnet(netuid, subtensortest.Subnet{
		Tempo: 200,
		Neurons: []subtensortest.Neuron{
			{Hotkey: pairs[0].Hotkey(), Stake: stake, Permit: true},
			{Hotkey: pairs[1].Hotkey(), Stake: stake, Permit: true},
			{Hotkey: pairs[2].Hotkey()},
			{Hotkey: pairs[3].Hotkey()},
		},
	}))
	client, err := subtensor.Dial(t.Context(), node.Network(), subtensor.WithDialer(node.Dial))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	s := &subnet{node: node, client: client, validator: pairs[0], user: pairs[1]}
	s.serveMiner(t, pairs[2], "It is Lima.")
	s.serveMiner(t, pairs[3], "It is Quito.")
	return s
}

// serveMiner starts a miner that always gives one answer, and publishes its axon.
func (s *subnet) serveMiner(t *testing.T, pair *keys.Keypair, answer string) {
	t.Helper()
	miner := organictest.StreamMiner{Text: strings.SplitAfter(answer, " ")}
	server, err := axon.New(pair.Hotkey())
	require.NoError(t, err)
	route, err := server.Route(chatPath)
	require.NoError(t, err)
	_, err = route.Attach(organic.Handlers{
		Forward: func(ctx context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
			miner.ServeHTTP(w, (&http.Request{}).WithContext(ctx))
			return nil
		},
	})
	require.NoError(t, err)
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	_, port, err := net.SplitHostPort(listening.Listener.Addr().String())
	require.NoError(t, err)
	number, err := strconv.ParseUint(port, 10, 16)
	require.NoError(t, err)
	axonInfo := map[string]any{ // written, since serve_axon takes no loopback address
		"block": uint64(1), "version": uint32(1), "ip": [16]byte{1, 0, 0, 127},
		"port": uint16(number), "ip_type": uint8(4), "protocol": uint8(4),
		"placeholder1": uint8(0), "placeholder2": uint8(0),
	}
	require.NoError(t, s.node.Set("SubtensorModule.Axons", axonInfo, uint16(netuid), pair.Hotkey()))
}

// newValidator returns a validator on the subnet.
func (s *subnet) newValidator(t *testing.T) *Validator {
	t.Helper()
	endpoint, err := s.node.Listen(t.Context())
	require.NoError(t, err)
	model := httptest.NewServer(organictest.StreamMiner{Text: []string{"Lima"}})
	t.Cleanup(model.Close)
	return &Validator{
		network: subtensor.Network{Endpoints: []string{endpoint}, Genesis: s.node.Genesis()},
		netuid:  netuid, keypair: s.validator, public: netip.MustParseAddrPort("203.0.113.7:8091"),
		state: t.TempDir(), model: model.URL, users: listen(t), pages: listen(t),
		logger: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)),
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

// request sends a request and returns status and body.
func request(t *testing.T, client *http.Client, method, url, body string) (int, string) {
	t.Helper()
	sent, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	response, err := client.Do(sent)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

func TestValidatorServesUsersAndSetsWeights(t *testing.T) {
	t.Parallel()
	s := newSubnet(t)
	v := s.newValidator(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.run(ctx) }()

	const chat = `{"stream": true, "messages": [{"role": "user", "content": "Capital of Peru?"}]}`
	url := "http://" + v.users.Addr().String() + chatPath
	signing := &axon.Transport{Keypair: s.user, Receiver: s.validator.Hotkey()}
	user := &http.Client{Transport: signing}
	waitFor(t, ended, func() bool { // the metagraph names the users
		status, answer := request(t, user, http.MethodPost, url, chat)
		return status == http.StatusOK && strings.Contains(answer, "data: [DONE]")
	})
	status, _ := request(t, user, http.MethodPost, url, `{"stream": true}`)
	require.Equal(t, http.StatusBadRequest, status)
	status, _ = request(t, http.DefaultClient, http.MethodPost, url, chat)
	require.Equal(t, http.StatusUnauthorized, status)

	waitForScored(t, ended, v)
	var rows map[organic.UID][]subtensor.Weight
	waitFor(t, ended, func() bool {
		var err error
		rows, err = s.client.Weights(t.Context(), netuid, 0)
		require.NoError(t, err)
		return len(rows) > 0
	})
	require.Equal(t, []subtensor.Weight{{UID: 2, Weight: 65535}}, rows[0], "Lima is right")
	metagraph, err := s.client.Metagraph(t.Context(), netuid)
	require.NoError(t, err)
	require.Equal(t, v.public, metagraph.Neurons[0].Axon)

	stop()
	require.NoError(t, <-ended)
}

func TestValidatorScoresWhatAnEarlierProcessAccepted(t *testing.T) {
	t.Parallel()
	v := newSubnet(t).newValidator(t)
	file := filepath.Join(v.state, "queue.db")
	queue, err := boltqueue.Open(file, boltqueue.Config[Prompt]{})
	require.NoError(t, err)
	prompt, err := synthetic(t.Context())
	require.NoError(t, err)
	require.NoError(t, queue.Add(t.Context(), organic.NewSample(prompt)))
	require.NoError(t, queue.Close(t.Context()))

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.run(ctx) }()
	waitForScored(t, ended, v)
	stop()
	require.NoError(t, <-ended)
	require.FileExists(t, filepath.Join(v.state, "scores.json"))

	queue, err = boltqueue.Open(file, boltqueue.Config[Prompt]{})
	require.NoError(t, err)
	require.Zero(t, queue.Stats(), "it has been scored for good")
	require.NoError(t, queue.Close(t.Context()))
}

// waitForScored waits until the metrics show one organic sample that was scored.
func waitForScored(t *testing.T, ended <-chan error, v *Validator) {
	t.Helper()
	url := "http://" + v.pages.Addr().String() + "/metrics"
	waitFor(t, ended, func() bool {
		_, page := request(t, http.DefaultClient, http.MethodGet, url, "")
		return strings.Contains(page, `organic_samples_ended_total{fate="scored",origin="organic"} 1`)
	})
}

func TestReadmeQuotesThisProgram(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(readme), "\n## One complete validator\n")
	require.True(t, found)
	_, quoted, _ := strings.Cut(section, "```go\n")
	quoted, _, _ = strings.Cut(quoted, "```")
	for part := range strings.SplitSeq(quoted, "\n}\n") {
		require.Contains(t, string(program), part)
	}
}

// waitFor waits for a condition while the validator runs.
func waitFor(t *testing.T, ended <-chan error, condition func() bool) {
	t.Helper()
	for deadline := time.After(5 * time.Minute); !condition(); {
		select {
		case err := <-ended:
			require.NoError(t, err)
			t.Fatal("the validator has ended")
		case <-deadline:
			t.Fatal("it has not come in five minutes")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
