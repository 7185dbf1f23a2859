package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/recorded"
	"github.com/organic-scoring/organic/examples/internal/wire"
)

// teacher is a server that makes references of what the data has.
type teacher struct {
	known dataReferee
	asked atomic.Uint64
	fails uint64 // the first ones
}

func (s *teacher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Model    string
		Messages []wire.ChatMessage
	}
	err := json.NewDecoder(r.Body).Decode(&asked)
	right := err == nil && r.URL.Path == "/v1/chat/completions" && r.Header.Get("Authorization") == "Bearer key" &&
		asked.Model == "big" && len(asked.Messages) == 1 && asked.Messages[0].Role == "user"
	if !right || s.asked.Add(1) <= s.fails {
		http.Error(w, "no", http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"id": "1", "object": "chat.completion",
		"choices": []any{map[string]any{
			"index": 0, "message": wire.ChatMessage{Role: "assistant", Content: s.known[asked.Messages[0].Content]},
		}},
	})
}

func TestReferencesFromAServer(t *testing.T) {
	records, err := recorded.Read(smallData, recorded.ByModel)
	require.NoError(t, err)
	known, err := newReferee(recorded.ByModel, records)
	require.NoError(t, err)
	s := &teacher{known: known.(dataReferee), fails: 2}
	server := httptest.NewServer(s)
	defer server.Close()
	t.Setenv(envURL, server.URL+"/v1/")
	t.Setenv(envModel, "big")
	t.Setenv(envKey, "key")

	subnet := setup(t, "-patience 1m -rate 20 -reference openai")
	for _, m := range subnet.miners { // nobody is late on any machine, and nobody is waited for
		if m.latency = 0; m.kind == hanging {
			m.kind = empty
		}
	}
	played(t, subnet)
	requireAccounted(t, subnet)
	requirePass(t, subnet, smallData)
	require.Equal(t, uint64(24+2), s.asked.Load(), "what failed was asked again, what did not was asked once")
}

func TestReferenceServerNeedsAnAddressAndAModel(t *testing.T) {
	t.Setenv(envURL, "")
	_, err := newReferee(byServer, nil)
	require.EqualError(t, err, "-reference openai: OPENAI_BASE_URL and OPENAI_MODEL must be set")
	t.Setenv(envURL, "http://a b")
	t.Setenv(envModel, "big")
	_, err = newReferee(byServer, nil)
	require.ErrorContains(t, err, "OPENAI_BASE_URL: ")
}

func TestErrorsOfAReferenceServerTellNoText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, want string
		status           int
	}{
		{"refusal", `{"error": {"message": "secret is not allowed"}}`, "discard: reference server: status 400", http.StatusBadRequest},
		{"refusal of what is well formed", `{"error": "secret"}`, "discard: reference server: status 422", http.StatusUnprocessableEntity},
		{"breakdown", "secret", "reference server: status 500", http.StatusInternalServerError},
		{"null", `{"choices": [{"message": {"content": null}}]}`, "reference server: empty reference", http.StatusOK},
		{"empty", `{"choices": [{"message": {"content": ""}}]}`, "reference server: empty reference", http.StatusOK},
		{"white space", `{"choices": [{"message": {"content": " \n"}}]}`, "reference server: empty reference", http.StatusOK},
		{"no JSON", "secret", "reference server: not a completion", http.StatusOK},
		{"no choices", `{"choices": [], "secret": 1}`, "reference server: not a completion", http.StatusOK},
		{"too long", `{"choices": [{"message": {"content": "` + string(make([]byte, maxReference)), "reference server: not a completion", http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer server.Close()
			o := &openAI{url: server.URL, model: "big", client: server.Client()}
			_, err := o.Refer(t.Context(), "secret")
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		var elsewhere atomic.Uint64
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
		defer other.Close()
		server := httptest.NewServer(http.RedirectHandler(other.URL, status))
		defer server.Close()

		t.Setenv(envURL, server.URL)
		t.Setenv(envModel, "big")
		o, err := newOpenAI()
		require.NoError(t, err)
		_, err = o.Refer(t.Context(), "secret")
		require.EqualError(t, err, fmt.Sprintf("reference server: status %d", status))

		key, err := keyOf("validator", 0)
		require.NoError(t, err)
		r := newRequests(key, 1)
		defer r.close()
		r.peers = []peer{{url: server.URL, hotkey: key.Hotkey()}}
		miners, err := r.miners("secret")
		require.NoError(t, err)
		require.EqualError(t, miners[0](t.Context(), func(relay.Chunk) error { return nil }), fmt.Sprintf("status %d", status))
		require.Zero(t, elsewhere.Load())
	}
}

func TestPromptsWithoutReferenceAreDiscarded(t *testing.T) {
	t.Parallel()
	s := setup(t, "-synthetic 1 -rate 1000 -patience 500ms -queries 1")
	s.queries = []string{"What nobody has recorded?"}
	require.EqualError(t, s.play(t.Context(), io.Discard), "0 of 1 samples were scored")
	stats := s.stats()
	require.Equal(t, uint64(1), stats.Accepted)
	require.Equal(t, uint64(1), stats.Discarded)
	require.Zero(t, stats.Scored)
	require.Zero(t, s.tally.samples(organic.Organic))
}
