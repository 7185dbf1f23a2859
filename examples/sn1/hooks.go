package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/weights"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/wire"
)

// Prompt is the payload of a sample: what was asked, what each miner answered, and the hotkey that
// held each UID then. It is plain JSON, for the queue.
type Prompt struct {
	Text    string                       `json:"text"`
	Answers map[organic.UID]relay.Answer `json:"answers"`
	Hotkeys map[organic.UID]string       `json:"hotkeys"`
}

// burst is the gap below which two queries come at once.
const burst = time.Millisecond

// late is the delay beyond which synthetic queries do not catch up with their times.
const late = 10 * time.Millisecond

// firstWait is the first wait before a sample is offered again to a queue that did not take it.
const firstWait = 50 * time.Millisecond

// OnOrganicEntry answers one user. All miners are asked; the user reads the first that gives text.
// When the last has ended, the sample is queued with all answers, also if the user has left.
func (v *Validator) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	text, form, err := readQuery(synapse)
	if err != nil {
		return err
	}
	sample := organic.NewSample(Prompt{Text: text})
	sample.Requester = synapse.Requester
	query, err := v.query(&sample)
	if err != nil {
		return err
	}
	query.Wire = form
	query.Done = func(ctx context.Context, result *relay.Result) error {
		return v.keep(ctx, sample, result.Answers)
	}
	v.arrivals.saw(time.Now())
	err = v.relay.Serve(ctx, w, query)
	if errors.Is(err, relay.ErrLeft) {
		return nil
	}
	return err
}

// readQuery returns what a user asks, and the form in which to answer.
func readQuery(synapse *organic.Synapse) (text string, form relay.Wire, err error) {
	if synapse.Path == wire.ChatPath {
		text, err = wire.ReadChat(synapse.Body)
		return text, relay.SSE{}, err
	}
	text, err = wire.ReadOrganic(synapse.Body)
	return text, relay.PlainText{}, err
}

// askSynthetic asks the miners queries of the validator's own, at times drawn from those of users,
// until ctx ends. What was begun is collected all the same, as it is for users.
func (v *Validator) askSynthetic(ctx context.Context) {
	asked := context.WithoutCancel(ctx)
	for at := time.Now(); ; {
		at = at.Add(v.arrivals.next())
		wait := time.Until(at)
		switch {
		case wait < -late:
			at = time.Now() // what a pause of the machine has delayed is not made up for
		case wait < burst:
			wait = 0 // a timer would draw the burst out
		}
		if program.Sleep(ctx, wait) != nil {
			return
		}
		text, err := v.prompts.Sample(ctx)
		if err != nil {
			v.logger.Debug("no synthetic prompt", zap.Error(err))
			continue
		}
		v.asking.Go(func() { v.askOnce(asked, text) })
	}
}

func (v *Validator) askOnce(ctx context.Context, text string) {
	sample := organic.NewSample(Prompt{Text: text})
	sample.Origin = organic.Synthetic
	query, err := v.query(&sample)
	var answers map[organic.UID]relay.Answer
	if err == nil {
		answers, err = v.relay.Ask(ctx, query)
	}
	if err == nil {
		err = v.keep(ctx, sample, answers)
	}
	if err != nil && !errors.Is(err, relay.ErrClosed) {
		v.logger.Warn("synthetic query failed", zap.String("id", sample.ID), zap.Error(err))
	}
}

// query is the one way to the miners, for both origins.
func (v *Validator) query(sample *organic.Sample[Prompt]) (relay.Query, error) {
	asked, hotkeys, err := v.miners.ask(sample.Payload.Text)
	sample.Payload.Hotkeys = hotkeys
	return relay.Query{ID: sample.ID, Miners: asked}, err
}

// keep queues a sample with its answers, again and again while the queue fails and ctx lasts,
// since the answers are in memory only.
func (v *Validator) keep(
	ctx context.Context, sample organic.Sample[Prompt], answers map[organic.UID]relay.Answer,
) error {
	sample.Payload.Answers = answers
	for wait := firstWait; ; wait *= 2 {
		err := v.enqueue(ctx, sample)
		if err == nil {
			v.kept[sample.Origin].Add(1)
			return nil
		}
		if errors.Is(err, durable.ErrTooLarge) || program.Sleep(ctx, wait) != nil {
			return err
		}
	}
}

// enqueue adds to the queue. A front-end has no scorer to do so.
func (v *Validator) enqueue(ctx context.Context, sample organic.Sample[Prompt]) error {
	if v.OrganicScorer == nil {
		return v.queue.Add(ctx, sample)
	}
	_, err := v.EnqueueSample(ctx, sample)
	return err
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
// comes, and what was answered into the memory of copies. The setter makes weights of both.
func (v *Validator) SetWeights(
	_ context.Context, sample organic.Sample[Prompt], rewards organic.Rewards,
) error {
	if _, err := v.scores.Update(weights.RoundOf(sample), rewards); err != nil {
		return err
	}
	v.copies.see(sample)
	return v.saver.Save()
}
