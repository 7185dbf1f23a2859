package axon

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/organic-scoring/organic/contrib/axon/internal/fair"
	"github.com/organic-scoring/organic/contrib/axon/internal/gate"
	"github.com/organic-scoring/organic/contrib/axon/internal/pyjson"
)

// The headers of an answer. They leave in raw lower case: dendrite looks for
// bt_header_axon_ with case.
const (
	answerName        = "name"
	answerStatus      = "bt_header_axon_status_code"
	answerMessage     = "bt_header_axon_status_message"
	answerTime        = "bt_header_axon_process_time"
	answerBodyHash    = "computed_body_hash"
	contentType       = "Content-Type"
	contentLength     = "Content-Length"
	connection        = "Connection"
	retryAfter        = "Retry-After"
	typeJSON          = "application/json"
	typeStream        = "text/event-stream"
	largestHeldAnswer = 1 << 20
)

// jsonType is shared by all answers and never written to.
var jsonType = []string{typeJSON}

// answer is the [http.ResponseWriter] that a hook gets. It holds the answer
// until the hook has returned, so that a hook that fails can still be answered
// with an error, and the hash over the answer can stand in its header. It
// streams from the first Flush on, from the first byte when the hook has set
// a content type other than JSON, and when it has become too large to be held.
type answer struct {
	writer  http.ResponseWriter
	request *http.Request
	legacy  bool // the answer carries the headers of the SDK before version 11
	name    string
	class   *pyjson.Class // nil: no hash over the answer
	limits  *Limits
	began   time.Time

	serving *serving // of a verified request

	header http.Header // the hook's, so that it is gone when the hook fails
	status int
	held   bytes.Buffer
	broken bool // the client has not got all of it

	writing  sync.RWMutex // read-locked while the hook writes; guards returned
	returned bool         // the hook that writes the answer has returned

	mu     sync.Mutex // guards what follows
	sent   bool       // the header has left
	own    time.Time  // the hook's own write deadline
	last   time.Time  // when all writing ends, if it does
	closed bool       // the answer is written
}

// errReturned is for a hook that has returned and uses its writer in another goroutine, where
// net/http would put that into the answer of another request.
var errReturned = errors.New("axon: the hook has returned")

// serving is what a verified request holds while its hooks run. It is a struct of its own,
// because a refused request has an answer too, and needs none of it.
type serving struct {
	guarded    fair.Claim[string, *answer] // while the hooks before the gate run
	visit      gate.Visit                  // while OnOrganicEntry runs
	stop       context.CancelCauseFunc     // ends the hooks' ctx
	timer      *time.Timer                 // ends the hooks' ctx
	streamTime time.Duration               // from arrival to the end of the ctx, if the answer streams
}

// Header is the answer's header. It can be changed until the answer streams,
// or the hook returns.
func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header)
	}
	return a.header
}

// Unwrap lets [http.ResponseController] reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.writer }

// SetWriteDeadline lets the hook set a deadline of its own, through
// [http.ResponseController]: it holds instead of [Limits].WriteTime until the
// hook has returned, or gives it back with the zero time.
func (a *answer) SetWriteDeadline(deadline time.Time) error {
	if !a.beginWriting() {
		return errReturned
	}
	defer a.writing.RUnlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	err := http.NewResponseController(a.writer).SetWriteDeadline(a.noLater(deadline))
	if err == nil {
		a.own = deadline
	}
	return err
}

// WriteHeader sets the status, once. Informational ones leave at once, and
// those that are none are for net/http to judge.
func (a *answer) WriteHeader(status int) {
	if !a.beginWriting() {
		return
	}
	defer a.writing.RUnlock()
	switch {
	case status < http.StatusOK || status > 999:
		a.inform(status)
	case a.status == 0:
		a.status = status
	}
}

// inform sends an informational status with the hook's header, which stays out of the
// answer as long as the hook can still fail.
func (a *answer) inform(status int) {
	a.renewDeadline()
	header := a.writer.Header()
	outer := maps.Clone(header)
	defer func() {
		clear(header)
		maps.Copy(header, outer)
	}()
	a.addHeader()
	a.writer.WriteHeader(status)
}

// Write adds to the answer.
func (a *answer) Write(data []byte) (int, error) {
	if !a.beginWriting() {
		return 0, errReturned
	}
	defer a.writing.RUnlock()
	if !a.sent && (a.isStream() || a.held.Len()+len(data) > largestHeldAnswer) {
		if err := a.stream(); err != nil {
			return 0, err
		}
	}
	if !a.sent {
		return a.held.Write(data)
	}
	a.renewDeadline()
	defer a.restDeadline()
	return a.writer.Write(data)
}

// isStream tells whether the hook has announced something else than JSON.
func (a *answer) isStream() bool {
	announced, _, _ := strings.Cut(a.header.Get(contentType), ";")
	announced = strings.TrimSpace(announced)
	return announced != "" && !strings.EqualFold(announced, typeJSON)
}

// Flush sends what there is: from then on the answer streams.
func (a *answer) Flush() { _ = a.FlushError() }

// FlushError is Flush for [http.ResponseController].
func (a *answer) FlushError() error {
	if !a.beginWriting() {
		return errReturned
	}
	defer a.writing.RUnlock()
	if !a.sent {
		if a.Header().Get(contentType) == "" {
			a.Header().Set(contentType, typeStream)
		}
		if err := a.stream(); err != nil {
			return err
		}
	}
	a.renewDeadline()
	defer a.restDeadline()
	return http.NewResponseController(a.writer).Flush()
}

// stream sends the header and what was held.
func (a *answer) stream() error {
	a.copyHeader()
	a.sendHeader()
	// Only now: if that time is over already, what is sent from here on is cut off.
	a.serving.timer.Reset(time.Until(a.began.Add(a.serving.streamTime)))
	a.renewDeadline()
	_, err := a.writer.Write(a.held.Bytes()) //nolint:gosec // the hook has said what it is
	a.held = bytes.Buffer{}
	return err
}

// end sends an answer that was held, or the rest of a stream. An error means
// that the client has not got it all.
func (a *answer) end() error {
	a.endWriting()
	a.mu.Lock()
	a.own = time.Time{}
	a.mu.Unlock()
	a.renewDeadline()
	if a.sent {
		err := http.NewResponseController(a.writer).Flush()
		if errors.Is(err, http.ErrNotSupported) {
			return nil // the wrapper of the connection sends it in the end
		}
		return err
	}
	if a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		a.copyHeader()
		a.sendHeader()
		return nil
	}
	if a.class != nil && a.held.Len() == 0 {
		a.held.WriteString("{}") // a dendrite insists on an object
	}
	header := a.copyHeader()
	if hash := a.hash(); hash != "" {
		header[answerBodyHash] = []string{hash}
	}
	header[contentLength] = []string{strconv.Itoa(a.held.Len())}
	a.sendHeader()
	_, err := a.writer.Write(a.held.Bytes())
	return err
}

// refuse answers with an error in place of what was held. It must not be
// called when the header has left.
func (a *answer) refuse(no *refusal) {
	a.status = no.status
	a.writer.Header()[contentType] = jsonType
	a.mark(no.digits, no.message)
	if no.retryAfter != "" {
		a.writer.Header()[retryAfter] = []string{no.retryAfter}
	}
	// net/http reads what is left of the body first.
	a.setDeadline(time.Now().Add(a.limits.BodyTime).Add(a.limits.WriteTime))
	a.writer.WriteHeader(no.status)
	body := no.body
	if slices.ContainsFunc(a.request.Header[headerAuthorization], isBearer) {
		body = no.openAI
	}
	_, _ = a.writer.Write(body) //nolint:gosec // JSON; and a client that has left needs no answer
}

// copyHeader copies the hook's header into the one to be sent, and returns that.
func (a *answer) copyHeader() http.Header {
	header := a.addHeader()
	if header.Get(contentType) == "" {
		header[contentType] = jsonType
	}
	return header
}

// addHeader adds the hook's header to the one to be sent, and returns that. A connection
// that is to be closed stays so: hooks that stream ask to keep it alive, by habit.
func (a *answer) addHeader() http.Header {
	header := a.writer.Header()
	closes := header[connection]
	maps.Copy(header, a.header)
	if len(closes) > 0 {
		header[connection] = closes
	}
	return header
}

// sendHeader sends the status and the header, with that of the protocol.
func (a *answer) sendHeader() {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	digits, message := "200", "Success"
	if a.status != http.StatusOK {
		digits, message = strconv.Itoa(a.status), http.StatusText(a.status)
	}
	a.mark(digits, message)
	if header := a.writer.Header(); isBusy(a.status) && header.Get(retryAfter) == "" {
		header.Set(retryAfter, soon)
	}
	a.mu.Lock()
	a.sent = true
	a.mu.Unlock()
	a.writer.WriteHeader(a.status)
}

// mark puts the headers of the older SDK into the answer.
func (a *answer) mark(status, message string) {
	if !a.legacy {
		return
	}
	header := a.writer.Header()
	values := [...]string{
		a.name, status, message, strconv.FormatFloat(time.Since(a.began).Seconds(), 'f', 6, 64),
	}
	if a.name != "" {
		header[answerName] = values[0:1:1]
	}
	header[answerStatus] = values[1:2:2]
	header[answerMessage] = values[2:3:3]
	header[answerTime] = values[3:4:4]
}

// hash is the body hash of a held answer, or empty where the answer lacks
// hashed fields.
func (a *answer) hash() string {
	if a.class == nil || a.status != 0 && a.status != http.StatusOK {
		return ""
	}
	hash, _ := a.class.AppendHash(nil, a.held.Bytes())
	return string(hash)
}

// renewDeadline gives the client time to take the next piece, be it small: who
// reads nothing has filled the connection with the answers before. It holds for
// what net/http has in its buffers yet; when that is sent net/http takes it off.
// The hook's own deadline stays.
func (a *answer) renewDeadline() {
	a.serving.visit.Touch()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.own.IsZero() {
		a.setDeadline(a.noLater(time.Now().Add(a.limits.WriteTime)))
	}
}

// restDeadline takes the deadline off while nothing is written over HTTP/2,
// which breaks a stream at its deadline whether something is written or not.
func (a *answer) restDeadline() {
	if a.request.ProtoMajor < 2 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.own.IsZero() && a.last.IsZero() {
		a.setDeadline(time.Time{})
	}
}

// cancel ends the hooks' ctx, for a cause or because they have returned.
func (a *answer) cancel(cause error) {
	a.serving.stop(cause)
	a.cut(cause)
}

// evict ends the hooks' ctx because the request is evicted.
func (a *answer) evict() { a.cancel(errEvicted) }

// cut ends what is being written, now that the request's time is over for a cause. An
// answer of which nothing was sent yet may still be sent, quickly if the request is
// evicted.
func (a *answer) cut(cause error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case cause == nil || a.closed:
	case a.sent:
		a.last = time.Unix(1, 0)
		a.setDeadline(a.last)
	case errors.Is(cause, errEvicted):
		a.last = time.Now().Add(evictedTime)
	}
}

// beginWriting returns false if the hook has returned. Else the caller unlocks writing when
// it has written.
func (a *answer) beginWriting() bool {
	a.writing.RLock()
	if a.returned {
		a.writing.RUnlock()
		return false
	}
	return true
}

// endWriting is called when the hook has returned. It waits for what a goroutine that the hook
// has left behind is writing, which the write deadline bounds.
func (a *answer) endWriting() {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.returned = true
}

// close is called when the answer is written, or the hooks have failed: from then on the
// writer may be another request's.
func (a *answer) close() {
	a.serving.timer.Stop()
	a.endWriting()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}

// noLater is the deadline, or the end of all writing if that is earlier.
func (a *answer) noLater(deadline time.Time) time.Time {
	if !a.last.IsZero() && (deadline.IsZero() || deadline.After(a.last)) {
		return a.last
	}
	return deadline
}

func (a *answer) setDeadline(deadline time.Time) {
	// A writer without deadlines has its own.
	_ = http.NewResponseController(a.writer).SetWriteDeadline(deadline)
}

// headerLine makes a text fit for a header: one line of ASCII, since clients
// disagree about the encoding of anything else.
func headerLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}
