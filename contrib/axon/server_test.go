package axon_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/organic-scoring/organic/contrib/axon"
)

func TestADendriteIsAnswered(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	got := make(chan *organic.Synapse, 1)
	s.forward(func(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
		got <- synapse
		return echo(ctx, w, synapse)
	})

	before := time.Now()
	reply := s.ask(s.byDendrite(s.dendrite, "What is 2+2?", 7*time.Second))
	require.Equal(t, http.StatusOK, reply.code)
	require.Equal(t, http.StatusOK, reply.status)
	require.Equal(t, "Success", reply.message)
	require.Equal(t, "application/json", reply.header.Get("Content-Type"))
	require.JSONEq(t, `{"prompt": "What is 2+2?", "completion": "done"}`, reply.body)
	hash, err := organicClass.BodyHash([]byte(reply.body))
	require.NoError(t, err)
	require.Equal(t, hash, reply.header.Get("computed_body_hash"))

	synapse := <-got
	require.Equal(t, "Organic", synapse.Name)
	require.Equal(t, "/Organic", synapse.Path)
	require.Equal(t, organic.Bittensor, synapse.Protocol)
	require.Equal(t, s.alice.Hotkey().String(), synapse.Dendrite.Hotkey)
	require.NotEmpty(t, synapse.Dendrite.UUID)
	require.Equal(t, 10_002_000, synapse.Dendrite.Version)
	require.WithinDuration(t, before, time.Unix(0, int64(synapse.Dendrite.Nonce)), time.Minute)
	require.Equal(t, 7*time.Second, synapse.Timeout)
	require.True(t, synapse.Remote.Addr().IsLoopback())
	require.True(t, synapse.BodySigned)
	require.JSONEq(t, `{"prompt": "What is 2+2?"}`, string(synapse.Body))
}

func TestAnEpistulaSenderIsAnswered(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	const body = "any bytes, JSON or not \xff"
	got := make(chan *organic.Synapse, 1)
	s.forward(func(_ context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
		got <- synapse
		w.WriteHeader(http.StatusAccepted)
		_, err := w.Write([]byte(`{"id": 7}`))
		return err
	})
	reply := s.ask(s.byEpistula(s.alice, body))
	require.Equal(t, http.StatusAccepted, reply.code)
	require.JSONEq(t, `{"id": 7}`, reply.body)
	synapse := <-got
	require.Equal(t, organic.EpistulaV2, synapse.Protocol)
	require.Equal(t, s.epistula.Path(), synapse.Name)
	require.Equal(t, s.epistula.Path(), synapse.Path)
	require.Equal(t, s.alice.Hotkey().String(), synapse.Dendrite.Hotkey)
	require.Equal(t, 2, synapse.Dendrite.Version)
	require.Zero(t, synapse.Timeout)
	require.Equal(t, body, string(synapse.Body), "the bytes as they came")
}

// TestAnswersCarryRawHeaders reads the bytes on the wire: a dendrite looks for
// bt_header_axon_ in lower case.
func TestAnswersCarryRawHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		path    string
		status  string
		message string
	}{
		{"success", "/Organic", "200", "Success"},
		{"refusal", "/Nothing", "404", "Not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.forward(echo)
			request := s.byDendrite(s.dendrite, "hi", 0)
			request.URL.Path = tt.path
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, request.Write(conn))
			var lines []string
			for scanner := bufio.NewScanner(conn); scanner.Scan() && scanner.Text() != ""; {
				lines = append(lines, scanner.Text())
			}
			require.Contains(t, lines, "bt_header_axon_status_code: "+tt.status)
			require.Contains(t, lines, "bt_header_axon_status_message: "+tt.message)
			require.Contains(t, strings.Join(lines, "\n"), "\nbt_header_axon_process_time: 0.")
			if tt.status == "200" {
				require.Contains(t, lines, "name: Organic")
			}
		})
	}
}

func TestHooksRefuse(t *testing.T) {
	t.Parallel()
	secret := errors.New("the secret reason")
	for _, tt := range []struct {
		name     string
		handlers organic.Handlers
		status   int
		message  string
		reason   axon.Reason
	}{
		{"blacklist", organic.Handlers{
			Blacklist: func(
				context.Context, *organic.Synapse,
			) error {
				return organic.Refuse(403, "Forbidden")
			},
			Verify: func(context.Context, *organic.Synapse) error { panic("not reached") },
		}, 403, "Forbidden", axon.ReasonHook},
		{"verify", organic.Handlers{
			Verify: func(
				context.Context, *organic.Synapse,
			) error {
				return organic.Refuse(402, "Pay first")
			},
			Priority: func(context.Context, *organic.Synapse) float64 { panic("not reached") },
		}, 402, "Pay first", axon.ReasonHook},
		{"blacklist fails", organic.Handlers{
			Blacklist: func(context.Context, *organic.Synapse) error { return secret },
		}, 500, "Internal error", axon.ReasonFailed},
		{"forward refuses", organic.Handlers{
			Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error {
				return organic.Refuse(429, "Später\n☃")
			},
		}, 429, "Später\n☃", axon.ReasonHook},
		{"forward fails", organic.Handlers{
			Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error { return secret },
		}, 500, "Internal error", axon.ReasonFailed},
		{"forward fails with an answer held", organic.Handlers{
			Forward: func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
				w.WriteHeader(http.StatusCreated)
				_, _ = w.Write([]byte(`{"half": `))
				return secret
			},
		}, 500, "Internal error", axon.ReasonFailed},
		{"forward panics", organic.Handlers{
			Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error { panic(secret) },
		}, 500, "Internal error", axon.ReasonFailed},
		{"priority panics", organic.Handlers{
			Priority: func(context.Context, *organic.Synapse) float64 { panic(secret) },
		}, 500, "Internal error", axon.ReasonFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.DebugLevel)
			s := newStand(t, axon.WithLogger(zap.New(core)))
			if tt.handlers.Forward == nil {
				tt.handlers.Forward = func(
					context.Context, http.ResponseWriter, *organic.Synapse,
				) error {
					panic("not reached")
				}
			}
			require.NoError(t, attach(s.bittensor, tt.handlers))
			reply := s.ask(s.byDendrite(s.dendrite, "my prompt", 0))
			require.Equal(t, tt.status, reply.code)
			require.Equal(t, tt.status, reply.status)
			require.JSONEq(t, jsonMessage(tt.message), reply.body)
			require.Equal(t, map[axon.Reason]uint64{tt.reason: 1}, s.server.Stats().Refused)
			require.NotZero(t, logs.FilterField(zap.String("reason", string(tt.reason))).Len())
			for _, entry := range logs.All() {
				require.NotContains(t, entry.Message, "my prompt")
				require.NotContains(t, entry.ContextMap(), secret.Error())
			}
		})
	}
}

func TestAHeaderMessageIsOneLineOfASCII(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.forward(func(context.Context, http.ResponseWriter, *organic.Synapse) error {
		return organic.Refuse(http.StatusConflict, "später\r\nx: y ☃\x7f")
	})
	reply := s.ask(s.byDendrite(s.dendrite, "hi", 0))
	require.Equal(t, "sp?ter??x: y ??", reply.message)
	require.Empty(t, reply.header.Get("x"))
}

func TestWithoutAScorerTheAnswerIs503(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	reply := s.ask(s.byDendrite(s.dendrite, "hi", 0))
	require.Equal(t, http.StatusServiceUnavailable, reply.code)
	require.JSONEq(t, `{"message": "Busy"}`, reply.body)
	require.Equal(t, map[axon.Reason]uint64{axon.ReasonClosed: 1}, s.server.Stats().Refused)
	require.Zero(t, s.server.Stats().Remembered, "nothing is stored of it")
}

func TestARouteTakesOneScorer(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	require.ErrorIs(t, attach(s.bittensor, organic.Handlers{}), axon.ErrInvalidOption,
		"Forward is missing")
	s.forward(echo)
	require.ErrorIs(t, attach(s.bittensor, organic.Handlers{Forward: echo}), axon.ErrAttached)
}

func TestTheAllowListChangesWhileServing(t *testing.T) {
	t.Parallel()
	list := axon.NewAllowList()
	s := newStand(t, axon.WithAllowList(list))
	s.forward(echo)
	ask := func() int {
		return s.ask(s.byDendrite(s.dendrite, "hi", 0)).code
	}
	require.Equal(t, http.StatusForbidden, ask(), "an empty list lets nobody in")
	list.Allow(s.alice.Hotkey())
	require.Equal(t, http.StatusOK, ask())
	list.Remove(s.alice.Hotkey())
	require.Equal(t, http.StatusForbidden, ask(), "also when the key is known by then")
	list.Replace(s.alice.Hotkey(), s.bob.Hotkey())
	require.Equal(t, http.StatusOK, ask())
	list.Replace(s.bob.Hotkey())
	require.Equal(t, http.StatusForbidden, ask())
	require.Equal(t, []keys.Hotkey{s.bob.Hotkey()}, list.Hotkeys())
	require.True(t, list.Allows(s.bob.Hotkey()))
}

func TestARouteHasAListOfItsOwn(t *testing.T) {
	t.Parallel()
	alice, bob := keypairFromURI(t, "//Alice"), keypairFromURI(t, "//Bob")
	server, err := axon.New(bob.Hotkey(), axon.WithAllowList(axon.NewAllowList()))
	require.NoError(t, err)
	route, err := server.Route("/open", axon.WithEpistula(),
		axon.WithAllowList(axon.NewAllowList(alice.Hotkey())))
	require.NoError(t, err)
	require.NoError(t, attach(route, organic.Handlers{Forward: echo}))
	r := httptest.NewRequest(http.MethodPost, "/open", strings.NewReader("{}"))
	r.GetBody = nil
	require.ErrorIs(t, axon.SignEpistula(r, alice, bob.Hotkey()), axon.ErrOneWayBody)
	r, err = http.NewRequestWithContext(t.Context(), http.MethodPost, "/open", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, axon.SignEpistula(r, alice, bob.Hotkey()))
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
}

func TestRates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		option axon.Option
	}{
		{"of a hotkey", axon.WithHotkeyRate(1, 2)},
		{"of an address", axon.WithAddressRate(1, 2)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			clock := newTestClock(time.Now())
			s := newStand(t, tt.option, axon.WithClock(clock.now))
			clock.set(time.Now().Add(time.Millisecond)) // requests are signed from now on
			s.forward(echo)
			var statuses []int
			for range 3 {
				statuses = append(statuses, s.ask(s.byDendrite(s.dendrite, "hi", 0)).code)
			}
			require.Equal(t, []int{200, 200, 429}, statuses)
			clock.set(clock.now().Add(time.Second))
			require.Equal(t, http.StatusOK, s.ask(s.byDendrite(s.dendrite, "hi", 0)).code,
				"a second has brought one more")
			require.Equal(t, map[axon.Reason]uint64{axon.ReasonRate: 1}, s.server.Stats().Refused)
		})
	}
}

// TestForgeriesDoNotChargeTheHotkey sends forged requests in Alice's name: her
// own must still be taken.
func TestForgeriesDoNotChargeTheHotkey(t *testing.T) {
	t.Parallel()
	s := newStand(t, axon.WithHotkeyRate(1, 1))
	s.forward(echo)
	for range 5 {
		forged := s.byDendrite(s.dendrite, "hi", 0)
		forged.Header.Set("bt_header_dendrite_uuid", "another")
		require.Equal(t, http.StatusUnauthorized, s.ask(forged).code)
	}
	require.Zero(t, s.server.Stats().Hotkeys)
	require.Zero(t, s.server.Stats().Remembered)
	require.Equal(t, http.StatusOK, s.ask(s.byDendrite(s.dendrite, "hi", 0)).code)
}

func TestAScorerThatDoesNotRunIsClosed(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	v := newValidator(t, s)
	ask := func() int {
		return s.ask(s.byDendrite(s.dendrite, "hi", 0)).code
	}
	require.Equal(t, http.StatusServiceUnavailable, ask())
	require.NoError(t, v.Start(t.Context()))
	require.Equal(t, http.StatusOK, ask())
	require.Equal(t, http.StatusOK, s.ask(s.byEpistula(s.alice, `{"prompt": "hello"}`)).code)
	require.NoError(t, v.Stop(t.Context()))
	require.Equal(t, http.StatusServiceUnavailable, ask())
	require.Equal(t, map[axon.Reason]uint64{axon.ReasonClosed: 2}, s.server.Stats().Refused)
	require.EqualValues(t, 2, s.server.Stats().Verified,
		"a scorer that does not run costs no verification")
	require.EqualValues(t, 2, s.server.Stats().Served)
	require.Equal(t, 2, s.server.Stats().Remembered, "nor a place in the replay memory")
	require.EqualValues(t, 2, v.entries.Load())
	require.EqualValues(t, 2, v.Stats().Accepted)
}
