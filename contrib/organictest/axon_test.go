package organictest_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// handlers calls hooks as a scorer would.
func handlers(hooks organictest.HookFuncs[string, string]) organic.Handlers {
	return organic.Handlers{
		Blacklist: hooks.Blacklist, Verify: hooks.Verify, Priority: hooks.Priority,
		Forward: hooks.OnOrganicEntry,
	}
}

func TestAxonAnswers(t *testing.T) {
	t.Parallel()
	refuse := func(status int) func(context.Context, *organic.Synapse) error {
		return func(context.Context, *organic.Synapse) error { return organic.Refuse(status, "no") }
	}
	forward := func(write func(w http.ResponseWriter), err error) func(
		context.Context, http.ResponseWriter, *organic.Synapse,
	) error {
		return func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
			write(w)
			return err
		}
	}
	nothing := func(http.ResponseWriter) {}
	tests := []struct {
		name   string
		hooks  organictest.HookFuncs[string, string]
		status int
		body   string
	}{
		{
			name: "no entry hook", status: http.StatusNotImplemented,
			body: "organic queries are not served",
		},
		{
			name: "blacklist comes first",
			hooks: organictest.HookFuncs[string, string]{
				BlacklistFunc: refuse(403),
				VerifyFunc:    refuse(401),
			}, status: http.StatusForbidden, body: "no",
		},
		{
			name: "verify comes next", hooks: organictest.HookFuncs[string, string]{VerifyFunc: refuse(401)},
			status: http.StatusUnauthorized, body: "no",
		},
		{name: "nothing written", hooks: organictest.HookFuncs[string, string]{OnOrganicEntryFunc: forward(nothing, nil)}, status: http.StatusOK},
		{name: "an answer", hooks: organictest.HookFuncs[string, string]{OnOrganicEntryFunc: forward(accepted, nil)}, status: http.StatusAccepted, body: "got it"},
		{name: "a stream", hooks: organictest.HookFuncs[string, string]{OnOrganicEntryFunc: forward(streamed, nil)}, status: http.StatusOK, body: "one two"},
		{
			name:   "an error of its own is nobody's business",
			hooks:  organictest.HookFuncs[string, string]{OnOrganicEntryFunc: forward(nothing, errOwn)},
			status: http.StatusInternalServerError, body: "Internal Server Error",
		},
		{
			name:   "an error with bytes out",
			hooks:  organictest.HookFuncs[string, string]{OnOrganicEntryFunc: forward(streamed, errOwn)},
			status: http.StatusOK, body: "one two",
		},
		{
			name:  "an error with the header out",
			hooks: organictest.HookFuncs[string, string]{OnOrganicEntryFunc: forward(func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) }, errOwn)}, status: http.StatusTeapot,
		},
		{
			name:  "an error after early hints",
			hooks: organictest.HookFuncs[string, string]{OnOrganicEntryFunc: forward(func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, organic.Refuse(429, "later"))}, status: http.StatusTooManyRequests, body: "later",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			axon := &organictest.Axon{}
			require.NoError(t, attach(axon, handlers(tt.hooks)))
			status, body := axon.Ask(t.Context(), &organic.Synapse{})
			require.Equal(t, tt.status, status)
			require.Equal(t, tt.body, string(body))
		})
	}
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "got it")
}

func streamed(w http.ResponseWriter) {
	_, _ = w.Write([]byte("one "))
	_ = http.NewResponseController(w).Flush()
	_, _ = io.WriteString(w, "two")
}

func TestAxonCallsInOrder(t *testing.T) {
	t.Parallel()
	var called []string
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "the request's")
	see := func(name string) func(context.Context, *organic.Synapse) error {
		return func(ctx context.Context, synapse *organic.Synapse) error {
			called = append(called, name)
			require.Equal(t, "the request's", ctx.Value(key{}))
			require.Equal(t, "Prompt", synapse.Name)
			return nil
		}
	}
	axon := &organictest.Axon{}
	require.NoError(t, attach(axon, organic.Handlers{
		Blacklist: see("blacklist"),
		Verify:    see("verify"),
		Priority: func(ctx context.Context, synapse *organic.Synapse) float64 {
			_ = see("priority")(ctx, synapse)
			return 1
		},
		Forward: func(ctx context.Context, _ http.ResponseWriter, synapse *organic.Synapse) error {
			return see("forward")(ctx, synapse)
		},
	}))
	status, _ := axon.Ask(ctx, &organic.Synapse{Name: "Prompt"})
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{"blacklist", "verify", "priority", "forward"}, called)
}

func TestAxonAttaches(t *testing.T) {
	t.Parallel()
	failing := &organictest.Axon{AttachErr: errOwn}
	require.ErrorIs(t, attach(failing, organic.Handlers{}), errOwn)

	axon := &organictest.Axon{}
	status, _ := axon.Ask(t.Context(), &organic.Synapse{})
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Nil(t, axon.Handlers().Forward)

	hooks := handlers(organictest.HookFuncs[string, string]{PriorityFunc: func(
		context.Context, *organic.Synapse,
	) float64 {
		return 5
	}})
	require.NoError(t, attach(axon, hooks))
	require.InDelta(t, 5, axon.Handlers().Priority(t.Context(), &organic.Synapse{}), 0)
	require.Error(t, attach(axon, hooks), "one axon serves one scorer")
}

func TestAxonAnswersManyAtOnce(t *testing.T) {
	t.Parallel()
	axon := &organictest.Axon{}
	require.NoError(t, attach(axon, handlers(organictest.HookFuncs[string, string]{
		OnOrganicEntryFunc: func(
			_ context.Context, w http.ResponseWriter, synapse *organic.Synapse,
		) error {
			_, err := w.Write(synapse.Body)
			return err
		},
	})))
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			_, body := axon.Ask(t.Context(), &organic.Synapse{Body: []byte{byte(i)}})
			require.Equal(t, []byte{byte(i)}, body)
		})
	}
	group.Wait()
}

// attach attaches handlers to an axon for good.
func attach(axon *organictest.Axon, handlers organic.Handlers) error {
	_, err := axon.Attach(handlers)
	return err
}
