package axon_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestAHooksTimeEnds asks for hooks that go on until their ctx ends.
func TestAHooksTimeEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		body    string
		timeout time.Duration // of a dendrite; zero: another protocol
		limits  axon.Limits
		ends    time.Duration
		status  int
	}{
		{"by default", "wait", 0, axon.Limits{}, time.Minute, http.StatusRequestTimeout},
		{
			"as the limit says", "wait", 0,
			axon.Limits{ServeTime: 5 * time.Second},
			5 * time.Second,
			http.StatusRequestTimeout,
		},
		{
			"at the requester's timeout", "wait", 200 * time.Millisecond,
			axon.Limits{},
			200 * time.Millisecond, http.StatusRequestTimeout,
		},
		{
			"before the requester's timeout", "wait", 2 * time.Minute,
			axon.Limits{},
			time.Minute,
			http.StatusRequestTimeout,
		},
		{"in a stream", "stream", 0, axon.Limits{}, 10 * time.Minute, http.StatusOK},
		{
			"in a stream, as the limit says", "stream", 0,
			axon.Limits{StreamTime: 90 * time.Second},
			90 * time.Second, http.StatusOK,
		},
		{
			"in a stream, at the requester's timeout", "stream", 20 * time.Second,
			axon.Limits{},
			20 * time.Second, http.StatusOK,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(a *attacked) {
				c := partiesOf(a.t, 1, 1)[0]
				conn, err := a.connect(c)
				require.NoError(a.t, err)
				began := time.Now()
				request := a.request(c, tt.body)
				if tt.timeout > 0 {
					request = a.byDendrite(c, tt.body, tt.timeout)
				}
				require.NoError(a.t, request.Write(conn))
				response, err := http.ReadResponse(bufio.NewReader(slowly{conn}), nil)
				require.NoError(a.t, err)
				defer response.Body.Close()
				_, _ = io.Copy(io.Discard, response.Body)
				require.Equal(a.t, tt.status, response.StatusCode)
				require.InDelta(a.t, tt.ends, time.Since(began), float64(time.Second))
				require.Eventually(a.t, func() bool {
					return a.server.Stats().Refused[axon.ReasonOvertime] == 1
				}, time.Second, time.Millisecond)
			}, axon.WithLimits(tt.limits))
		})
	}
}

// TestAHookSeesTheRequestersTimeout takes the ctx of a hook, and one derived from it.
func TestAHookSeesTheRequestersTimeout(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	const timeout = 200 * time.Millisecond
	began := time.Now()
	s.forward(func(ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse) error {
		end, ok := ctx.Deadline()
		require.True(t, ok)
		require.WithinRange(t, end, began.Add(timeout), time.Now().Add(timeout))
		require.NoError(t, ctx.Err())
		derived, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		<-derived.Done()
		require.ErrorIs(t, context.Cause(derived), context.DeadlineExceeded)
		require.Equal(t, context.DeadlineExceeded, derived.Err(), "a scorer derives those of its hooks")
		require.Equal(t, context.DeadlineExceeded, ctx.Err())
		return ctx.Err()
	})
	require.Equal(t, http.StatusRequestTimeout, s.ask(s.byDendrite(s.dendrite, "hi", timeout)).code)
}

// slowly reads a piece every half second: fast enough for each flush.
type slowly struct{ io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(500 * time.Millisecond)
	return s.Reader.Read(p)
}

// TestAStreamThatIsNotReadEnds has a client that reads the header alone: the write
// that is under way ends with the time of one piece, or the whole stream's.
func TestAStreamThatIsNotReadEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limits axon.Limits
		ends   time.Duration
	}{
		"the piece": {axon.Limits{}, 30 * time.Second},
		"the whole": {axon.Limits{StreamTime: 7 * time.Second}, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(a *attacked) {
				c := partiesOf(a.t, 1, 1)[0]
				conn, err := a.connect(c)
				require.NoError(a.t, err)
				began := time.Now()
				require.NoError(a.t, a.request(c, "stream").Write(conn))
				require.Eventually(a.t, func() bool { return a.server.Stats().Serving == 1 }, time.Second,
					time.Millisecond)
				require.Eventually(a.t, func() bool { return a.server.Stats().Serving == 0 }, time.Hour,
					time.Millisecond)
				require.InDelta(a.t, tt.ends, time.Since(began), float64(time.Second))
			}, axon.WithLimits(tt.limits))
		})
	}
}

// TestAHeldAnswerThatIsNotReadIsServing has clients that do not read answers which
// are sent in one piece: no more can wait for them than are served at once.
func TestAHeldAnswerThatIsNotReadIsServing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *attacked) {
		c := partiesOf(a.t, 1, 1)[0]
		for range 100 {
			conn, err := a.connect(c)
			require.NoError(a.t, err)
			require.NoError(a.t, a.request(c, "large").Write(conn))
		}
		require.Eventually(a.t, func() bool {
			stats := a.server.Stats()
			return stats.Serving == 64 && stats.Waiting == 36
		}, time.Second, time.Millisecond)
		time.Sleep(20 * time.Second)
		require.Equal(a.t, 64, a.server.Stats().Serving)
		a.requireServed(partiesOf(a.t, 2, 10), "hi", 2, 0)
	})
}

// TestAnEvictedRequestIsToldSo has a hook wait, and another requester come.
func TestAnEvictedRequestIsToldSo(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *attacked) {
		c := partiesOf(a.t, 1, 1)[0]
		var evicted []*bufio.Reader
		for range 2 {
			conn, err := a.connect(c)
			require.NoError(a.t, err)
			require.NoError(a.t, a.request(c, "wait").Write(conn))
			evicted = append(evicted, bufio.NewReader(conn))
			synctest.Wait()
		}
		a.requireServed(partiesOf(a.t, 2, 1), "hi", 1, 0)
		response, err := http.ReadResponse(evicted[0], nil)
		require.NoError(a.t, err)
		defer response.Body.Close()
		require.Equal(a.t, http.StatusServiceUnavailable, response.StatusCode)
		require.Equal(a.t, "1", response.Header.Get("Retry-After"))
		require.Equal(a.t, map[axon.Reason]uint64{axon.ReasonEvicted: 1}, a.server.Stats().Refused)
	}, axon.WithLimits(axon.Limits{Serving: 2}))
}

// TestABodyMustArriveAtARate has bodies that come in pieces with pauses.
func TestABodyMustArriveAtARate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		size   int
		piece  int
		pause  time.Duration
		limits axon.Limits
		ends   time.Duration
		status int
	}{
		{"fast enough", 200 << 10, 12 << 10, 500 * time.Millisecond, axon.Limits{}, 8 * time.Second, 200},
		{"too slow from the start", 200 << 10, 1 << 10, time.Second, axon.Limits{}, 2 * time.Second, 408},
		{
			"a byte now and then", 200 << 10, 1, 100 * time.Millisecond,
			axon.Limits{},
			2 * time.Second,
			408,
		},
		{
			"too slow after a while", 200 << 10, 64 << 10, 5 * time.Second,
			axon.Limits{},
			2 * time.Second,
			408,
		},
		{
			"slow, as the limit allows", 8 << 10, 1 << 10, time.Second,
			axon.Limits{BodyRate: 512},
			7 * time.Second, 200,
		},
		{
			"too slow for the limit", 200 << 10, 12 << 10, 500 * time.Millisecond,
			axon.Limits{BodyRate: 64 << 10},
			2 * time.Second, 408,
		},
		{
			"too slow for the whole", 200 << 10, 12 << 10, 500 * time.Millisecond,
			axon.Limits{BodyTime: 5 * time.Second},
			5 * time.Second, 408,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(a *attacked) {
				c := partiesOf(a.t, 1, 1)[0]
				conn, err := a.connect(c)
				require.NoError(a.t, err)
				began := time.Now()
				a.all.Go(func() { a.sendInPieces(conn, c, tt.size, tt.piece, tt.pause) })
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(a.t, err)
				defer response.Body.Close()
				require.Equal(a.t, tt.status, response.StatusCode)
				require.InDelta(a.t, tt.ends, time.Since(began), float64(1500*time.Millisecond))
			}, axon.WithLimits(tt.limits))
		})
	}
}

// sendInPieces sends a body, with a pause behind each piece of it.
func (a *attacked) sendInPieces(conn net.Conn, c *caller, size, piece int, pause time.Duration) {
	body := strings.Repeat("x", size)
	_, err := io.WriteString(conn, a.head(a.request(c, body), len(body)))
	for len(body) > 0 && err == nil {
		n := min(piece, len(body))
		_, err = io.WriteString(conn, body[:n])
		body = body[n:]
		time.Sleep(pause)
	}
}

// byDendrite is a request by the protocol that names a timeout.
func (a *attacked) byDendrite(c *caller, text string, timeout time.Duration) *http.Request {
	request, err := axon.NewDendrite(c.keypair).NewRequest(context.Background(), axon.Query{
		URL: "http://axon", Axon: a.bob, Class: organicClass, Fields: prompt{text}, Timeout: timeout,
	})
	if err != nil {
		a.t.Error(err)
	}
	return request
}

// TestConnectionsOfVerifiedRequestsAreKept has one party with many requests that are
// served, and many others that take all connections there are.
func TestConnectionsOfVerifiedRequestsAreKept(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *attacked) {
		c := partiesOf(a.t, 1, 1)[0]
		var answers []*bufio.Reader
		for range 60 {
			conn, err := a.connect(c)
			require.NoError(a.t, err)
			require.NoError(a.t, a.request(c, "wait").Write(conn))
			answers = append(answers, bufio.NewReader(conn))
		}
		synctest.Wait()
		require.Equal(a.t, 60, a.server.Stats().Serving)
		a.holdIdle(partiesOf(a.t, 2, 50), 400)
		for _, answer := range answers {
			response, err := http.ReadResponse(answer, nil)
			require.NoError(a.t, err)
			require.NoError(a.t, response.Body.Close())
			require.Equal(a.t, http.StatusRequestTimeout, response.StatusCode,
				"at the end of its time, not before")
		}
	}, axon.WithLimits(axon.Limits{Connections: 200}))
}

// TestAStreamThatBeginsTooLateIsCutOff has a hook that does not mind the end of its ctx.
func TestAStreamThatBeginsTooLateIsCutOff(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	const timeout = 10 * time.Millisecond
	failed := make(chan error, 1)
	s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) (err error) {
		time.Sleep(2 * timeout)
		for end := time.Now().Add(longest); err == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
			if _, err = io.WriteString(w, "x"); err == nil {
				err = http.NewResponseController(w).Flush()
			}
		}
		failed <- err
		return err
	})
	for range 40 { // one in twenty had no end
		response, err := http.DefaultClient.Do(s.byDendrite(s.dendrite, "hi", timeout))
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			require.NoError(t, response.Body.Close())
		}
		require.Error(t, <-failed)
	}
	require.Equal(t, map[axon.Reason]uint64{axon.ReasonOvertime: 40}, s.server.Stats().Refused)
}
