package openai_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/openai"
)

// client returns a client of a server that answers so.
func client(t *testing.T, answer http.HandlerFunc) *openai.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	t.Setenv("OPENAI_BASE_URL", server.URL+"/v1/")
	t.Setenv("OPENAI_MODEL", "big")
	t.Setenv("OPENAI_API_KEY", "key")
	c, err := openai.FromEnvironment()
	require.NoError(t, err)
	return c
}

func TestReference(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Model    string
			Messages []struct{ Role, Content string }
		}
		err := json.NewDecoder(r.Body).Decode(&asked)
		right := err == nil && r.URL.Path == "/v1/chat/completions" && r.Header.Get("Authorization") == "Bearer key" &&
			asked.Model == "big" && len(asked.Messages) == 1 && asked.Messages[0].Role == "user"
		if !right {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintf(w, `{"choices": [{"index": 0, "message": {"role": "assistant", "content": "about %s"}}]}`, asked.Messages[0].Content)
	})
	text, err := c.Reference(t.Context(), "Lima")
	require.NoError(t, err)
	require.Equal(t, "about Lima", text)
}

func TestFromEnvironmentNeedsAnAddressAndAModel(t *testing.T) {
	t.Setenv("OPENAI_BASE_URL", "")
	_, err := openai.FromEnvironment()
	require.EqualError(t, err, "OPENAI_BASE_URL and OPENAI_MODEL must be set")
	t.Setenv("OPENAI_BASE_URL", "http://a b")
	t.Setenv("OPENAI_MODEL", "big")
	_, err = openai.FromEnvironment()
	require.ErrorContains(t, err, "OPENAI_BASE_URL: ")
}

func TestErrorsHoldNoText(t *testing.T) {
	for _, tt := range []struct {
		name, body, want string
		status           int
	}{
		{
			"refusal", `{"error": {"message": "secret is not allowed"}}`,
			"discard: reference server: status 400", http.StatusBadRequest,
		},
		{
			"refusal of what is well formed", `{"error": "secret"}`, "discard: reference server: status 422",
			http.StatusUnprocessableEntity,
		},
		{"breakdown", "secret", "reference server: status 500", http.StatusInternalServerError},
		{
			"null", `{"choices": [{"message": {"content": null}}]}`, "reference server: empty reference",
			http.StatusOK,
		},
		{
			"empty", `{"choices": [{"message": {"content": ""}}]}`, "reference server: empty reference",
			http.StatusOK,
		},
		{
			"white space", `{"choices": [{"message": {"content": " \n"}}]}`,
			"reference server: empty reference", http.StatusOK,
		},
		{"no JSON", "secret", "reference server: not a completion", http.StatusOK},
		{
			"no choices", `{"choices": [], "secret": 1}`, "reference server: not a completion",
			http.StatusOK,
		},
		{
			"too long", `{"choices": [{"message": {"content": "` + strings.Repeat("a", 1<<20),
			"reference server: not a completion", http.StatusOK,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := client(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			_, err := c.Reference(t.Context(), "secret")
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Uint64
	other := httptest.NewServer(http.HandlerFunc(func(
		http.ResponseWriter, *http.Request,
	) {
		elsewhere.Add(1)
	}))
	defer other.Close()
	for _, status := range []int{http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		c := client(t, func(
			w http.ResponseWriter, r *http.Request,
		) {
			http.Redirect(w, r, other.URL, status)
		})
		_, err := c.Reference(t.Context(), "secret")
		require.EqualError(t, err, fmt.Sprintf("reference server: status %d", status))
	}
	require.Zero(t, elsewhere.Load())
}
