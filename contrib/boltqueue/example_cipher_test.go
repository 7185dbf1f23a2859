package boltqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

// What waits is encrypted on the disk. Without the key it cannot be read, and
// the file is not changed.
func ExampleConfig() {
	folder, err := os.MkdirTemp("", "boltqueue")
	if err != nil {
		log.Fatal(err)
	}
	path, ctx := filepath.Join(folder, "queue.db"), context.Background()
	cipher, err := durable.NewAESGCM("2026-11", map[string][]byte{
		"2026-11": []byte("0123456789abcdef0123456789abcdef"), // from a file of its own
	})
	if err != nil {
		log.Fatal(err)
	}
	cfg := boltqueue.Config[string]{
		Capacity: 2, Refuse: true, Order: organic.OrderFair, Cipher: cipher,
	}
	queue, err := boltqueue.Open(path, cfg)
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range []string{"q-1", "q-2", "q-2", "q-3"} {
		err := queue.Add(ctx, organic.Sample[string]{ID: id, Payload: "Peru?"})
		fmt.Println(id, err)
	}
	fmt.Println("waiting:", queue.Stats().Waiting)
	_, err = boltqueue.Open(path, cfg)
	fmt.Println("opened twice:", errors.Is(err, boltqueue.ErrInUse))
	if err := queue.Close(ctx); err != nil {
		log.Fatal(err)
	}

	_, err = boltqueue.Open(path, boltqueue.Config[string]{Capacity: 2})
	fmt.Println("without the key:", errors.Is(err, durable.ErrUnknownKey))
	_ = os.RemoveAll(folder)
	// Output:
	// q-1 <nil>
	// q-2 <nil>
	// q-2 boltqueue: add sample q-2: organic: sample ID is queued already
	// q-3 boltqueue: add sample q-3: organic: queue is full
	// waiting: 2
	// opened twice: true
	// without the key: true
}
