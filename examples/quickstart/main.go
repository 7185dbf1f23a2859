// Command quickstart is the program of the README, word by word.
package main

import (
	"context"
	"log"
	"os/signal"
	"strings"
	"syscall"

	"github.com/organic-scoring/organic"
)

type Sample = organic.Sample[string] // a prompt to be scored

type Validator struct {
	*organic.OrganicScorer[string, string] // prompts are scored, answers come back
	organic.DefaultHooks[string, string]   // the hooks that are not written here
}

var _ organic.Hooks[string, string] = (*Validator)(nil) // makes the compiler name the wrong hook

func (v *Validator) QueryMiners(context.Context, Sample) (map[organic.UID]string, error) {
	return map[organic.UID]string{0: "Lima", 1: "Quito, I think"}, nil // ask your miners here
}

func (v *Validator) GenerateReference(context.Context, Sample) (string, error) {
	return "Lima", nil // runs while the miners are asked
}

func (v *Validator) GenerateRewards(
	_ context.Context, _ Sample, responses map[organic.UID]string, reference string,
) (organic.Rewards, error) {
	rewards := make(organic.Rewards)
	for uid, answer := range responses {
		rewards[uid] = float64(strings.Count(answer, reference)) // compare as you like
	}
	return rewards, nil
}

func (v *Validator) SetWeights(_ context.Context, sample Sample, rewards organic.Rewards) error {
	log.Println(sample.ID, rewards)
	return nil
}

func main() {
	v := &Validator{}
	scorer, err := organic.New(v) // options set the trigger, the queue, and all else
	if err != nil {
		log.Fatal(err)
	}
	v.OrganicScorer = scorer
	signalled, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	if err := v.Start(context.Background()); err != nil { // the end of its ctx is the hard stop
		log.Fatal(err)
	}
	if _, err := v.Enqueue(signalled, "What is the capital of Peru?"); err != nil {
		log.Fatal(err)
	}
	<-signalled.Done()
	stop()                                               // a second signal ends the program
	if err := v.Stop(context.Background()); err != nil { // finishes what is in flight
		log.Fatal(err)
	}
}
