package axon_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

const bearerKey = "sk-0123456789abcdef"

// newMixed returns Bob's server with a route of every set of protocols, and the
// last request that reached a hook.
func newMixed(tb testing.TB) (*fortress, *sink) {
	tb.Helper()
	f, hooks := &fortress{clock: newTestClock(sentAt)}, &sink{}
	var err error
	f.clock.set(sentAt.Add(-time.Minute))
	f.server, err = axon.New(keypairFromURI(tb, "//Bob").Hotkey(), axon.WithClock(f.clock.now))
	require.NoError(tb, err)
	f.clock.set(sentAt)
	users, err := axon.NewBearerKeys(map[string]string{bearerKey: "carol"})
	require.NoError(tb, err)
	bearer := axon.WithBearer(users.Check)
	for path, opts := range map[string][]axon.RouteOption{
		"/signed": nil,
		"/v2":     {axon.WithEpistula()},
		"/v1":     {axon.WithEpistulaV1()},
		"/v1v2":   {axon.WithEpistula(), axon.WithEpistulaV1()},
		"/users":  {bearer},
		"/all":    {axon.WithEpistula(), axon.WithEpistulaV1(), bearer},
	} {
		route, err := f.server.Route(path, opts...)
		require.NoError(tb, err)
		require.NoError(tb, attach(route, hooks.handlers()))
	}
	for name, opts := range map[string][]axon.RouteOption{
		"Organic": nil, "Both": {axon.WithBTAuth()}, "Every": {axon.WithBTAuth(), bearer},
	} {
		route, err := f.server.Synapse(axon.Class{Name: name, Hashed: organicClass.Hashed}, opts...)
		require.NoError(tb, err)
		require.NoError(tb, attach(route, hooks.handlers()))
	}
	return f, hooks
}

// byBearer is a call with a key.
func byBearer(tb testing.TB) *call {
	tb.Helper()
	c := byBittensor(tb)
	c.protocol = organic.Bearer
	return c
}

var callers = map[organic.Protocol]func(testing.TB) *call{
	organic.BTAuth1: byBTAuth, organic.EpistulaV2: byEpistula, organic.EpistulaV1: byEnvelope,
	organic.Bittensor: byBittensor, organic.Bearer: byBearer,
}

// TestRoutesAcceptTheirProtocols sends a good request of every protocol to
// every route.
func TestRoutesAcceptTheirProtocols(t *testing.T) {
	t.Parallel()
	accepted := map[string][]organic.Protocol{
		"/signed":  {organic.BTAuth1},
		"/v2":      {organic.BTAuth1, organic.EpistulaV2},
		"/v1":      {organic.BTAuth1, organic.EpistulaV1},
		"/v1v2":    {organic.BTAuth1, organic.EpistulaV1, organic.EpistulaV2},
		"/users":   {organic.BTAuth1, organic.Bearer},
		"/all":     {organic.BTAuth1, organic.EpistulaV1, organic.EpistulaV2, organic.Bearer},
		"/Organic": {organic.Bittensor},
		"/Both":    {organic.Bittensor, organic.BTAuth1},
		"/Every":   {organic.Bittensor, organic.BTAuth1, organic.Bearer},
	}
	for path, protocols := range accepted {
		for protocol, from := range callers {
			t.Run(strings.TrimPrefix(path, "/")+"/"+string(protocol), func(t *testing.T) {
				t.Parallel()
				f, hooks := newMixed(t)
				c := from(t)
				c.target = path
				w := f.send(c.request(t))
				for _, wanted := range protocols {
					if wanted != protocol {
						continue
					}
					require.Equal(t, http.StatusOK, w.Code, f.server.Stats().Refused)
					requireSynapse(t, hooks.last.Load(), c)
					require.Equal(t, protocol != organic.BTAuth1 && protocol != organic.Bearer, isLegacy(w))
					return
				}
				require.Equal(t, http.StatusUnauthorized, w.Code)
				require.Equal(t, map[axon.Reason]uint64{axon.ReasonMissing: 1}, f.server.Stats().Refused)
				require.Nil(t, hooks.last.Load())
			})
		}
	}
}

// requireSynapse checks what a hook learns of the sender.
func requireSynapse(t *testing.T, synapse *organic.Synapse, c *call) {
	t.Helper()
	require.Equal(t, c.protocol, synapse.Protocol)
	require.Equal(t, c.target, synapse.Path)
	require.Equal(t, c.body, string(synapse.Body))
	require.Equal(t, c.protocol != organic.Bearer, synapse.BodySigned)
	if c.protocol == organic.Bearer {
		require.Equal(t, "carol", synapse.Requester)
		require.Zero(t, synapse.Dendrite)
		require.NotContains(t, synapse.Header, "Authorization", "hooks do not need the key")
		return
	}
	require.Equal(t, aliceAddress, synapse.Requester)
	require.Equal(t, aliceAddress, synapse.Dendrite.Hotkey)
	require.NotZero(t, synapse.Dendrite.Nonce)
	if c.protocol == organic.BTAuth1 {
		require.Positive(t, synapse.Timeout)
		require.Empty(t, synapse.Dendrite.UUID)
	}
}

// TestThereIsNoFallback sends requests that carry two protocols, of which the
// first is wrong and the second right.
func TestThereIsNoFallback(t *testing.T) {
	t.Parallel()
	order := []organic.Protocol{
		organic.BTAuth1, organic.EpistulaV2, organic.EpistulaV1,
		organic.Bearer,
	}
	for i, first := range order {
		for _, second := range order[i+1:] {
			t.Run(string(first)+" before "+string(second), func(t *testing.T) {
				t.Parallel()
				f, hooks := newMixed(t)
				body := byEnvelope(t).body // good for all of them
				good, bad := callers[second](t), callers[first](t)
				good.target, good.body, bad.target, bad.body = "/all", body, "/all", body
				bad.signature = "0x" + strings.Repeat("1", 128)
				r := good.request(t)
				maps.Copy(r.Header, bad.headers(t))
				require.Equal(t, http.StatusUnauthorized, f.send(r).Code)
				require.Equal(t, map[axon.Reason]uint64{axon.ReasonForged: 1}, f.server.Stats().Refused)
				require.Nil(t, hooks.last.Load())

				// The first one right, the second one wrong: the second is not looked at.
				good, bad = callers[first](t), callers[second](t)
				good.target, good.body, bad.target, bad.body = "/all", body, "/all", body
				bad.signature = "0x" + strings.Repeat("1", 128)
				r = good.request(t)
				maps.Copy(r.Header, bad.headers(t))
				require.Equal(t, http.StatusOK, f.send(r).Code)
				require.Equal(t, first, hooks.last.Load().Protocol)
			})
		}
	}
}

// TestOneMarkChoosesTheProtocol adds one header of btauth/1 to a good request of
// another protocol: then that is what it is judged by.
func TestOneMarkChoosesTheProtocol(t *testing.T) {
	t.Parallel()
	for _, mark := range []string{"Version", "Hotkey", "Receiver", "Nonce", "Crypto", "Signature"} {
		for _, value := range []string{"", "1"} {
			f, _ := newMixed(t)
			c := byEpistula(t)
			c.target = "/all"
			r := c.request(t)
			r.Header.Set("X-Bittensor-"+mark, value)
			require.Equal(t, http.StatusUnauthorized, f.send(r).Code, mark)
		}
	}
	f, _ := newMixed(t)
	c := byEpistula(t)
	c.target = "/all"
	r := c.request(t)
	r.Header.Set("X-Bittensor-Drand-Round", "1")
	require.Equal(t, http.StatusOK, f.send(r).Code, "reserved names are no marks")
}

func TestReplyOnARouteForOldAndNewCallers(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	route, err := s.server.Synapse(axon.Class{Name: "Both", Hashed: organicClass.Hashed},
		axon.WithBTAuth())
	require.NoError(t, err)
	require.NoError(t, attach(route,
		organic.Handlers{Forward: func(
			_ context.Context, w http.ResponseWriter, synapse *organic.Synapse,
		) error {
			return axon.Reply(w, synapse, map[string]string{"completion": "done"})
		}}))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/Both",
		strings.NewReader(`{"prompt": "hi"}`))
	require.NoError(t, err)
	require.NoError(t, axon.Sign(request, s.alice, s.bob.Hotkey()))
	answer := s.ask(request)
	require.Equal(t, http.StatusOK, answer.code)
	require.JSONEq(t, `{"completion": "done"}`, answer.body)
	require.Empty(t, answer.header.Get("computed_body_hash"))
}

// errKeyStore is the failure of a function that looks keys up.
var errKeyStore = errors.New("the store of keys does not answer")

func TestBearer(t *testing.T) {
	t.Parallel()
	check := func(_ context.Context, token string) (string, error) {
		switch token {
		case bearerKey:
			return "carol", nil
		case "nameless":
			return "", nil
		case "failing":
			return "mallory", errKeyStore
		case "expired":
			return "", organic.Refuse(http.StatusPaymentRequired, "Expired")
		}
		return "", axon.ErrUnknownKey
	}
	for _, tt := range []struct {
		name   string
		header []string
		status int
		reason axon.Reason
	}{
		{"a known key", []string{"Bearer " + bearerKey}, 200, ""},
		{"the scheme in lower case", []string{"bearer " + bearerKey}, 200, ""},
		{"the scheme in upper case", []string{"BEARER " + bearerKey}, 200, ""},
		{"an unknown key", []string{"Bearer sk-guess"}, 401, axon.ReasonBearer},
		{"a key in upper case", []string{"Bearer " + strings.ToUpper(bearerKey)}, 401, axon.ReasonBearer},
		{"a part of the key", []string{"Bearer " + bearerKey[:18]}, 401, axon.ReasonBearer},
		{"a key without a name", []string{"Bearer nameless"}, 401, axon.ReasonBearer},
		{"a store that fails", []string{"Bearer failing"}, 500, axon.ReasonFailed},
		{"a refusal of the function", []string{"Bearer expired"}, 402, axon.ReasonHook},
		{"no header", nil, 401, axon.ReasonMissing},
		{"an empty header", []string{""}, 401, axon.ReasonMissing},
		{"another scheme", []string{"Basic YWxpY2U6c2VjcmV0"}, 401, axon.ReasonShape},
		{"a key alone", []string{bearerKey}, 401, axon.ReasonShape},
		{"no key", []string{"Bearer "}, 401, axon.ReasonShape},
		{"two spaces", []string{"Bearer  " + bearerKey}, 401, axon.ReasonShape},
		{"a space behind", []string{"Bearer " + bearerKey + " "}, 401, axon.ReasonShape},
		{"a tab", []string{"Bearer\t" + bearerKey}, 401, axon.ReasonShape},
		{"a zero byte", []string{"Bearer " + bearerKey + "\x00"}, 401, axon.ReasonShape},
		{"a letter beyond ASCII", []string{"Bearer é" + bearerKey}, 401, axon.ReasonShape},
		{
			"two keys in a line",
			[]string{"Bearer " + bearerKey + ", Bearer " + bearerKey},
			401,
			axon.ReasonShape,
		},
		{"twice", []string{"Bearer " + bearerKey, "Bearer " + bearerKey}, 401, axon.ReasonShape},
		{"twice, once empty", []string{"Bearer " + bearerKey, ""}, 401, axon.ReasonShape},
		{
			"a key of 1024 characters",
			[]string{"Bearer " + strings.Repeat("k", 1024)},
			401,
			axon.ReasonBearer,
		},
		{
			"a key of 1025 characters",
			[]string{"Bearer " + strings.Repeat("k", 1025)},
			401,
			axon.ReasonShape,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey())
			require.NoError(t, err)
			route, err := server.Route("/chat", axon.WithBearer(check))
			require.NoError(t, err)
			hooks := &sink{}
			require.NoError(t, attach(route, hooks.handlers()))
			r := httptest.NewRequest(http.MethodPost, "/chat", strings.NewReader("{}"))
			if tt.header != nil {
				r.Header["Authorization"] = tt.header
			}
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			require.Equal(t, tt.status, w.Code)
			require.NotContains(t, w.Body.String(), "sk-")
			require.NotContains(t, w.Header(), "bt_header_axon_status_code")
			if tt.status == http.StatusOK {
				require.Equal(t, "carol", hooks.last.Load().Requester)
				return
			}
			require.Equal(t, map[axon.Reason]uint64{tt.reason: 1}, server.Stats().Refused)
			require.Nil(t, hooks.last.Load())
		})
	}
}

// TestBearerRequestsHaveLimits charges the name, and the address before the
// function is called.
func TestBearerRequestsHaveLimits(t *testing.T) {
	t.Parallel()
	users, err := axon.NewBearerKeys(map[string]string{
		bearerKey:              "carol",
		"another-key-of-carol": "carol", "the-key-of-dave-1": "dave",
	})
	require.NoError(t, err)
	asked := 0
	clock := newTestClock(sentAt)
	server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey(), axon.WithClock(clock.now),
		axon.WithHotkeyRate(1, 2), axon.WithAddressRate(1, 6))
	require.NoError(t, err)
	route, err := server.Route("/chat",
		axon.WithBearer(func(ctx context.Context, token string) (string, error) {
			asked++
			return users.Check(ctx, token)
		}))
	require.NoError(t, err)
	require.NoError(t, attach(route, (&sink{}).handlers()))
	ask := func(key string) int {
		r := httptest.NewRequest(http.MethodPost, "/chat", strings.NewReader("{}"))
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, http.StatusOK, ask(bearerKey))
	require.Equal(t, http.StatusOK, ask("another-key-of-carol"))
	require.Equal(t, http.StatusTooManyRequests, ask(bearerKey), "both keys are carol's")
	require.Equal(t, http.StatusOK, ask("the-key-of-dave-1"))
	require.Equal(t, http.StatusUnauthorized, ask("a-key-of-nobody-1"))
	require.Equal(t, http.StatusUnauthorized, ask("a-key-of-nobody-2"))
	require.Equal(t, 6, asked)
	require.Equal(t, http.StatusTooManyRequests, ask("a-key-of-nobody-3"))
	require.Equal(t, 6, asked, "the rate of the address comes first")
}

// TestPanicsOfTheValidatorsFunctionsAreContained has functions that are called
// before the hooks.
func TestPanicsOfTheValidatorsFunctionsAreContained(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		from   func(testing.TB) *call
		option axon.RouteOption
	}{
		"bearer": {byBearer, axon.WithBearer(func(context.Context, string) (string,
			error,
		) {
			panic("a bug")
		})},
		"scheme": {byBTAuth, axon.WithSchemes(func(keys.Hotkey) keys.Scheme { panic("a bug") })},
		"target": {byBTAuth, axon.WithTarget(func(*http.Request) string { panic("a bug") })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFortress(t)
			route, err := f.server.Route("/panics", tt.option)
			require.NoError(t, err)
			require.NoError(t, attach(route, (&sink{}).handlers()))
			c := tt.from(t)
			c.target = "/panics"
			w := f.send(c.request(t))
			require.Equal(t, http.StatusInternalServerError, w.Code)
			var answer struct{ Message string }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			require.Equal(t, "Internal error", answer.Message)
			require.Equal(t, map[axon.Reason]uint64{axon.ReasonFailed: 1}, f.server.Stats().Refused)
			require.Zero(t, f.server.Stats().Remembered)
		})
	}
}

func TestBearerKeysAreReplaced(t *testing.T) {
	t.Parallel()
	b, err := axon.NewBearerKeys(map[string]string{bearerKey: "carol"})
	require.NoError(t, err)
	name, err := b.Check(t.Context(), bearerKey)
	require.NoError(t, err)
	require.Equal(t, "carol", name)
	require.NoError(t, b.Replace(map[string]string{"the-key-of-dave-1": "dave"}))
	_, err = b.Check(t.Context(), bearerKey)
	require.ErrorIs(t, err, axon.ErrUnknownKey)
	name, err = b.Check(t.Context(), "the-key-of-dave-1")
	require.NoError(t, err)
	require.Equal(t, "dave", name)
	_, err = new(axon.BearerKeys).Check(t.Context(), "")
	require.ErrorIs(t, err, axon.ErrUnknownKey)
}

func TestBadBearerKeysAreRefusedAndNotQuoted(t *testing.T) {
	t.Parallel()
	kept, err := axon.NewBearerKeys(map[string]string{bearerKey: "carol"})
	require.NoError(t, err)
	for name, tt := range map[string]struct{ key, requester, says string }{
		"no name": {"topsecret-0123456789", "", "empty name"},
		"no key":  {"", "dave", "0 characters"},
		"a short key": {
			"topsecret", "dave",
			`"dave" has 9 characters, must have 16 to 1024`,
		},
		"a long key":               {strings.Repeat("topsecret", 200), "dave", "1800 characters"},
		"a space":                  {"topsecret 0123456789", "dave", "printable ASCII"},
		"a line end":               {"topsecret-0123456789\n", "dave", "printable ASCII"},
		"a character beyond ASCII": {"topsecret-0123456789é", "dave", "printable ASCII"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := axon.NewBearerKeys(map[string]string{tt.key: tt.requester})
			require.Nil(t, b)
			require.ErrorIs(t, err, axon.ErrInvalidOption)
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), "topsecret")
			require.Error(t, kept.Replace(map[string]string{tt.key: tt.requester}))
			_, err = kept.Check(t.Context(), bearerKey)
			require.NoError(t, err, "the table is unchanged")
		})
	}
}

func TestAllBadBearerKeysAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := axon.NewBearerKeys(map[string]string{
		"short": "carol", "another": "dave", "with a space in the key": "erin", bearerKey: "frank",
		"0123456789abcdef": "",
	})
	for _, want := range []string{`"carol"`, `"dave"`, `"erin"`, "empty name"} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "frank")
}

// TestAnInvertedTableOfKeysIsNotQuoted has names where the keys should be.
func TestAnInvertedTableOfKeysIsNotQuoted(t *testing.T) {
	t.Parallel()
	for _, key := range []string{bearerKey, bearerKey + "\n", " " + bearerKey} {
		_, err := axon.NewBearerKeys(map[string]string{"carol": key, "dave of the office": key})
		require.ErrorIs(t, err, axon.ErrInvalidOption)
		require.NotContains(t, err.Error(), bearerKey)
	}
}

// TestHooksSeeNoBearerKey sends one beside each protocol.
func TestHooksSeeNoBearerKey(t *testing.T) {
	t.Parallel()
	for _, name := range []organic.Protocol{organic.BTAuth1, organic.EpistulaV2, organic.EpistulaV1} {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			for authorization, shown := range map[string]bool{
				"Bearer " + bearerKey: false, "bearer " + bearerKey: false, "Bearer ": false,
				"Basic YTpi": true, "": true,
			} {
				f, hooks := newMixed(t)
				c := callers[name](t)
				c.target = "/all"
				r := c.request(t)
				r.Header.Set("Authorization", authorization)
				require.Equal(t, http.StatusOK, f.send(r).Code)
				_, ok := hooks.last.Load().Header["Authorization"]
				require.Equal(t, shown, ok)
				require.Contains(t, r.Header, "Authorization", "the request is not changed")
			}
		})
	}
}

// TestAnEncodedPathIsTheRoutes has a path that decoding would change.
func TestAnEncodedPathIsTheRoutes(t *testing.T) {
	t.Parallel()
	const path = "/caf%C3%A9%2f1"
	server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey())
	require.NoError(t, err)
	users, err := axon.NewBearerKeys(map[string]string{bearerKey: "carol"})
	require.NoError(t, err)
	route, err := server.Route(path, axon.WithBearer(users.Check))
	require.NoError(t, err)
	hooks := &sink{}
	require.NoError(t, attach(route, hooks.handlers()))
	r := httptest.NewRequest(http.MethodPost, path, nil)
	r.Header.Set("Authorization", "Bearer "+bearerKey)
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, route.Path(), hooks.last.Load().Path)
}

// TestTargetsBehindAProxy has a proxy that cuts a prefix off, and tells the
// server how to put it back.
func TestTargetsBehindAProxy(t *testing.T) {
	t.Parallel()
	ask := func(opts ...axon.RouteOption) int {
		server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey())
		require.NoError(t, err)
		route, err := server.Route("/chat", opts...)
		require.NoError(t, err)
		require.NoError(t, attach(route, (&sink{}).handlers()))
		listening := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RequestURI = strings.TrimPrefix(r.RequestURI, "/api")
			http.StripPrefix("/api", server).ServeHTTP(w, r)
		}))
		defer listening.Close()
		client := &http.Client{Transport: &axon.Transport{
			Keypair:  keypairFromURI(t, "//Alice"),
			Receiver: keypairFromURI(t, "//Bob").Hotkey(),
		}}
		response, err := client.Post(listening.URL+"/api/chat?x=1", "",
			strings.NewReader("{}")) //nolint:noctx // the short form
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, response.Body)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusUnauthorized, ask())
	require.Equal(t, http.StatusOK,
		ask(axon.WithTarget(func(r *http.Request) string { return "/api" + r.RequestURI })))
}

func TestFreshnessCanBeSet(t *testing.T) {
	t.Parallel()
	f := newFortress(t, axon.WithFreshness(3*time.Second, 0))
	for _, tt := range []struct {
		after time.Duration
		want  axon.Reason
	}{
		{-3 * time.Second, ""},
		{-3*time.Second - 1, axon.ReasonStale},
		{0, ""},
		{1, axon.ReasonFuture},
	} {
		require.Equal(t, tt.want, f.deliver(t, stamped(t, byBTAuth, tt.after)[0]), "%v", tt.after)
	}
}

// TestRefusalsForBearerKeys: clients of OpenAI's API show the error of their own form only.
func TestRefusalsForBearerKeys(t *testing.T) {
	t.Parallel()
	users, err := axon.NewBearerKeys(map[string]string{bearerKey: "carol"})
	require.NoError(t, err)
	server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey())
	require.NoError(t, err)
	route, err := server.Route("/chat", axon.WithBearer(users.Check))
	require.NoError(t, err)
	require.NoError(t, attach(route, organic.Handlers{
		Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error {
			return organic.Refuse(http.StatusBadRequest, "stream must be set")
		},
	}))
	for key, want := range map[string]string{
		"Bearer " + bearerKey: `{"message": "stream must be set",
			"error": {"message": "stream must be set", "type": "refused", "code": "400"}}`,
		"Bearer sk-unknown-01234567": `{"message": "Not verified",
			"error": {"message": "Not verified", "type": "refused", "code": "401"}}`,
		"": `{"message": "Not verified"}`,
	} {
		r := httptest.NewRequest(http.MethodPost, "/chat", strings.NewReader("{}"))
		if key != "" {
			r.Header.Set("Authorization", key)
		}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		require.JSONEq(t, want, w.Body.String())
	}
}
