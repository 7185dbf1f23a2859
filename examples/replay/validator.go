package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/examples/internal/recorded"
	"github.com/organic-scoring/organic/examples/internal/rouge"
)

// smoothing is the share of the newest reward in a moving average.
const smoothing = 0.1

// Prompt is what the miners are asked, Answer what they and the references say.
type (
	Prompt = recorded.Prompt
	Answer = recorded.Answer
)

// retryDelay is how soon a failed sample comes back: -fail makes many fail.
const retryDelay = 20 * time.Millisecond

// Validator scores miners on the prompts that come in.
type Validator struct {
	*organic.OrganicScorer[Prompt, Answer]
	organic.DefaultHooks[Prompt, Answer]

	miners     []miner           // by UID
	references map[string]Answer // by the prompt's ID
	faults     *faults
	board      *scoreboard
	scores     *weights.Scores
}

var _ organic.Hooks[Prompt, Answer] = (*Validator)(nil) // makes the compiler name the wrong hook

// newValidator builds the validator and its scorer. The queue has the
// capacity for all prompts, so that none is dropped.
func newValidator(cfg config, models []string, records []recorded.Record) (*Validator, error) {
	v := &Validator{
		miners:     newMiners(models, records, cfg.latency),
		references: make(map[string]Answer, len(records)),
		faults:     newFaults(cfg.fail, cfg.seed),
		board:      newScoreboard(len(models)),
	}
	for _, r := range records {
		v.references[r.ID] = r.Reference(cfg.reference)
	}
	var err error
	// All queries are the program's own, so that no guard is needed.
	v.scores, err = weights.NewScores(
		weights.Hold(smoothing), weights.Between(0, 1), weights.WithGuards())
	if err != nil {
		return nil, err
	}
	if err := v.scores.SetMetagraph(weights.Hotkeys(models...)); err != nil {
		return nil, err
	}
	queue, err := organic.NewMemoryQueue[Prompt](
		organic.MemoryConfig{Capacity: len(records), Seed: cfg.seed})
	if err != nil {
		return nil, err
	}
	v.OrganicScorer, err = organic.New(v,
		organic.WithQueue(queue),
		organic.WithTrigger(newTrigger(cfg.trigger)),
		organic.WithConcurrency(cfg.concurrency),
		organic.WithStage(organic.StageQuery, organic.StagePolicy{Timeout: cfg.timeout}),
		organic.WithStage(organic.StageWeights, organic.StagePolicy{Backoff: retryDelay}),
		organic.WithRetry(organic.RetryPolicy{
			Attempts: organic.Unlimited, Delay: retryDelay, MaxDelay: 10 * retryDelay,
			LoopBackoff: organic.LoopBackoff{Failures: organic.Unlimited}, // the failures are made up
		}),
		organic.WithSeed(cfg.seed),
	)
	return v, err
}

// QueryMiners asks all miners at the same time. When the stage times out, the
// answers that are there count.
func (v *Validator) QueryMiners(
	ctx context.Context, sample organic.Sample[Prompt],
) (map[organic.UID]Answer, error) {
	if err := v.faults.strike(); err != nil {
		return nil, err
	}
	var (
		mu        sync.Mutex // guards responses
		responses = make(map[organic.UID]Answer, len(v.miners))
		asked     sync.WaitGroup
	)
	for i, miner := range v.miners {
		asked.Go(func() {
			if answer, ok := miner.ask(ctx, sample.Payload.ID); ok {
				mu.Lock()
				defer mu.Unlock()
				// recorded.Models refuses more miners than there are UIDs.
				responses[organic.UID(i)] = answer //nolint:gosec // see above
			}
		})
	}
	asked.Wait()
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, context.Cause(ctx)
	}
	return responses, nil
}

// GenerateReference returns the recorded reference. It runs while the miners
// are being asked.
func (v *Validator) GenerateReference(
	_ context.Context, sample organic.Sample[Prompt],
) (Answer, error) {
	return v.references[sample.Payload.ID], v.faults.strike()
}

// GenerateRewards compares words. A miner that did not answer gets no reward,
// one that answered nothing gets 0.
func (v *Validator) GenerateRewards(
	_ context.Context, _ organic.Sample[Prompt], responses map[organic.UID]Answer, reference Answer,
) (organic.Rewards, error) {
	if err := v.faults.strike(); err != nil {
		return nil, err
	}
	rewards := make(organic.Rewards, len(responses))
	for uid, answer := range responses {
		rewards[uid] = rouge.F1(string(answer), string(reference))
	}
	return rewards, nil
}

// SetWeights keeps the scores. A sample may come here twice, since delivery is
// at least once; scores and scoreboard count each sample ID once.
func (v *Validator) SetWeights(
	_ context.Context, sample organic.Sample[Prompt], rewards organic.Rewards,
) error {
	if err := v.faults.strike(); err != nil {
		return err
	}
	if _, err := v.scores.Update(weights.RoundOf(sample), rewards); err != nil {
		return err
	}
	v.board.add(sample.ID, rewards)
	return nil
}

// weights returns what would be set on the chain now, by UID: nothing for
// anybody while no miner has a positive score.
func (v *Validator) weights() ([]uint16, error) {
	all := make([]uint16, len(v.miners))
	vector, err := v.scores.Convert()
	if errors.Is(err, weights.ErrNoScores) {
		return all, nil
	}
	for i, uid := range vector.UIDs {
		all[uid] = vector.Weights[i]
	}
	return all, err
}
