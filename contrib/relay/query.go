package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
)

// Miner asks one miner and emits its answer, chunk by chunk, as it comes in. It returns nil if the
// answer is whole. [OpenAI] does the reading for miners with an OpenAI-style stream.
//
// It is called once, from a goroutine of the relay, beside those of the other miners. Ctx ends when
// the miner's time is over, when the answer is too long, and when the relay is closed or stops
// for another reason; then what the function returns no longer counts. Its answer is complete
// without it, but the relay stays open and [Relay.Close] waits until it has returned. A panic is a
// failure of this miner alone.
//
// Emit never waits for the requester, and may be called from any goroutine, one at a time. It keeps
// the strings of the chunk and its Usage, which must not be changed later. Bytes that are no UTF-8
// become U+FFFD; a character whose bytes are split between the Text of two chunks is put together,
// and one that the answer ends in is dropped. A chunk without any field set is ignored. An error of
// emit means that the answer has ended; further chunks are dropped, so the function should return.
//
// An error that wraps [ErrValidator] means that the failure is not the miner's. Keep the text of
// answers out of the error: it is kept as Answer.Err.
type Miner func(ctx context.Context, emit func(chunk Chunk) error) error

// Query is one question to several miners. It is a plain value.
type Query struct {
	// ID is that of the sample, for [Relay.Answers], and part of what [SSE] gives as the id of the
	// completion. It may be empty.
	ID string
	// Miners are asked once each, at least one.
	Miners map[organic.UID]Miner
	// View is what the requester sees: [One], [FirstGood] or [All]. The zero View is
	// FirstGood(nil).
	View View
	// Wire is the form in which it is written: SSE{} if nil.
	Wire Wire
	// Timeout is how long the miners have in all. Zero, or more than WithTimeout allows, means
	// WithTimeout's. A miner that is not done by then is to blame, so do not let a requester choose
	// it freely: a short time makes every miner look slow.
	Timeout time.Duration
	// StopOnLeave stops the miners when the requester has left or was cut off. What they had sent
	// until then are the answers, Cancelled by the requester, and Result.Err is ErrLeft. By default
	// they are heard to the end.
	StopOnLeave bool
	// Done, if not nil, is called when the answers are complete, typically to enqueue them: once, or
	// with WithDoneRetry until it succeeds.
	// That may be before or after the requester's stream has ended. The ctx has the values of the
	// requester's and is cancelled neither by the requester's leaving nor by Close; it allows 10 s.
	// Done is called from a goroutine of the relay and must not wait there for the relay's Close.
	// An error goes to WithDoneFailed. Ask ignores Done.
	Done func(ctx context.Context, result *Result) error
}

// withDefaults fills in what is not set.
func (q Query) withDefaults(cfg *config) Query {
	if q.Wire == nil {
		q.Wire = SSE{}
	}
	q.View = q.View.withDefaults()
	if q.Timeout == 0 || q.Timeout > cfg.timeout {
		q.Timeout = cfg.timeout
	}
	return q
}

func (q Query) check() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: %s", ErrInvalidQuery, fmt.Sprintf(format, args...)))
	}
	if len(q.Miners) == 0 {
		errs = append(errs, errRefusedNoMiners)
	}
	for _, uid := range slices.Sorted(maps.Keys(q.Miners)) {
		if q.Miners[uid] == nil {
			wrong("Miners[%d] is nil", uid)
		}
	}
	if _, ok := q.Miners[q.View.uid]; !ok && q.View.kind == viewOne {
		wrong("One(%d) is not among Miners", q.View.uid)
	}
	if q.Timeout < 0 {
		wrong("Timeout is %v, must not be below 0", q.Timeout)
	}
	return errors.Join(errs...)
}

// order returns the UIDs in the order of asking.
func (q Query) order() []organic.UID {
	return slices.SortedFunc(maps.Keys(q.Miners), func(a, b organic.UID) int {
		chosen := q.View.uid
		switch {
		case q.View.kind != viewOne, a == b:
			return cmp.Compare(a, b)
		case a == chosen:
			return -1
		case b == chosen:
			return 1
		default:
			return cmp.Compare(a, b)
		}
	})
}
