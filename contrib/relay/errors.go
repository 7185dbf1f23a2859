package relay

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/organic-scoring/organic"
)

// Errors that a caller can act on; compare with errors.Is.
var (
	// ErrInvalidOption is what every error of New wraps, and OpenAI's about its options.
	ErrInvalidOption = errors.New("relay: invalid option")
	// ErrInvalidQuery is returned by Serve and Ask for a query that cannot be asked. Returned from
	// an entry hook the error of a query without miners is a refusal with status 503: no miner may
	// be known yet.
	ErrInvalidQuery = errors.New("relay: invalid query")
	// ErrNotAsked is what every error of Serve and Ask wraps, beside one of the others, if no miner
	// was asked, so that there are no answers and will be none.
	ErrNotAsked = errors.New("relay: no miner was asked")
	// ErrBusy is returned by Serve and Ask while as many relays are open as WithMaxOpen allows, or
	// as many bytes in flight as WithMaxInFlight does. Returned from an entry hook it is a refusal
	// with status 503.
	ErrBusy = errors.New("relay: too many relays are open, or bytes in flight")
	// ErrClosed is returned by Serve and Ask after Close, as a refusal with status 503, and it is
	// the Err of answers that Close has cut short.
	ErrClosed = errors.New("relay: closed")
	// ErrDuplicate is returned by Serve for the ID of a relay that runs.
	ErrDuplicate = errors.New("relay: a relay of this ID is running")
	// ErrUnknown is returned by Answers for an ID that is neither running nor kept.
	ErrUnknown = errors.New("relay: no answers under this ID")

	// ErrNoAnswer is returned by Serve if no miner gave what the requester was to see and the wire
	// cannot say so: a refusal with status 502.
	ErrNoAnswer = errors.New("relay: no miner gave an answer")
	// ErrBrokenOff is returned by Serve if the answer that the requester sees ended too early and
	// the wire cannot say so: the connection must be broken.
	ErrBrokenOff = errors.New("relay: the answer broke off")
	// ErrTooSlow is returned by Serve if the requester was cut off because it read too slowly, and
	// the wire cannot say so: the connection must be broken.
	ErrTooSlow = errors.New("relay: the requester reads too slowly")
	// ErrLeft is returned by Serve if its ctx has ended or the requester could not be written to,
	// and is the Err of answers that were cut short for it.
	ErrLeft = errors.New("relay: the requester has left")

	// ErrTooLong is the Err of an answer, returned by emit, that has passed the limits of
	// WithMaxAnswer. OpenAI and EventReader return it for a line or an event beyond their limit.
	ErrTooLong = errors.New("relay: longer than allowed")
	// ErrFull is the Err of an answer, returned by emit, that came when WithMaxInFlight allowed no
	// more.
	ErrFull = errors.New("relay: too many bytes in flight")
	// ErrEnded is returned by emit if the answer has ended already.
	ErrEnded = errors.New("relay: the answer has ended")
	// ErrReported is returned by OpenAI if the miner reports an error in its answer. What it says
	// may be anything and is left out.
	ErrReported = errors.New("relay: the miner reported an error")
	// ErrMalformed is returned by OpenAI for data that is no JSON.
	ErrMalformed = errors.New("relay: the miner sent data that is no JSON")
	// ErrValidator is for miner functions: an error that wraps it means that the validator has
	// failed and not the miner, as when the request could not be signed. The answer is then Failed
	// by the validator.
	ErrValidator = errors.New("relay: failure of the validator")
)

// What an entry hook may return as it is: the requester gets the status.
var (
	errRefusedNoMiners = refusal(fmt.Errorf("%w: Miners is empty", ErrInvalidQuery),
		http.StatusServiceUnavailable, "no miner can be asked now")
	errRefusedBusy     = refusal(ErrBusy, http.StatusServiceUnavailable, "busy, try again later")
	errRefusedClosed   = refusal(ErrClosed, http.StatusServiceUnavailable, "not serving now")
	errRefusedNoAnswer = refusal(ErrNoAnswer, http.StatusBadGateway, NoAnswer.String())
)

var errLost = fmt.Errorf("%w: Collect needs Done, or an ID for Answers", ErrInvalidQuery)

var errGoexit = errors.New("relay: left by runtime.Goexit")

// notAskedError marks an error as one that is ErrNotAsked, without changing its text.
type notAskedError struct{ error }

func (e notAskedError) Unwrap() []error { return []error{e.error, ErrNotAsked} }

func refusal(err error, status int, message string) error {
	return fmt.Errorf("%w: %w", err, organic.Refuse(status, message))
}

// Failure is what a requester reads about a stream that does not end well. Its text and code give
// nothing away of what went wrong at the miners.
type Failure uint8

// The failures.
const (
	// NoAnswer means that no miner gave anything to read.
	NoAnswer Failure = iota + 1
	// BrokenOff means that the answer ended too early, or paused for too long.
	BrokenOff
	// TooSlow means that the requester was too slow to be given the rest.
	TooSlow
)

// String returns a sentence for the requester, without a full stop.
func (f Failure) String() string {
	switch f {
	case NoAnswer:
		return "no miner gave an answer"
	case BrokenOff:
		return "the answer broke off"
	case TooSlow:
		return "the stream was read too slowly"
	default:
		return "the stream failed"
	}
}

// Code returns the failure as a word for programs, such as "no_answer".
func (f Failure) Code() string {
	switch f {
	case NoAnswer:
		return "no_answer"
	case BrokenOff:
		return "broken_off"
	case TooSlow:
		return "too_slow"
	default:
		return "failed"
	}
}

// err is what Serve returns if the wire has no words for the failure.
func (f Failure) err(begun bool) error {
	switch {
	case f == TooSlow:
		return ErrTooSlow
	case f == BrokenOff:
		return ErrBrokenOff
	case begun:
		return ErrNoAnswer
	default:
		return errRefusedNoAnswer
	}
}
