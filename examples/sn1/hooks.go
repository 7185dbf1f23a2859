package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/relay/copies"
	"github.com/organic-scoring/organic/contrib/weights"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// Prompt is the payload of a sample: what was asked, what each miner answered, and the hotkey that
// held each UID then. It is plain JSON, for the queue.
type Prompt struct {
	Text    string                       `json:"text"`
	Answers map[organic.UID]relay.Answer `json:"answers"`
	Hotkeys map[organic.UID]string       `json:"hotkeys"`
}

// question is what a miner is asked. Every field is always there, and none comes from the user:
// what a user may choose reveals to a miner that it is one.
type question struct {
	Stream      bool               `json:"stream"`
	Messages    []wire.ChatMessage `json:"messages"`
	Temperature float64            `json:"temperature"`
	MaxTokens   int                `json:"max_tokens"`
	Seed        uint32             `json:"seed"`
}

// newQuestion draws the parameters of a prompt.
func newQuestion(text string) question {
	return question{
		Stream:      true,
		Messages:    []wire.ChatMessage{{Role: "user", Content: text}},
		Temperature: float64(rand.IntN(101)) / 100,
		MaxTokens:   256 << rand.IntN(3),
		Seed:        rand.Uint32(),
	}
}

// OnOrganicEntry answers one user. All miners are asked; the user reads the first that gives text.
// When the last has ended, the sample is queued with all answers, also if the user has left.
func (v *Validator) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	text, form, err := wire.Read(synapse)
	if err != nil {
		return err
	}
	sample := organic.NewSample(Prompt{Text: text})
	sample.Requester = synapse.Requester
	query, err := v.query(sample)
	if err != nil {
		return err
	}
	query.Wire = form
	v.observeArrival(query.Miners)
	return v.relay.Serve(ctx, w, query)
}

// observeArrival records a query of a user when the first miner is asked. A query that the relay
// refuses is asked of none and does not count.
func (v *Validator) observeArrival(miners map[organic.UID]relay.Miner) {
	var once sync.Once
	for uid, ask := range miners {
		miners[uid] = func(ctx context.Context, emit func(relay.Chunk) error) error {
			once.Do(v.arrivals.Observe)
			return ask(ctx, emit)
		}
	}
}

// askSynthetic asks the miners queries of the validator's own, at times drawn from those of users,
// until ctx ends. What was begun is collected all the same, as it is for users.
func (v *Validator) askSynthetic(ctx context.Context) {
	for v.arrivals.Wait(ctx) == nil {
		text, err := v.prompts.Sample(ctx)
		if err != nil {
			v.logger.Debug("no synthetic prompt", zap.Error(err))
			continue
		}
		sample := organic.NewSample(Prompt{Text: text})
		sample.Origin = organic.Synthetic
		query, err := v.query(sample)
		if err == nil {
			err = v.relay.Collect(ctx, query)
		}
		if err != nil && !errors.Is(err, relay.ErrClosed) {
			v.logger.Warn("synthetic query failed", zap.String("id", sample.ID), zap.Error(err))
		}
	}
}

// query is the one way to the miners, and from there into the queue, for both origins.
func (v *Validator) query(sample organic.Sample[Prompt]) (relay.Query, error) {
	body, err := json.Marshal(newQuestion(sample.Payload.Text))
	if err != nil {
		return relay.Query{}, err
	}
	miners, hotkeys := make(map[organic.UID]relay.Miner), make(map[organic.UID]string)
	for _, target := range *v.targets.Load() {
		if target.Hotkey == v.keypair.Hotkey() {
			continue
		}
		signing := &axon.Transport{Base: v.pool, Keypair: v.keypair, Receiver: target.Hotkey}
		url := "http://" + target.Axon.String() + wire.ChatPath
		miners[target.UID] = relay.Post(&http.Client{Transport: signing}, url, body)
		hotkeys[target.UID] = target.Hotkey.String()
	}
	done := func(ctx context.Context, result *relay.Result) error {
		sample.Payload.Answers, sample.Payload.Hotkeys = result.Answers, hotkeys
		_, err := v.EnqueueSample(ctx, sample)
		return err
	}
	return relay.Query{ID: sample.ID, Miners: miners, Done: done}, nil
}

// QueryMiners returns what the miners answered: samples of both origins come with their answers,
// so that nothing that happens in an iteration is seen by a miner.
func (v *Validator) QueryMiners(
	_ context.Context, sample organic.Sample[Prompt],
) (map[organic.UID]relay.Answer, error) {
	return sample.Payload.Answers, nil
}

// GenerateReference returns what an ideal miner would have answered.
func (v *Validator) GenerateReference(
	ctx context.Context, sample organic.Sample[Prompt],
) (relay.Answer, error) {
	text, err := v.reference(ctx, sample.Payload.Text)
	return relay.Answer{Ending: relay.Complete, Chunks: []relay.Chunk{{Text: text}}}, err
}

// GenerateRewards changes nothing, so that a sample can be tried again.
func (v *Validator) GenerateRewards(_ context.Context, _ organic.Sample[Prompt],
	answers map[organic.UID]relay.Answer, reference relay.Answer,
) (organic.Rewards, error) {
	return rewards(answers, reference, v.patience), nil
}

// SetWeights takes the rewards into the scores, which count each sample once however often it
// comes, and the answers into the memory of copies. The setter makes weights of both.
func (v *Validator) SetWeights(
	_ context.Context, sample organic.Sample[Prompt], rewards organic.Rewards,
) error {
	asked := sample.Payload
	if _, err := v.scores.Update(weights.RoundOf(sample), rewards); err != nil {
		return err
	}
	v.copies.Add(copies.Round{
		ID: sample.ID, Prompt: asked.Text, Answers: asked.Answers, Hotkeys: asked.Hotkeys,
	})
	return v.saver.Save()
}
