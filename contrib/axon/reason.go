package axon

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Reason says in one word why a request was refused. It is for the operator's
// log and metrics; the requester gets the status and the text that all
// refusals of a kind share.
type Reason string

// The reasons for which a request is refused, in the order of the checks.
const (
	ReasonRoute    Reason = "route"     // 404: no route has this path
	ReasonMethod   Reason = "method"    // 405: the route does not accept the method
	ReasonClosed   Reason = "closed"    // 503: no scorer is attached, or it was not running
	ReasonHeader   Reason = "header"    // 431: headers above the limit
	ReasonSize     Reason = "size"      // 413: body above the limit
	ReasonEncoding Reason = "encoding"  // 400: a body with a content encoding
	ReasonMissing  Reason = "missing"   // 401: a header that authentication needs is absent or empty
	ReasonShape    Reason = "malformed" // 401: such a header comes twice or has another form
	ReasonVersion  Reason = "version"   // 401: a version of the protocol that is not accepted
	ReasonScheme   Reason = "scheme"    // 401: a signature scheme that is not accepted
	ReasonStale    Reason = "stale"     // 401: signed too long ago
	ReasonFuture   Reason = "future"    // 401: signed too far ahead of the clock
	ReasonReceiver Reason = "addressee" // 401: signed for another receiver, or for none
	ReasonWeakKey  Reason = "weak-key"  // 401: signatures of the hotkey can be forged
	ReasonUnlisted Reason = "allowlist" // 403: the hotkey is not on the allow-list
	ReasonRate     Reason = "rate"      // 429: address or hotkey sends too often
	ReasonReading  Reason = "reading"   // 503: too many bodies were being read, this was the slowest
	ReasonSlow     Reason = "slow"      // 408: the body did not arrive in time
	ReasonBody     Reason = "body"      // 400: the body is not what the route needs
	ReasonBodyHash Reason = "body-hash" // 401: the hash in the header is not the body's
	ReasonForged   Reason = "signature" // 401: the signature is not the hotkey's over this request
	ReasonBearer   Reason = "bearer"    // 401: the bearer key is unknown
	ReasonReplay   Reason = "replay"    // 401: seen before
	ReasonMemory   Reason = "memory"    // 503: no memory left, or signed before one that was forgotten
	ReasonHook     Reason = "hook"      // the hook's: Blacklist, Verify or OnOrganicEntry refused
	ReasonFailed   Reason = "failed"    // 500: a hook failed or panicked
	ReasonBusy     Reason = "busy"      // 503: too many wait for their turn
	ReasonWaited   Reason = "waited"    // 408: the turn did not come in time
	ReasonEvicted  Reason = "evicted"   // 503: evicted in its hooks for a party with fewer requests
	ReasonOvertime Reason = "overtime"  // 408: the hook failed after its or the requester's time
	ReasonGone     Reason = "gone"      // 408, if still read: the requester left, or the ctx ended
)

// refusal is the answer to a request that is turned down.
type refusal struct {
	reason  Reason
	status  int
	digits  string // of the status
	message string // one line of ASCII
	body    []byte // JSON of the message
	openAI  []byte // the same as clients of OpenAI's API read it, for bearer keys

	retryAfter string // seconds; empty if to ask again does not help
}

func newRefusal(reason Reason, status int, message string) *refusal {
	digits := strconv.Itoa(status)
	body, _ := json.Marshal(map[string]string{"message": message}) // text cannot fail
	openAI, _ := json.Marshal(map[string]any{
		"message": message,
		"error":   map[string]string{"message": message, "type": "refused", "code": digits},
	})
	no := &refusal{
		reason: reason, status: status, digits: digits, message: headerLine(message),
		body: body, openAI: openAI,
	}
	if isBusy(status) {
		no.retryAfter = soon
	}
	return no
}

// soon is when to ask again if nothing better is known, in seconds.
const soon = "1"

// isBusy reports whether an answer with this status says when to ask again.
func isBusy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// The refusals of the axon itself. One text per status, so that an answer tells
// nothing about which check failed.
var (
	noRoute      = newRefusal(ReasonRoute, http.StatusNotFound, "Not found")
	noMethod     = newRefusal(ReasonMethod, http.StatusMethodNotAllowed, "Method not allowed")
	closed       = newRefusal(ReasonClosed, http.StatusServiceUnavailable, "Busy")
	largeHeader  = newRefusal(ReasonHeader, http.StatusRequestHeaderFieldsTooLarge, "Too large")
	largeBody    = newRefusal(ReasonSize, http.StatusRequestEntityTooLarge, "Too large")
	encoded      = newRefusal(ReasonEncoding, http.StatusBadRequest, "Bad request")
	missing      = unverified(ReasonMissing)
	malformed    = unverified(ReasonShape)
	badVersion   = unverified(ReasonVersion)
	badScheme    = unverified(ReasonScheme)
	unknownKey   = unverified(ReasonBearer)
	stale        = unverified(ReasonStale)
	future       = unverified(ReasonFuture)
	notForUs     = unverified(ReasonReceiver)
	weakKey      = unverified(ReasonWeakKey)
	unlisted     = newRefusal(ReasonUnlisted, http.StatusForbidden, "Forbidden")
	tooOften     = newRefusal(ReasonRate, http.StatusTooManyRequests, "Too many requests")
	tooManyReads = newRefusal(ReasonReading, http.StatusServiceUnavailable, "Busy")
	tooSlow      = newRefusal(ReasonSlow, http.StatusRequestTimeout, "Timeout")
	badBody      = newRefusal(ReasonBody, http.StatusBadRequest, "Bad request")
	badBodyHash  = unverified(ReasonBodyHash)
	forged       = unverified(ReasonForged)
	replayed     = unverified(ReasonReplay)
	memoryFull   = newRefusal(ReasonMemory, http.StatusServiceUnavailable, "Busy")
	failed       = newRefusal(ReasonFailed, http.StatusInternalServerError, "Internal error")
	tooManyWait  = newRefusal(ReasonBusy, http.StatusServiceUnavailable, "Busy")
	waitedEnough = newRefusal(ReasonWaited, http.StatusRequestTimeout, "Timeout")
	evicted      = newRefusal(ReasonEvicted, http.StatusServiceUnavailable, "Busy")
	overtime     = newRefusal(ReasonOvertime, http.StatusRequestTimeout, "Timeout")
	gone         = newRefusal(ReasonGone, http.StatusRequestTimeout, "Timeout")
)

func unverified(reason Reason) *refusal {
	return newRefusal(reason, http.StatusUnauthorized, "Not verified")
}
