package weights_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"go.uber.org/zap"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// What is counted of a round is in its tally: a reward outside the range is
// clamped, a miner that was asked and has none gets the lowest, and a round is
// counted once.
func ExampleScores_Update() {
	scores, err := weights.NewScores(
		weights.Hold(0.5), weights.Between(0, 1), weights.WithGuards())
	if err != nil {
		log.Fatal(err)
	}
	metagraph := weights.Hotkeys("5Alice", "5Bob", "5Carol")
	if err := scores.SetMetagraph(metagraph); err != nil {
		log.Fatal(err)
	}
	round := weights.RoundOf(organic.NewSample("What is the capital of Peru?"))
	round.Asked = []organic.UID{0, 1, 2}
	for range 2 {
		tally, err := scores.Update(round, organic.Rewards{0: 0.5, 1: 1e9})
		fmt.Printf("%+v %v\n", tally, err)
	}
	fmt.Println(scores.Values())
	// Output:
	// {Counted:3 Missing:1 Clamped:1 SelfDealt:0 Stranded:0 Unweighted:0 Repeated:false} <nil>
	// {Counted:0 Missing:0 Clamped:0 SelfDealt:0 Stranded:0 Unweighted:0 Repeated:true} <nil>
	// [0.25 0.5 0]
}

// Averages differ in what they remember and in what not being asked means.
func ExampleAverage() {
	metagraph := weights.Hotkeys("5Alice", "5Bob")
	for _, average := range []weights.Average{
		weights.Hold(0.5), weights.Decay(0.5), weights.Window(2, time.Hour),
	} {
		scores, err := weights.NewScores(average, weights.Between(0, 1), weights.WithGuards())
		if err != nil {
			log.Fatal(err)
		}
		if err := scores.SetMetagraph(metagraph); err != nil {
			log.Fatal(err)
		}
		round := weights.Round{Origin: organic.Synthetic, Metagraph: metagraph}
		for _, rewards := range []organic.Rewards{{0: 1, 1: 1}, {1: 1}, {1: 0}} {
			if _, err := scores.Update(round, rewards); err != nil {
				log.Fatal(err)
			}
		}
		fmt.Println(scores.Values())
	}
	// Output:
	// [0.5 0.375]
	// [0.125 0.375]
	// [1 0.5]
}

// Queries of a requester count by its weight, for instance by its stake.
func ExampleWithRequesterWeight() {
	stake := map[string]float64{"5Large": 1, "5Small": 0.1}
	scores, err := weights.NewScores(weights.Hold(0.5), weights.Between(0, 1), weights.WithGuards(),
		weights.WithRequesterWeight(func(requester string) float64 { return stake[requester] }))
	if err != nil {
		log.Fatal(err)
	}
	metagraph := weights.Hotkeys("5Alice")
	if err := scores.SetMetagraph(metagraph); err != nil {
		log.Fatal(err)
	}
	for _, requester := range []string{"5Large", "5Small", "5Unknown"} {
		round := weights.Round{Requester: requester, Metagraph: metagraph}
		tally, err := scores.Update(round, organic.Rewards{0: 1})
		fmt.Println(requester, "counted", tally.Counted, "of weight 0", tally.Unweighted, err)
	}
	// Output:
	// 5Large counted 1 of weight 0 0 <nil>
	// 5Small counted 1 of weight 0 0 <nil>
	// 5Unknown counted 0 of weight 0 1 <nil>
}

// Shares of your own become u16 with the largest at 65535.
func ExampleQuantize() {
	uids, values, err := weights.Quantize([]organic.UID{0, 1, 2}, []float64{0.5, 0.25, 1e-9})
	fmt.Println(uids, values, err)
	// Output:
	// [0 1] [65535 32768] <nil>
}

// A setter without a chain logs what it would set; its events can be counted.
func ExampleLogOnly() {
	chain := weights.LogOnly(zap.NewExample())
	source := func(context.Context) (weights.Vector, error) {
		return weights.Convert([]organic.UID{0, 1}, []float64{1, 3}, 2)
	}
	setter, err := weights.NewSetter(chain, source, weights.Interval{Every: 20 * time.Minute},
		weights.WithObserver(func(e weights.SetterEvent) {
			fmt.Println(e.Kind, e.Submission.State)
		}))
	if err != nil {
		log.Fatal(err)
	}
	_, err = setter.Set(context.Background())
	fmt.Println(err)
	// Output:
	// submitted submitted
	// {"level":"info","msg":"weights, not sent","path":"normal","entries":2,"too_few":false,"rows":[{"uid":0,"score":1,"share":0.25,"weight":21845},{"uid":1,"score":3,"share":0.75,"weight":65535}]}
	// included included
	// <nil>
}

// A refusal of the chain says what to do about it.
func ExampleChainError() {
	var err error = &weights.ChainError{
		Kind: weights.ErrTooSoon, Pallet: "SubtensorModule", Name: "SettingWeightsTooFast", Blocks: 40,
	}
	fmt.Println(err)
	// Output:
	// weights: too soon after the last weights: SubtensorModule.SettingWeightsTooFast: wait 40 blocks
}
