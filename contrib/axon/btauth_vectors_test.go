package axon_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// btauthVector is one request of btauth.json, or a sequence of them.
type btauthVector struct {
	Name   string
	Server keys.Hotkey `json:"server_hotkey"`
	Route  struct {
		Unbound bool `json:"allow_unbound"`
		Ed25519 bool `json:"allow_ed25519"`
	}
	btauthStep
	Sequence []btauthStep
}

type btauthStep struct {
	Now     string `json:"now_ns"`
	Request struct {
		Method, Target string
		Headers        [][2]string
		Text           string `json:"body_utf8"`
		Base64         string `json:"body_base64"`
	}
	Expect struct {
		Verdict, Reason, Hotkey string
		Also                    []string
	}
}

// request is the request as net/http's server reads it.
func (s btauthStep) request(t *testing.T) *http.Request {
	t.Helper()
	body := s.Request.Text
	if s.Request.Base64 != "" {
		data, err := base64.StdEncoding.DecodeString(s.Request.Base64)
		require.NoError(t, err)
		body = string(data)
	}
	target, err := url.ParseRequestURI(s.Request.Target)
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Method, r.URL, r.RequestURI = s.Request.Method, target, s.Request.Target
	for _, header := range s.Request.Headers {
		r.Header.Add(header[0], header[1])
	}
	return r
}

func (s btauthStep) at(t *testing.T) time.Time {
	t.Helper()
	n, err := strconv.ParseInt(s.Now, 10, 64)
	require.NoError(t, err)
	return time.Unix(0, n)
}

func TestBTAuthVectors(t *testing.T) {
	t.Parallel()
	var file struct {
		Keys map[string]struct {
			Scheme  string
			Address string `json:"ss58_42"`
		}
		Vectors []btauthVector
	}
	readVectors(t, "btauth.json", &file)
	require.Len(t, file.Vectors, 80)
	schemes := make(map[keys.Hotkey]keys.Scheme)
	for _, key := range file.Keys {
		hotkey, err := keys.ParseSS58(key.Address)
		require.NoError(t, err)
		if key.Scheme == "ed25519" {
			schemes[hotkey] = keys.Ed25519
		}
	}
	schemeOf := func(hotkey keys.Hotkey) keys.Scheme { return schemes[hotkey] }
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			steps := v.Sequence
			if len(steps) == 0 {
				steps = []btauthStep{v.btauthStep}
			}
			clock := newTestClock(steps[0].at(t).Add(-time.Minute))
			server, err := axon.New(v.Server, axon.WithClock(clock.now))
			require.NoError(t, err)
			opts := []axon.RouteOption{axon.WithMethods(http.MethodGet, http.MethodHead, http.MethodPost,
				http.MethodDelete)}
			if v.Route.Unbound {
				opts = append(opts, axon.WithUnaddressed())
			}
			if v.Route.Ed25519 {
				opts = append(opts, axon.WithSchemes(schemeOf))
			}
			handler := &sink{}
			routes := make(map[string]bool)
			for _, step := range steps {
				clock.set(step.at(t))
				r := step.request(t)
				if path := r.URL.EscapedPath(); !routes[path] {
					route, err := server.Route(path, opts...)
					require.NoError(t, err)
					require.NoError(t, attach(route, handler.handlers()))
					routes[path] = true
				}
				require.Equal(t, step.Expect.Reason, step.verdict(t, server, handler, r))
			}
		})
	}
}

// verdict delivers the request and returns the reason of its refusal, or
// nothing.
func (s btauthStep) verdict(
	t *testing.T, server *axon.Server, handler *sink, r *http.Request,
) string {
	t.Helper()
	before := server.Stats().Refused
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	require.NotContains(t, w.Header(), "bt_header_axon_status_code")
	if w.Code == http.StatusOK {
		synapse := handler.last.Load()
		require.Equal(t, s.Expect.Hotkey, synapse.Requester)
		require.Equal(t, s.Expect.Hotkey, synapse.Dendrite.Hotkey)
		require.True(t, synapse.BodySigned)
		return ""
	}
	for reason, n := range server.Stats().Refused {
		if n == before[reason] {
			continue
		}
		if reason == axon.ReasonMethod { // the router is strict about the case of methods
			require.Equal(t, strings.ToUpper(r.Method), strings.ToUpper(s.Request.Method))
			require.NotEqual(t, strings.ToUpper(r.Method), r.Method)
			return s.Expect.Reason
		}
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.JSONEq(t, jsonMessage("Not verified"), w.Body.String())
		if slices.Contains(s.Expect.Also, string(reason)) {
			return s.Expect.Reason
		}
		return string(reason)
	}
	require.Fail(t, "neither served nor refused")
	return ""
}
