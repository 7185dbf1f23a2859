package axon

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/organic-scoring/organic/contrib/axon/internal/fair"
)

// WithTrustedProxies names the reverse proxies before the server. A request that
// comes from one of them is its client's, in all limits per address and in
// [organic.Synapse.Remote] (with port 0): the client is the last address in
// X-Forwarded-For, or in the for parameters of Forwarded, that is not a trusted
// proxy's itself, or the first one if all are. Addresses before it are not looked at,
// since the client can write what it likes there. Where neither header is there, what
// stands there is not an address, or both are there and disagree, the request is the
// proxy's own.
//
// Trust only proxies that add to the header, or replace it, and name nothing that
// clients can connect from. Default: no proxy, and the headers are not looked at.
func WithTrustedProxies(prefixes ...netip.Prefix) Option {
	return serverOption(func(cfg *config) error {
		var errs []error
		for _, prefix := range prefixes {
			if !prefix.IsValid() || prefix.Bits() == 0 || prefix.Addr().Is4In6() {
				errs = append(errs, invalid("WithTrustedProxies",
					"%v, must be an IPv4 or IPv6 prefix, and not of all addresses", prefix))
			}
		}
		if len(prefixes) == 0 {
			errs = append(errs, invalid("WithTrustedProxies",
				"no prefix, must be one at least; leave the option out to trust no proxy"))
		}
		cfg.proxies = slices.Clone(prefixes)
		return errors.Join(errs...)
	})
}

// proxies are the trusted ones.
type proxies []netip.Prefix

func (p proxies) contain(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// client is where a request comes from: the peer of the connection, or who stands
// behind the trusted proxies.
func (p proxies) client(r *http.Request) netip.AddrPort {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // zero for a listener without addresses
	if len(p) == 0 || !p.contain(plain(peer.Addr())) {
		return peer
	}
	forwardedFor, forwarded := r.Header["X-Forwarded-For"], r.Header["Forwarded"]
	switch {
	case len(forwardedFor) == 0 && len(forwarded) == 0:
		return peer
	case len(forwarded) == 0:
		return p.walk(peer, forwardedFor, splitList)
	case len(forwardedFor) == 0:
		return p.walk(peer, forwarded, splitForwarded)
	}
	one, other := p.walk(peer, forwardedFor, splitList), p.walk(peer, forwarded, splitForwarded)
	if one != other {
		return peer
	}
	return one
}

// walk goes from the peer back through the hops of a header, for as long as they are
// trusted proxies.
func (p proxies) walk(
	peer netip.AddrPort, lines []string, split func(line string) []string,
) netip.AddrPort {
	client := peer
	for _, line := range slices.Backward(lines) {
		for _, hop := range slices.Backward(split(line)) {
			addr, ok := hopAddress(hop)
			if !ok {
				return peer
			}
			client = netip.AddrPortFrom(addr, 0)
			if !p.contain(addr) {
				return client
			}
		}
	}
	return client
}

func splitList(line string) []string { return strings.Split(line, ",") }

// hopAddress reads an address as proxies write it: with or without a port, and an
// IPv6 address in brackets if there is one. A port may be obfuscated, as in _x (RFC 7239).
func hopAddress(hop string) (netip.Addr, bool) {
	hop, _, _ = strings.Cut(strings.Trim(hop, " \t"), ":_")
	if inner, ok := strings.CutPrefix(hop, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			addr, err := netip.ParseAddr(inner)
			return plain(addr), err == nil && addr.Is6() && addr.Zone() == ""
		}
	}
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return plain(withPort.Addr()), withPort.Addr().Zone() == ""
	}
	addr, err := netip.ParseAddr(hop)
	return plain(addr), err == nil && addr.Zone() == ""
}

// splitForwarded returns the for parameter of each element of a Forwarded header
// (RFC 7239), empty where there is none. A line that is malformed anywhere is one
// hop that is not an address: where it is read from the right, a quote on its left
// would change what it means.
func splitForwarded(line string) []string {
	malformed := []string{""}
	var hops []string
	hop, seen := "", false
	for rest := line; ; {
		name, value, after, ok := forwardedPair(rest)
		if !ok || strings.EqualFold(name, "for") && seen {
			return malformed
		}
		if strings.EqualFold(name, "for") {
			hop, seen = value, true
		}
		if after == "" {
			return append(hops, hop)
		}
		if after[0] == ',' {
			hops = append(hops, hop)
			hop, seen = "", false
		}
		rest = after[1:]
	}
}

// forwardedPair reads a name, an equals sign, and a token or a quoted string. What
// is after it is empty or begins with a comma or a semicolon.
func forwardedPair(text string) (name, value, after string, ok bool) {
	name, after, ok = strings.Cut(text, "=")
	name = strings.Trim(name, " \t")
	if !ok || name == "" || strings.ContainsAny(name, ",;\" \t") {
		return "", "", "", false
	}
	if quoted, isQuoted := strings.CutPrefix(after, `"`); isQuoted {
		end := strings.IndexAny(quoted, `"\`)
		if end < 0 || quoted[end] == '\\' { // no address needs an escape
			return "", "", "", false
		}
		value, after = quoted[:end], quoted[end+1:]
	} else {
		end := strings.IndexAny(after, ",; \t\"")
		if end < 0 {
			end = len(after)
		}
		value, after = after[:end], after[end:]
	}
	after = strings.TrimLeft(after, " \t")
	return name, value, after, value != "" && (after == "" || after[0] == ',' || after[0] == ';')
}

// plain is an address without the forms that mean the same.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// neighbourhood is what shares a rate: an IPv4 address, or the half of an IPv6
// address that names a network, since the other half is its owner's to choose.
func neighbourhood(addr netip.Addr) netip.Prefix { return prefixOf(addr, 64) }

// network is what counts as one party beside its neighbourhoods: providers give
// out IPv6 addresses by the /48, and less.
func network(addr netip.Addr) netip.Prefix { return prefixOf(addr, 48) }

func prefixOf(addr netip.Addr, bits int) netip.Prefix {
	addr = plain(addr)
	if addr.Is4() {
		bits = 32
	}
	prefix, _ := addr.Prefix(bits) // fails for no address at all, and then is the zero prefix
	return prefix
}

// addressParty is the party of an address before verification.
func addressParty(addr netip.Addr) fair.Party[netip.Prefix] {
	return fair.Party[netip.Prefix]{Network: network(addr), Member: neighbourhood(addr)}
}
