package weights_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

func ExampleScores() {
	scores, err := weights.NewScores(weights.Hold(0.5))
	if err != nil {
		log.Fatal(err)
	}
	if err := scores.SetMetagraph(weights.Hotkeys("5Alice", "5Bob", "5Carol")); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		sample := organic.NewSample("What is the capital of Peru?")
		if _, err := scores.Update(weights.RoundOf(sample), organic.Rewards{0: 1, 1: 0.5}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(scores.Values())

	_ = scores.SetMetagraph(weights.Hotkeys("5Alice", "5Dave", "5Carol")) // Dave starts anew
	fmt.Println(scores.Values())
	// Output:
	// [0.75 0.375 0]
	// [0.75 0 0]
}

func ExampleScores_Convert() {
	scores, err := weights.NewScores(weights.Window(24, 0))
	if err != nil {
		log.Fatal(err)
	}
	metagraph := weights.Hotkeys("5Alice", "5Bob", "5Owner")
	if err := scores.SetMetagraph(metagraph); err != nil {
		log.Fatal(err)
	}
	round := weights.Round{Origin: organic.Synthetic, Asked: metagraph}
	if _, err := scores.Update(round, organic.Rewards{0: 0.9, 1: 0.6}); err != nil {
		log.Fatal(err)
	}
	burn, ok := metagraph.UID("5Owner") // look it up each time: a hotkey can move
	if !ok {
		log.Fatal("nobody to burn to")
	}
	vector, err := scores.Convert(weights.WithBurn(0.5, burn))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vector.UIDs, vector.Weights, vector.Path)
	for _, row := range vector.Rows {
		fmt.Printf("UID %d: score %.2f, share %.2f, weight %d\n", row.UID, row.Score, row.Share, row.Weight)
	}
	// Output:
	// [0 1 2] [39321 26214 65535] normal
	// UID 0: score 0.90, share 0.30, weight 39321
	// UID 1: score 0.60, share 0.20, weight 26214
	// UID 2: score 0.00, share 0.50, weight 65535
}

func ExampleScores_Save() {
	folder, err := os.MkdirTemp("", "scores")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path, metagraph := filepath.Join(folder, "scores.json"), weights.Hotkeys("5Alice", "5Bob")

	before, _ := weights.NewScores(weights.Hold(0.1))
	_ = before.SetMetagraph(metagraph)
	round := weights.Round{ID: "sample 1", Asked: metagraph}
	_, _ = before.Update(round, organic.Rewards{0: 1, 1: 0.5})
	if err := before.Save(path); err != nil {
		fmt.Println(err)
	}

	after, _ := weights.NewScores(weights.Hold(0.1)) // the next process
	if err := after.Load(path); err != nil {
		fmt.Println(err)
	}
	_ = after.SetMetagraph(weights.Hotkeys("5Alice", "5Carol")) // Bob is gone
	tally, _ := after.Update(round, organic.Rewards{0: 1, 1: 0.5})
	fmt.Println(after.Values(), "repeated:", tally.Repeated)
	// Output:
	// [0.1 0] repeated: true
}

func ExampleWithGuards() {
	scores, err := weights.NewScores(weights.Hold(0.1),
		weights.WithOriginWeights(3, 1), // organic rewards weigh three times as much
		weights.WithGuards(weights.AboveSynthetic(0.5), weights.NoSelfDealing()))
	if err != nil {
		log.Fatal(err)
	}
	metagraph := weights.Metagraph{Neurons: []weights.Neuron{{Hotkey: "5Honest", Coldkey: "5Ann"}, {Hotkey: "5Cheat", Coldkey: "5Bert"}}}
	_ = scores.SetMetagraph(metagraph)
	synthetic := weights.Round{Origin: organic.Synthetic, Asked: metagraph}
	staged := weights.Round{Origin: organic.Organic, Asked: metagraph, Requester: "5Accomplice"}
	own := weights.Round{Origin: organic.Organic, Asked: metagraph, Requester: "5Bert"}
	for n := range 40 {
		_, _ = scores.Update(synthetic, organic.Rewards{0: 0.5 + 0.1*float64(n%2), 1: 0.5 + 0.1*float64(n%2)})
		_, _ = scores.Update(staged, organic.Rewards{1: 1})
	}
	tally, _ := scores.Update(own, organic.Rewards{1: 1})
	fmt.Println("self-dealt:", tally.SelfDealt)
	for _, standing := range scores.Standings() {
		fmt.Printf("%s: %.2f void: %q\n", standing.Hotkey, standing.Score, standing.Void)
	}
	// Output:
	// self-dealt: 1
	// 5Honest: 0.54 void: ""
	// 5Cheat: 0.54 void: "AboveSynthetic"
}

func ExampleConvert() {
	uids := []organic.UID{0, 1, 2, 3}
	scores := []float64{0.7, 0.2, 0.1, 0}
	vector, err := weights.Convert(uids, scores, 4, weights.WithMaxWeight(0.5), weights.WithMinAllowed(2))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vector.UIDs, vector.Weights)

	_, err = weights.Convert(uids, []float64{0.7, -0.2, 0.1, 0}, 4)
	fmt.Println(err)
	// Output:
	// [0 1 2] [65535 43690 21845]
	// weights: negative score: -0.2 for UID 1
}

func ExampleSetter() {
	chain := weights.ChainFunc(func(_ context.Context, vector weights.Vector) error {
		fmt.Println("setting", vector.UIDs, vector.Weights)
		return nil
	})
	source := func(context.Context) (weights.Vector, error) {
		return weights.Convert([]organic.UID{0, 1}, []float64{1, 3}, 2)
	}
	setter, err := weights.NewSetter(chain, source, weights.Blocks{Every: 100, RateLimit: 100})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- setter.Run(ctx) }()
	setter.Block(5_000_000) // your subscription to the chain: from here it counts
	setter.Block(5_000_101)
	for setter.Status().LastSuccess.IsZero() {
		time.Sleep(time.Millisecond)
	}
	cancel()
	fmt.Println(<-done, setter.Status().LastBlock)
	// Output:
	// setting [0 1] [21845 65535]
	// <nil> 5000101
}

func ExampleNewHTTP() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(string(body))
		_, _ = io.WriteString(w, `{"success": false, "msg": "too soon"}`)
	}))
	defer api.Close()
	chain, err := weights.NewHTTP(api.URL+"/api/v1/set-weights", 42)
	if err != nil {
		fmt.Println(err)
		return
	}
	vector, _ := weights.Convert([]organic.UID{0, 7}, []float64{1, 0.5}, 8)
	submission, err := chain.SetWeights(context.Background(), vector, func(weights.Submission) {})
	fmt.Println(submission.State, err)
	// Output:
	// {"uids":[0,7],"weights":[65535,32768],"version":42}
	// none weights: not set, the API answered 200: "too soon"
}
