package axon_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// edAlice is //Alice under ed25519.
func edAlice(tb testing.TB) *keys.Keypair {
	tb.Helper()
	k, err := keys.FromURI("//Alice", keys.Ed25519)
	require.NoError(tb, err)
	return k
}

// pinned says that edAlice signs by ed25519 and all others by sr25519.
func pinned(tb testing.TB) func(keys.Hotkey) keys.Scheme {
	tb.Helper()
	alice := edAlice(tb).Hotkey()
	return func(hotkey keys.Hotkey) keys.Scheme {
		if hotkey == alice {
			return keys.Ed25519
		}
		return keys.SR25519
	}
}

// TestSignWritesWhatTheGuideSays rebuilds the payload by hand.
func TestSignWritesWhatTheGuideSays(t *testing.T) {
	t.Parallel()
	bob := keypairFromURI(t, "//Bob").Hotkey()
	for name, tt := range map[string]struct {
		keypair       *keys.Keypair
		receiver      keys.Hotkey
		method, url   string
		body          string
		target        string
		scheme, bound string
	}{
		"sr25519": {
			keypairFromURI(t, "//Alice"), bob, "POST",
			"http://miner:8091/generate?stream=false", `{"prompt": "hello"}`, "/generate?stream=false",
			"sr25519", bobAddress,
		},
		"ed25519": {
			edAlice(t), bob, "PUT", "http://miner/a%2Fb/%E2%82%AC", "x",
			"/a%2Fb/%E2%82%AC", "ed25519", bobAddress,
		},
		"unaddressed": {
			keypairFromURI(t, "//Alice"),
			keys.Hotkey{},
			"DELETE", "https://miner/?", "",
			"/?", "sr25519", "-",
		},
		"without a path": {
			keypairFromURI(t, "//Alice"), bob, "GET", "http://miner", "", "/", "sr25519",
			bobAddress,
		},
		"without a method": {
			keypairFromURI(t, "//Alice"), bob, "", "http://miner/x?b=1&a=%20", "",
			"/x?b=1&a=%20", "sr25519", bobAddress,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url,
				strings.NewReader(tt.body))
			require.NoError(t, err)
			request.Method = tt.method
			request.Header.Set("X-Bittensor-Receiver", "stale")
			request.Header.Set("X-Bittensor-Crypto", "stale")
			before := time.Now().UnixNano()
			require.NoError(t, axon.Sign(request, tt.keypair, tt.receiver))

			header, address := request.Header, tt.keypair.Hotkey().String()
			require.Equal(t, []string{"1"}, header["X-Bittensor-Version"])
			require.Equal(t, []string{address}, header["X-Bittensor-Hotkey"])
			nonce, err := strconv.ParseInt(header.Get("X-Bittensor-Nonce"), 10, 64)
			require.NoError(t, err)
			require.InDelta(t, before, nonce, float64(time.Minute))
			if tt.bound == "-" {
				require.NotContains(t, header, "X-Bittensor-Receiver")
			} else {
				require.Equal(t, []string{tt.bound}, header["X-Bittensor-Receiver"])
			}
			if tt.scheme == "sr25519" {
				require.NotContains(t, header, "X-Bittensor-Crypto")
			} else {
				require.Equal(t, []string{tt.scheme}, header["X-Bittensor-Crypto"])
			}
			sum := sha256.Sum256([]byte(tt.body))
			payload := strings.Join([]string{
				"btauth/1", tt.scheme, cmpOr(tt.method, "GET"), tt.target, hex.EncodeToString(sum[:]),
				header.Get("X-Bittensor-Nonce"), address, tt.bound,
			}, "\n")
			signature := header.Get("X-Bittensor-Signature")
			require.Len(t, signature, 2+128)
			require.True(t, strings.HasPrefix(signature, "0x"))
			require.Equal(t, strings.ToLower(signature), signature)
			require.True(t, keys.Verify(tt.keypair.Scheme(), tt.keypair.Hotkey(), []byte(payload),
				hexBytes(signature)))
			sent, err := io.ReadAll(request.Body)
			require.NoError(t, err)
			require.Equal(t, tt.body, string(sent), "the body is still there to be sent")
		})
	}
}

func cmpOr(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// TestOpaqueTargetsAreSigned writes the target as it is to be sent, with the host, which
// keeps escapes that a path would lose.
func TestOpaqueTargetsAreSigned(t *testing.T) {
	t.Parallel()
	listening, _ := peerServer(t, asIs)
	client := &http.Client{Transport: &axon.Transport{
		Keypair: keypairFromURI(t, "//Alice"), Receiver: keypairFromURI(t, "//Bob").Hotkey(),
	}}
	host := strings.TrimPrefix(listening.URL, "http://")
	for _, opaque := range []string{"//" + host + "/generate", "/generate"} {
		request := &http.Request{
			Method: http.MethodPost, URL: &url.URL{
				Scheme: "http", Host: host, Opaque: opaque,
				RawQuery: "x=%2f",
			},
		}
		response, err := client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, opaque)
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	alice := keypairFromURI(t, "//Alice")
	oneWay := func() *http.Request {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://miner/",
			io.NopCloser(strings.NewReader("x")))
		require.NoError(t, err)
		return request
	}
	require.ErrorIs(t, axon.Sign(oneWay(), nil, keys.Hotkey{}), axon.ErrNoKeypair)
	require.ErrorIs(t, axon.Sign(oneWay(), alice, keys.Hotkey{}), axon.ErrOneWayBody)
	require.ErrorContains(t, axon.Sign(httptest.NewRequest(http.MethodPost, "/", nil), &keys.Keypair{},
		keys.Hotkey{}), "key pair is empty")
	require.ErrorIs(t, axon.Sign(&http.Request{}, alice, keys.Hotkey{}), axon.ErrInvalidOption)
	failing := oneWay()
	failing.GetBody = func() (io.ReadCloser, error) { return nil, io.ErrClosedPipe }
	require.ErrorIs(t, axon.Sign(failing, alice, keys.Hotkey{}), io.ErrClosedPipe)
}

func TestSignNeverRepeatsANonce(t *testing.T) {
	t.Parallel()
	alice, seen := edAlice(t), sync.Map{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				request := httptest.NewRequest(http.MethodPost, "/", nil)
				request.Body = http.NoBody
				require.NoError(t, axon.Sign(request, alice, keys.Hotkey{}))
				_, twice := seen.LoadOrStore(request.Header.Get("X-Bittensor-Nonce"), true)
				require.False(t, twice)
			}
		})
	}
	all.Wait()
}

// TestSignFollowsAClockThatIsSetBack signs by the clock, and then in a bubble, whose time is
// years before. It is not parallel, since the nonces of all tests are one sequence.
func TestSignFollowsAClockThatIsSetBack(t *testing.T) {
	alice := keypairFromURI(t, "//Alice")
	nonce := func() int64 {
		request := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
		require.NoError(t, axon.Sign(request, alice, keys.Hotkey{}))
		nonce, err := strconv.ParseInt(request.Header.Get("X-Bittensor-Nonce"), 10, 64)
		require.NoError(t, err)
		return nonce
	}
	first := nonce()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UnixNano()
		require.Less(t, now, first)
		require.Equal(t, now, nonce())
		require.Equal(t, now+1, nonce(), "the time has not moved on")
	})
	require.Greater(t, nonce(), first)
}

// peerServer is a server of Bob's with a btauth/1 route, behind a handler.
func peerServer(
	t *testing.T, around func(http.Handler) http.Handler, opts ...axon.Option,
) (*httptest.Server, *axon.Server) {
	t.Helper()
	server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey(), opts...)
	require.NoError(t, err)
	for _, path := range []string{"/generate", "/moved"} {
		route, err := server.Route(path, axon.WithMethods(http.MethodGet, http.MethodPost))
		require.NoError(t, err)
		require.NoError(t, attach(route, organic.Handlers{
			Forward: func(_ context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
				_, err := io.WriteString(w, synapse.Path+" "+string(synapse.Body)+" "+synapse.Requester)
				return err
			},
		}))
	}
	listening := httptest.NewServer(around(server))
	t.Cleanup(listening.Close)
	return listening, server
}

func asIs(next http.Handler) http.Handler { return next }

// post sends a text through a client.
func post(t *testing.T, client *http.Client, target, text string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target,
		strings.NewReader(text))
	require.NoError(t, err)
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NotContains(t, request.Header, "X-Bittensor-Signature",
		"the caller's request is not changed")
	return strconv.Itoa(response.StatusCode) + " " + string(body), nil
}

func TestTransportAsksAServer(t *testing.T) {
	t.Parallel()
	bob := keypairFromURI(t, "//Bob").Hotkey()
	for name, keypair := range map[string]*keys.Keypair{
		"sr25519": keypairFromURI(t, "//Alice"),
		"ed25519": edAlice(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listening, _ := peerServer(t, asIs, axon.WithSchemes(pinned(t)))
			client := &http.Client{Transport: &axon.Transport{Keypair: keypair, Receiver: bob}}
			for range 3 {
				answer, err := post(t, client, listening.URL+"/generate?x=%2f", "hello")
				require.NoError(t, err)
				require.Equal(t, "200 /generate hello "+keypair.Hotkey().String(), answer)
			}
			response, err := client.Get(listening.URL + "/generate") //nolint:noctx // the short form that users write
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusOK, response.StatusCode)
		})
	}
}

func TestTransportFollowsRedirectsOnTheSameHost(t *testing.T) {
	t.Parallel()
	for _, status := range []int{
		http.StatusFound, http.StatusTemporaryRedirect,
		http.StatusPermanentRedirect,
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			listening, _ := peerServer(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/generate" {
						http.Redirect(w, r, "/moved?to=here", status)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			alice := keypairFromURI(t, "//Alice")
			client := &http.Client{Transport: &axon.Transport{
				Keypair:  alice,
				Receiver: keypairFromURI(t, "//Bob").Hotkey(),
			}}
			answer, err := post(t, client, listening.URL+"/generate", "hello")
			require.NoError(t, err)
			text := "hello"
			if status == http.StatusFound {
				text = "" // the client makes it a GET
			}
			require.Equal(t, "200 /moved "+text+" "+aliceAddress, answer)
		})
	}
}

func TestTransportDoesNotFollowToAnotherHost(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(
		http.ResponseWriter, *http.Request,
	) {
		reached.Add(1)
	}))
	t.Cleanup(other.Close)
	for name, steps := range map[string][]string{
		"at once":               {other.URL + "/generate"},
		"after a step at home":  {"/second", other.URL + "/generate"},
		"another name of it":    {strings.Replace(other.URL, "127.0.0.1", "localhost", 1) + "/generate"},
		"another scheme's name": {"ftp://127.0.0.1/generate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				step := steps[0]
				if r.URL.Path == "/second" {
					step = steps[1]
				}
				http.Redirect(w, r, step, http.StatusTemporaryRedirect)
			}))
			t.Cleanup(home.Close)
			client := &http.Client{Transport: &axon.Transport{Keypair: keypairFromURI(t, "//Alice")}}
			_, err := post(t, client, home.URL+"/generate", "hello")
			require.ErrorIs(t, err, axon.ErrRedirect)
		})
	}
	t.Cleanup(func() { require.Zero(t, reached.Load()) })
}

// TestTransportKeepsToTLS has redirects between schemes on one host.
func TestTransportKeepsToTLS(t *testing.T) {
	t.Parallel()
	answer := func(from *http.Request, location string) *http.Response {
		return &http.Response{
			StatusCode: http.StatusTemporaryRedirect,
			Header:     http.Header{"Location": {location}}, Body: http.NoBody, Request: from,
		}
	}
	for _, tt := range []struct {
		from, to string
		ok       bool
	}{
		{"http://miner/", "https://miner/", true},
		{"http://miner:80/", "https://miner:443/", true},
		{"http://miner/", "http://Miner:80/", true},
		{"https://[2001:DB8::1]:443/", "https://[2001:db8::1]/", true},
		{"https://miner/", "http://miner/", false},
		{"http://miner/", "http://miner:443/", false},
		{"https://miner/", "https://miner:444/", false},
		{"http://miner/", "https://other/", false},
	} {
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.String() == tt.from {
				return answer(r, tt.to), nil
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
		})
		client := &http.Client{Transport: &axon.Transport{
			Base:    base,
			Keypair: keypairFromURI(t, "//Alice"),
		}}
		_, err := post(t, client, tt.from, "hello")
		if tt.ok {
			require.NoError(t, err, "%s to %s", tt.from, tt.to)
		} else {
			require.ErrorIs(t, err, axon.ErrRedirect, "%s to %s", tt.from, tt.to)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTransportRefusesARedirectItCannotTrace has a base that does not say which
// request an answer belongs to.
func TestTransportRefusesARedirectItCannotTrace(t *testing.T) {
	t.Parallel()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://miner/",
		http.NoBody)
	require.NoError(t, err)
	request.Response = &http.Response{}
	_, err = (&axon.Transport{Keypair: keypairFromURI(t,
		"//Alice")}).RoundTrip(request) //nolint:bodyclose // there is no response
	require.ErrorIs(t, err, axon.ErrRedirect)
}

// TestTransportSignsEachAttemptAfresh retries below the client.
func TestTransportSignsEachAttemptAfresh(t *testing.T) {
	t.Parallel()
	listening, server := peerServer(t, asIs)
	transport := &axon.Transport{
		Keypair:  keypairFromURI(t, "//Alice"),
		Receiver: keypairFromURI(t, "//Bob").Hotkey(),
	}
	nonces := make(map[string]bool)
	transport.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
		nonces[r.Header.Get("X-Bittensor-Nonce")] = true
		return http.DefaultTransport.RoundTrip(r)
	})
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		for range 2 { // attempts whose answer is lost
			attempt := r.Clone(r.Context())
			attempt.Body, _ = r.GetBody()
			response, err := transport.RoundTrip(attempt)
			if err != nil {
				return nil, err
			}
			_ = response.Body.Close()
		}
		return transport.RoundTrip(r)
	})}
	answer, err := post(t, client, listening.URL+"/generate", "hello")
	require.NoError(t, err)
	require.Equal(t, "200 /generate hello "+aliceAddress, answer)
	require.Len(t, nonces, 3)
	require.EqualValues(t, 3, server.Stats().Verified)
}

// closing is a body that can be read once and tells whether it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestTransportClosesABodyThatItCannotSign(t *testing.T) {
	t.Parallel()
	body := &closing{Reader: strings.NewReader("x")}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://miner/", body)
	require.NoError(t, err)
	_, err = (&axon.Transport{Keypair: keypairFromURI(t,
		"//Alice")}).RoundTrip(request) //nolint:bodyclose // there is no response
	require.ErrorIs(t, err, axon.ErrOneWayBody)
	require.True(t, body.closed)

	request, err = http.NewRequestWithContext(t.Context(), http.MethodGet, "http://miner/",
		http.NoBody)
	require.NoError(t, err)
	_, err = (&axon.Transport{}).RoundTrip(request) //nolint:bodyclose // there is no response
	require.ErrorIs(t, err, axon.ErrNoKeypair)
}
