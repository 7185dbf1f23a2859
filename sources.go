package organic

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic/internal/chance"
)

// queueName is what the queue is called as a source.
const queueName = "queue"

// The times for which a failing queue or dataset is left alone.
const (
	firstRecovery = time.Second
	lastRecovery  = time.Minute
)

// sources is where samples come from: the queue and the datasets.
type sources[S any] struct {
	queue    *source
	datasets []*datasetSource[S]
	leases   Queue[S]
	ratio    float64
	random   *chance.Source
	report   func(*Event)
}

// source is the health of a queue or dataset.
type source struct {
	name     string
	failures atomic.Int64 // in a row

	mu     sync.Mutex // guards asleep
	asleep time.Time  // until when it is left alone
}

type datasetSource[S any] struct {
	*source
	NamedDataset[S]
}

func newSources[S any](queue Queue[S], datasets []NamedDataset[S], ratio float64, random *chance.Source) *sources[S] {
	s := &sources[S]{queue: &source{name: queueName}, leases: queue, ratio: ratio, random: random}
	for _, dataset := range datasets {
		s.datasets = append(s.datasets, &datasetSource[S]{&source{name: dataset.name}, dataset})
	}
	return s
}

// take takes a sample, an organic one where there is one and the ratio does
// not want otherwise. The error is ErrEmpty, or what the sources failed with.
func (s *sources[S]) take(ctx context.Context) (lease Lease[S], fromDataset bool, err error) {
	if s.ratio > 0 && s.random.Float64() < s.ratio {
		lease, err = s.fromDatasets(ctx)
		if err == nil {
			return lease, true, nil
		}
		lease, queueErr := s.fromQueue(ctx)
		return lease, false, failure(queueErr, err)
	}
	lease, queueErr := s.fromQueue(ctx)
	if queueErr == nil {
		return lease, false, nil
	}
	lease, err = s.fromDatasets(ctx)
	return lease, true, failure(err, queueErr)
}

// failure is the outcome of the source that was asked last, and of the one
// before, which had nothing to give.
func failure(err, before error) error {
	switch {
	case err == nil || errors.Is(before, ErrEmpty):
		return err
	case errors.Is(err, ErrEmpty):
		return before
	default:
		return errors.Join(before, err)
	}
}

func (s *sources[S]) fromQueue(ctx context.Context) (lease Lease[S], err error) {
	if s.queue.recovery() > 0 {
		return lease, ErrEmpty
	}
	err = s.ask(ctx, s.queue, func(ctx context.Context) (err error) {
		lease, err = s.leases.Sample(ctx)
		return err
	})
	return lease, err
}

// fromDatasets takes a sample from one dataset, or from another one if that
// fails.
func (s *sources[S]) fromDatasets(ctx context.Context) (Lease[S], error) {
	var errs []error
	candidates := make([]*datasetSource[S], 0, len(s.datasets))
	for _, dataset := range s.datasets {
		if dataset.recovery() == 0 {
			candidates = append(candidates, dataset)
		}
	}
	for len(candidates) > 0 {
		i := s.pick(candidates)
		sample, err := s.synthesize(ctx, candidates[i])
		if err == nil {
			return Lease[S]{Sample: sample}, nil
		}
		errs = append(errs, err)
		candidates = slices.Delete(candidates, i, i+1)
	}
	if len(errs) == 0 {
		return Lease[S]{}, ErrEmpty
	}
	return Lease[S]{}, errors.Join(errs...)
}

func (s *sources[S]) synthesize(ctx context.Context, dataset *datasetSource[S]) (sample Sample[S], err error) {
	err = s.ask(ctx, dataset.source, func(ctx context.Context) error {
		payload, err := dataset.Sample(ctx)
		sample = Sample[S]{Payload: payload, Origin: Synthetic, Source: dataset.NamedDataset.name}
		return err
	})
	return sample, err
}

// pick draws one of the datasets by weight.
func (s *sources[S]) pick(candidates []*datasetSource[S]) int {
	var total float64
	for _, dataset := range candidates {
		total += dataset.weight
	}
	mark := s.random.Float64() * total
	for i, dataset := range candidates {
		if mark -= dataset.weight; mark < 0 {
			return i
		}
	}
	return len(candidates) - 1
}

// ask calls the user's code and notes how it went, also when it leaves by
// runtime.Goexit. An empty queue has not failed, nor has a call whose ctx ended.
func (s *sources[S]) ask(ctx context.Context, from *source, call func(ctx context.Context) error) (err error) {
	conclude(ctx, StageSample, call, func(e error) {
		err = e
		if errors.Is(e, ErrEmpty) && from == s.queue {
			err = ErrEmpty
		}
		switch {
		case e == nil || err == ErrEmpty: //nolint:errorlint // the queue's, as set above
			from.succeeded()
		case ctx.Err() == nil:
			s.report(&Event{Kind: EventSourceFailed, Source: from.name, Stage: StageSample, Duration: from.failed(), Err: e})
		}
	})
	return err
}

func (s *source) succeeded() {
	if s.failures.Load() > 0 {
		s.failures.Store(0)
	}
}

// failed notes a failure and returns how long the source is left alone.
func (s *source) failed() time.Duration {
	pause := doubled(firstRecovery, int(s.failures.Add(1))-1, lastRecovery)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asleep = time.Now().Add(pause)
	return pause
}

// recovery returns how long it takes until the source may be asked again: 0
// for one that is well, or was left alone long enough.
func (s *source) recovery() time.Duration {
	if s.failures.Load() == 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(time.Until(s.asleep), 0)
}

// recovery returns how long it takes until a failing source is asked again.
func (s *sources[S]) recovery() time.Duration {
	wait := forever
	note := func(from *source) {
		if from.failures.Load() > 0 {
			wait = min(wait, from.recovery())
		}
	}
	note(s.queue)
	for _, dataset := range s.datasets {
		note(dataset.source)
	}
	return wait
}
