package conversations_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/organic-scoring/organic/contrib/conversations"
)

// A bad line is named with its file and number, and never quoted.
func ExampleError() {
	dir, err := os.MkdirTemp("", "organic")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "conversations.jsonl")
	if err := os.WriteFile(path, []byte(`{"messages":[]}`), 0o600); err != nil {
		log.Fatal(err)
	}
	dataset, err := conversations.Open(path, conversations.WithoutAugmentation())
	if err == nil {
		_, err = dataset.Sample(context.Background())
		_ = dataset.Close()
	}
	if problem, ok := errors.AsType[*conversations.Error](err); ok {
		fmt.Println(filepath.Base(problem.File), problem.Line, problem.Err)
	}
	_ = os.RemoveAll(dir)
	// Output:
	// conversations.jsonl 1 no "conversation" key
}
