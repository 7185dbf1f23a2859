package main

import (
	"context"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/keys"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// Validator answers users at its axon, and scores the miners on what was asked.
type Validator struct {
	*organic.OrganicScorer[string, string]
	organic.DefaultHooks[string, string]

	hotkey  keys.Hotkey // the receiver that requests are signed for
	server  *axon.Server
	allowed *axon.AllowList  // of hotkeys
	users   *axon.BearerKeys // of users without one
	logger  *log.Logger
}

var _ organic.Hooks[string, string] = (*Validator)(nil) // makes the compiler name the wrong hook

// newValidator builds the axon with its routes, and the scorer behind them. No
// hotkey is on the allow-list yet. A validator on the chain has its key in a
// wallet: see [keys.Load].
func newValidator(logger *log.Logger) (*Validator, error) {
	keypair, err := keys.Generate(keys.SR25519)
	if err != nil {
		return nil, err
	}
	v := &Validator{
		hotkey: keypair.Hotkey(), allowed: axon.NewAllowList(), users: &axon.BearerKeys{},
		logger: logger,
	}
	if v.server, err = axon.New(v.hotkey, axon.WithAllowList(v.allowed)); err != nil {
		return nil, err
	}
	// btauth/1, Epistula for callers that have not migrated, and keys for users
	// without a hotkey.
	chat, err := v.server.Route(wire.ChatPath, axon.WithEpistula(), axon.WithBearer(v.users.Check))
	if err != nil {
		return nil, err
	}
	// The route of dendrites that have not migrated, which new callers can use too.
	organics, err := v.server.Synapse(wire.OrganicClass, axon.WithBTAuth())
	if err != nil {
		return nil, err
	}
	v.OrganicScorer, err = organic.New(v,
		organic.WithAxon(chat),
		organic.WithAxon(organics),
		organic.WithTrigger(organic.Seconds{Frequency: 50 * time.Millisecond}),
	)
	return v, err
}

// OnOrganicEntry serves one request that the axon has verified, of either route
// and any protocol. The prompt is kept first: it is scored even if the user
// leaves early.
func (v *Validator) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	read := wire.ReadOrganic
	if synapse.Path == wire.ChatPath {
		read = wire.ReadChat
	}
	prompt, err := read(synapse.Body)
	if err != nil {
		return err
	}
	sample := organic.Sample[string]{Payload: prompt, Requester: synapse.Requester}
	if _, err := v.EnqueueSample(ctx, sample); err != nil {
		return err
	}
	answer := scholar(prompt) // the best miner
	if synapse.Path == wire.ChatPath {
		return streamChat(w, answer)
	}
	return axon.Reply(w, synapse, wire.Completion{Completion: answer})
}

// QueryMiners asks all miners. Real ones are asked over the network, through an
// [axon.Transport].
func (v *Validator) QueryMiners(
	_ context.Context, sample organic.Sample[string],
) (map[organic.UID]string, error) {
	return map[organic.UID]string{0: scholar(sample.Payload), 1: guesser(sample.Payload)}, nil
}

// GenerateReference runs while the miners are asked.
func (v *Validator) GenerateReference(
	_ context.Context, sample organic.Sample[string],
) (string, error) {
	return capital(sample.Payload), nil
}

// GenerateRewards gives 1 for an answer with the reference in it, 0 for another.
func (v *Validator) GenerateRewards(
	_ context.Context, _ organic.Sample[string], responses map[organic.UID]string, reference string,
) (organic.Rewards, error) {
	rewards := make(organic.Rewards, len(responses))
	for uid, answer := range responses {
		rewards[uid] = 0
		if strings.Contains(answer, reference) {
			rewards[uid] = 1
		}
	}
	return rewards, nil
}

// SetWeights logs the rewards. A sample prints without payload and requester.
func (v *Validator) SetWeights(
	_ context.Context, sample organic.Sample[string], rewards organic.Rewards,
) error {
	v.logger.Printf("validator: scored %v, rewards by UID: %v", sample, rewards)
	return nil
}

// scholar is a miner that knows.
func scholar(prompt string) string { return "It is " + capital(prompt) + ", of course." }

// guesser is a miner that always says the same.
func guesser(string) string { return "Is it Quito?" }

// capital is all that there is to know here.
func capital(prompt string) string {
	if strings.Contains(prompt, "Peru") {
		return "Lima"
	}
	return "Nairobi"
}

// streamChat answers word by word.
func streamChat(w http.ResponseWriter, answer string) error {
	stream := wire.NewStream(w)
	for word := range strings.SplitAfterSeq(answer, " ") {
		if err := stream.Say(word); err != nil {
			return err
		}
	}
	return stream.Done()
}
