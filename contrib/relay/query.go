package relay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
)

// Miner asks one miner and emits its answer, chunk by chunk, as it comes in.
// It returns nil when the answer is whole.
//
// It is called once, from a goroutine of the relay, beside those of the other
// miners. Ctx ends when the time is over, when the answer is too long, and
// when the relay is closed or gives up for another reason; then what the
// function returns no longer counts. Its answer is complete without it, but
// the relay stays open and [Relay.Close] waits until it has returned. A panic
// is a failure of this miner alone.
//
// Emit copies the chunk, never waits for the requester, and may be called from
// any goroutine, one at a time. An empty chunk is nothing. An error of emit
// says that the answer has ended; further chunks are dropped, so the function
// should return.
//
// Keep the text of answers out of the error: it is kept as Answer.Err.
type Miner func(ctx context.Context, emit func(chunk []byte) error) error

// Query is one question to several miners. It is a plain value.
type Query struct {
	// ID is that of the sample, for [Relay.Answers]. It may be empty.
	ID string
	// Miners are asked once each, at least one.
	Miners map[organic.UID]Miner
	// View is what the requester sees: [One], [FirstGood] or [All]. The zero
	// View is FirstGood(nil).
	View View
	// Wire is the form in which it is written: SSE{} when nil.
	Wire Wire
	// Timeout is how long the miners have in all. Zero, or more than
	// WithTimeout allows, means WithTimeout's: so it may be what the requester
	// says.
	Timeout time.Duration
	// StopOnLeave stops the miners when the requester has left or was cut
	// off. What they had sent until then are the answers, Cancelled, and
	// Result.Err is ErrLeft. By default they are heard to the end.
	StopOnLeave bool
	// Done, when not nil, is called once, when the answers are complete,
	// typically to enqueue them. That may be before or after the requester's
	// stream has ended. The ctx has the values of the requester's and is not
	// cancelled by the requester's leaving nor by Close; it allows 10 s. It is
	// called from a goroutine of the relay, which must not wait there for its
	// own Close. An error goes to WithDoneFailed. Ask ignores Done.
	Done func(ctx context.Context, result *Result) error
}

// View is what a requester sees of the answers: [One], [FirstGood] or [All].
// It is a plain value.
type View struct {
	kind viewKind
	uid  organic.UID
	good func(chunk []byte) bool
}

type viewKind uint8

const (
	viewFirst viewKind = iota
	viewOne
	viewAll
)

// One shows the answer of one miner, whatever the others do.
func One(uid organic.UID) View { return View{kind: viewOne, uid: uid} }

// FirstGood shows the answer of the miner who is the first to emit a good
// chunk, from its beginning: chunks of it that were not good, such as one that
// only names a role, come before. Good is called for each chunk until a miner
// is found, from the miners' goroutines and so from several at once; it must
// be quick and must neither keep nor change the chunk.
//
// Nil takes a chunk that is a JSON object for one of an OpenAI-style stream: it
// is good when it has text ([Content]), and so not when it only gives a role,
// is empty or reports an error. Any other chunk is good when it is more than
// white space and [DONE]. Miners that answer with JSON of another kind, or with
// tool calls, need a function.
func FirstGood(good func(chunk []byte) bool) View { return View{good: good} }

// All shows the answers of all miners, each chunk tagged with its UID, in the
// order in which the chunks came in. It needs a [TaggedWire].
func All() View { return View{kind: viewAll} }

// isGood is what nil means to FirstGood.
func isGood(chunk []byte) bool {
	text := bytes.TrimSpace(withoutDone(chunk))
	if len(text) > 0 && text[0] == '{' && json.Valid(text) {
		return Content(text) != ""
	}
	return len(text) > 0
}

// withDefaults fills in what is not set.
func (q Query) withDefaults(cfg *config) Query {
	if q.Wire == nil {
		q.Wire = SSE{}
	}
	if q.View.kind == viewFirst && q.View.good == nil {
		q.View.good = isGood
	}
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
		wrong("Miners is empty")
	}
	for _, uid := range slices.Sorted(maps.Keys(q.Miners)) {
		if q.Miners[uid] == nil {
			wrong("Miners[%d] is nil", uid)
		}
	}
	if _, ok := q.Miners[q.View.uid]; !ok && q.View.kind == viewOne {
		wrong("One(%d) is not among Miners", q.View.uid)
	}
	if _, ok := q.Wire.(TaggedWire); !ok && q.View.kind == viewAll {
		wrong("All needs a TaggedWire, have %T", q.Wire)
	}
	if q.Timeout < 0 {
		wrong("Timeout is %v, must not be below 0", q.Timeout)
	}
	return errors.Join(errs...)
}

// order returns the UIDs in the order of asking.
func (q Query) order() []organic.UID {
	return slices.SortedFunc(maps.Keys(q.Miners), func(a, b organic.UID) int {
		if chosen := q.View.uid; q.View.kind == viewOne && a != b && (a == chosen || b == chosen) {
			if a == chosen {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
}
