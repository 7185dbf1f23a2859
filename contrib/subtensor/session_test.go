package subtensor_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

const (
	versionMethod = "state_getRuntimeVersion"
	submitMethod  = "author_submitExtrinsic"
)

// newNode starts a node that the test closes.
func newNode(t *testing.T, cfg subtensortest.Config) *subtensortest.Node {
	t.Helper()
	node, err := subtensortest.New(cfg)
	require.NoError(t, err)
	t.Cleanup(node.Close)
	return node
}

// dial connects to a node.
func dial(t *testing.T, node *subtensortest.Node) *subtensor.Client {
	t.Helper()
	client, err := subtensor.Dial(t.Context(), node.Network(), subtensor.WithDialer(node.Dial))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func count(list []string, item string) (n int) {
	for _, each := range list {
		if each == item {
			n++
		}
	}
	return n
}

func TestReadIsSentAgainAfterALostConnection(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]subtensortest.Action{
		"before the node has run it": subtensortest.DropBefore,
		"after the node has run it":  subtensortest.DropAfter,
		"without an answer":          subtensortest.Swallow,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node := newNode(t, subtensortest.Config{})
				client := dial(t, node)
				node.Inject(subtensortest.Fault{Method: "chain_getFinalizedHead", Action: action, Times: 2})
				var hash subtensor.Hash
				require.NoError(t, client.Call(t.Context(), &hash, "chain_getFinalizedHead"))
				require.Equal(t, node.Genesis(), hash)
				require.Equal(t, 3, count(node.Requests(), "chain_getFinalizedHead"))
				require.EqualValues(t, 3, client.Stats().Connections)
				require.GreaterOrEqual(t, client.Stats().Resent, uint64(2))
			})
		})
	}
}

func TestReadThatBreaksEveryConnectionFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		node.Inject(subtensortest.Fault{
			Method: "state_getKeysPaged", Action: subtensortest.DropBefore, Times: 1000,
		})
		err := client.Call(t.Context(), nil, "state_getKeysPaged", "0x", 10)
		require.ErrorIs(t, err, subtensor.ErrDisconnected)
		require.Equal(t, 5, count(node.Requests(), "state_getKeysPaged"))
		require.NoError(t, client.Call(t.Context(), nil, versionMethod))
	})
}

func TestAnswerAboveTheReadLimitFailsTheRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		node.Inject(subtensortest.Fault{
			Method: "state_getKeysPaged", Action: subtensortest.Fail, Times: 1000,
			Error: `"` + strings.Repeat("x", 17<<20) + `"`,
		})
		err := client.Call(t.Context(), nil, "state_getKeysPaged", "0x", 10)
		require.ErrorIs(t, err, subtensor.ErrDisconnected)
		require.Less(t, len(err.Error()), 500)
	})
}

func TestSubmissionIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]subtensortest.Action{
		"before the node has run it": subtensortest.DropBefore,
		"after the node has run it":  subtensortest.DropAfter,
		"without an answer":          subtensortest.Swallow,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node := newNode(t, subtensortest.Config{})
				client := dial(t, node)
				node.Inject(subtensortest.Fault{Method: submitMethod, Action: action})
				err := client.Submit(t.Context(), nil, submitMethod, "0x00")
				require.ErrorIs(t, err, subtensor.ErrDisconnected)
				require.NotErrorIs(t, err, subtensor.ErrNotSent)
				time.Sleep(time.Hour)
				require.NoError(t, client.Call(t.Context(), nil, versionMethod))
				require.Equal(t, 1, count(node.Requests(), submitMethod))
			})
		})
	}
}

func TestSubmissionWithoutAConnectionIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		node.Refuse(http.StatusTooManyRequests)
		node.Drop()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := client.Submit(ctx, nil, submitMethod, "0x00")
		require.ErrorIs(t, err, subtensor.ErrNotSent)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "429")
		node.Refuse(0)
		time.Sleep(time.Hour)
		require.NotContains(t, node.Requests(), submitMethod)
	})
}

func TestConnectionIsMadeToTheNextEndpoint(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(node *subtensortest.Node){
		"closed": func(n *subtensortest.Node) { n.Close() },
		"silent": func(n *subtensortest.Node) { n.Stall() },
		"too busy": func(n *subtensortest.Node) {
			n.Inject(subtensortest.Fault{
				Action: subtensortest.Fail, Times: 1000,
				Error: `{"code":-32999,"message":"Rate limit exceeded"}`,
			})
		},
		"refusing": func(n *subtensortest.Node) { n.Refuse(http.StatusForbidden); n.Drop() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first := newNode(t, subtensortest.Config{})
				second := newNode(t, subtensortest.Config{})
				network := first.Network()
				network.Endpoints = []string{"ws://first", "ws://second"}
				client, err := subtensor.Dial(t.Context(), network, subtensor.WithDialer(
					func(ctx context.Context, network, address string) (net.Conn, error) {
						if strings.HasPrefix(address, "first") {
							return first.Dial(ctx, network, address)
						}
						return second.Dial(ctx, network, address)
					}))
				require.NoError(t, err)
				defer client.Close()
				require.Equal(t, "first", client.Stats().Endpoint)
				fail(first)
				require.NoError(t, client.Call(t.Context(), nil, versionMethod))
				time.Sleep(2 * time.Minute)
				require.NoError(t, client.Call(t.Context(), nil, versionMethod))
				require.Equal(t, "second", client.Stats().Endpoint)
				require.Error(t, client.Stats().LastError)
			})
		})
	}
}

func TestAttemptsBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		node.Refuse(http.StatusTooManyRequests)
		node.Drop()
		time.Sleep(time.Second + time.Millisecond)
		require.EqualValues(t, 1, client.Stats().Failures)
		time.Sleep(time.Hour)
		failures := client.Stats().Failures
		require.Greater(t, failures, uint64(55), "one a minute at least")
		require.Less(t, failures, uint64(140), "two a minute at most")
		node.Refuse(0)
		time.Sleep(time.Minute)
		require.Equal(t, "node.test", client.Stats().Endpoint)
	})
}

func TestDialRefusesAnotherChain(t *testing.T) {
	t.Parallel()
	node := newNode(t, subtensortest.Config{})
	network := node.Network()
	network.Genesis = subtensor.Finney().Genesis
	_, err := subtensor.Dial(t.Context(), network, subtensor.WithDialer(node.Dial))
	var wrong *subtensor.WrongChainError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, node.Genesis(), wrong.Genesis)
	require.Equal(t, network.Genesis, wrong.Configured)
	require.Equal(t, "node.test", wrong.Endpoint)
}

func TestChainIsCheckedOnEveryConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		other := newNode(t, subtensortest.Config{Chain: "other"})
		var current atomic.Pointer[subtensortest.Node]
		current.Store(node)
		network := subtensor.Network{Endpoints: []string{"ws://node"}} // no genesis: that of the first
		client, err := subtensor.Dial(t.Context(), network, subtensor.WithDialer(
			func(ctx context.Context, network, address string) (net.Conn, error) {
				return current.Load().Dial(ctx, network, address)
			}))
		require.NoError(t, err)
		defer client.Close()
		current.Store(other)
		node.Drop()
		time.Sleep(10 * time.Minute)
		require.Empty(t, client.Stats().Endpoint)
		require.EqualValues(t, 1, client.Stats().Connections)
		var wrong *subtensor.WrongChainError
		require.ErrorAs(t, client.Stats().LastError, &wrong)
		require.Equal(t, other.Genesis(), wrong.Genesis)
		require.Equal(t, node.Genesis(), wrong.Configured)
		current.Store(node)
		time.Sleep(2 * time.Minute)
		require.Equal(t, "node", client.Stats().Endpoint)
	})
}

func TestDialReportsAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := subtensor.Dial(t.Context(), subtensor.Network{}, nil, subtensor.WithDialer(nil))
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	require.ErrorContains(t, err, "Network.Endpoints is empty")
	require.ErrorContains(t, err, "Option is nil")
	require.ErrorContains(t, err, "WithDialer is nil")
	_, err = subtensor.Dial(t.Context(), subtensor.Network{
		Endpoints: []string{"http://key@host", "ws://", "ws://host\x7f/key", "wss://host/key"},
	})
	require.ErrorContains(t, err, `Network.Endpoints[0] has scheme "http"`)
	require.ErrorContains(t, err, "Network.Endpoints[1] has no host")
	require.ErrorContains(t, err, "Network.Endpoints[2] is no URL")
	require.NotContains(t, err.Error(), "Endpoints[3]")
	require.NotContains(t, err.Error(), "key")
}

func TestErrorsDoNotContainTheKeyInAnEndpoint(t *testing.T) {
	t.Parallel()
	refuse := func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("refused")
	}
	network := subtensor.Network{Endpoints: []string{"wss://user:secret1@host/secret2?apikey=secret3"}}
	_, err := subtensor.Dial(t.Context(), network, subtensor.WithDialer(refuse))
	require.ErrorContains(t, err, "host")
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "secret")
}

func TestCloseEndsCallsAndSubscriptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		heads, err := client.Subscribe(
			t.Context(),
			"chain_subscribeNewHeads",
			"chain_unsubscribeNewHeads",
		)
		require.NoError(t, err)
		node.Inject(subtensortest.Fault{Method: versionMethod, Action: subtensortest.Swallow})
		failed := make(chan error)
		go func() { failed <- client.Call(t.Context(), nil, versionMethod) }()
		synctest.Wait()
		client.Close()
		require.ErrorIs(t, <-failed, subtensor.ErrClosed)
		_, err = heads.Next(t.Context())
		if err == nil { // the last head was waiting
			_, err = heads.Next(t.Context())
		}
		require.ErrorIs(t, err, subtensor.ErrClosed)
		heads.Close()
		client.Close()
		require.ErrorIs(t, client.Call(t.Context(), nil, versionMethod), subtensor.ErrClosed)
		_, err = client.Subscribe(t.Context(), "a", "b")
		require.ErrorIs(t, err, subtensor.ErrClosed)
	})
}

func TestSubscriptionOutlivesConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		heads, err := client.Subscribe(
			t.Context(),
			"chain_subscribeNewHeads",
			"chain_unsubscribeNewHeads",
		)
		require.NoError(t, err)
		next := func() string {
			head, err := heads.Next(t.Context())
			require.NoError(t, err)
			return string(head)
		}
		require.Contains(t, next(), `"number":"0x0"`)
		require.NoError(t, node.Mine(3))
		synctest.Wait()
		require.Contains(t, next(), `"number":"0x3"`, "the newest alone is kept")
		node.Drop()
		synctest.Wait()
		require.NoError(t, node.Mine(2))
		require.Contains(t, next(), `"number":"0x5"`)
		heads.Close()
		synctest.Wait()
		require.Equal(t, 1, count(node.Requests(), "chain_unsubscribeNewHeads"))
	})
}

func TestSubscriptionThatTheNodeRefusesEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		u, err := client.Subscribe(t.Context(), "chain_subscribeNothing", "chain_unsubscribeNothing")
		require.NoError(t, err)
		_, err = u.Next(t.Context())
		var refused *subtensor.RPCError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, -32601, refused.Code)
		require.Equal(t, "chain_subscribeNothing", refused.Method)
		u.Close()
	})
}

func TestRuntimeVersionIsWatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		require.EqualValues(t, 425, client.Stats().Version.Spec)
		runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{Spec: 426, Shift: 3})
		require.NoError(t, err)
		node.Upgrade(runtime)
		require.NoError(t, node.Mine(1))
		synctest.Wait()
		require.EqualValues(t, 426, client.Stats().Version.Spec)
	})
}

func TestCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		node.Stall()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := client.Call(ctx, nil, versionMethod)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, subtensor.ErrNotSent)
		node.Resume()
		synctest.Wait()
		require.NoError(t, client.Call(t.Context(), nil, versionMethod))
	})
}

func TestQuietChainKeepsItsConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		time.Sleep(24 * time.Hour) // nothing but pings
		require.EqualValues(t, 1, client.Stats().Connections)
		require.NoError(t, client.Stats().LastError)
	})
}
