package subtensor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/organic-scoring/organic/contrib/weights"
)

// Served says where the publication of an axon stands. It is a plain value.
type Served struct {
	// Sent is false if the chain had the same address already, so that nothing was sent.
	Sent bool
	// Extrinsic is the hash of the extrinsic, Block and BlockHash the block that contains it.
	Extrinsic Hash
	Block     uint64
	BlockHash Hash
}

// ServeOption configures one call of ServeAxon.
type ServeOption interface {
	apply(o *serveOptions)
}

type serveOptions struct{ private bool }

type serveOption func(o *serveOptions)

func (f serveOption) apply(o *serveOptions) { f(o) }

// AllowPrivate lets ServeAxon publish an address that the internet does not reach: a private,
// shared, loopback, link-local or reserved one. It is for subnets on a local network. The chain
// itself refuses some addresses as InvalidIpAddress, 127.0.0.1 among them: on loopback use
// 127.0.0.2.
func AllowPrivate() ServeOption {
	return serveOption(func(o *serveOptions) { o.private = true })
}

// The record of an axon, as the Bittensor SDK 11 writes it.
const (
	axonVersion  = 1
	axonProtocol = 4
)

// unrouted is what the internet does not route, beside what package netip knows (RFC 6890).
var unrouted = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), // shared by the customers of a provider
	netip.MustParsePrefix("0.0.0.0/8"),     // this network
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved
	netip.MustParsePrefix("fec0::/10"),     // site-local
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// ServeAxon publishes the address at which the hotkey serves its axon, and waits until a block
// shows it. It sends nothing if the chain has the address already, so it can be called at each
// start. An address that others cannot reach is refused with [organic.ErrInvalidOption], see
// [AllowPrivate].
//
// A refusal of the chain is a *weights.ChainError, as for SetWeights: [weights.ErrTooSoon] with the
// blocks to wait while the limit of the subnet has not passed, and [weights.ErrNotRegistered], for
// instance. After any other error, or if ctx ends first, the publication may be in the chain: call
// ServeAxon again.
func (v *Validator) ServeAxon(
	ctx context.Context, address netip.AddrPort, options ...ServeOption,
) (Served, error) {
	address, err := publishable(address, options)
	if err != nil {
		return Served{}, err
	}
	release, err := v.client.acquire(ctx, v.hotkey)
	if err != nil {
		return Served{}, err
	}
	defer release()
	for tries := make(attempts); ; {
		served, err := v.serveOnce(ctx, address)
		err = classify(ctx, err)
		refusal, ok := errors.AsType[*weights.ChainError](err)
		if !ok || !v.again(tries, refusal) {
			return served, err
		}
	}
}

// publishable returns the address in the form of the chain, if the options allow it.
func publishable(address netip.AddrPort, options []ServeOption) (netip.AddrPort, error) {
	var o serveOptions
	for _, option := range options {
		if option == nil {
			return address, invalid("ServeOption", "is nil")
		}
		option.apply(&o)
	}
	address = netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
	return address, checkAddress(address, o.private)
}

func checkAddress(address netip.AddrPort, private bool) error {
	ip := address.Addr()
	switch {
	case !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || ip == broadcast:
		return invalid("address", "is %v: must be the address of a host", address)
	case ip.Zone() != "":
		return invalid("address", "is %v: must not have a zone", address)
	case address.Port() == 0:
		return invalid("address", "has port 0: must be the port of the axon")
	case private:
		return nil
	case ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast(),
		slices.ContainsFunc(unrouted, func(p netip.Prefix) bool { return p.Contains(ip) }):
		return invalid("address", "is %v: must be reachable from the internet, see AllowPrivate", address)
	}
	return nil
}

func (v *Validator) serveOnce(ctx context.Context, address netip.AddrPort) (Served, error) {
	s, err := v.client.best(ctx)
	if err != nil {
		return Served{}, err
	}
	want := axonInfo{Version: axonVersion, Port: address.Port(), Protocol: axonProtocol}
	want.IP, want.IPType = number(address.Addr())
	same, err := v.checkServing(ctx, s, want)
	if same || err != nil {
		return Served{}, err
	}
	call, err := s.meta.Call(subtensorModule, "serve_axon", map[string]any{
		"netuid": v.netuid, "version": want.Version, "ip": want.IP, "port": want.Port,
		"ip_type": want.IPType, "protocol": want.Protocol, "placeholder1": 0, "placeholder2": 0,
	})
	if err != nil {
		return Served{}, err
	}
	x, err := v.sign(ctx, s, call)
	if err != nil {
		return Served{}, err
	}
	if err := v.client.send(ctx, x); err != nil {
		if answer := classifyPool(err); !answer.taken {
			return Served{}, answer.refusal
		}
	}
	return v.awaitServing(ctx, x, want)
}

// checkServing reports whether the chain has the same record, and makes the chain's checks.
func (v *Validator) checkServing(
	ctx context.Context, s snapshot, want axonInfo,
) (same bool, err error) {
	var current *axonInfo
	var limit uint64
	r := s.reads()
	r.add(&current, "Axons", v.netuid, v.hotkey)
	r.add(&limit, "ServingRateLimit", v.netuid)
	st, err := v.standing(ctx, s, r)
	switch {
	case err != nil:
		return false, err
	case st.uid == nil:
		return false, refused("HotKeyNotRegisteredInNetwork")
	case current == nil:
		return false, nil
	case current.serves(want):
		return true, nil
	}
	if wait := blocksUntil(current.Block, limit, s.Number); wait > 0 {
		refusal := refused("ServingRateLimitExceeded")
		refusal.Blocks = wait
		return false, refusal
	}
	return false, nil
}

// serves reports whether two records differ in no more than the block of their publication.
func (a axonInfo) serves(want axonInfo) bool {
	a.Block, want.Block = 0, 0
	return a == want
}

func (v *Validator) awaitServing(ctx context.Context, x extrinsic, want axonInfo) (Served, error) {
	served := Served{Sent: true, Extrinsic: x.hash}
	in, err := v.client.newSearch(x.hash, x.signed, x.expires).await(ctx, v.finality)
	if errors.Is(err, errNotIncluded) {
		return served, passing("ExtrinsicNotIncluded", err)
	}
	if err != nil {
		return served, fmt.Errorf("looking for extrinsic %s: %w", x.hash, err)
	}
	served.Block, served.BlockHash = in.Number, in.Hash
	out, err := v.client.outcome(ctx, *in)
	if err != nil {
		return served, err
	}
	if out.failure != nil {
		return served, out.failure
	}
	s, err := v.client.at(ctx, in.view)
	if err != nil {
		return served, err
	}
	var current *axonInfo
	r := s.reads()
	r.add(&current, "Axons", v.netuid, v.hotkey)
	if err := s.read(ctx, r); err != nil {
		return served, err
	}
	if current == nil || !current.serves(want) {
		return served, fmt.Errorf("%w: block %d does not show the axon", ErrBadReply, in.Number)
	}
	return served, nil
}
