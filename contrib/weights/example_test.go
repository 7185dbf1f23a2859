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
	scores, err := weights.NewScores(weights.Hold(0.5), weights.Between(0, 1),
		weights.WithGuards()) // no guard
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

	_ = scores.SetMetagraph(weights.Hotkeys("5Alice", "5Dave", "5Carol")) // Dave starts from zero
	fmt.Println(scores.Values())
	// Output:
	// [0.75 0.375 0]
	// [0.75 0 0]
}

func ExampleScores_Convert() {
	scores, err := weights.NewScores(weights.Window(24, 0), weights.Between(0, 1),
		weights.WithGuards())
	if err != nil {
		log.Fatal(err)
	}
	metagraph := weights.Hotkeys("5Alice", "5Bob", "5Owner")
	if err := scores.SetMetagraph(metagraph); err != nil {
		log.Fatal(err)
	}
	round := weights.Round{Origin: organic.Synthetic, Metagraph: metagraph}
	if _, err := scores.Update(round, organic.Rewards{0: 0.9, 1: 0.6}); err != nil {
		log.Fatal(err)
	}
	vector, err := scores.Convert(weights.WithMinAllowed(8), weights.WithBurnTo(0.5, "5Owner"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vector.UIDs, vector.Weights, vector.Path)
	for _, row := range vector.Rows {
		fmt.Printf("UID %d: score %.2f, share %.2f, weight %d\n", row.UID, row.Score, row.Share,
			row.Weight)
	}
	// Output:
	// [0 1 2] [39321 26214 65535] normal
	// UID 0: score 0.90, share 0.30, weight 39321
	// UID 1: score 0.60, share 0.20, weight 26214
	// UID 2: score 0.00, share 0.50, weight 65535
}

func ExampleOpenSaver() {
	folder, err := os.MkdirTemp("", "scores")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path, metagraph := filepath.Join(folder, "scores.json"), weights.Hotkeys("5Alice", "5Bob")
	round := weights.Round{ID: "sample 1", Metagraph: metagraph}
	rewards := organic.Rewards{0: 1, 1: 0.5}
	process := func(metagraph weights.Metagraph) {
		scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1), weights.WithGuards())
		if err != nil {
			log.Fatal(err)
		}
		saver, err := weights.OpenSaver(path, scores, weights.SaverConfig{}) // locks and loads
		if err != nil {
			log.Fatal(err)
		}
		defer saver.Close() // saves
		if err := scores.SetMetagraph(metagraph); err != nil {
			log.Fatal(err)
		}
		tally, err := scores.Update(round, rewards)
		fmt.Println(scores.Values(), "repeated:", tally.Repeated, err)
	}
	process(metagraph)
	process(weights.Hotkeys("5Alice", "5Carol")) // a restart later; Bob is gone
	// Output:
	// [0.1 0.05] repeated: false <nil>
	// [0.1 0] repeated: true <nil>
}

func ExampleDefaultGuards() {
	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1))
	if err != nil {
		log.Fatal(err)
	}
	metagraph := weights.Metagraph{Neurons: []weights.Neuron{
		{Hotkey: "5Honest", Coldkey: "5Ann"}, {Hotkey: "5Cheat", Coldkey: "5Bert"},
	}}
	_ = scores.SetMetagraph(metagraph)
	synthetic := weights.Round{Origin: organic.Synthetic, Metagraph: metagraph}
	own := weights.Round{Origin: organic.Organic, Metagraph: metagraph, Requester: "5Bert"}
	for n := range 400 {
		_, _ = scores.Update(synthetic, organic.Rewards{0: 0.5, 1: 0.5})
		staged := weights.Round{
			Origin: organic.Organic, Metagraph: metagraph,
			Requester: fmt.Sprint("name ", n%50),
		}
		_, _ = scores.Update(staged, organic.Rewards{0: 0, 1: 1}) // praise and sabotage
	}
	tally, _ := scores.Update(own, organic.Rewards{1: 1})
	fmt.Println("self-dealt:", tally.SelfDealt)
	for _, standing := range scores.Standings() {
		fmt.Printf("%s: %.3f, organic mean %.2f counts as %.2f\n",
			standing.Hotkey, standing.Score, standing.Organic.Mean, standing.Guarded)
	}
	// Output:
	// self-dealt: 1
	// 5Honest: 0.475, organic mean 0.00 counts as 0.45
	// 5Cheat: 0.525, organic mean 1.00 counts as 0.55
}

func ExampleConvert() {
	uids := []organic.UID{0, 1, 2, 3}
	scores := []float64{0.7, 0.2, 0.1, 0}
	vector, err := weights.Convert(uids, scores, 4, weights.WithMaxWeight(0.5),
		weights.WithMinAllowed(2))
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
	}) // or the client of contrib/subtensor, which shows the evidence
	source := func(context.Context) (weights.Vector, error) {
		return weights.Convert([]organic.UID{0, 1}, []float64{1, 3}, 2)
	}
	setter, err := weights.NewSetter(chain, source, weights.Interval{Every: 20 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- setter.Run(ctx) }()
	for setter.Status().LastSet.IsZero() {
		time.Sleep(time.Millisecond)
	}
	cancel()
	status := setter.Status()
	fmt.Println(<-done, status.LastSubmission.State, status.LastSubmission.Evidence)
	// Output:
	// setting [0 1] [21845 65535]
	// <nil> included the function has returned nil
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
