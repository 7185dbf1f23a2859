package weights

import (
	"errors"
	"fmt"
	"strings"
)

// What a [Chain] can answer, and what a [Setter] does then; compare with errors.Is. The data, where
// there is any, is in a [*ChainError].
var (
	// ErrTooSoon: the rate limit has not passed, or too many commits wait for their reveal. The
	// Setter waits ChainError.Blocks, after looking whether an earlier try has reached the chain.
	// Set returns it before the rate limit has passed.
	ErrTooSoon = errors.New("weights: too soon after the last weights")
	// ErrNotRegistered: the hotkey is not registered on the subnet. The Setter stops until Recheck.
	ErrNotRegistered = errors.New("weights: hotkey is not registered on the subnet")
	// ErrNoStake: the hotkey has less stake than the subnet asks for. The Setter tries again in the
	// next epoch.
	ErrNoStake = errors.New("weights: not enough stake to set weights")
	// ErrNoPermit: the hotkey has no validator permit. The Setter tries again in the next epoch.
	ErrNoPermit = errors.New("weights: no validator permit")
	// ErrVersionKey: the subnet asks for a later version key, ChainError.Want. The software is too
	// old. The Setter stops until Recheck.
	ErrVersionKey = errors.New("weights: version key is too old")
	// ErrUnsupported: the chain wants something that this client cannot do, or the client cannot
	// tell what was asked. The Setter stops until Recheck.
	ErrUnsupported = errors.New("weights: not supported")
	// ErrClock: the reveal round was refused, also after a second computation. This machine's clock
	// is probably wrong. The Setter retries with back-off.
	ErrClock = errors.New("weights: reveal round refused, check the clock")
	// ErrVector: the chain does not accept this vector (too few, unknown or repeated UIDs). The
	// Setter refreshes the metagraph (WithRefresh) and converts again; the second time in a row it
	// stops until Recheck.
	ErrVector = errors.New("weights: vector refused")
	// ErrSubnet: there is no such subnet or mechanism, or it takes no weights. The Setter stops
	// until Recheck.
	ErrSubnet = errors.New("weights: no such subnet")
	// ErrRefused: any other refusal, for instance during a coldkey swap or in safe mode. The Setter
	// tries again in an hour.
	ErrRefused = errors.New("weights: refused by the chain")
	// ErrRetry: a passing failure of the network, the node or its pool. The Setter retries with
	// back-off.
	ErrRetry = errors.New("weights: passing failure")
)

// ChainError is a refusal of the chain with its data.
type ChainError struct {
	// Kind is one of the sentinels ErrTooSoon to ErrRetry; errors.Is finds it.
	Kind error
	// Pallet and Name are the chain's names of the refusal, for instance "SubtensorModule" and
	// "SettingWeightsTooFast"; Docs is its description from the metadata.
	Pallet, Name, Docs string
	// Blocks is how many blocks to wait (ErrTooSoon); 0 if it cannot be told.
	Blocks uint64
	// Want is the lowest version key that the subnet accepts (ErrVersionKey).
	Want uint64
	// Err is the cause, if there is one.
	Err error
}

// Error names the kind, the chain's name and the data.
func (e *ChainError) Error() string {
	var b strings.Builder
	if e.Kind == nil {
		b.WriteString("weights: unknown refusal")
	} else {
		b.WriteString(e.Kind.Error())
	}
	switch {
	case e.Pallet != "" && e.Name != "":
		fmt.Fprintf(&b, ": %s.%s", e.Pallet, e.Name)
	case e.Name != "":
		fmt.Fprintf(&b, ": %s", e.Name)
	}
	if e.Blocks > 0 {
		fmt.Fprintf(&b, ": wait %d blocks", e.Blocks)
	}
	if e.Want > 0 {
		fmt.Fprintf(&b, ": at least %d is required", e.Want)
	}
	if e.Docs != "" {
		fmt.Fprintf(&b, " (%s)", e.Docs)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns Kind and Err.
func (e *ChainError) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
