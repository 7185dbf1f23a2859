package organictest

import (
	"context"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
)

// Miner is a fake miner. The zero value answers at once with the zero R. What
// it does it does in this order: wait for Latency, hang, panic, fail, answer.
// It keeps no state; it is as safe for concurrent use as Answer is.
type Miner[S, R any] struct {
	// Answer makes the response. It is called beside the other miners' and
	// gets the ctx of Query.
	Answer func(ctx context.Context, sample organic.Sample[S]) (R, error)
	// Latency is how long the miner takes before anything else.
	Latency time.Duration
	// Hang makes the miner never answer: it waits for the end of ctx.
	Hang bool
	// Panic, when not nil, is the value the miner panics with.
	Panic any
	// Propagate lets a panic of the miner reach the caller of Query, once all
	// miners are done. Otherwise it is a failure of this miner alone.
	Propagate bool
	// Err, when not nil, is the miner's failure.
	Err error
}

// Miners are the fake miners of a subnet by their UIDs. Query does not change
// the map and may run several times at once.
type Miners[S, R any] map[organic.UID]Miner[S, R]

// Query asks all miners at the same time, as an [organic.Hooks] QueryMiners
// does, and returns the answers of those who gave one before ctx ended.
// Miners that failed, panicked, hung or were late are left out; the error is
// always nil, since partial answers count and no answers are an answer too.
//
// Every goroutine has ended when Query returns: an Answer that does not heed
// ctx is waited for, and left out when it comes after the end.
func (m Miners[S, R]) Query(
	ctx context.Context, sample organic.Sample[S],
) (map[organic.UID]R, error) {
	r := &round[R]{responses: make(map[organic.UID]R, len(m))}
	for uid, miner := range m {
		r.miners.Go(func() {
			defer r.contain(miner.Propagate)
			if response, err := miner.ask(ctx, sample); err == nil && ctx.Err() == nil {
				r.take(uid, response)
			}
		})
	}
	r.miners.Wait()
	if r.panicked {
		panic(r.value)
	}
	return r.responses, nil
}

func (m Miner[S, R]) ask(ctx context.Context, sample organic.Sample[S]) (R, error) {
	var none R
	if err := m.wait(ctx); err != nil {
		return none, err
	}
	switch {
	case m.Panic != nil:
		panic(m.Panic)
	case m.Err != nil:
		return none, m.Err
	case m.Answer == nil:
		return none, nil
	}
	return m.Answer(ctx, sample)
}

// wait is the miner's latency, which the end of ctx cuts short.
func (m Miner[S, R]) wait(ctx context.Context) error {
	if m.Latency > 0 {
		timer := time.NewTimer(m.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if m.Hang {
		<-ctx.Done()
	}
	return ctx.Err()
}

// round is one Query.
type round[R any] struct {
	miners sync.WaitGroup

	mu        sync.Mutex // guards what follows until the miners are done
	responses map[organic.UID]R
	panicked  bool
	value     any
}

func (r *round[R]) take(uid organic.UID, response R) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.responses[uid] = response
}

// contain keeps a panic from ending the process, and notes it for Query when
// it is to propagate. It must be deferred itself.
func (r *round[R]) contain(propagate bool) {
	value := recover()
	if value == nil || !propagate {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.panicked, r.value = true, value
}
