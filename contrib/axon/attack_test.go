package axon_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// attacked is a server that some parties attack while others want to be served.
type attacked struct {
	t      *testing.T
	server *axon.Server
	bob    keys.Hotkey
	dial   func(from netip.Addr) (net.Conn, error)
	within time.Duration // in which an honest request must be answered
	ctx    context.Context
	all    sync.WaitGroup // of the attackers
}

// inBubble attacks a server with default limits in a bubble of fake time, over
// connections in memory. An honest request must be answered in a second.
func inBubble(t *testing.T, attack func(a *attacked), opts ...axon.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		dial := func(from netip.Addr) (net.Conn, error) {
			client, server := net.Pipe()
			remote := net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 50_000))
			select {
			case listener.conns <- addressed{server, remote}:
				return client, nil
			case <-listener.closed:
				return nil, net.ErrClosed
			}
		}
		attackServer(t, listener, dial, time.Second, attack, opts...)
	})
}

// addressed is a connection that comes from an address.
type addressed struct {
	net.Conn

	remote net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.remote }

func attackServer(
	t *testing.T, listener net.Listener, dial func(from netip.Addr) (net.Conn, error),
	within time.Duration,
	attack func(a *attacked), opts ...axon.Option,
) {
	t.Helper()
	a := &attacked{t: t, bob: keypairFromURI(t, "//Bob").Hotkey(), dial: dial, within: within}
	var err error
	a.server, err = axon.New(a.bob, opts...)
	require.NoError(t, err)
	route, err := a.server.Route("/ask", axon.WithEpistula())
	require.NoError(t, err)
	_, err = route.Attach(organic.Handlers{Blacklist: guardByBody, Forward: forwardByBody})
	require.NoError(t, err)
	synapse, err := a.server.Synapse(organicClass)
	require.NoError(t, err)
	_, err = synapse.Attach(organic.Handlers{Forward: forwardByBody})
	require.NoError(t, err)

	serving, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = a.server.Serve(serving, listener) // whether something is cut off does not matter
	}()
	attacking, end := context.WithCancel(context.Background())
	a.ctx = attacking
	t.Cleanup(func() {
		end()
		a.all.Wait()
		stop()
		<-served
	})
	attack(a)
}

// guardByBody is a hook that works until its ctx ends if the body asks for that.
func guardByBody(ctx context.Context, synapse *organic.Synapse) error {
	if strings.Contains(string(synapse.Body), "guard") {
		<-ctx.Done()
	}
	return ctx.Err()
}

// forwardByBody is a hook that does what the body asks for.
func forwardByBody(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	switch body := string(synapse.Body); {
	case strings.Contains(body, "wait"):
		<-ctx.Done()
		return ctx.Err()
	case strings.Contains(body, "stream"):
		for ctx.Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
				return err
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
		}
		return ctx.Err()
	case strings.Contains(body, "large"):
		_, err := io.WriteString(w, strings.Repeat("x", 100<<10))
		return err
	}
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := io.WriteString(w, "{}")
	return err
}

// attackers are so many parties, each with an address and a hotkey.
func attackers(t *testing.T, n int) []*caller {
	t.Helper()
	return partiesOf(t, 1, n)
}

// caller is one party: it has an address, a hotkey, and a connection from time to
// time.
type caller struct {
	from    netip.Addr
	keypair *keys.Keypair
	conn    net.Conn
	answers *bufio.Reader
	dialed  int
}

func partiesOf(t *testing.T, subnet byte, n int) []*caller {
	t.Helper()
	all := make([]*caller, n)
	for i := range all {
		keypair, err := keys.Generate(keys.SR25519)
		require.NoError(t, err)
		all[i] = &caller{
			from:    netip.AddrFrom4([4]byte{127, subnet, byte(i >> 8), byte(i)}),
			keypair: keypair,
		}
	}
	return all
}

// connect dials, and lets the connection end with the attack.
func (a *attacked) connect(c *caller) (net.Conn, error) {
	conn, err := a.dial(c.from)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(a.ctx, func() { _ = conn.Close() })
	return conn, nil
}

// request is one of a caller's that is signed, with the headers of an older
// protocol, so that the time of signing is the bubble's.
func (a *attacked) request(c *caller, body string) *http.Request {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		"http://axon/ask", strings.NewReader(body))
	if err == nil {
		err = axon.SignEpistula(request, c.keypair, a.bob)
	}
	if err != nil {
		a.t.Error(err)
	}
	return request
}

// head is a request on the wire up to its body.
func (a *attacked) head(request *http.Request, length int) string {
	var header strings.Builder
	_ = request.Header.Write(&header)
	return fmt.Sprintf("POST /ask HTTP/1.1\r\nHost: axon\r\nContent-Length: %d\r\n%s\r\n", length,
		header.String())
}

// ask sends a request over the caller's connection, or over a new one if that was
// closed, and returns the status.
func (a *attacked) ask(c *caller, body string) (int, error) {
	isNew := c.conn == nil
	if isNew {
		conn, err := a.dial(c.from)
		if err != nil {
			return 0, err
		}
		c.conn, c.answers = conn, bufio.NewReader(conn)
		c.dialed++
	}
	_ = c.conn.SetDeadline(time.Now().Add(a.within))
	err := a.request(c, body).Write(c.conn)
	var response *http.Response
	if err == nil {
		response, err = http.ReadResponse(c.answers, nil)
	}
	if err != nil {
		c.hangUp()
		if !isNew {
			return a.ask(c, body)
		}
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func (c *caller) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	c.conn = nil
}

// requireServed lets all of the callers ask at once, in so many rounds with a pause between
// them: none may be refused or have to wait.
func (a *attacked) requireServed(honest []*caller, body string, rounds int, pause time.Duration) {
	a.t.Helper()
	for round := range rounds {
		var all sync.WaitGroup
		failed := make([]error, len(honest))
		for i, c := range honest {
			all.Go(func() {
				status, err := a.ask(c, body)
				if failed[i] = err; err == nil && status != http.StatusOK {
					failed[i] = fmt.Errorf("status %d", status)
				}
			})
		}
		all.Wait()
		for i, err := range failed {
			require.NoError(a.t, err, "round %d, caller %d, refused: %v", round, i, a.server.Stats().Refused)
		}
		time.Sleep(pause)
	}
	for _, c := range honest {
		c.hangUp()
	}
}

// loop lets an attacker repeat something until the attack ends, with pauses.
func (a *attacked) loop(pause time.Duration, attempt func()) {
	a.all.Go(func() {
		for a.ctx.Err() == nil {
			attempt()
			select {
			case <-time.After(pause):
			case <-a.ctx.Done():
			}
		}
	})
}

// parties runs a test for as many attackers as a known attack took, and for twice as
// many.
func parties(t *testing.T, n int, test func(t *testing.T, n int)) {
	t.Helper()
	for _, n := range []int{n, 2 * n} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			test(t, n)
		})
	}
}

// holdIdle opens so many connections, asks something on each and leaves it idle.
func (a *attacked) holdIdle(by []*caller, connections int) {
	for i := range connections {
		conn, err := a.connect(by[i%len(by)])
		if err != nil {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(longest))
		if _, err := io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: axon\r\n\r\n"); err != nil {
			continue
		}
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}
}

// idleAttack holds as many idle connections as there can be, from few addresses,
// while others connect anew or use connections that they have had before.
func idleAttack(a *attacked, parties, connections int) {
	regulars, others := partiesOf(a.t, 2, 10), partiesOf(a.t, 3, 30)
	for _, c := range regulars {
		status, err := a.ask(c, "hi")
		require.NoError(a.t, err)
		require.Equal(a.t, http.StatusOK, status)
	}
	by := attackers(a.t, parties)
	a.holdIdle(by, connections)
	a.requireServed(others, "hi", 2, 0)
	a.holdIdle(by, connections/8)
	a.requireServed(regulars, "hi", 2, 0)
	for _, c := range regulars {
		require.Equal(a.t, 1, c.dialed, "the connection was not closed, idle as it was")
	}
}

func TestIdleConnectionsOfFewKeepNobodyOut(t *testing.T) {
	t.Parallel()
	parties(t, 4, func(t *testing.T, n int) {
		t.Helper()
		inBubble(t, func(a *attacked) { idleAttack(a, n, 4096) })
	})
}

// stallBodies sends so many large bodies by each of the attackers that stop half-way,
// and after a pause again when they are cut off.
func (a *attacked) stallBodies(by []*caller, each int, pause time.Duration) {
	for _, c := range by {
		forged := a.request(c, strings.Repeat("x", 200<<10))
		forged.Header.Set("Epistula-Request-Signature", "0x"+strings.Repeat("ab", 64))
		raw := a.head(forged, 200<<10) + strings.Repeat("x", 70<<10)
		for range each {
			a.loop(pause, func() {
				conn, err := a.connect(c)
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, raw)
				_, _ = io.Copy(io.Discard, conn) // until it is closed
				_ = conn.Close()
			})
		}
	}
}

func TestStalledBodiesKeepNobodyOut(t *testing.T) {
	t.Parallel()
	parties(t, 4, func(t *testing.T, n int) {
		t.Helper()
		inBubble(t, func(a *attacked) {
			a.stallBodies(attackers(a.t, n), 64, 100*time.Millisecond)
			synctest.Wait()
			require.Equal(a.t, 256, a.server.Stats().Reading, "all that are read at once are the attackers'")
			a.requireServed(partiesOf(a.t, 2, 20), strings.Repeat("x", 100<<10), 4, 700*time.Millisecond)
		})
	})
}

// TestStalledBodiesMakeWayForABusyAddress has callers who share an address, and send
// more bodies at once than an equal part of the limit, each of them in pieces.
func TestStalledBodiesMakeWayForABusyAddress(t *testing.T) {
	t.Parallel()
	parties(t, 4, func(t *testing.T, n int) {
		t.Helper()
		inBubble(t, func(a *attacked) {
			a.stallBodies(attackers(a.t, n), 64, time.Second)
			busy := partiesOf(a.t, 2, 100)
			statuses := make(chan int, len(busy))
			for _, c := range busy {
				c.from = busy[0].from
				conn, err := a.connect(c)
				require.NoError(a.t, err)
				a.all.Go(func() { a.sendInPieces(conn, c, 200<<10, 20<<10, 100*time.Millisecond) })
				a.all.Go(func() {
					response, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err != nil {
						statuses <- 0
						return
					}
					_ = response.Body.Close()
					statuses <- response.StatusCode
				})
			}
			for range busy {
				require.Equal(a.t, http.StatusOK, <-statuses)
			}
		})
	})
}

// TestRequestersWhoDoNotReadKeepNobodyOut has answers stream to clients that read
// nothing.
func TestRequestersWhoDoNotReadKeepNobodyOut(t *testing.T) {
	t.Parallel()
	parties(t, 1, func(t *testing.T, n int) {
		t.Helper()
		inBubble(t, func(a *attacked) {
			for _, c := range attackers(a.t, n) {
				for range 200 {
					a.loop(10*time.Second, func() {
						conn, err := a.connect(c)
						if err != nil {
							return
						}
						_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
						_ = a.request(c, "stream").Write(conn)
					})
				}
			}
			synctest.Wait()
			require.Equal(a.t, 64, a.server.Stats().Serving,
				"all that are served at once are the attackers'")
			a.requireServed(partiesOf(a.t, 2, 20), "hi", 8, 2*time.Second)
		})
	})
}

// TestSlowHooksOfFewKeepNobodyOut has hooks that work until their ctx ends, for
// requesters with and without a timeout of their own.
func TestSlowHooksOfFewKeepNobodyOut(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]time.Duration{
		"a short timeout": 200 * time.Millisecond,
		"no timeout":      0,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parties(t, 1, func(t *testing.T, n int) {
				t.Helper()
				inBubble(t, func(a *attacked) {
					for _, c := range attackers(a.t, n) {
						for range 150 {
							a.loop(time.Second, func() { a.waitForNothing(c, "wait", timeout) })
						}
					}
					synctest.Wait()
					require.Equal(a.t, 64, a.server.Stats().Serving,
						"all that are served at once are the attackers'")
					a.requireServed(partiesOf(a.t, 2, 20), "hi", 6, 700*time.Millisecond)
				})
			})
		})
	}
}

// waitForNothing sends a request whose hook waits for its ctx, and reads the answer.
func (a *attacked) waitForNothing(c *caller, body string, timeout time.Duration) {
	conn, err := a.connect(c)
	if err != nil {
		return
	}
	defer conn.Close()
	request := a.request(c, body)
	if timeout > 0 {
		request = a.byDendrite(c, body, timeout)
	}
	if err := request.Write(conn); err == nil {
		_, _ = io.Copy(io.Discard, bufio.NewReader(conn))
	}
}

// TestSlowGuardsOfFewKeepNobodyOut has hooks before a request is served work until
// their ctx ends.
func TestSlowGuardsOfFewKeepNobodyOut(t *testing.T) {
	t.Parallel()
	parties(t, 2, func(t *testing.T, n int) {
		t.Helper()
		inBubble(t, func(a *attacked) {
			for _, c := range attackers(a.t, n) {
				for range 150 {
					a.loop(2*time.Second, func() { a.waitForNothing(c, "guard", 0) })
				}
			}
			synctest.Wait()
			a.requireServed(partiesOf(a.t, 2, 20), "hi", 6, 700*time.Millisecond)
			require.NotZero(a.t, a.server.Stats().Refused[axon.ReasonBusy], "the attackers were too many")
			require.NotZero(a.t, a.server.Stats().Refused[axon.ReasonEvicted])
		})
	})
}

// TestManyHotkeysOfFewAddressesKeepNobodyOut has a fresh hotkey for each request.
func TestManyHotkeysOfFewAddressesKeepNobodyOut(t *testing.T) {
	t.Parallel()
	parties(t, 2, func(t *testing.T, n int) {
		t.Helper()
		inBubble(t, func(a *attacked) {
			by := attackers(a.t, 400)
			for i, c := range by {
				c.from = by[i%n].from
				a.loop(2*time.Second, func() { a.waitForNothing(c, "wait", 0) })
			}
			synctest.Wait()
			require.Equal(a.t, 64, a.server.Stats().Serving)
			a.requireServed(partiesOf(a.t, 2, 20), "hi", 6, 700*time.Millisecond)
		})
	})
}

// TestFreshHotkeysDoNotFillTheReplayMemory sends as many requests as are remembered,
// by hotkeys that were not seen before. Under the race detector it sends a tenth, to
// a memory of a tenth.
func TestFreshHotkeysDoNotFillTheReplayMemory(t *testing.T) {
	t.Parallel()
	replays := 100_000
	if raceDetector {
		replays = 10_000
	}
	keypairs, others := attackers(t, 1000), partiesOf(t, 2, 40)
	parties(t, 500, func(t *testing.T, n int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := &attacked{t: t, bob: keypairFromURI(t, "//Bob").Hotkey()}
			var err error
			a.server, err = axon.New(a.bob, axon.WithLimits(axon.Limits{Replays: replays}))
			require.NoError(t, err)
			route, err := a.server.Route("/ask", axon.WithEpistula())
			require.NoError(t, err)
			_, err = route.Attach(organic.Handlers{Forward: answerNothing})
			require.NoError(t, err)
			send := func(c *caller) int {
				request := a.request(c, "hi")
				request.RemoteAddr = netip.AddrPortFrom(c.from, 50_000).String()
				w := httptest.NewRecorder()
				a.server.ServeHTTP(w, request)
				return w.Code
			}
			for i := range replays {
				require.Equal(t, http.StatusOK, send(keypairs[i%n]))
			}
			require.Equal(t, replays, a.server.Stats().Remembered)
			time.Sleep(time.Second) // for the rates
			require.Equal(t, http.StatusOK, send(keypairs[0]), "they forget requests of their own")
			for range 20 {
				time.Sleep(time.Millisecond) // signs at other times
				for _, c := range others {
					require.Equal(t, http.StatusOK, send(c), a.server.Stats().Refused)
				}
			}
			require.Equal(t, replays, a.server.Stats().Remembered)
		})
	})
}
