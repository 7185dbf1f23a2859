package organic_test

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"runtime"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

var (
	errFateful  = errors.New("fateful")
	errUnwanted = errors.New("unwanted")
)

// dice rolls the same for the same throw: so what befalls a sample depends on
// its number and on how often it has come by, and not on the scheduler.
func dice(n, throw int, purpose string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(purpose))
	_, _ = h.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(throw), byte(throw >> 8)})
	x := h.Sum32()
	x ^= x >> 16 // the last bytes have hardly reached the low bits
	x *= 0x45d9f3b
	x ^= x >> 16
	return int(x)
}

// mishap is how a hook goes wrong.
type mishap int

const (
	fails mishap = iota
	panics
	exits
	overstays     // and fails after its timeout
	comesLate     // and succeeds after its timeout
	isOverdue     // and fails, long after its timeout
	isNotANumber  // as rewards; fails in other hooks
	wantsItLater  // RetryAfter
	wantsItNever  // Discard
	mishaps       // their number
	nothing       = mishaps
	mishapPercent = 45
)

// fate tells in which hook of a visit a sample has a mishap, and which.
func fate(n, visit int, stage organic.Stage) mishap {
	stages := []organic.Stage{organic.StageQuery, organic.StageReference, organic.StageRewards, organic.StageWeights}
	if dice(n, visit, "mishap")%100 >= mishapPercent || stages[dice(n, visit, "stage")%len(stages)] != stage {
		return nothing
	}
	kind := mishap(dice(n, visit, "kind") % int(mishaps))
	if kind == isOverdue && dice(n, visit, "overdue")%4 > 0 {
		return fails // the others would have to wait too often
	}
	return kind
}

// befall lets a hook take its time, and has it go wrong as fate wants it.
func befall(ctx context.Context, what mishap) error {
	switch what {
	case fails, isNotANumber:
		return errFateful
	case panics:
		panic("fateful")
	case exits:
		runtime.Goexit()
	case overstays:
		<-ctx.Done()
		time.Sleep(time.Millisecond)
		return ctx.Err()
	case comesLate:
		<-ctx.Done()
		time.Sleep(time.Millisecond)
		return nil
	case isOverdue:
		<-ctx.Done()
		time.Sleep(110 * time.Millisecond)
		return errFateful
	case wantsItLater:
		return organic.RetryAfter(5*time.Millisecond, errFateful)
	case wantsItNever:
		return organic.Discard(errUnwanted)
	case nothing:
	}
	return work(ctx)
}

// work takes a moment, unless ctx ends before.
func work(ctx context.Context) error {
	select {
	case <-time.After(500 * time.Microsecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fatefulHooks go wrong in every way, and enter in the ledger what they score.
func fatefulHooks(l *ledger) organictest.HookFuncs[int, int] {
	meet := func(n int, stage organic.Stage) (what mishap) {
		l.with(n, func(a *account) { what = fate(n, a.visits, stage) })
		return what
	}
	return organictest.HookFuncs[int, int]{
		QueryMinersFunc: func(ctx context.Context, sample organic.Sample[int]) (map[organic.UID]int, error) {
			return nil, befall(ctx, meet(sample.Payload, organic.StageQuery))
		},
		GenerateReferenceFunc: func(ctx context.Context, sample organic.Sample[int]) (int, error) {
			return 0, befall(ctx, meet(sample.Payload, organic.StageReference))
		},
		GenerateRewardsFunc: func(ctx context.Context, sample organic.Sample[int], _ map[organic.UID]int, _ int) (organic.Rewards, error) {
			what := meet(sample.Payload, organic.StageRewards)
			if what == isNotANumber {
				return organic.Rewards{1: math.NaN()}, nil
			}
			return organic.Rewards{1: 1}, befall(ctx, what)
		},
		SetWeightsFunc: l.setWeights,
		LogResultsFunc: func(_ context.Context, result *organic.Result[int, int]) error {
			if dice(result.Sample.Payload, 0, "log")%20 == 0 {
				panic("log")
			}
			return nil
		},
	}
}

// setWeights has a mishap at every try of an iteration, or at the first only.
func (l *ledger) setWeights(ctx context.Context, sample organic.Sample[int], rewards organic.Rewards) error {
	var what mishap
	l.with(sample.Payload, func(a *account) {
		a.tries++
		for _, stage := range []organic.Stage{organic.StageQuery, organic.StageReference, organic.StageRewards} {
			if earlier := fate(sample.Payload, a.visits, stage); earlier != nothing && earlier != comesLate {
				l.wrong = append(l.wrong, "SetWeights for what has failed: "+sample.ID)
			}
		}
		if len(rewards) != 1 || rewards[1] != 1 {
			l.wrong = append(l.wrong, "SetWeights with wrong rewards: "+sample.ID)
		}
		what = fate(sample.Payload, a.visits, organic.StageWeights)
		if a.tries > 1 && dice(sample.Payload, a.visits, "try")%2 == 0 {
			what = nothing
		}
	})
	err := befall(ctx, what)
	if err == nil {
		l.with(sample.Payload, func(a *account) { a.scored++ })
	}
	return err
}
