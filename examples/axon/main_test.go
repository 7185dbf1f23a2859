package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/wire"
)

func TestUsersAreAnsweredAndScored(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	for _, line := range []string{
		"alice, by btauth/1: 200 OK: It |is |Lima, |of |course.",
		"alice's request, sent again: 401 Unauthorized",
		"bob, by Epistula: 200 Success: It |is |Nairobi, |of |course.",
		"dora, by a dendrite: 200 Success: It is Lima, of course.",
		"carol, by a bearer key: 200 OK: It |is |Nairobi, |of |course.",
		"mallory, by btauth/1: 403 Forbidden",
		"mallory, by a bearer key: 401 Unauthorized",
	} {
		require.Contains(t, out.String(), line+"\n")
	}
	require.Equal(t, 4, strings.Count(out.String(),
		" (organic, attempt 1), rewards by UID: map[0:1 1:0]\n"))
	require.NotContains(t, out.String(), "capital", "what users ask is not shown")
	require.NotContains(t, out.String(), "sk-", "nor are their keys")
	require.True(t, strings.HasSuffix(out.String(),
		"\naxon: verified 4, refused map[allowlist:1 bearer:1 replay:1]\nscorer: accepted 4, scored 4, still queued 0\n"), out.String())
}

// cancelAt is output that interrupts the program at a line.
type cancelAt struct {
	strings.Builder
	line   string
	cancel context.CancelFunc
}

func (c *cancelAt) Write(line []byte) (int, error) {
	if strings.HasPrefix(string(line), c.line) {
		c.cancel()
	}
	return c.Builder.Write(line)
}

func TestInterruptStopsSoftly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &cancelAt{line: "alice, by btauth/1: 200", cancel: cancel}
	require.ErrorIs(t, run(ctx, out), program.ErrInterrupted)
	require.NotContains(t, out.String(), "bob")
	require.Contains(t, out.String(), "\naxon: verified 1, refused map[]\nscorer: accepted 1, ")
}

func TestAnUnexpectedAnswerIsAnError(t *testing.T) {
	t.Parallel()
	logger := log.New(io.Discard, "", 0)
	v, err := newValidator(logger)
	require.NoError(t, err)
	u, err := newUsers(logger, v.hotkey, "") // who are not on the list
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	u.url = "http://" + listener.Addr().String()
	require.EqualError(t, serve(t.Context(), v, listener, u.visit),
		"alice, by btauth/1: answered 403 Forbidden, want 200")
}

func TestBadBodiesAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		read       func(body []byte) (string, error)
	}{
		{"organic: no JSON", `{"prompt":`, wire.ReadOrganic},
		{"organic: no prompt", `{"prompt": ""}`, wire.ReadOrganic},
		{"chat: no JSON", `{"stream": true, "messages": "secret"}`, wire.ReadChat},
		{"chat: no stream", `{"messages": [{"role": "user", "content": "secret"}]}`, wire.ReadChat},
		{"chat: no messages", `{"stream": true, "messages": []}`, wire.ReadChat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.read([]byte(tt.body))
			status, message := organic.RefusalOf(err)
			require.Equal(t, http.StatusBadRequest, status)
			require.Contains(t, message, "must ")
			require.NotContains(t, message, "secret")
		})
	}
}
