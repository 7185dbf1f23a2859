package axon_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

var proxyPrefixes = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("fd00::/8"),
}

// TestTheClientBehindProxies asks a hook where a request came from.
func TestTheClientBehindProxies(t *testing.T) {
	t.Parallel()
	const (
		proxy = "10.0.0.1:4711"
		plain = "X-Forwarded-For"
		rfc   = "Forwarded"
	)
	for _, tt := range []struct {
		name   string
		remote string
		header http.Header
		want   string // with a port: the peer itself
	}{
		{"no header", proxy, nil, proxy},
		{"one client", proxy, http.Header{plain: {"203.0.113.9"}}, "203.0.113.9:0"},
		{"a client with a port", proxy, http.Header{plain: {"203.0.113.9:8080"}}, "203.0.113.9:0"},
		{"IPv6", proxy, http.Header{plain: {"2001:db8::9"}}, "[2001:db8::9]:0"},
		{"IPv6 in brackets", proxy, http.Header{plain: {"[2001:db8::9]"}}, "[2001:db8::9]:0"},
		{"IPv6 with a port", proxy, http.Header{plain: {"[2001:db8::9]:80"}}, "[2001:db8::9]:0"},
		{"IPv4 in IPv6", proxy, http.Header{plain: {"::ffff:203.0.113.9"}}, "203.0.113.9:0"},
		{"a proxy of IPv6", "[fd00::1]:80", http.Header{plain: {"203.0.113.9"}}, "203.0.113.9:0"},
		{
			"a proxy of IPv4 in IPv6", "[::ffff:10.0.0.1]:80",
			http.Header{plain: {"203.0.113.9"}},
			"203.0.113.9:0",
		},
		{
			"what the client wrote before", proxy,
			http.Header{plain: {"198.51.100.1, 203.0.113.9"}},
			"203.0.113.9:0",
		},
		{
			"a trusted address that the client wrote", proxy,
			http.Header{plain: {"10.0.0.7, 203.0.113.9"}},
			"203.0.113.9:0",
		},
		{
			"junk that the client wrote", proxy,
			http.Header{plain: {"\"x, , 203.0.113.9"}},
			"203.0.113.9:0",
		},
		{
			"a header that the client sent itself", proxy,
			http.Header{plain: {"198.51.100.1", "203.0.113.9"}},
			"203.0.113.9:0",
		},
		{"two proxies", proxy, http.Header{plain: {"203.0.113.9, 10.0.0.2"}}, "203.0.113.9:0"},
		{
			"two proxies in two lines", proxy,
			http.Header{plain: {"198.51.100.1,203.0.113.9", "10.0.0.2"}},
			"203.0.113.9:0",
		},
		{"proxies alone", proxy, http.Header{plain: {"10.0.0.3, 10.0.0.2"}}, "10.0.0.3:0"},
		{"no proxy of ours", "192.0.2.1:80", http.Header{plain: {"203.0.113.9"}}, "192.0.2.1:80"},
		{"empty", proxy, http.Header{plain: {""}}, proxy},
		{"a comma at the end", proxy, http.Header{plain: {"203.0.113.9,"}}, proxy},
		{"unknown", proxy, http.Header{plain: {"unknown"}}, proxy},
		{
			"unknown behind another proxy", proxy,
			http.Header{plain: {"203.0.113.9, unknown, 10.0.0.2"}},
			proxy,
		},
		{"a name", proxy, http.Header{plain: {"client.example"}}, proxy},
		{"a zone", proxy, http.Header{plain: {"fe80::1%eth0"}}, proxy},
		{"a zone in brackets", proxy, http.Header{plain: {"[fe80::1%eth0]:80"}}, proxy},
		{"IPv4 in brackets", proxy, http.Header{plain: {"[203.0.113.9]"}}, proxy},
		{"leading zeros", proxy, http.Header{plain: {"203.000.113.009"}}, proxy},
		{"a number", proxy, http.Header{plain: {"3405803785"}}, proxy},
		{"a prefix", proxy, http.Header{plain: {"203.0.113.9/32"}}, proxy},

		{"forwarded", proxy, http.Header{rfc: {"for=203.0.113.9"}}, "203.0.113.9:0"},
		{
			"forwarded, with other parameters", proxy,
			http.Header{rfc: {"by=10.0.0.1;FOR=203.0.113.9; proto=https"}},
			"203.0.113.9:0",
		},
		{"forwarded, quoted", proxy, http.Header{rfc: {`for="203.0.113.9:80"`}}, "203.0.113.9:0"},
		{
			"forwarded, IPv6", proxy,
			http.Header{rfc: {`for="[2001:db8::9]:80";proto=http`}},
			"[2001:db8::9]:0",
		},
		{
			"forwarded twice", proxy,
			http.Header{rfc: {"for=198.51.100.1, for=203.0.113.9, for=10.0.0.2"}},
			"203.0.113.9:0",
		},
		{
			"forwarded in two lines", proxy,
			http.Header{rfc: {"for=198.51.100.1", "for=203.0.113.9"}},
			"203.0.113.9:0",
		},
		{
			"forwarded in one line and junk in another", proxy,
			http.Header{rfc: {`for="`, "for=203.0.113.9"}},
			"203.0.113.9:0",
		},
		{
			"forwarded, a quote that swallows the rest", proxy,
			http.Header{rfc: {`for="198.51.100.1, for=203.0.113.9`}},
			proxy,
		},
		{
			"forwarded, a client in a quoted host", proxy,
			http.Header{rfc: {`for=203.0.113.9;host="a, for=198.51.100.1"`}},
			"203.0.113.9:0",
		},
		{
			"forwarded, a quote in a quoted host", proxy,
			http.Header{rfc: {`for=203.0.113.9;host="a\", for=198.51.100.1;x=\""`}},
			proxy,
		},
		{
			"forwarded, two clients of one hop", proxy,
			http.Header{rfc: {"for=203.0.113.9;for=198.51.100.1"}},
			proxy,
		},
		{"forwarded, without a client", proxy, http.Header{rfc: {"proto=https"}}, proxy},
		{"forwarded, a hidden port", proxy, http.Header{rfc: {`for="203.0.113.9:_a1"`}}, "203.0.113.9:0"},
		{
			"forwarded, a hidden port of IPv6", proxy,
			http.Header{rfc: {`for="[2001:db8::9]:_a1"`}},
			"[2001:db8::9]:0",
		},
		{"forwarded, a hidden address with a port", proxy, http.Header{rfc: {`for="_hidden:80"`}}, proxy},
		{"forwarded, hidden", proxy, http.Header{rfc: {"for=_hidden"}}, proxy},
		{"forwarded, unknown", proxy, http.Header{rfc: {"for=unknown"}}, proxy},
		{"forwarded, empty", proxy, http.Header{rfc: {""}}, proxy},
		{"forwarded, without a value", proxy, http.Header{rfc: {"for="}}, proxy},
		{"forwarded, without a name", proxy, http.Header{rfc: {"=203.0.113.9"}}, proxy},
		{"forwarded, a comma at the end", proxy, http.Header{rfc: {"for=203.0.113.9,"}}, proxy},
		{"forwarded, two words", proxy, http.Header{rfc: {"for=203.0.113.9 for=198.51.100.1"}}, proxy},

		{"both, the same", proxy, http.Header{
			plain: {"203.0.113.9"},
			rfc:   {"for=203.0.113.9;proto=http"},
		}, "203.0.113.9:0"},
		{
			"both, the client's own and the proxy's", proxy,
			http.Header{plain: {"198.51.100.1"}, rfc: {"for=203.0.113.9"}},
			proxy,
		},
		{"both, one of them junk", proxy, http.Header{plain: {"203.0.113.9"}, rfc: {"junk"}}, proxy},
		{"another header", proxy, http.Header{"X-Real-Ip": {"203.0.113.9"}}, proxy},
		{
			"15 KiB of hops", proxy,
			http.Header{plain: {strings.Repeat("10.0.0.1,", 1700) + "203.0.113.9"}},
			"203.0.113.9:0",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var remote netip.AddrPort
			f := newFortress(t, axon.WithTrustedProxies(proxyPrefixes...))
			route, err := f.server.Route("/where", axon.WithEpistula())
			require.NoError(t, err)
			_, err = route.Attach(organic.Handlers{Forward: func(
				_ context.Context, _ http.ResponseWriter, synapse *organic.Synapse,
			) error {
				remote = synapse.Remote
				return nil
			}})
			require.NoError(t, err)
			c := byEpistula(t)
			c.target = "/where"
			r := c.request(t)
			r.RemoteAddr = tt.remote
			maps.Copy(r.Header, tt.header)
			require.Equal(t, http.StatusOK, f.send(r).Code)
			require.Equal(t, netip.MustParseAddrPort(tt.want), remote)
		})
	}
}

// TestWithoutTrustedProxiesHeadersDoNotCount has a header that anybody can send.
func TestWithoutTrustedProxiesHeadersDoNotCount(t *testing.T) {
	t.Parallel()
	f := newFortress(t, axon.WithAddressRate(1e-9, 1))
	for i, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		r := stamped(t, byBittensor, 0, 1)[i].request(t)
		r.Header.Set("X-Forwarded-For", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String())
		require.Equal(t, want, f.send(r).Code)
	}
}

// TestEachClientBehindAProxyHasItsOwnRate sends 400 requests of 40 clients, more than
// one address may.
func TestEachClientBehindAProxyHasItsOwnRate(t *testing.T) {
	t.Parallel()
	send := func(opts ...axon.Option) map[int]int {
		s := newStand(t, append(opts, axon.WithHotkeyRate(1e6, 1e6))...)
		s.forward(echo)
		statuses := make(map[int]int)
		for i := range 400 {
			r := s.byEpistula(s.alice, "{}")
			r.RemoteAddr = "10.0.0.1:80"
			r.Header.Set("X-Forwarded-For", netip.AddrFrom4([4]byte{203, 0, 113, byte(i % 40)}).String())
			w := httptest.NewRecorder()
			s.server.ServeHTTP(w, r)
			statuses[w.Code]++
			if w.Code == http.StatusTooManyRequests {
				require.Equal(t, "1", w.Header().Get("Retry-After"))
			}
		}
		return statuses
	}
	require.Equal(t, map[int]int{http.StatusOK: 400}, send(axon.WithTrustedProxies(proxyPrefixes...)))
	require.NotZero(t, send()[http.StatusTooManyRequests], "all are the proxy's")
}

func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{
		`for="[2001:db8::9]:80";proto=http, for=10.0.0.1`,
		"203.0.113.9, 10.0.0.1", `for="a\"b"`, ",;=\"",
	} {
		f.Add(seed, "203.0.113.9")
	}
	server, err := axon.New(keypairFromURI(f, "//Bob").Hotkey(),
		axon.WithTrustedProxies(proxyPrefixes...))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, junk, client string) {
		addr, err := netip.ParseAddr(client)
		if err != nil || addr.Zone() != "" {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = "10.0.0.1:80"
		quoted := `"[` + addr.String() + `]"`
		if addr.Is4() {
			quoted = addr.String()
		}
		for name, lines := range map[string][]string{
			"X-Forwarded-For": {junk + "," + addr.String()}, "Forwarded": {junk, "for=" + quoted},
		} {
			r.Header = http.Header{name: lines}
			got := server.ClientOf(r)
			trusted := proxyPrefixes[0].Contains(addr.Unmap()) || proxyPrefixes[1].Contains(addr.Unmap())
			if !trusted {
				require.Equal(t, netip.AddrPortFrom(addr.Unmap(), 0), got, "what stands before does not count")
			}
		}
	})
}

func TestTrustedProxiesMustBePrefixes(t *testing.T) {
	t.Parallel()
	bob := keypairFromURI(t, "//Bob").Hotkey()
	for name, prefixes := range map[string][]netip.Prefix{
		"none":             nil,
		"invalid":          {{}},
		"all addresses":    {netip.MustParsePrefix("0.0.0.0/0")},
		"all IPv6":         {netip.MustParsePrefix("::/0")},
		"IPv4 as IPv6":     {netip.MustParsePrefix("::ffff:10.0.0.0/104")},
		"one of them none": {netip.MustParsePrefix("10.0.0.0/8"), {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := axon.New(bob, axon.WithTrustedProxies(prefixes...))
			require.ErrorIs(t, err, axon.ErrInvalidOption)
			require.ErrorContains(t, err, "WithTrustedProxies")
		})
	}
}
