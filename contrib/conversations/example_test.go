package conversations_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/conversations"
)

// Prompt is what this validator asks its miners.
type Prompt struct {
	System   string
	Question string
}

// A file of conversations becomes a dataset of the validator's own payloads.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "organic")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "conversations.jsonl")
	line := `{"conversation":[{"role":"system","content":"Be brief."},{"role":"user","content":"Is the BIG house\n\told?"}]}`
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		log.Print(err)
		return
	}

	synonyms := func(word string) []string {
		if word == "house" {
			return []string{"country_house"}
		}
		return nil
	}
	conversations, err := conversations.Open(path, conversations.WithSynonyms(synonyms),
		conversations.WithSeed(3))
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = conversations.Close() }()

	prompts := organic.SynthFunc[Prompt](func(ctx context.Context) (Prompt, error) {
		conversation, err := conversations.Sample(ctx)
		if err != nil {
			return Prompt{}, err
		}
		prompt := Prompt{Question: conversation[len(conversation)-1].Content}
		if conversation[0].Role == "system" {
			prompt.System = conversation[0].Content
		}
		return prompt, nil
	})

	for range 3 {
		prompt, err := prompts.Sample(context.Background())
		if err != nil {
			log.Print(err)
			return
		}
		fmt.Printf("%s %q\n", prompt.System, prompt.Question)
	}
	// Output:
	// Be brief. "Is the BIG country house\n\told?"
	// Be brief. "Is the B IG country house\n\told?"
	// Be brief. "Is the BIG country house\n\told?"
}
