package organic

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/organic-scoring/organic/internal/chance"
)

// SynthDataset makes synthetic payloads for the times when no organic sample
// waits. Sample is safe for concurrent use. The loop calls it itself, so it
// must be quick; an error makes the scorer leave the dataset alone for a
// second, doubling up to a minute, and go on with what else there is.
type SynthDataset[S any] interface {
	Sample(ctx context.Context) (S, error)
}

// SynthFunc makes a function a [SynthDataset]. The function must be safe for
// concurrent use.
type SynthFunc[S any] func(ctx context.Context) (S, error)

// Sample calls f.
func (f SynthFunc[S]) Sample(ctx context.Context) (S, error) { return f(ctx) }

// NamedDataset is a dataset with the name that its samples carry as Source,
// and the weight by which it is picked among several.
type NamedDataset[S any] struct {
	name    string
	weight  float64
	dataset SynthDataset[S]
}

// Named gives a dataset a name and a weight, for [WithSynth]: a dataset of
// weight 2 is picked twice as often as one of weight 1. WithSynth refuses a
// nil dataset, an empty name, and a weight that is not a finite number above
// zero.
func Named[S any](name string, weight float64, dataset SynthDataset[S]) NamedDataset[S] {
	return NamedDataset[S]{name: name, weight: weight, dataset: dataset}
}

// Sample samples the dataset that was named.
func (d NamedDataset[S]) Sample(ctx context.Context) (S, error) { return d.dataset.Sample(ctx) }

func (d NamedDataset[S]) check() error {
	switch {
	case isNil(d.dataset):
		return errors.New("must not be nil")
	case d.name == "":
		return errors.New("name must not be empty")
	case !(d.weight > 0) || math.IsInf(d.weight, 0):
		return fmt.Errorf("weight of %q is %v, must be a finite number above 0", d.name, d.weight)
	}
	return nil
}

// nameDataset names a dataset that has no name after its place, from 1.
func nameDataset[S any](place int, dataset SynthDataset[S]) NamedDataset[S] {
	switch named := dataset.(type) {
	case NamedDataset[S]:
		return named
	case *NamedDataset[S]:
		if named != nil {
			return *named
		}
	}
	if place == 1 {
		return Named("synth", 1, dataset)
	}
	return Named(fmt.Sprintf("synth-%d", place), 1, dataset)
}

// SliceDataset picks payloads from a slice, each with the same probability.
// It is safe for concurrent use.
type SliceDataset[S any] struct {
	payloads []S
	random   chance.Source
}

// SliceOption configures a [SliceDataset]: [WithSeed].
type SliceOption interface {
	applySlice(random *chance.Source)
}

func (o SeedOption) applySlice(random *chance.Source) { random.Seed(o.seed) }

// NewSliceDataset returns a dataset over the payloads, which must not be
// changed afterwards. An empty slice is refused with [ErrInvalidOption].
func NewSliceDataset[S any](payloads []S, opts ...SliceOption) (*SliceDataset[S], error) {
	if len(payloads) == 0 {
		return nil, invalid("NewSliceDataset", "must have at least one payload")
	}
	dataset := &SliceDataset[S]{payloads: payloads}
	for i, opt := range opts {
		if isNil(opt) {
			return nil, invalid("NewSliceDataset", "option %d is nil", i+1)
		}
		opt.applySlice(&dataset.random)
	}
	return dataset, nil
}

// Sample returns one of the payloads. It never fails.
func (d *SliceDataset[S]) Sample(context.Context) (S, error) {
	return d.payloads[d.random.IntN(len(d.payloads))], nil
}
