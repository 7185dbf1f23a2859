package natsqueue

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
)

// Errors that a caller can act on, besides those of package durable and
// organic.ErrFull, organic.ErrEmpty, organic.ErrDuplicate and organic.ErrGone;
// compare with errors.Is.
var (
	// ErrUnavailable is returned if the server cannot be reached or does not
	// answer in time. A sample that Add was given is not stored.
	ErrUnavailable = errors.New("natsqueue: server is not available")
	// ErrUnconfirmed is returned if a message was sent and the server has not
	// confirmed it in time, so it may be stored or not. A sample that Add was
	// given can be added again: if it is stored, Add returns
	// organic.ErrDuplicate.
	ErrUnconfirmed = errors.New("natsqueue: message was sent and is not confirmed")
	// ErrPermission is returned if the user of the connection may not publish or
	// subscribe to a subject. The text names the subject.
	ErrPermission = errors.New("natsqueue: missing permission")
	// ErrMismatch is returned by New if a stream or consumer of this name exists
	// with other settings. The text names them; see [WithUpdate].
	ErrMismatch = errors.New("natsqueue: exists with other settings")
	// ErrOldServer is returned by New for a server older than [MinServer].
	ErrOldServer = errors.New("natsqueue: server is too old")
)

func invalid(what, problem string) error {
	return fmt.Errorf("natsqueue: %w: %s: %s", organic.ErrInvalidOption, what, problem)
}

// denied returns an error if the server has refused, as its last word, that
// this connection uses a subject with this text. The server does not answer a
// request on such a subject, so this is asked when an answer is missing.
func denied(conn *nats.Conn, subject string) error {
	err := conn.LastError()
	if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), subject) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrPermission, err)
}

// The server's codes for errors that have no constant in the client.
const (
	codeTemporary    jetstream.ErrorCode = 10008 // it is short of something
	codeStoreFailed  jetstream.ErrorCode = 10077 // a limit of the stream, or a failure of the disk
	codeNeedMaxBytes jetstream.ErrorCode = 10113 // the account demands a limit in bytes
	codeInWork       jetstream.ErrorCode = 10158 // the same message ID is being stored
)

// hasCode reports whether the server has answered with one of these codes.
func hasCode(err error, codes ...jetstream.ErrorCode) bool {
	answer, ok := errors.AsType[*jetstream.APIError](err)
	return ok && slices.Contains(codes, answer.ErrorCode)
}

// isFinal reports whether the server has answered with an error that a second
// try would repeat.
func isFinal(err error) bool {
	_, ok := errors.AsType[*jetstream.APIError](err)
	return ok && !hasCode(err, codeTemporary, codeInWork)
}

// isLimit reports whether a stream has refused a message because of a limit.
// One code stands for all limits and for failures of the disk; the texts have
// been the same since server 2.9.
func isLimit(err error, limit string) bool {
	return hasCode(err, codeStoreFailed) && strings.Contains(err.Error(), limit)
}

func isFull(err error) bool {
	return errors.Is(err, organic.ErrFull) ||
		isLimit(err, "maximum messages exceeded") || isLimit(err, "maximum bytes exceeded")
}

func isDuplicate(err error) bool { return isLimit(err, "maximum messages per subject exceeded") }

func isWrongRevision(err error) bool {
	return hasCode(err, jetstream.JSErrCodeStreamWrongLastSequence,
		jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
