package subtensor_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// serving is a ServeAxon that runs in a goroutine of its own.
type serving struct {
	served subtensor.Served
	err    error
	done   chan struct{}
}

func serve(ctx context.Context, v *subtensor.Validator, address string,
	options ...subtensor.ServeOption,
) *serving {
	s := &serving{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.served, s.err = v.ServeAxon(ctx, netip.MustParseAddrPort(address), options...)
	}()
	synctest.Wait()
	return s
}

func (s *serving) wait(t *testing.T) (subtensor.Served, error) {
	t.Helper()
	synctest.Wait()
	select {
	case <-s.done:
	default:
		require.Fail(t, "ServeAxon has not returned")
	}
	return s.served, s.err
}

func TestServeAxonPublishesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 2))
		v := alice(t, client)
		for i, address := range []string{"1.2.3.4:8091", "[2a01:4f8::1]:443"} {
			s := serve(t.Context(), v, address)
			require.NoError(t, node.Mine(1))
			served, err := s.wait(t)
			require.NoError(t, err)
			require.True(t, served.Sent)
			require.Equal(t, node.Height(), served.Block)
			require.Equal(t, node.Hash(), served.BlockHash)
			require.Equal(t, []uint64{served.Block}, node.Included(served.Extrinsic))
			m, err := client.Metagraph(t.Context(), netuid)
			require.NoError(t, err)
			require.Equal(t, netip.MustParseAddrPort(address), m.Neurons[0].Axon)

			again, err := serve(t.Context(), v, address).wait(t)
			require.NoError(t, err)
			require.False(t, again.Sent)
			require.Equal(t, i+1, count(node.Requests(), submitMethod))
			require.NoError(t, node.Mine(50))
		}
		again, err := serve(t.Context(), v, "[2a01:4f8:0::1]:443").wait(t)
		require.NoError(t, err)
		require.False(t, again.Sent)
	})
}

func TestServeAxonWaitsForTheLimitOfTheChain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 2))
		v := alice(t, client)
		s := serve(t.Context(), v, "1.2.3.4:8091")
		require.NoError(t, node.Mine(1))
		_, err := s.wait(t)
		require.NoError(t, err)
		require.NoError(t, node.Mine(10))
		_, err = serve(t.Context(), v, "1.2.3.4:8092").wait(t)
		requireRefusal(t, refusal{
			name: "ServingRateLimitExceeded", kind: weights.ErrTooSoon,
			blocks: 39,
		}, err)
		require.NoError(t, node.Mine(39))
		s = serve(t.Context(), v, "[::ffff:1.2.3.4]:8092") // the same address in the form of IPv6
		require.NoError(t, node.Mine(1))
		served, err := s.wait(t)
		require.NoError(t, err)
		require.True(t, served.Sent)
		m, err := client.Metagraph(t.Context(), netuid)
		require.NoError(t, err)
		require.Equal(t, "1.2.3.4:8092", m.Neurons[0].Axon.String())
	})
}

func TestAddressesThatOthersCannotReachAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 2))
		v := alice(t, client)
		for address, allowed := range map[string]bool{
			"0.0.0.0:8091": false, "[::]:8091": false, "1.2.3.4:0": false, "224.0.0.1:8091": false,
			"255.255.255.255:8091": false, "[ff02::1]:8091": false, "[fe80::1%eth0]:8091": false,
			"[::ffff:0.0.0.0]:8091": false,
			"10.0.0.1:8091":         true, "172.16.5.4:8091": true, "192.168.1.1:8091": true,
			"127.0.0.2:8091":   true,
			"169.254.0.1:8091": true, "100.64.0.1:8091": true, "100.127.255.255:8091": true,
			"0.1.2.3:8091": true, "198.19.0.1:8091": true, "240.0.0.1:8091": true, "[fec0::1]:8091": true,
			"[fd00::1]:8091": true, "[fe80::1]:8091": true, "[::ffff:10.0.0.1]:8091": true,
		} {
			_, err := serve(t.Context(), v, address).wait(t)
			require.ErrorIs(t, err, organic.ErrInvalidOption, address)
			require.NotContains(t, node.Requests(), submitMethod)
			if !allowed {
				_, err = serve(t.Context(), v, address, subtensor.AllowPrivate()).wait(t)
				require.ErrorIs(t, err, organic.ErrInvalidOption, address)
				continue
			}
			require.ErrorContains(t, err, "see AllowPrivate")
		}
		_, err := v.ServeAxon(t.Context(), netip.AddrPort{})
		require.ErrorIs(t, err, organic.ErrInvalidOption)
		_, err = v.ServeAxon(t.Context(), netip.MustParseAddrPort("1.2.3.4:1"), nil)
		require.ErrorIs(t, err, organic.ErrInvalidOption)

		s := serve(t.Context(), v, "192.168.1.1:8091", subtensor.AllowPrivate())
		require.NoError(t, node.Mine(1))
		_, err = s.wait(t)
		require.NoError(t, err)
	})
}

func TestServeAxonTellsWhyTheChainRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 2))
		bob, err := client.Validator(keypair(t, "//Bob"), netuid)
		require.NoError(t, err)
		_, err = serve(t.Context(), bob, "1.2.3.4:8091").wait(t)
		requireRefusal(t, refusal{name: "HotKeyNotRegisteredInNetwork", kind: weights.ErrNotRegistered},
			err)

		v := alice(t, client)
		s := serve(t.Context(), v, "127.0.0.1:8091", subtensor.AllowPrivate()) // which the chain refuses
		require.NoError(t, node.Mine(1))
		_, err = s.wait(t)
		requireRefusal(t, refusal{name: "InvalidIpAddress", kind: weights.ErrRefused}, err)
		s = serve(t.Context(), v, "1.2.3.4:8091")
		node.DropPool()
		require.NoError(t, node.Mine(70))
		served, err := s.wait(t)
		require.ErrorIs(t, err, weights.ErrRetry)
		require.True(t, served.Sent)
		require.Zero(t, served.Block)
	})
}

func TestServeAxonIsFoundAgainAfterALostConnection(t *testing.T) {
	t.Parallel()
	for _, action := range []subtensortest.Action{subtensortest.DropBefore, subtensortest.DropAfter} {
		for step := range 22 {
			synctest.Test(t, func(t *testing.T) {
				node := newNode(t, subtensortest.Config{Clock: true})
				require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 2)))
				v := alice(t, dial(t, node))
				node.Inject(subtensortest.Fault{Skip: step, Action: action})
				s := serve(t.Context(), v, "1.2.3.4:8091")
				blocks(80)
				served, err := s.wait(t)
				if err != nil {
					require.ErrorIs(t, err, weights.ErrRetry)
					require.Zero(t, served.Block)
					return
				}
				require.Equal(t, []uint64{served.Block}, node.Included(served.Extrinsic))
			})
		}
	}
}
