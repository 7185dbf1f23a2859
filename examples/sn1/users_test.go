package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"
)

func TestUsersSignAgainForAValidatorThatBeganAnew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		refused int64
		asked   int64
		want    error
	}{
		{"away for two tries", 2, 3, nil},
		{"refused for ever", 100, 1 + maxStale, errStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			signatures := make(chan string, 100)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				signatures <- r.Header.Get("Epistula-Request-Signature")
				if asked.Add(1) <= tt.refused {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				_, _ = io.WriteString(w, "data: [DONE]\n\n")
			}))
			defer server.Close()
			u, err := newUsers(keys.Hotkey{})
			require.NoError(t, err)
			u.url = server.URL
			require.ErrorIs(t, u.ask(t.Context(), 1, "a question", false), tt.want)
			require.Equal(t, tt.asked, asked.Load())
			first, second := <-signatures, <-signatures
			require.NotEmpty(t, first)
			require.NotEqual(t, first, second)
		})
	}
}
