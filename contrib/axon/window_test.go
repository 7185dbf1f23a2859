package axon_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestTheCapOfTheTimeout moves the clock to the edges of the window that a cap
// allows, and shows that a request is remembered that long.
func TestTheCapOfTheTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		limit  time.Duration
		window time.Duration
	}{
		{"none", 0, 4 * time.Second},
		{"a minute", time.Minute, 64 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			clock := newTestClock(now.Add(-time.Hour))
			bob := keypairFromURI(t, "//Bob")
			server, err := axon.New(bob.Hotkey(), axon.WithTimeoutCap(tt.limit), axon.WithClock(clock.now))
			require.NoError(t, err)
			route, err := server.Synapse(organicClass)
			require.NoError(t, err)
			require.NoError(t, attach(route, organic.Handlers{Forward: echo}))
			dendrite := axon.NewDendrite(keypairFromURI(t, "//Alice"))
			request := func() *http.Request {
				r, err := dendrite.NewRequest(t.Context(), axon.Query{
					URL: "http://127.0.0.1", Axon: bob.Hotkey(), Class: organicClass, Fields: prompt{"hi"},
					Timeout: time.Hour,
				})
				require.NoError(t, err)
				return r
			}
			deliver := func(r *http.Request, at time.Duration) axon.Reason {
				clock.set(now.Add(at))
				before := server.Stats().Refused
				server.ServeHTTP(httptest.NewRecorder(), r)
				for reason, n := range server.Stats().Refused {
					if n > before[reason] {
						return reason
					}
				}
				return ""
			}
			const slack = 2 * time.Second // between now and the signing below
			require.Equal(t, axon.ReasonFuture, deliver(request(), -tt.window-time.Millisecond))
			taken := request()
			again := taken.Clone(t.Context())
			again.Body, err = taken.GetBody()
			require.NoError(t, err)
			require.Empty(t, deliver(taken, -tt.window+slack), "early, but in the window")
			require.Equal(t, axon.ReasonReplay, deliver(again, tt.window-time.Millisecond),
				"late, but in the window")
			require.Empty(t, deliver(request(), tt.window-time.Millisecond))
			require.Equal(t, axon.ReasonStale, deliver(request(), tt.window+slack))
		})
	}
}
