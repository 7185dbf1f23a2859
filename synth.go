package organic

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/organic-scoring/organic/internal/backoff"
	"github.com/organic-scoring/organic/internal/hookctx"
	"github.com/organic-scoring/organic/internal/option"
	"github.com/organic-scoring/organic/internal/random"
	"github.com/organic-scoring/organic/internal/usercode"
)

// SynthDataset makes synthetic payloads for the times when no organic sample
// waits. The scorer calls Sample from the goroutine of an iteration, with
// [WithConcurrency] above 1 from several at once, and its ctx allows 10 s. If
// Sample fails, the scorer asks another dataset, and skips this one for a
// second, doubling up to a minute with each failure in a row.
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
	dataset *SynthDataset[S] // a pointer, so that fmt prints an address and no payload
}

// Named gives a dataset a name and a weight, for [WithSynth]: a dataset of
// weight 2 is picked twice as often as one of weight 1. WithSynth refuses a
// nil dataset, an empty name, and a weight that is not a finite number above
// zero.
func Named[S any](name string, weight float64, dataset SynthDataset[S]) NamedDataset[S] {
	return NamedDataset[S]{name: name, weight: weight, dataset: &dataset}
}

// Sample samples the dataset that was named. It returns [ErrNotBuilt] if Named
// has not made d.
func (d NamedDataset[S]) Sample(ctx context.Context) (payload S, err error) {
	if d.dataset == nil {
		return payload, ErrNotBuilt
	}
	return (*d.dataset).Sample(ctx)
}

func (d NamedDataset[S]) check() (wrong option.Problems) {
	wrong.If(isNilDataset[S](d), "must not be nil")
	wrong.If(d.name == "", "name must not be empty")
	wrong.If(!(d.weight > 0) || math.IsInf(d.weight, 0),
		"weight of %q is %v, must be a finite number above 0", d.name, d.weight)
	return wrong
}

// isNilDataset finds a nil dataset also where it has been named.
func isNilDataset[S any](d SynthDataset[S]) bool {
	if named, ok := d.(NamedDataset[S]); ok {
		return named.dataset == nil || isNilDataset(*named.dataset)
	}
	return option.IsNil(d)
}

// nameDataset names a dataset that has no name by its position, from 1.
func nameDataset[S any](position int, dataset SynthDataset[S]) NamedDataset[S] {
	switch named := dataset.(type) {
	case NamedDataset[S]:
		return named
	case *NamedDataset[S]:
		if named != nil {
			return *named
		}
	}
	if position == 1 {
		return Named("synth", 1, dataset)
	}
	return Named(fmt.Sprintf("synth-%d", position), 1, dataset)
}

func sumOfWeights[S any](datasets []NamedDataset[S]) (sum float64) {
	for _, dataset := range datasets {
		sum += dataset.weight
	}
	return sum
}

// SliceDataset picks payloads from a slice, each with the same probability.
// It is safe for concurrent use.
type SliceDataset[S any] struct {
	state *sliceState[S] // behind pointers, so that fmt prints addresses and no payload
}

type sliceState[S any] struct {
	payloads *[]S
	random   *random.Source
}

// NewSliceDataset returns a dataset over the payloads, which must not be
// changed afterwards. The same seed gives the same picks; 0 stands for picks
// that differ from run to run. An empty slice is refused with
// [ErrInvalidOption].
func NewSliceDataset[S any](payloads []S, seed uint64) (*SliceDataset[S], error) {
	if len(payloads) == 0 {
		return nil, invalid("NewSliceDataset", "must have at least one payload")
	}
	return &SliceDataset[S]{state: &sliceState[S]{payloads: &payloads, random: seeded(seed)}}, nil
}

// seeded returns a source of random numbers. The seed 0 stands for none.
func seeded(seed uint64) *random.Source {
	if seed == 0 {
		return random.New(nil)
	}
	return random.New(&seed)
}

// Sample returns one of the payloads. It fails only if NewSliceDataset has not
// made the dataset, with [ErrNotBuilt].
func (d *SliceDataset[S]) Sample(context.Context) (payload S, err error) {
	if d == nil || d.state == nil {
		return payload, ErrNotBuilt
	}
	payloads := *d.state.payloads
	return payloads[d.state.random.IntN(len(payloads))], nil
}

// queueName is what the queue is called as a source of samples.
const queueName = "queue"

// synthTimeout is how long a dataset has to make a sample.
const synthTimeout = 10 * time.Second

// dataset is a dataset of the scorer and its health.
type dataset[S any] struct {
	NamedDataset[S]

	health backoff.Health
}

// sourceHealth returns the health of a queue or dataset, or of a queue's Add.
func sourceHealth() backoff.Health {
	return backoff.Health{First: time.Second, Limit: time.Minute}
}

// drawsSynthetic draws whether the next sample is to be synthetic although
// organic ones may wait, see WithSynthRatio.
func (e *engine[S, R]) drawsSynthetic() bool {
	return e.synthRatio > 0 && e.datasetReady() && e.random.Float64() < e.synthRatio
}

// datasetReady reports whether there is a dataset that is not in back-off.
func (e *engine[S, R]) datasetReady() bool {
	return slices.ContainsFunc(e.datasets, (*dataset[S]).ready)
}

func (d *dataset[S]) ready() bool {
	wait, _ := d.health.Wait()
	return wait == 0
}

// take takes a sample, from a dataset or from the queue first, and from the
// other if that has none. The error is ErrEmpty if both have none, or else what
// they failed with.
func (e *engine[S, R]) take(
	ctx *hookctx.Context, syntheticFirst bool, into *Lease[S],
) (synthetic bool, err error) {
	var first, second error
	if syntheticFirst {
		if first = e.takeSynthetic(ctx, into); first == nil {
			return true, nil
		}
		second = e.takeOrganic(ctx, into)
		return false, joinFailures(first, second)
	}
	if first = e.takeOrganic(ctx, into); first == nil {
		return false, nil
	}
	second = e.takeSynthetic(ctx, into)
	return true, joinFailures(first, second)
}

// joinFailures returns the error of two sources that were asked in turn.
func joinFailures(first, second error) error {
	switch {
	case second == nil || isEmpty(first):
		return second
	case isEmpty(second):
		return first
	default:
		return errors.Join(first, second)
	}
}

// isEmpty reports whether err is ErrEmpty itself, as the take functions return it.
func isEmpty(err error) bool { return err == ErrEmpty } //nolint:errorlint // see above

// takeOrganic takes a sample from the queue. While the queue is in back-off it
// returns the error that the queue failed with, and if it is empty while a sample
// waits that it does not take back, the error of that.
func (e *engine[S, R]) takeOrganic(ctx context.Context, into *Lease[S]) error {
	if wait, failure := e.queueHealth.Wait(); wait > 0 {
		return failure
	}
	if failure := e.overfull(); failure != nil {
		return failure
	}
	err := e.ask(ctx, &e.queueHealth, queueName, func() (err error) {
		*into, err = e.queue.Sample(ctx)
		return err
	})
	if isEmpty(err) {
		return cmp.Or(e.refusal(), err)
	}
	return err
}

// refusal returns the error of a queue that does not take a sample back, as long
// as the scorer holds one.
func (e *engine[S, R]) refusal() error {
	_, err := e.delays.health.Wait()
	if err == nil || e.delays.heap.Len() == 0 {
		return nil
	}
	return err
}

// overfull returns an error if too many samples wait that the queue does not
// take back: then no more are taken from it. The end of that wakes the loop,
// since Add succeeds then.
func (e *engine[S, R]) overfull() error {
	refusal := e.refusal()
	if refusal == nil || e.delays.heap.Len() <= e.delays.limit {
		return nil
	}
	return refusal
}

// ask calls a source and notes its health, also when it leaves by
// runtime.Goexit.
func (e *engine[S, R]) ask(
	ctx context.Context, health *backoff.Health, name string, source func() error,
) (err error) {
	err = goexits[StageSample]
	defer func() { e.noteHealth(ctx, health, name, err) }()
	err = usercode.Call(source, newPanicError)
	switch {
	case err == nil:
		return nil
	case health == &e.queueHealth && usercode.Is(err, ErrEmpty):
		return ErrEmpty
	case isStageError(err):
		return err
	default:
		return &StageError{Stage: StageSample, Err: err}
	}
}

// isStageError reports whether callWithin has named the stage.
func isStageError(err error) bool {
	_, ok := err.(*StageError) //nolint:errorlint // not a search of the tree
	return ok
}

// noteHealth puts a source in back-off that has failed. A queue that is empty
// has not failed, nor has a source whose ctx has ended.
func (e *engine[S, R]) noteHealth(
	ctx context.Context, health *backoff.Health, name string, err error,
) {
	switch {
	case err == nil || isEmpty(err):
		health.Succeeded()
	case ctx.Err() == nil:
		wait := health.Failed(err)
		e.reporter.report(Event{
			Kind: EventSourceFailed, Source: name, Stage: StageSample, Duration: wait, Err: err,
		})
	}
}

// takeSynthetic takes a sample from one of the datasets, drawn by weight, and
// from another if that fails.
func (e *engine[S, R]) takeSynthetic(ctx *hookctx.Context, into *Lease[S]) error {
	var candidates []*dataset[S]
	var errs []error
	for _, d := range e.datasets {
		if wait, err := d.health.Wait(); wait > 0 {
			errs = append(errs, err)
			continue
		}
		candidates = append(candidates, d)
	}
	for len(candidates) > 0 {
		i := e.pickDataset(candidates)
		sample, err := e.synthesize(ctx, candidates[i])
		if err == nil {
			*into = Lease[S]{Sample: sample} // without what a queue has returned with an error
			return nil
		}
		errs = append(errs, err)
		candidates = slices.Delete(candidates, i, i+1)
	}
	if len(errs) == 0 {
		return ErrEmpty
	}
	return errors.Join(errs...)
}

// pickDataset draws one of the datasets by weight.
func (e *engine[S, R]) pickDataset(candidates []*dataset[S]) int {
	var total float64
	for _, candidate := range candidates {
		total += candidate.weight
	}
	drawn := e.random.Float64() * total
	for i, candidate := range candidates {
		if drawn -= candidate.weight; drawn < 0 {
			return i
		}
	}
	return len(candidates) - 1
}

func (e *engine[S, R]) synthesize(ctx *hookctx.Context, from *dataset[S]) (Sample[S], error) {
	payloads := make(chan S, 1) // from a goroutine that may be abandoned
	err := e.ask(ctx, &from.health, from.name, func() error {
		return e.callWithin(ctx, StageSample, synthTimeout, func(ctx context.Context) error {
			payload, err := from.Sample(ctx)
			payloads <- payload
			return err
		})
	})
	sample := Sample[S]{Origin: Synthetic, Source: from.name}
	if err == nil {
		sample.Payload = <-payloads
	}
	return sample, err
}

// sourceRecovery returns how long it takes until a source in back-off may be
// asked again.
func (e *engine[S, R]) sourceRecovery() time.Duration {
	recovery := forever
	note := func(health *backoff.Health) {
		if wait, err := health.Wait(); err != nil {
			recovery = min(recovery, max(wait, time.Nanosecond)) // it may have ended just now
		}
	}
	if e.overfull() == nil {
		note(&e.queueHealth)
	}
	for _, d := range e.datasets {
		note(&d.health)
	}
	return recovery
}
