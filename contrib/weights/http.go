package weights

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/organic-scoring/organic"
)

const maxAnswer = 64 << 10 // bytes of an answer that are read

// HTTP is a [Chain] behind a weights API: a small server, usually beside the validator, that holds
// the hotkey and speaks to the chain. contrib/subtensor needs none. It posts
//
//	{"uids": [0, 7], "weights": [65535, 120], "version": 42}
//
// and counts as success only an answer of status 200 or 201 whose JSON is one of
//
//	{"success": true, …}    {"ok": true, …}    [true, …]    true
//
// without an "error" beside it that says something; names in any case. Everything else is an
// [*HTTPError]: another status, a refusal, an answer that is no JSON, and one of another shape.
// Redirects are not followed, since clients repeat many of them as a GET without weights: give the
// final URL.
//
// Without [WithPosition] such an answer is all the evidence there is. With it, weights count when
// the validator's last update has moved, also after a 202 or an answer that was not received, such
// as by a proxy that gave up (504). Neither shows whether a timelocked commit was revealed. It is
// safe for concurrent use.
type HTTP struct { //nolint:recvcheck // Format is also for a copy: its fields hold keys
	url     string
	version uint64
	client  *http.Client
	header  http.Header
	body    func(Vector) any
	pos     func(ctx context.Context) (Position, error) // nil if unknown
}

var _ Chain = (*HTTP)(nil)

// Format writes no field, whatever the verb: URL and headers can hold keys.
func (h HTTP) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "weights.HTTP") }

// HTTPOption configures [NewHTTP]. Of two of the same kind the last one wins,
// unless its comment says that it adds.
type HTTPOption interface {
	apply(h *HTTP) error
}

type httpOptionFunc func(h *HTTP) error

func (f httpOptionFunc) apply(h *HTTP) error { return f(h) }

// WithClient sets the HTTP client, http.DefaultClient by default. It needs no
// timeout, the ctx has one. It is copied: its CheckRedirect is not asked.
func WithClient(client *http.Client) HTTPOption {
	return httpOptionFunc(func(h *HTTP) error {
		if client == nil {
			return invalid("WithClient(nil)", "must be a client")
		}
		h.client = client
		return nil
	})
}

// WithHeader sets a header of the requests, for instance Authorization. It
// adds, and replaces one of the same name.
func WithHeader(key, value string) HTTPOption {
	return httpOptionFunc(func(h *HTTP) error {
		if !isToken(key) {
			return invalid(fmt.Sprintf("WithHeader(%q)", key), "must have the name of a header")
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return invalid(fmt.Sprintf("WithHeader(%q)", key),
				"the value must have no control characters, such as the line feed of a file")
		}
		h.header.Set(key, value)
		return nil
	})
}

// isToken reports whether a text can be the name of a header.
func isToken(name string) bool {
	for _, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r) {
			return false
		}
	}
	return name != ""
}

// WithBody sets what is posted, as JSON, for an API with other fields. The
// function is called once for each request and must be safe for concurrent use.
func WithBody(body func(vector Vector) any) HTTPOption {
	return httpOptionFunc(func(h *HTTP) error {
		if body == nil {
			return invalid("WithBody(nil)", "must be a function")
		}
		h.body = body
		return nil
	})
}

// WithPosition sets a function that reads the validator's position from the chain. It is called by
// one goroutine at a time. With it all schedules work.
func WithPosition(position func(ctx context.Context) (Position, error)) HTTPOption {
	return httpOptionFunc(func(h *HTTP) error {
		if position == nil {
			return invalid("WithPosition(nil)", "must be a function")
		}
		h.pos = position
		return nil
	})
}

// NewHTTP returns a chain behind a weights API at an absolute http or https
// URL. The version is the subnet's version key, of which the chain may refuse
// old ones.
func NewHTTP(endpoint string, version uint64, opts ...HTTPOption) (*HTTP, error) {
	h := &HTTP{
		url:     endpoint,
		version: version,
		client:  http.DefaultClient,
		header:  make(http.Header),
	}
	h.header.Set("Content-Type", "application/json")
	h.body = func(vector Vector) any {
		return struct {
			UIDs    []organic.UID `json:"uids"`
			Weights []uint16      `json:"weights"`
			Version uint64        `json:"version"`
		}{vector.UIDs, vector.Weights, h.version}
	}
	var errs []error
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, invalid("NewHTTP", "must have an absolute URL of http or https"))
	}
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, invalid("NewHTTP", "option %d must not be nil", i+1))
			continue
		}
		errs = append(errs, opt.apply(h))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	client := *h.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}
	h.client = &client
	return h, nil
}

// SetWeights posts the vector. An answer that is no success is an *HTTPError.
func (h *HTTP) SetWeights(
	ctx context.Context,
	vector Vector,
	report func(Submission),
) (Submission, error) {
	body, err := json.Marshal(h.body(vector))
	if err != nil {
		return Submission{}, fmt.Errorf("weights: %w", err)
	}
	submission := Submission{State: Submitted, Digest: vector.Digest()}
	if h.pos != nil {
		pos, err := h.pos(ctx)
		if err != nil {
			return Submission{}, fmt.Errorf("weights: position: %w", err)
		}
		submission.Signed = pos.Block
	}
	report(submission)
	status, answer, sent, err := h.post(ctx, body)
	switch {
	case err != nil && sent:
		return submission, err
	case err != nil:
		return Submission{}, err
	case status == http.StatusAccepted && h.pos != nil:
		return submission, nil
	case status == http.StatusGatewayTimeout:
		return submission, &HTTPError{Status: status, Message: shortened(string(answer))}
	}
	evidence, err := judge(status, answer)
	if err != nil {
		return Submission{}, err
	}
	submission.State, submission.Evidence = Included, evidence
	return submission, nil
}

// Follow returns Included when the last update has moved. If the position is not known, a
// submission without an answer is Lost.
func (h *HTTP) Follow(ctx context.Context, earlier Submission) (Submission, error) {
	if h.pos == nil || earlier.State.Final() {
		return unanswered(earlier), nil
	}
	pos, err := h.pos(ctx)
	if err != nil {
		return Submission{}, fmt.Errorf("weights: position: %w", err)
	}
	switch {
	case pos.LastUpdate > earlier.Signed:
		earlier.State, earlier.Block = Included, pos.LastUpdate
		earlier.Evidence = fmt.Sprintf("the last update is block %d", pos.LastUpdate)
	case pos.Block > earlier.Signed+maxUnknown:
		earlier.State = Lost
		earlier.Reason = fmt.Sprintf(
			"the last update is still block %d at block %d",
			pos.LastUpdate,
			pos.Block,
		)
	}
	return earlier, nil
}

// Position calls the function of WithPosition; without one it returns ErrUnsupported.
func (h *HTTP) Position(ctx context.Context) (Position, error) {
	if h.pos == nil {
		return Position{}, ErrUnsupported
	}
	return h.pos(ctx)
}

// post returns the answer, and for an error whether the API may have got the weights.
func (h *HTTP) post(
	ctx context.Context,
	body []byte,
) (status int, answer []byte, sent bool, err error) {
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent = true }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace),
		http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, false, fmt.Errorf("weights: %w", err)
	}
	request.Header = maps.Clone(h.header)
	response, err := h.client.Do(request)
	if err != nil {
		return 0, nil, sent, fmt.Errorf("weights: %w", err)
	}
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = errors.New("the answer is too long")
	}
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return 0, nil, true, fmt.Errorf("weights: no whole answer, the weights may be set: %w", err)
	}
	return response.StatusCode, answer, true, nil
}
