package organic_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// queueRules is how a MemoryQueue is configured.
type queueRules struct {
	capacity int
	order    organic.Order
	refuses  bool
	maxAge   time.Duration
}

func (r queueRules) String() string {
	return fmt.Sprintf("capacity %d, %v, refuses %t, maximum age %v", r.capacity, r.order, r.refuses, r.maxAge)
}

// queuePlayer plays operations on a MemoryQueue and on a plain slice.
type queuePlayer struct {
	t     *testing.T
	rules queueRules
	queue *organic.MemoryQueue[int]
	model []organic.Sample[int] // by when they were received, the oldest first
	taken []organic.Sample[int] // not yet put back
	next  int                   // payload of the next new sample

	told     []organic.Dropped // in this operation
	arrivals int               // in this operation
}

func newQueuePlayer(t *testing.T, rules queueRules) *queuePlayer {
	t.Helper()
	queue, err := organic.NewMemoryQueue[int](organic.MemoryConfig{
		Capacity: rules.capacity, Order: rules.order, Refuse: rules.refuses, MaxAge: rules.maxAge, Seed: 1,
	})
	require.NoError(t, err)
	p := &queuePlayer{t: t, rules: rules, queue: queue}
	queue.Watch(organic.Watcher{
		Arrived: func() { p.arrivals++ },
		Dropped: func(d organic.Dropped) { p.told = append(p.told, d) },
	})
	return p
}

// play does one operation, which two bytes describe, and compares.
func (p *queuePlayer) play(op, arg byte) {
	p.t.Helper()
	p.told, p.arrivals = p.told[:0], 0
	switch op % 16 {
	case 0, 1, 2, 3, 4: // a new sample
		p.add(p.sample(time.Now()))
	case 5: // a new sample that has been on the way for long
		p.add(p.sample(time.Now().Add(-time.Duration(arg) * time.Millisecond)))
	case 6, 7, 8: // a sample comes back
		if len(p.taken) > 0 {
			i := int(arg) % len(p.taken)
			sample := p.taken[i]
			sample.Attempt++
			p.taken = slices.Delete(p.taken, i, i+1)
			p.add(sample)
		}
	case 9:
		time.Sleep(time.Duration(arg) * time.Millisecond)
	case 10:
		if arg == 0 {
			p.takeAll()
		}
	default:
		p.take()
	}
	p.same(p.queue.Size(), len(p.model), "size")
}

func (p *queuePlayer) sample(received time.Time) organic.Sample[int] {
	p.next++
	return organic.Sample[int]{ID: fmt.Sprint(p.next), Payload: p.next, Received: received, Attempt: 1}
}

func (p *queuePlayer) tooOld(s organic.Sample[int]) bool {
	return p.rules.maxAge > 0 && time.Since(s.Received) > p.rules.maxAge
}

// expire removes what is too old from the front of the model.
func (p *queuePlayer) expire() (want []organic.Dropped) {
	for len(p.model) > 0 && p.tooOld(p.model[0]) {
		want = append(want, droppedAs(p.model[0], organic.DroppedExpired))
		p.model = p.model[1:]
	}
	return want
}

func droppedAs(s organic.Sample[int], reason organic.DropReason) organic.Dropped {
	return organic.Dropped{ID: s.ID, Origin: s.Origin, Attempt: s.Attempt, Received: s.Received, Reason: reason}
}

func (p *queuePlayer) add(sample organic.Sample[int]) {
	p.t.Helper()
	want := p.expire()
	full := len(p.model) == p.rules.capacity
	first := len(p.model) > 0 && sample.Received.Before(p.model[0].Received)
	var wantErr error
	switch {
	case full && p.rules.refuses:
		wantErr = organic.ErrFull
	case full && first && p.tooOld(sample):
		want = append(want, droppedAs(sample, organic.DroppedExpired))
	case full && first:
		want = append(want, droppedAs(sample, organic.DroppedFull))
	case full:
		want = append(want, droppedAs(p.model[0], organic.DroppedFull))
		p.model = p.model[1:]
		p.insert(sample)
	default:
		p.insert(sample)
	}
	p.same(p.queue.Add(p.t.Context(), sample), wantErr, "error of Add")
	if !slices.Equal(want, p.told) {
		require.Equal(p.t, want, p.told)
	}
	p.same(p.arrivals == 0, wantErr != nil, "watcher not told of an arrival")
}

// insert puts a sample behind the last one that was not received after it.
func (p *queuePlayer) insert(sample organic.Sample[int]) {
	at := len(p.model)
	for at > 0 && p.model[at-1].Received.After(sample.Received) {
		at--
	}
	p.model = slices.Insert(p.model, at, sample)
}

func (p *queuePlayer) take() {
	p.t.Helper()
	want := p.expire()
	lease, err := p.queue.Sample(p.t.Context())
	require.GreaterOrEqual(p.t, len(p.told), len(want), "told: %v", p.told)
	if !slices.Equal(want, p.told[:len(want)]) {
		require.Equal(p.t, want, p.told[:len(want)])
	}
	for _, d := range p.told[len(want):] { // drawn, and found to be too old
		old := p.remove(d.ID)
		p.same(p.tooOld(old), true, "dropped in its turn")
		p.same(d, droppedAs(old, organic.DroppedExpired), "drop")
	}
	if err != nil {
		p.same(err, organic.ErrEmpty, "error of Sample")
		p.same(len(p.model), 0, "samples that should have been handed out")
		return
	}
	sample := p.remove(lease.Sample.ID)
	p.same(lease.Sample, sample, "sample")
	p.same(p.tooOld(sample), false, "handed out too old")
	p.taken = append(p.taken, sample)
}

// remove takes a sample from the model, from where the order wants it.
func (p *queuePlayer) remove(id string) organic.Sample[int] {
	p.t.Helper()
	at := slices.IndexFunc(p.model, func(s organic.Sample[int]) bool { return s.ID == id })
	require.GreaterOrEqual(p.t, at, 0, "%s is not in the queue", id)
	switch p.rules.order {
	case organic.OrderFIFO:
		p.same(at, 0, "place of the one handed out")
	case organic.OrderNewest:
		p.same(at, len(p.model)-1, "place of the one handed out")
	case organic.OrderRandom:
	}
	sample := p.model[at]
	p.model = slices.Delete(p.model, at, at+1)
	return sample
}

func (p *queuePlayer) takeAll() {
	p.t.Helper()
	p.told = p.told[:0]
	got := p.queue.TakeAll()
	if !slices.Equal(p.model, got) {
		require.Equal(p.t, p.model, got)
	}
	p.same(len(p.told), 0, "drops told by Samples")
	p.taken = append(p.taken, got...)
	p.model = nil
}

// same is require.Equal for values that are compared very often.
func (p *queuePlayer) same(got, want any, what string) {
	p.t.Helper()
	if got != want {
		require.Equal(p.t, want, got, what)
	}
}

func TestMemoryQueueAgainstModel(t *testing.T) {
	t.Parallel()
	for _, capacity := range []int{1, 2, 3, 7, 100} {
		for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFIFO, organic.OrderNewest} {
			for _, refuses := range []bool{false, true} {
				for _, maxAge := range []time.Duration{0, 500 * time.Millisecond} {
					rules := queueRules{capacity: capacity, order: order, refuses: refuses, maxAge: maxAge}
					t.Run(rules.String(), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) { playAtRandom(t, rules, 4000) })
					})
				}
			}
		}
	}
}

func playAtRandom(t *testing.T, rules queueRules, steps int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(rules.capacity), uint64(rules.order)))
	p := newQueuePlayer(t, rules)
	for range steps {
		p.play(byte(rng.Uint32()), byte(rng.Uint32()))
	}
	p.takeAll()
}

func FuzzMemoryQueue(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 11, 0, 0, 0, 6, 0, 11, 0})
	f.Add([]byte{0, 7, 0, 0, 9, 255, 9, 255, 5, 200, 0, 0, 11, 0, 6, 0})
	f.Add([]byte{255, 3, 5, 9, 5, 200, 0, 0, 11, 0, 9, 100, 6, 0, 10, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 {
			return
		}
		rules := queueRules{
			capacity: 1 + int(data[0]>>4),
			order:    organic.Order(data[1] % 3),
			refuses:  data[0]&1 > 0,
			maxAge:   time.Duration(data[1]/3) * 10 * time.Millisecond,
		}
		synctest.Test(t, func(t *testing.T) {
			p := newQueuePlayer(t, rules)
			for i := 2; i+1 < len(data); i += 2 {
				p.play(data[i], data[i+1])
			}
			p.takeAll()
		})
	})
}
