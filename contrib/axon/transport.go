package axon

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/organic-scoring/organic/contrib/keys"
)

// ErrRedirect is the error of a [Transport] for a redirect to another host: the
// request was meant for the receiver at the first one.
var ErrRedirect = errors.New("axon: redirect to another host is not followed")

// Transport is an [http.RoundTripper] that signs each request by btauth/1, the
// usual way for a validator to query miners and for a user to ask a validator:
//
//	client := &http.Client{Transport: &axon.Transport{Keypair: keypair, Receiver: miner}}
//	response, err := client.Post(url, "application/json", body)
//
// Every attempt gets a signature of its own, so that retries and redirects on
// the same host work. A redirect to another host, or from https to http, fails
// with [ErrRedirect]. For bodies see [Sign]; the request itself is not changed.
//
// An [http.Transport] by itself repeats a GET whose connection breaks after others on
// it were answered. That is no attempt of its own: it has the same signature, and is refused
// if the server has accepted the request before.
//
// Transport is safe for concurrent use as long as its fields do not change.
type Transport struct {
	Base     http.RoundTripper // sends the signed requests; nil: [http.DefaultTransport]
	Keypair  *keys.Keypair     // signs
	Receiver keys.Hotkey       // of the server; zero: the requests are unaddressed
}

// RoundTrip signs a copy of the request and sends it.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	signed := request.Clone(request.Context())
	err := sameHost(request)
	if err == nil {
		err = Sign(signed, t.Keypair, t.Receiver)
	}
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close() // a RoundTripper must
		}
		return nil, err
	}
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	return base.RoundTrip(signed)
}

// sameHost refuses a request that a redirect has led to another host. The
// client links each request to the answer that caused it.
func sameHost(request *http.Request) error {
	for next := request; next.Response != nil; {
		previous := next.Response.Request
		if previous == nil || !sameOrigin(previous.URL, next.URL) {
			return fmt.Errorf("%w: %s", ErrRedirect, request.URL.Host)
		}
		next = previous
	}
	return nil
}

// sameOrigin allows the step from http to https on one host, whose name may be written in
// another case, and its port left out where it is the scheme's.
func sameOrigin(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	if from.Scheme == to.Scheme {
		return portOf(from) == portOf(to)
	}
	return from.Scheme == "http" && to.Scheme == "https"
}

func portOf(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
