package axon_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// wireVector is one recorded request: see the README of the vectors.
type wireVector struct {
	ID                 string            `json:"id"`
	Protocol           string            `json:"protocol"`
	Path               string            `json:"path"`
	Method             string            `json:"method"`
	SelfHotkey         string            `json:"self_hotkey"`
	RequiredHashFields []string          `json:"required_hash_fields"`
	VerifyAtNano       string            `json:"verify_at_unix_ns"`
	VerifyAtMilli      string            `json:"verify_at_unix_ms"`
	Headers            map[string]string `json:"headers"`
	Body               string            `json:"body"`
	After              string            `json:"after"`
	Expect             string            `json:"expect"`
	Refusal            []string          `json:"refusal"`
	Option             string            `json:"option"`
	ExpectWith         string            `json:"expect_with_option"`
	ExpectWithout      string            `json:"expect_without_option"`
}

func (v wireVector) at(t *testing.T) time.Time {
	t.Helper()
	if v.VerifyAtNano != "" {
		n, err := strconv.ParseInt(v.VerifyAtNano, 10, 64)
		require.NoError(t, err)
		return time.Unix(0, n)
	}
	n, err := strconv.ParseInt(v.VerifyAtMilli, 10, 64)
	require.NoError(t, err)
	return time.UnixMilli(n)
}

func (v wireVector) path() string {
	if v.Path == "" {
		return "/v1/chat/completions"
	}
	return v.Path
}

func (v wireVector) request() *http.Request {
	method := v.Method
	if method == "" {
		method = http.MethodPost
	}
	r := httptest.NewRequest(method, v.path(), strings.NewReader(v.Body))
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	return r
}

// testClock is a clock that tests set.
type testClock struct{ at atomic.Pointer[time.Time] }

func newTestClock(at time.Time) *testClock {
	c := &testClock{}
	c.set(at)
	return c
}

func (c *testClock) set(at time.Time) { c.at.Store(&at) }

func (c *testClock) now() time.Time { return *c.at.Load() }

// sink is a scorer's side that takes everything and keeps the last request.
type sink struct {
	last atomic.Pointer[organic.Synapse]
}

func (s *sink) handlers() organic.Handlers {
	return organic.Handlers{Forward: func(
		_ context.Context, w http.ResponseWriter, synapse *organic.Synapse,
	) error {
		s.last.Store(synapse)
		_, err := w.Write([]byte(`{}`))
		return err
	}}
}

// verdict delivers a vector, and the one before it, to a fresh server, with the
// option that it names or without, and returns accept or the reason.
func (v wireVector) verdict(t *testing.T, all []wireVector, withOption bool) string {
	t.Helper()
	var opts []axon.Option
	if withOption && v.Option == "bytes_wrapped" {
		opts = append(opts, axon.WithWrappedBytes())
	}
	clock := newTestClock(v.at(t).Add(-2 * time.Minute))
	self, err := keys.ParseSS58(v.SelfHotkey)
	require.NoError(t, err)
	server, err := axon.New(self, append(opts, axon.WithClock(clock.now))...)
	require.NoError(t, err)

	deliveries := []wireVector{v}
	if v.After != "" {
		i := slices.IndexFunc(all, func(other wireVector) bool { return other.ID == v.After })
		require.GreaterOrEqual(t, i, 0)
		deliveries = []wireVector{all[i], v}
	}
	routes := make(map[string]bool)
	for _, d := range deliveries {
		if routes[d.path()] {
			continue
		}
		routes[d.path()] = true
		route, err := d.route(server, withOption)
		if err != nil {
			require.ErrorIs(t, err, axon.ErrUnhashedRoute)
			return "unhashed-route"
		}
		require.NoError(t, attach(route, (&sink{}).handlers()))
	}

	for i, d := range deliveries {
		clock.set(d.at(t))
		w := httptest.NewRecorder()
		server.ServeHTTP(w, d.request())
		refused := server.Stats().Refused
		if i < len(deliveries)-1 {
			require.Empty(t, refused, "the one before must be taken")
			continue
		}
		if w.Code == http.StatusOK {
			require.Empty(t, refused)
			return "accept"
		}
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.JSONEq(t, `{"message": "Not verified"}`, w.Body.String())
		require.Len(t, refused, 1)
		for reason := range refused {
			return string(reason)
		}
	}
	return ""
}

func (v wireVector) route(server *axon.Server, withOption bool) (*axon.Route, error) {
	opts := []axon.RouteOption{axon.WithEpistula()}
	if withOption && v.Option == "unaddressed" {
		opts = append(opts, axon.WithUnaddressed())
	}
	if withOption && v.Option == "unhashed_body" {
		opts = append(opts, axon.WithUnhashedBody())
	}
	if v.Protocol == "epistula-v1" {
		opts = append(opts, axon.WithEpistulaV1())
	}
	if v.Protocol != "axon" {
		return server.Route(v.path(), opts...)
	}
	class := axon.Class{Name: strings.TrimPrefix(v.Path, "/")}
	for _, name := range v.RequiredHashFields {
		class.Hashed = append(class.Hashed, axon.Field{Name: name})
	}
	return server.Synapse(class, opts[1:]...)
}

func TestWireVectors(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"axon.json", "epistula.json"} {
		all := vectorsOf[wireVector](t, file)
		require.NotEmpty(t, all)
		for _, v := range all {
			if v.Expect == "ignore" {
				continue // secret signatures: no request, see TestSecretSignaturesMeanNothing
			}
			t.Run(v.ID, func(t *testing.T) {
				t.Parallel()
				want := v.Expect
				if v.Option != "" {
					want = v.ExpectWithout
					require.Equal(t, v.ExpectWith, v.verdict(t, all, true), "with the option")
				}
				got := v.verdict(t, all, false)
				if want == "accept" {
					require.Equal(t, "accept", got)
					return
				}
				require.Contains(t, v.Refusal, got)
			})
		}
	}
}
