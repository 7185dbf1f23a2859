package main

import (
	"context"
	"errors"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"

	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// errNoReference is why a prompt that is not in the data is never scored.
var errNoReference = errors.New("no reference in the data")

// referee says what an ideal miner would have answered. It is safe for
// concurrent use.
type referee interface {
	Refer(ctx context.Context, text string) (string, error)
}

// newReferee returns the referee that the flag names.
func newReferee(kind string, records []recorded.Record) (referee, error) {
	if kind == byServer {
		return newOpenAI()
	}
	known := make(dataReferee, len(records))
	for _, r := range records {
		known[textOf(r.Prompt)] = string(r.Reference(kind))
	}
	return known, nil
}

// dataReferee knows the references of the data by the prompts' texts.
type dataReferee map[string]string

// Refer returns what the data says.
func (d dataReferee) Refer(_ context.Context, text string) (string, error) {
	reference, ok := d[text]
	if !ok {
		return "", organic.Discard(errNoReference)
	}
	return reference, nil
}

// said makes a whole answer of a text.
func said(text string) relay.Answer {
	return relay.Answer{Ending: relay.Complete, Chunks: []relay.Chunk{{Text: text}}}
}
