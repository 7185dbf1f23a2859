package axon_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestChunksArriveOneByOne lets the hook write each chunk only after the client
// has read the one before.
func TestChunksArriveOneByOne(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		flush func(w http.ResponseWriter) error
	}{
		{"by Flusher", func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil }},
		{"by ResponseController", func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			read := make(chan struct{})
			s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
				for _, chunk := range []string{"one ", "two ", "three"} {
					if _, err := io.WriteString(w, chunk); err != nil {
						return err
					}
					if err := tt.flush(w); err != nil {
						return err
					}
					<-read
				}
				return nil
			})
			response, err := http.DefaultClient.Do(s.byDendrite(s.dendrite, "hi", 0))
			require.NoError(t, err)
			defer response.Body.Close()
			status, _ := axon.StatusOf(response)
			require.Equal(t, http.StatusOK, status, "the header is there before the first chunk's end")
			require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
			require.Empty(t, response.Header.Get("computed_body_hash"))
			for _, chunk := range []string{"one ", "two ", "three"} {
				got := make([]byte, len(chunk))
				_, err := io.ReadFull(response.Body, got)
				require.NoError(t, err)
				require.Equal(t, chunk, string(got))
				read <- struct{}{}
			}
			rest, err := io.ReadAll(response.Body)
			require.NoError(t, err, "the stream has a regular end")
			require.Empty(t, rest)
		})
	}
}

// TestAnnouncedContentStreams needs no Flush for the header to leave at the
// first byte: what is written is gone, so a failure breaks the connection.
func TestABrokenStreamIsNoSuccess(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		write func(w http.ResponseWriter)
	}{
		{"flushed", func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "half")
			w.(http.Flusher).Flush()
		}},
		{"announced", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, strings.Repeat("half", 10_000))
		}},
		{"too large to be held", func(w http.ResponseWriter) {
			for range 20 {
				_, _ = io.WriteString(w, strings.Repeat("half", 100_000))
			}
		}},
		{"panicking", func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			panic("half way")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
				tt.write(w)
				return errors.New("half way")
			})
			response, err := http.DefaultClient.Do(s.byEpistula(s.alice, "{}"))
			require.NoError(t, err)
			defer response.Body.Close()
			require.Equal(t, http.StatusOK, response.StatusCode)
			_, err = io.ReadAll(response.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, map[axon.Reason]uint64{axon.ReasonFailed: 1}, s.server.Stats().Refused)
		})
	}
}

func TestARequesterWhoLeavesCancelsTheHook(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	inside, left := make(chan struct{}), make(chan error, 1)
	s.forward(func(ctx context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		w.(http.Flusher).Flush()
		close(inside)
		<-ctx.Done()
		left <- ctx.Err()
		return ctx.Err()
	})
	ctx, leave := context.WithCancel(t.Context())
	response, err := http.DefaultClient.Do(s.byDendrite(s.dendrite, "hi", 0).WithContext(ctx))
	require.NoError(t, err)
	defer response.Body.Close()
	<-inside
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	require.Eventually(t, func() bool { return s.server.Stats().Refused[axon.ReasonGone] == 1 },
		10*time.Second, time.Millisecond)
	require.Zero(t, s.server.Stats().Serving)
}

// TestAClientThatDoesNotReadIsCutOff bounds how long a stream may stand.
func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	s := newStand(t, axon.WithLimits(axon.Limits{WriteTime: 50 * time.Millisecond}))
	ended := make(chan error, 1)
	s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		w.Header().Set("Content-Type", "text/event-stream")
		piece := make([]byte, 1<<20)
		for {
			if _, err := w.Write(piece); err != nil {
				ended <- err
				return err
			}
		}
	})
	response, err := http.DefaultClient.Do(s.byDendrite(s.dendrite, "hi", 0))
	require.NoError(t, err)
	defer response.Body.Close()
	require.Error(t, <-ended)
}

// TestDeadlinesDoNotOutliveTheAnswer asks twice over one connection, with more
// than a deadline in between.
func TestDeadlinesDoNotOutliveTheAnswer(t *testing.T) {
	t.Parallel()
	s := newStand(t, axon.WithLimits(axon.Limits{
		WriteTime: 100 * time.Millisecond,
		BodyTime:  100 * time.Millisecond,
	}))
	pause := make(chan time.Duration, 1)
	s.forward(func(ctx context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		select {
		case <-time.After(<-pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		_, err := io.WriteString(w, strings.Repeat("x", 100_000))
		return err
	})
	for range 2 {
		pause <- 250 * time.Millisecond
		require.Len(t, s.ask(s.byEpistula(s.alice, "{}")).body, 100_000)
	}
}

func TestAnAnswerWithoutContent(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNoContent, http.StatusNotModified} {
		s := newStand(t)
		s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
			w.WriteHeader(status)
			return nil
		})
		for _, request := range []*http.Request{
			s.byDendrite(s.dendrite, "hi", 0),
			s.byEpistula(s.alice, "{}"),
		} {
			reply := s.ask(request)
			require.Equal(t, status, reply.code)
			require.Equal(t, status, reply.status)
			require.Empty(t, reply.body)
		}
	}
}

func TestAStatusThatIsNoneIsAFailure(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 99, 1000} {
		s := newStand(t)
		s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
			w.WriteHeader(status)
			return nil
		})
		require.Equal(t, http.StatusInternalServerError, s.ask(s.byDendrite(s.dendrite, "hi", 0)).code)
	}
}

func TestInformationalStatusLeavesAtOnce(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK) // too late, as with any ResponseWriter
		return nil
	})
	reply := s.ask(s.byDendrite(s.dendrite, "hi", 0))
	require.Equal(t, http.StatusTeapot, reply.code)
	require.Equal(t, http.StatusTeapot, reply.status)
	require.Equal(t, "I'm a teapot", reply.message)
	require.JSONEq(t, `{}`, reply.body)
}

// TestAStreamCannotKeepAnAmbiguousConnection has a hook that sets the header which streams
// have by convention, for a request whose end a proxy may have seen elsewhere.
func TestAStreamCannotKeepAnAmbiguousConnection(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(w http.ResponseWriter) error{
		"in one piece": func(w http.ResponseWriter) error {
			_,
				err := io.WriteString(w, "{}")
			return err
		},
		"flushed": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"with an early header": func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusEarlyHints)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
				w.Header().Set("Connection", "keep-alive")
				return write(w)
			})
			for _, length := range []int64{2, -1} {
				request := s.byEpistula(s.alice, "{}")
				request.ContentLength = length
				response, err := http.DefaultClient.Do(request)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.Equal(t, http.StatusOK, response.StatusCode)
				require.Equal(t, length < 0, response.Close)
			}
		})
	}
}

// TestOnlyJSONIsHeld has content types that look like JSON's, or like another.
func TestOnlyJSONIsHeld(t *testing.T) {
	t.Parallel()
	for announced, streams := range map[string]bool{
		"application/json": false, "Application/JSON": false, " application/json ; charset=utf-8": false,
		"":                     false,
		"application/json-seq": true, "application/jsonl": true,
		"application/json+x; charset=utf-8": true, "text/plain": true,
	} {
		t.Run(announced, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
				w.Header().Set("Content-Type", announced)
				_, _ = io.WriteString(w, strings.Repeat("half", 10_000))
				return errors.New("half way")
			})
			response, err := http.DefaultClient.Do(s.byEpistula(s.alice, "{}"))
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, streams, response.StatusCode == http.StatusOK)
		})
	}
}
