package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/organic-scoring/organic"
)

// The times of the example.
const (
	period  = 50 * time.Millisecond  // between two iterations of a scorer
	miners  = 200 * time.Millisecond // that they take to answer
	goodbye = 20 * time.Second       // for what is in flight at the end
)

// validator scores samples and writes what it does, a line for each, without
// the prompts.
type validator struct {
	*organic.OrganicScorer[string, string]
	organic.DefaultHooks[string, string]

	out io.Writer
}

var _ organic.Hooks[string, string] = (*validator)(nil) // makes the compiler name the wrong hook

func (v *validator) QueryMiners(
	ctx context.Context, sample organic.Sample[string],
) (map[organic.UID]string, error) {
	_, err := fmt.Fprintln(v.out, "took", sample.ID, sample.Attempt)
	select {
	case <-time.After(miners):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return map[organic.UID]string{0: "an answer"}, err
}

func (v *validator) GenerateRewards(
	context.Context, organic.Sample[string], map[organic.UID]string, string,
) (organic.Rewards, error) {
	return organic.Rewards{0: 1}, nil
}

func (v *validator) SetWeights(
	_ context.Context, sample organic.Sample[string], _ organic.Rewards,
) error {
	_, err := fmt.Fprintln(v.out, "scored", sample.ID, sample.Attempt)
	return err
}

// score runs a scorer until ctx ends.
func score(ctx context.Context, url string, out io.Writer) (err error) {
	queue, closeQueue, err := open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeQueue()) }()
	v := &validator{out: out}
	v.OrganicScorer, err = organic.New(v,
		organic.WithQueue(queue), organic.WithTrigger(organic.Seconds{Frequency: period}))
	if err != nil {
		return err
	}
	if err := v.Start(context.WithoutCancel(ctx)); err != nil { // its end would be the hard stop
		return err
	}
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	return v.Stop(stopping)
}
