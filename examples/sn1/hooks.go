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

	"github.com/organic-scoring/organic/examples/internal/program"
)

// firstWait is how long a queue is left alone that has not taken a sample.
const firstWait = 50 * time.Millisecond

// OnOrganicEntry answers one user, by either route. All miners are asked; the
// user reads the first who says something. When the last has ended, the
// sample is queued with all answers, whether or not the user has stayed.
func (v *Validator) OnOrganicEntry(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	text, form, err := readQuery(synapse)
	if err != nil {
		return err
	}
	miners, err := v.requests.miners(text)
	if err != nil {
		return err
	}
	sample := organic.NewSample(Prompt{Text: text})
	sample.Requester = synapse.Requester
	err = v.live.Serve(ctx, w, relay.Query{
		ID:     sample.ID,
		Miners: miners,
		Wire:   form,
		Done: func(ctx context.Context, result *relay.Result) error {
			sample.Payload.Answers = withoutMissing(result.Answers)
			return v.keep(ctx, sample)
		},
	})
	if errors.Is(err, relay.ErrLeft) {
		return nil // nobody is there to be told
	}
	return err
}

// keep queues a sample, again and again while the queue fails and ctx lasts:
// nobody else has the answers.
func (v *Validator) keep(ctx context.Context, sample organic.Sample[Prompt]) error {
	for wait := firstWait; ; wait *= 2 {
		err := v.accept(ctx, sample)
		if err == nil || errors.Is(err, durable.ErrTooLarge) || program.Sleep(ctx, wait) != nil {
			return err
		}
	}
}

// accept queues a sample. A front-end, which has no scorer, adds it itself.
func (v *Validator) accept(ctx context.Context, sample organic.Sample[Prompt]) error {
	if v.OrganicScorer == nil {
		return v.store.queue.Add(ctx, sample)
	}
	_, err := v.EnqueueSample(ctx, sample)
	return err
}

// QueryMiners returns what the miners have told a user, or asks them about a
// synthetic prompt, by the same requests.
func (v *Validator) QueryMiners(ctx context.Context, sample organic.Sample[Prompt]) (map[organic.UID]relay.Answer, error) {
	if sample.Payload.Answers != nil {
		return sample.Payload.Answers, nil
	}
	miners, err := v.requests.miners(sample.Payload.Text)
	if err != nil {
		return nil, err
	}
	answers, err := v.probe.Ask(ctx, relay.Query{Miners: miners})
	if err != nil {
		return nil, err
	}
	return withoutMissing(answers), context.Cause(ctx)
}

// GenerateReference runs while the miners are asked.
func (v *Validator) GenerateReference(ctx context.Context, sample organic.Sample[Prompt]) (relay.Answer, error) {
	reference, err := v.referee.Refer(ctx, sample.Payload.Text)
	return said(reference), err
}

// GenerateRewards looks at what is known of the miners, and changes nothing:
// a sample that is tried again is judged again.
func (v *Validator) GenerateRewards(_ context.Context, _ organic.Sample[Prompt], answers map[organic.UID]relay.Answer, reference relay.Answer) (organic.Rewards, error) {
	return v.judge.rewards(answers, reference), nil
}

// SetWeights takes the rewards into the scores, which count each sample once
// however often it comes, and saves them. From then on the sample is scored:
// where the snapshot fails the next one has it too, and close makes the last.
func (v *Validator) SetWeights(_ context.Context, sample organic.Sample[Prompt], rewards organic.Rewards) error {
	if _, err := v.scores.Update(weights.RoundOf(sample), rewards); err != nil {
		return err
	}
	if err := v.saveScores(); err != nil {
		v.journal.unsaved(sample.ID, err)
	}
	return nil
}

// LogResults takes down what became of a sample that was scored.
func (v *Validator) LogResults(_ context.Context, result *organic.Result[Prompt, relay.Answer]) error {
	if v.tally.add(result) {
		v.judge.copies.see(result.Sample.Payload.Text, result.Responses)
	}
	v.journal.result(result)
	return nil
}
