package axon_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestARateNamesTheTimeToRetry asks too often, under rates of an address and of a
// hotkey: a request at the time that the refusal names is accepted, and none before.
func TestARateNamesTheTimeToRetry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		rate  func(perSecond float64, burst int) axon.Option
		after map[float64]string
	}{
		{
			"of the address", axon.WithAddressRate,
			map[float64]string{100: "1", 1: "1", 0.2: "5", 1e-9: "3600"},
		},
		{
			"of the hotkey", axon.WithHotkeyRate,
			map[float64]string{100: "1", 1: "1", 0.3: "4", 1e-9: "3600"},
		},
	} {
		for perSecond, want := range tt.after {
			t.Run(tt.name+" "+want, func(t *testing.T) {
				t.Parallel()
				f := newFortress(t, tt.rate(perSecond, 1))
				calls := stamped(t, byBittensor, 0, 1, 2)
				require.Equal(t, http.StatusOK, f.send(calls[0].request(t)).Code)
				w := f.send(calls[1].request(t))
				require.Equal(t, http.StatusTooManyRequests, w.Code)
				require.Equal(t, want, w.Header().Get("Retry-After"))
				seconds, err := strconv.Atoi(want)
				require.NoError(t, err)
				if seconds > 10 {
					return // by then the request is stale
				}
				later := time.Duration(seconds) * time.Second
				f.clock.set(sentAt.Add(later))
				require.Equal(t, http.StatusOK, f.send(stamped(t, byBittensor, later)[0].request(t)).Code)
			})
		}
	}
}

// TestEveryBusyAnswerNamesATimeToRetry has hooks and a closed scorer refuse.
func TestEveryBusyAnswerNamesATimeToRetry(t *testing.T) {
	t.Parallel()
	refuse := func(status int) organic.Handlers {
		return organic.Handlers{Forward: func(
			context.Context, http.ResponseWriter, *organic.Synapse,
		) error {
			return organic.Refuse(status, "no")
		}}
	}
	write := func(status int, retry string) organic.Handlers {
		return organic.Handlers{Forward: func(
			_ context.Context, w http.ResponseWriter, _ *organic.Synapse,
		) error {
			if retry != "" {
				w.Header().Set("Retry-After", retry)
			}
			w.WriteHeader(status)
			return nil
		}}
	}
	for _, tt := range []struct {
		name     string
		handlers organic.Handlers
		status   int
		retry    string
	}{
		{"a hook is busy", refuse(http.StatusServiceUnavailable), http.StatusServiceUnavailable, "1"},
		{"a hook has a rate", refuse(http.StatusTooManyRequests), http.StatusTooManyRequests, "1"},
		{"a hook forbids", refuse(http.StatusForbidden), http.StatusForbidden, ""},
		{
			"a hook writes that it is busy", write(http.StatusServiceUnavailable, ""),
			http.StatusServiceUnavailable, "1",
		},
		{"a hook writes a rate", write(http.StatusTooManyRequests, ""), http.StatusTooManyRequests, "1"},
		{
			"a hook writes a time", write(http.StatusTooManyRequests, "30"), http.StatusTooManyRequests,
			"30",
		},
		{"a hook writes success", write(http.StatusAccepted, ""), http.StatusAccepted, ""},
		{
			"a scorer that does not run",
			organic.Handlers{Open: func() bool { return false }, Forward: answerNothing},
			http.StatusServiceUnavailable, "1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFortress(t)
			route, err := f.server.Route("/busy", axon.WithEpistula())
			require.NoError(t, err)
			_, err = route.Attach(tt.handlers)
			require.NoError(t, err)
			c := byEpistula(t)
			c.target = "/busy"
			w := f.send(c.request(t))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.retry, w.Header().Get("Retry-After"))
		})
	}
}
