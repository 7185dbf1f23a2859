package subtensor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// kinds says what a caller can do about a refusal, by its name on the chain: an error of the pallet
// SubtensorModule, or an invalid transaction. What is not listed is ErrRefused.
var kinds = map[string]error{
	"SettingWeightsTooFast":      weights.ErrTooSoon,
	"CommittingWeightsTooFast":   weights.ErrTooSoon,
	"NetworkTxRateLimitExceeded": weights.ErrTooSoon,
	"ServingRateLimitExceeded":   weights.ErrTooSoon,
	"RateLimitExceeded":          weights.ErrTooSoon,
	"TooManyUnrevealedCommits":   weights.ErrTooSoon,

	"HotKeyNotRegisteredInSubNet":  weights.ErrNotRegistered,
	"HotKeyNotRegisteredInNetwork": weights.ErrNotRegistered,
	"UidNotFound":                  weights.ErrNotRegistered,

	"NotEnoughStakeToSetWeights": weights.ErrNoStake,
	"StakeAmountTooLow":          weights.ErrNoStake,
	"NeuronNoValidatorPermit":    weights.ErrNoPermit,
	"IncorrectWeightVersionKey":  weights.ErrVersionKey,

	"IncorrectCommitRevealVersion": weights.ErrUnsupported,
	"InvalidRevealRound":           weights.ErrClock,

	"WeightVecLengthIsLow":         weights.ErrVector,
	"WeightVecNotEqualSize":        weights.ErrVector,
	"MaxWeightExceeded":            weights.ErrVector,
	"DuplicateUids":                weights.ErrVector,
	"UidVecContainInvalidOne":      weights.ErrVector,
	"UidsLengthExceedUidsInSubNet": weights.ErrVector,
	"InputLengthsUnequal":          weights.ErrVector,

	"MechanismDoesNotExist":       weights.ErrSubnet,
	"SubnetNotExists":             weights.ErrSubnet,
	"CanNotSetRootNetworkWeights": weights.ErrSubnet,

	"Stale":                weights.ErrRetry,
	"Future":               weights.ErrRetry,
	"BadProof":             weights.ErrRetry,
	"AncientBirthBlock":    weights.ErrRetry,
	"ExhaustsResources":    weights.ErrRetry,
	"PriorityTooLow":       weights.ErrRetry,
	"ImmediatelyDropped":   weights.ErrRetry,
	"CannotLookup":         weights.ErrRetry,
	"UnknownValidity":      weights.ErrRetry,
	"ExtrinsicPending":     weights.ErrRetry,
	"ExtrinsicNotIncluded": weights.ErrRetry,
}

// customErrors are the numbers of the chain's own invalid transactions. They are an enum of the
// runtime that its metadata does not describe, which is never renumbered.
var customErrors = map[uint8]string{
	0: "ColdkeyInSwapSchedule", 1: "StakeAmountTooLow", 2: "BalanceTooLow", 3: "SubnetNotExists",
	6: "RateLimitExceeded", 10: "HotKeyNotRegisteredInNetwork", 11: "InvalidIpAddress",
	12: "ServingRateLimitExceeded", 13: "InvalidPort", 15: "InvalidRevealRound",
	18: "InputLengthsUnequal", 19: "UidNotFound", 21: "ColdkeySwapDisputed", 255: "BadRequest",
}

func customName(number uint8) string {
	if name, ok := customErrors[number]; ok {
		return name
	}
	return fmt.Sprintf("Custom(%d)", number)
}

// kindOf returns what kind of refusal a name is.
func kindOf(name string) error {
	if kind, ok := kinds[name]; ok {
		return kind
	}
	return weights.ErrRefused
}

// refused is a refusal that the chain would make, found before anything was sent.
func refused(name string) *weights.ChainError {
	return &weights.ChainError{Kind: kindOf(name), Pallet: subtensorModule, Name: name}
}

// refusedBecause is a refusal with a cause of our own.
func refusedBecause(name, format string, args ...any) *weights.ChainError {
	refusal := refused(name)
	refusal.Err = fmt.Errorf("subtensor: "+format, args...)
	return refusal
}

// passing is a failure of the node or its pool that is worth another try.
func passing(name string, err error) *weights.ChainError {
	return &weights.ChainError{Kind: kindOf(name), Name: name, Err: err}
}

// failedInBlock is the refusal of an extrinsic that a block has in it.
func failedInBlock(failure scale.ModuleError) *weights.ChainError {
	return &weights.ChainError{
		Kind: kindOf(failure.Name), Pallet: failure.Pallet, Name: failure.Name, Docs: failure.Docs,
	}
}

// classify gives an error its kind at the end of a call. What neither the chain nor the caller is
// the cause of is a failure of the network that passes.
func classify(ctx context.Context, err error) error {
	_, classified := errors.AsType[*weights.ChainError](err)
	switch {
	case err == nil, classified, ctx.Err() != nil, errors.Is(err, ErrClosed):
		return err
	case errors.Is(err, ErrNoSubnet):
		refusal := refused("SubnetNotExists")
		refusal.Err = err
		return refusal
	case isUnsupported(err):
		return &weights.ChainError{Kind: weights.ErrUnsupported, Err: err}
	}
	return &weights.ChainError{Kind: weights.ErrRetry, Err: err}
}

// isUnsupported reports whether an error is that the runtime lacks something, offers it in another
// form, or asks for something that is unknown here.
func isUnsupported(err error) bool {
	return isUnreadable(err) || errors.Is(err, scale.ErrVersion) ||
		errors.Is(err, scale.ErrExtension) || errors.Is(err, timelock.ErrTempo)
}

// The codes with which a node's pool refuses an extrinsic.
const (
	codeInvalid  = 1010
	codeUnknown  = 1011
	codeBanned   = 1012
	codeImported = 1013
	codePriority = 1014
	codeDropped  = 1016
)

// poolAnswer is what a node's pool said about an extrinsic.
type poolAnswer struct {
	// taken says that the extrinsic may be in the pool of this or another node.
	taken bool
	// refusal is why it is not.
	refusal *weights.ChainError
}

// classifyPool reads the error of author_submitExtrinsic.
func classifyPool(err error) poolAnswer {
	var failure *RPCError
	if errors.Is(err, errNotSent) {
		return poolAnswer{refusal: &weights.ChainError{Kind: weights.ErrRetry, Err: err}}
	}
	if !errors.As(err, &failure) {
		return poolAnswer{taken: true} // lost on the way, perhaps after it had arrived
	}
	switch failure.Code {
	case codeBanned, codeImported:
		return poolAnswer{taken: true}
	case codeUnknown:
		return poolAnswer{refusal: passing("UnknownValidity", err)}
	case codePriority:
		return poolAnswer{refusal: passing("PriorityTooLow", err)}
	case codeDropped, codeBusy:
		return poolAnswer{refusal: passing("ImmediatelyDropped", err)}
	}
	name := invalidName(failure)
	switch {
	case name == "" && isOfNode(failure.Code):
		return poolAnswer{refusal: &weights.ChainError{Kind: weights.ErrRefused, Err: err}}
	case name == "": // of a proxy, perhaps after it had passed the extrinsic on
		return poolAnswer{taken: true}
	}
	return poolAnswer{refusal: &weights.ChainError{Kind: kindOf(name), Name: name, Err: err}}
}

// isOfNode reports whether a code says that a node has not taken an extrinsic: those of the methods
// author_… from 1000 on, and those of JSON-RPC for a request that was not run.
func isOfNode(code int) bool {
	return code >= 1000 && code < 2000 || code == -32700 || code >= -32602 && code <= -32600
}

// phrases are the words of nodes for invalid transactions.
var phrases = []struct{ words, name string }{
	{"bad signature", "BadProof"},
	{"outdated", "Stale"},
	{"valid in the future", "Future"},
	{"ancient birth block", "AncientBirthBlock"},
	{"exhaust the block limits", "ExhaustsResources"},
	{"pay some fees", "Payment"},
	{"call is not expected", "Call"},
	{"call is prohibited", "CallFiltered"},
	{"mandatory", "BadMandatory"},
	{"invalid signing address", "BadSigner"},
}

var customNumber = regexp.MustCompile(`Custom error: (\d+)`)

// invalidName names the invalid transaction in a node's words, or in the JSON that some nodes give
// in their place; empty if it is unknown.
func invalidName(failure *RPCError) string {
	for _, text := range []string{failure.Data, failure.Message} {
		if name := nameInJSON(text); name != "" {
			return name
		}
		if match := customNumber.FindStringSubmatch(text); match != nil {
			number, err := strconv.ParseUint(match[1], 10, 8)
			if err == nil {
				return customName(uint8(number))
			}
		}
		for _, phrase := range phrases {
			if strings.Contains(text, phrase.words) {
				return phrase.name
			}
		}
	}
	return ""
}

// nameInJSON reads {"invalid":{"badProof":null}} and {"invalid":{"custom":6}}.
func nameInJSON(text string) string {
	var answer struct {
		Invalid map[string]json.RawMessage `json:"invalid"`
	}
	if json.Unmarshal([]byte(text), &answer) != nil {
		return ""
	}
	for name, value := range answer.Invalid {
		var number uint8
		if name == "custom" && json.Unmarshal(value, &number) == nil {
			return customName(number)
		}
		return strings.ToUpper(name[:min(1, len(name))]) + name[min(1, len(name)):]
	}
	return ""
}
