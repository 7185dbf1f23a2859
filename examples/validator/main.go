// Command validator is one complete validator. Users ask it by btauth/1 and get the first good
// answer of a miner as it comes in; all answers are scored, and weights set on the chain. What was
// accepted and scored survives a restart, and metrics are at /metrics.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/boltqueue"
	"github.com/organic-scoring/organic/contrib/keys"
	organicprom "github.com/organic-scoring/organic/contrib/prometheus"
	"github.com/organic-scoring/organic/contrib/prometheus/promqueue"
	"github.com/organic-scoring/organic/contrib/prometheus/promweights"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/service"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/weights"
	"go.uber.org/zap"
)

const (
	chatPath = "/v1/chat/completions"
	minStake = 1000e9 // 1000 TAO: from there on a permit makes a neuron a validator
)

// Prompt is a sample: a chat request, and, if it came from a user, what the miners answered then.
type Prompt struct {
	Request []byte
	Answers Answers
}

type (
	Sample  = organic.Sample[Prompt]
	Answers = map[organic.UID]relay.Answer
)

// Validator serves users with the answers of miners, and scores these answers.
type Validator struct {
	*organic.OrganicScorer[Prompt, relay.Answer]
	organic.DefaultHooks[Prompt, relay.Answer]

	network      subtensor.Network
	netuid       uint16
	keypair      *keys.Keypair
	public       netip.AddrPort // where users reach the axon
	users, pages net.Listener   // of the axon, and of the metrics
	state, model string         // folder of queue and scores; URL of a model server
	logger       *zap.Logger

	relay     *relay.Relay
	scores    *weights.Scores
	allowed   axon.AllowList                      // the users
	metagraph atomic.Pointer[subtensor.Metagraph] // the last one that was read
}

// This makes the compiler name the wrong hook.
var _ organic.Hooks[Prompt, relay.Answer] = (*Validator)(nil)

// OnOrganicEntry streams the first good answer to the user. When all miners have answered, the
// request becomes a sample, also if the user has left.
func (v *Validator) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	var chat struct {
		Stream   bool
		Messages []json.RawMessage
	}
	if json.Unmarshal(synapse.Body, &chat) != nil || !chat.Stream || len(chat.Messages) == 0 {
		return organic.Refuse(http.StatusBadRequest, "must have messages, and stream set")
	}
	return v.relay.Serve(ctx, w, relay.Query{
		Miners: v.miners(synapse.Body),
		Done: func(ctx context.Context, result *relay.Result) error {
			if err := result.Err(); err != nil {
				return err // cut short, and not by the miners: nothing to score
			}
			_, err := v.EnqueueSample(ctx, Sample{
				Payload:   Prompt{Request: synapse.Body, Answers: result.Answers},
				Requester: synapse.Requester, // for the guards
				Received:  result.Started,    // who held a UID then is rewarded
			})
			return err
		},
	})
}

// QueryMiners asks the miners if no user has.
func (v *Validator) QueryMiners(ctx context.Context, sample Sample) (Answers, error) {
	if sample.Payload.Answers != nil {
		return sample.Payload.Answers, nil
	}
	return v.relay.Ask(ctx, relay.Query{Miners: v.miners(sample.Payload.Request)})
}

// GenerateReference asks a model server of the validator's own.
func (v *Validator) GenerateReference(ctx context.Context, sample Sample) (relay.Answer, error) {
	model := relay.Post(http.DefaultClient, v.model, sample.Payload.Request)
	answers, err := v.relay.Ask(ctx, relay.Query{Miners: map[organic.UID]relay.Miner{0: model}})
	if err = errors.Join(err, answers[0].Err); err == nil && answers[0].Text() == "" {
		err = errors.New("the model server has given no text")
	}
	return answers[0], err // an error: the sample comes back later
}

// GenerateRewards gives 1 to the miners that say what the reference says.
func (v *Validator) GenerateRewards(
	_ context.Context, _ Sample, answers Answers, reference relay.Answer,
) (organic.Rewards, error) {
	rewards := make(organic.Rewards)
	for uid, answer := range answers {
		if answer.Scorable() { // else it is not the miner's fault
			rewards[uid] = float64(min(strings.Count(answer.Text(), reference.Text()), 1))
		}
	}
	return rewards, nil
}

// SetWeights counts the rewards, each sample once. The runner makes weights of them later.
func (v *Validator) SetWeights(_ context.Context, sample Sample, rewards organic.Rewards) error {
	_, err := v.scores.Update(weights.RoundOf(sample), rewards)
	return err
}

// readMetagraph keeps current who may ask, and who is asked.
func (v *Validator) readMetagraph(metagraph subtensor.Metagraph) {
	v.allowed.Replace(metagraph.Validators(minStake)...)
	v.metagraph.Store(&metagraph)
}

// miners returns those of the subnet, each asked by a request that is signed for it.
func (v *Validator) miners(request []byte) map[organic.UID]relay.Miner {
	miners := make(map[organic.UID]relay.Miner)
	for _, neuron := range v.metagraph.Load().Miners(minStake) {
		if neuron.Hotkey != v.keypair.Hotkey() {
			signing := &axon.Transport{Keypair: v.keypair, Receiver: neuron.Hotkey}
			url := "http://" + neuron.Axon.String() + chatPath
			miners[neuron.UID] = relay.Post(&http.Client{Transport: signing}, url, request)
		}
	}
	return miners
}

// synthetic makes a prompt when no user asks. Use many: miners learn a few by heart.
func synthetic(context.Context) (Prompt, error) {
	const body = `{"stream": true, "messages": [{"role": "user", "content": "Capital of %s?"}]}`
	countries := []string{"Peru", "Kenya", "Nepal", "Finland", "Chile", "Ghana"}
	return Prompt{Request: fmt.Appendf(nil, body, countries[rand.IntN(len(countries))])}, nil
}

// run is the whole validator, until ctx ends. It closes what it has opened in reverse order.
func (v *Validator) run(ctx context.Context) (err error) {
	v.metagraph.Store(&subtensor.Metagraph{}) // without neurons until one was read
	client, err := subtensor.Dial(ctx, v.network)
	if err != nil {
		return err
	}
	defer client.Close()
	chain, err := client.Validator(v.keypair, v.netuid)
	if err != nil {
		return err
	}
	queue, err := boltqueue.Open(filepath.Join(v.state, "queue.db"), boltqueue.Config[Prompt]{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close(context.WithoutCancel(ctx))) }()
	v.scores, err = weights.NewScores(weights.Hold(0.01), weights.Between(0, 1)) // default guards
	if err != nil {
		return err
	}
	file := filepath.Join(v.state, "scores.json")
	runner, err := chain.OpenRunner(file, v.scores, subtensor.RunnerConfig{
		Setter: []weights.SetterOption{weights.WithWarmUp(v.scores, 0.9, 10, 6*time.Hour)},
		Block:  func(uint64) { v.IncrementStep() }, Metagraph: v.readMetagraph,
		Axon: v.public, Logger: v.logger,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runner.Close()) }()
	return v.serve(ctx, runner, queue)
}

// serve serves users until ctx ends or one of the services fails.
func (v *Validator) serve(
	ctx context.Context, runner *subtensor.Runner, queue *boltqueue.Queue[Prompt],
) error {
	server, err := axon.New(v.keypair.Hotkey(), axon.WithAllowList(&v.allowed))
	if err != nil {
		return err
	}
	route, err := server.Route(chatPath)
	if err != nil {
		return err
	}
	if v.relay, err = relay.New(relay.WithTimeout(time.Minute)); err != nil {
		return err
	}
	metrics := organicprom.NewScorer(v)
	v.OrganicScorer, err = organic.New(v, organic.WithAxon(route), organic.WithQueue(queue),
		organic.WithSynth(organic.SynthFunc[Prompt](synthetic)),
		organic.WithTrigger(organic.Steps{Frequency: 5, Min: 1}), // blocks
		organic.WithObserver(metrics.Observe), organic.WithLogger(v.logger))
	if err != nil {
		return err
	}
	return service.Run(ctx, v, service.Config{
		Collect: v.relay.Close,
		Beside: []func(context.Context) error{
			func(ctx context.Context) error { return server.Serve(ctx, v.users) },
			func(ctx context.Context) error {
				waiting := promqueue.Queue{Size: queue.Size, OldestWaiting: queue.OldestWaiting}
				return organicprom.Serve(ctx, v.pages, metrics, promqueue.New(waiting),
					promweights.NewSetter(runner.Setter(), 72*time.Minute))
			},
			runner.Run,
		},
	})
}

func main() {
	v := &Validator{network: subtensor.Finney(), logger: zap.Must(zap.NewProduction())}
	hotkey := flag.String("hotkey", "", "hotkey file of a wallet")
	flag.Func("netuid", "number of the subnet", func(text string) error {
		netuid, err := strconv.ParseUint(text, 10, 16)
		v.netuid = uint16(netuid)
		return err
	})
	flag.TextVar(&v.public, "public", netip.AddrPort{}, "address of the axon as users see it")
	flag.StringVar(&v.state, "state", ".", "folder of queue and scores")
	flag.StringVar(&v.model, "model", "http://127.0.0.1:8000"+chatPath, "URL of a model server")
	flag.Parse()
	var errs [3]error
	v.keypair, errs[0] = keys.Load(*hotkey, nil)
	v.users, errs[1] = net.Listen("tcp", ":8091") //nolint:gosec // users are anywhere
	v.pages, errs[2] = net.Listen("tcp", "127.0.0.1:9090")
	if err := errors.Join(errs[:]...); err != nil {
		log.Fatal(err)
	}
	signalled, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(signalled, stop) // a second signal ends the program
	if err := v.run(signalled); err != nil {
		log.Fatal(err)
	}
}
