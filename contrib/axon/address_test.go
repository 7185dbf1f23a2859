package axon_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestSpellingsOfAnAddressShareItsRate asks from the first address, whose
// bucket has room for one, and then from the second.
func TestSpellingsOfAnAddressShareItsRate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, first, second string
		status              int
	}{
		{"another port", "192.0.2.1:1", "192.0.2.1:2", 429},
		{"another address", "192.0.2.1:1", "192.0.2.2:1", 200},
		{"mapped into IPv6", "192.0.2.1:1", "[::ffff:192.0.2.1]:1", 429},
		{"mapped, in hex", "192.0.2.1:1", "[::ffff:c000:201]:1", 429},
		{"mapped with a zone", "192.0.2.1:1", "[::ffff:192.0.2.1%eth0]:1", 429},
		{"the same half of IPv6", "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::]:1", 429},
		{"another half of IPv6", "[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", 200},
		{"with a zone", "[fe80::1]:1", "[fe80::1%eth0]:1", 429},
		{"another zone", "[fe80::1%eth1]:1", "[fe80::1%eth0]:1", 429},
		{"no address, twice", "@", "", 429},
		{"no address, no port", "pipe", "192.0.2.1", 429},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFortress(t, axon.WithAddressRate(1e-9, 1))
			calls := stamped(t, byBittensor, 0, 1)
			for i, remote := range []string{tt.first, tt.second} {
				r := calls[i].request(t)
				r.RemoteAddr = remote
				want := []int{http.StatusOK, tt.status}[i]
				require.Equal(t, want, f.send(r).Code)
			}
		})
	}
}

// TestForgottenAddressesStartAnew bounds what addresses cost, whoever comes.
func TestForgottenAddressesStartAnew(t *testing.T) {
	t.Parallel()
	f := newFortress(t, axon.WithAddressRate(1e-9, 1), axon.WithLimits(axon.Limits{Tracked: 3}))
	for i := range 10 {
		c := byBittensor(t)
		c.signature = forgedSignature
		r := c.request(t)
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i)
		require.Equal(t, http.StatusUnauthorized, f.send(r).Code)
		require.LessOrEqual(t, f.server.Stats().Addresses, 3)
	}
}
