package durable_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

// Samples go from one queue to another when a validator changes its queue: here
// from memory, where they have no Settle, to a second queue.
func ExampleMove() {
	ctx := context.Background()
	old, err := organic.NewMemoryQueue[string](organic.MemoryConfig{})
	if err != nil {
		log.Fatal(err)
	}
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{}) // or boltqueue.Open
	if err != nil {
		log.Fatal(err)
	}
	for _, prompt := range []string{"Peru?", "Kenya?"} {
		if err := old.Add(ctx, organic.NewSample(prompt)); err != nil {
			log.Fatal(err)
		}
	}
	moved, err := durable.Move(ctx, old, queue)
	fmt.Println(moved, err, old.Size(), queue.Size())
	// Output:
	// 2 <nil> 0 2
}

// To change the key, name the new one as the current one and keep the old one
// until nothing has it any more.
func ExampleNewAESGCM() {
	first, second := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32) // use random ones
	before, err := durable.NewAESGCM("2026-10", map[string][]byte{"2026-10": first})
	if err != nil {
		log.Fatal(err)
	}
	after, err := durable.NewAESGCM("2026-11",
		map[string][]byte{"2026-10": first, "2026-11": second})
	if err != nil {
		log.Fatal(err)
	}
	id := []byte("7f3a") // a queue gives the ID of the sample
	sealed, err := before.Seal([]byte("Peru?"), id)
	if err != nil {
		log.Fatal(err)
	}
	plain, err := after.Open(sealed, id)
	fmt.Printf("%s %v\n", plain, err)

	sealed, err = after.Seal([]byte("Kenya?"), id)
	if err != nil {
		log.Fatal(err)
	}
	_, err = before.Open(sealed, id)
	fmt.Println(err)
	fmt.Printf("%+v\n", after) // without its keys
	// Output:
	// Peru? <nil>
	// there is no key "2026-11"
	// AES-GCM with keys 2026-10, 2026-11
}

// Base64 is a codec of one's own: it stores the payload alone.
type Base64 struct{}

var _ durable.Codec[string] = Base64{}

func (Base64) Encode(sample organic.Sample[string]) ([]byte, error) {
	return []byte(sample.ID + " " + base64.StdEncoding.EncodeToString([]byte(sample.Payload))), nil
}

func (Base64) Decode(data []byte) (sample organic.Sample[string], err error) {
	id, text, _ := bytes.Cut(data, []byte(" "))
	payload, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return sample, fmt.Errorf("base64: %w", err) // without the payload
	}
	return organic.Sample[string]{ID: string(id), Payload: string(payload)}, nil
}

// A queue of one's own stores what a Coder makes of a sample.
func ExampleCoder() {
	coder := durable.Coder[string]{Codec: Base64{}}
	data, err := coder.Encode(organic.Sample[string]{ID: "7f3a", Payload: "Peru?"})
	fmt.Printf("%s %v\n", data, err)
	sample, err := coder.Decode("7f3a", data, coder.Sealed())
	fmt.Println(sample.Payload, err)
	_, err = coder.Decode("7f3a", []byte("7f3a !"), coder.Sealed())
	fmt.Println(err)
	// Output:
	// 7f3a UGVydT8= <nil>
	// Peru? <nil>
	// durable: record cannot be decoded: sample 7f3a: base64: illegal base64 data at input byte 0
}

// A dead letter prints without payload, requester and reason.
func ExampleDeadLetter() {
	letter := durable.DeadLetter[string]{
		Number: 3, ID: "7f3a", Cause: durable.CauseDead, Attempts: 8,
		Reason: "cannot judge Peru?",
		Sample: organic.Sample[string]{ID: "7f3a", Payload: "Peru?", Requester: "alice"},
	}
	fmt.Printf("%v\n%+v\n", letter, letter)
	// Output:
	// dead letter 3: sample 7f3a (dead, 8 failed attempts)
	// dead letter 3: sample 7f3a (dead, 8 failed attempts)
}
