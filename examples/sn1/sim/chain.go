package sim

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// Netuid is the subnet of the simulation.
const Netuid = 1

// Host is where miners and validator listen: loopback, but not 127.0.0.1, which the chain takes
// from no one. Systems other than Linux need it as an alias (ifconfig lo0 alias 127.0.0.2).
const Host = "127.0.0.2"

// stake is the validator's.
const stake = 5e12

// epoch is how long an epoch is. It is longer than lag.
const epoch = 5 * time.Second

// Before is how many blocks before the end of an epoch weights are due.
func (c *Config) Before() uint64 {
	return uint64(time.Second/c.Block) + 1 //nolint:gosec // positive
}

// lag is how long after its time a pulse is on the chain: a round of the beacon. The rounds of the
// clients are made for blocks of 12 s; by blocks of a fraction of a second some would be past
// already.
const lag = 3 * time.Second

// Pulses are those of a beacon of our own, by the real time: blocks can be late on a busy machine.
type Pulses struct{ *subtensortest.Beacon }

// Last returns the last round that is on the chain now.
func (p Pulses) Last(time.Time) uint64 { return p.Beacon.Last(time.Now().Add(-lag)) }

// NewPulses returns the pulses by which the chain of a simulation opens timelocked weights.
func NewPulses() (Pulses, error) {
	beacon, err := subtensortest.NewBeacon("sn1")
	return Pulses{beacon}, err
}

// startChain starts a fake node with a subnet that demands timelocked weights. The miners are at
// the UIDs of the cast, the validator behind them.
func (s *Subnet) startChain() error {
	runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{BlockTime: s.cfg.Block})
	if err != nil {
		return fmt.Errorf("-block: %w", err)
	}
	beacon, err := NewPulses()
	if err != nil {
		return err
	}
	config := subtensortest.Config{Runtime: runtime, Clock: true, Pulses: beacon}
	if s.node, err = subtensortest.New(config); err != nil {
		return err
	}
	tempo := uint16(min(epoch/s.cfg.Block, math.MaxUint16)) //nolint:gosec // bounded
	subnet := subtensortest.Subnet{Tempo: tempo, CommitReveal: true, RateLimit: 4}
	for _, m := range s.Miners {
		subnet.Neurons = append(subnet.Neurons, subtensortest.Neuron{
			Hotkey: m.keypair.Hotkey(), Coldkey: keys.Hotkey{1, byte(m.UID % 256)},
		})
	}
	validator, err := ValidatorKey()
	if err != nil {
		return err
	}
	subnet.Neurons = append(subnet.Neurons, subtensortest.Neuron{
		Hotkey: validator.Hotkey(), Coldkey: keys.Hotkey{2}, Stake: stake, Permit: true,
	})
	return s.node.AddSubnet(Netuid, subnet)
}

// Listen opens a port of the chain and returns its URL.
func (s *Subnet) Listen(ctx context.Context) (string, error) { return s.node.Listen(ctx) }

// Node is the chain.
func (s *Subnet) Node() *subtensortest.Node { return s.node }

// serve lets a miner serve, and publishes where.
func (s *Subnet) serve(ctx context.Context, m *Miner) error {
	if err := m.start(ctx); err != nil {
		return err
	}
	chain, err := s.client.Validator(m.keypair, Netuid)
	if err != nil {
		return err
	}
	address, err := netip.ParseAddrPort(m.address)
	if err != nil {
		return err
	}
	_, err = chain.ServeAxon(ctx, address, subtensor.AllowPrivate())
	return err
}
