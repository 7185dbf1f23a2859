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
	"net/url"

	"github.com/organic-scoring/organic"
)

const maxAnswer = 64 << 10 // bytes of an answer that are read

// HTTP sends weights to a weights API: a small server, usually beside the
// validator, that holds the hotkey and speaks to the chain. It posts
//
//	{"uids": [0, 7], "weights": [65535, 120], "version": 42}
//
// and takes the weights for set when the status is 2xx and the answer does not
// say otherwise: such servers answer 200 with {"success": false, "msg": …} when
// the chain has refused. In an object "success", in any case, must be true
// where it is there, and "error" nothing; a list, as in [false, "too soon"],
// must begin with true; and a bare false is a refusal. Redirects are not
// followed, since clients repeat many of them as a GET without weights: give
// the final URL.
//
// A 202 is a success too, though it promises only that the server has taken the
// weights in. With a server that answers so, wrap HTTP in a [ChainFunc] that
// waits for the last-update block of the validator, or see in
// [Blocks].LastUpdate whether they have landed. It is safe for concurrent use.
type HTTP struct {
	url     string
	version uint64
	client  *http.Client
	header  http.Header
	body    func(Vector) any
}

var _ Chain = (*HTTP)(nil)

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
		if key == "" {
			return invalid("WithHeader", "must have a name")
		}
		h.header.Set(key, value)
		return nil
	})
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

// NewHTTP returns a chain behind a weights API at an absolute http or https
// URL. The version is the subnet's version key, of which the chain may refuse
// old ones.
func NewHTTP(endpoint string, version uint64, opts ...HTTPOption) (*HTTP, error) {
	h := &HTTP{url: endpoint, version: version, client: http.DefaultClient, header: make(http.Header)}
	h.header.Set("Content-Type", "application/json")
	h.body = func(vector Vector) any {
		return struct {
			UIDs    []organic.UID `json:"uids"`
			Weights []uint16      `json:"weights"`
			Version uint64        `json:"version"`
		}{vector.UIDs, vector.Weights, h.version}
	}
	var errs []error
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
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
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.client = &client
	return h, nil
}

// SetWeights posts the vector. An answer that refuses it is an *HTTPError.
func (h *HTTP) SetWeights(ctx context.Context, vector Vector, report func(Submission)) (Submission, error) {
	return ChainFunc(h.post).SetWeights(ctx, vector, report)
}

// Follow returns Lost for a submission of which no answer was received.
func (h *HTTP) Follow(_ context.Context, earlier Submission) (Submission, error) {
	return unanswered(earlier), nil
}

// Position returns ErrUnsupported.
func (h *HTTP) Position(context.Context) (Position, error) { return Position{}, ErrUnsupported }

func (h *HTTP) post(ctx context.Context, vector Vector) error {
	body, err := json.Marshal(h.body(vector))
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	request.Header = maps.Clone(h.header)
	response, err := h.client.Do(request)
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = errors.New("the answer is too long")
	}
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("weights: no whole answer, the weights may be set: %w", err)
	}
	return judge(response.StatusCode, answer)
}
