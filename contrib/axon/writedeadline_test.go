package axon_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestAHookMayHaveItsOwnDeadline writes to clients that do not read, under a
// deadline far from the axon's own, to one side or the other.
func TestAHookMayHaveItsOwnDeadline(t *testing.T) {
	t.Parallel()
	const short, long = 50 * time.Millisecond, time.Hour
	for _, tt := range []struct {
		name      string
		writeTime time.Duration
		own       []time.Duration // what the hook sets, one after the other; 0: back to the axon's
		streams   bool            // from the first byte
	}{
		{"shorter", long, []time.Duration{short}, true},
		{"shorter, after a flush", long, []time.Duration{short}, false},
		{"given back", short, []time.Duration{long, 0}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, axon.WithLimits(axon.Limits{WriteTime: tt.writeTime}))
			ended := make(chan error, 1)
			s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
				control := http.NewResponseController(w)
				for _, d := range tt.own {
					deadline := time.Time{}
					if d > 0 {
						deadline = time.Now().Add(d)
					}
					require.NoError(t, control.SetWriteDeadline(deadline))
				}
				if tt.streams {
					w.Header().Set("Content-Type", "text/event-stream")
				} else if err := control.Flush(); err != nil {
					return err
				}
				for piece := make([]byte, 1<<20); ; {
					if _, err := w.Write(piece); err != nil {
						ended <- err
						return err
					}
				}
			})
			response, err := http.DefaultClient.Do(s.byDendrite(s.dendrite, "hi", 0))
			require.NoError(t, err)
			defer response.Body.Close()
			select {
			case err := <-ended:
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			case <-time.After(longest):
				require.Fail(t, "the write goes on")
			}
		})
	}
}

// TestAHooksDeadlineEndsWithTheHook leaves one behind that has passed: what the
// axon writes by itself has its own time.
func TestAHooksDeadlineEndsWithTheHook(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"held": 200, "streamed": 200, "refused": 409} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.forward(func(ctx context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
				control := http.NewResponseController(w)
				require.NoError(t, control.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
				if _, err := io.WriteString(w, "{}"); err != nil {
					return err
				}
				if name == "streamed" {
					require.NoError(t, control.Flush())
				}
				select {
				case <-time.After(60 * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
				if name == "refused" {
					return organic.Refuse(http.StatusConflict, "late")
				}
				return nil
			})
			reply := s.ask(s.byEpistula(s.alice, "{}"))
			require.Equal(t, want, reply.code)
			if want == http.StatusOK {
				require.Equal(t, "{}", reply.body)
			}
		})
	}
}

// TestARelayCutsOffBehindTheAxon has a requester who reads nothing: the relay's
// limit holds, not the axon's.
func TestARelayCutsOffBehindTheAxon(t *testing.T) {
	t.Parallel()
	s := newStand(t, axon.WithLimits(axon.Limits{WriteTime: time.Hour}))
	r, err := relay.New(relay.WithWriteTimeout(50*time.Millisecond), relay.WithMaxAnswer(64<<20, 1000),
		relay.WithMaxLag(64<<20))
	require.NoError(t, err)
	flood := func(_ context.Context, emit func(relay.Chunk) error) error {
		chunk := relay.Chunk{Text: strings.Repeat("x", 1<<20)}
		for range 32 { // more than sockets hold
			if err := emit(chunk); err != nil {
				return err
			}
		}
		return nil
	}
	served := make(chan error, 1)
	s.forward(func(ctx context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		err := r.Serve(ctx, w, relay.Query{Miners: map[organic.UID]relay.Miner{1: flood}})
		served <- err
		return err
	})
	response, err := http.DefaultClient.Do(s.byDendrite(s.dendrite, "hi", 0))
	require.NoError(t, err)
	defer response.Body.Close()
	select {
	case err := <-served:
		require.ErrorIs(t, err, relay.ErrTooSlow)
	case <-time.After(longest):
		require.Fail(t, "the write goes on")
	}
	require.NoError(t, r.Close(t.Context()))
}
