package subtensor

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Hash is a block hash, or the blake2b-256 hash of an extrinsic.
type Hash [32]byte

// String returns the hash as nodes write it: 0x and 64 hexadecimal digits.
func (h Hash) String() string { return "0x" + hex.EncodeToString(h[:]) }

// MarshalText returns the same text as String. It never fails.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits with 0x in front.
func (h *Hash) UnmarshalText(text []byte) error {
	digits, ok := strings.CutPrefix(string(text), "0x")
	if !ok || len(digits) != 2*len(h) {
		return errors.New("subtensor: hash: must be 0x and 64 hexadecimal digits")
	}
	if _, err := hex.Decode(h[:], []byte(digits)); err != nil {
		return errors.New("subtensor: hash: must be hexadecimal")
	}
	return nil
}

// Network names a chain and the nodes that serve it.
type Network struct {
	// Endpoints are WebSocket URLs, ws:// or wss://, in order of preference. At
	// least one is needed. When the connection to one is lost, the next one is
	// tried, and after the last one the first.
	Endpoints []string
	// Genesis is the hash of block 0. Every node is asked for it on every
	// connection, and one that gives another hash is not used. If Genesis is
	// zero, the hash that the first node gives holds for the client's lifetime.
	Genesis Hash
}

// Finney returns the main network of Bittensor.
func Finney() Network {
	return Network{
		Endpoints: []string{
			"wss://entrypoint-finney.opentensor.ai:443",
			"wss://lite.chain.opentensor.ai:443",
			"wss://lite.sub.latent.to:443",
		},
		Genesis: mustHash("0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03"),
	}
}

// TestFinney returns the test network of Bittensor.
func TestFinney() Network {
	return Network{Endpoints: []string{"wss://test.finney.opentensor.ai:443"}}
}

// Local returns a node on this machine, at port 9944.
func Local() Network {
	return Network{Endpoints: []string{"ws://127.0.0.1:9944"}}
}

// mustHash is for constants of this file alone; the tests call all of them.
func mustHash(text string) (hash Hash) {
	if err := hash.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return hash
}

// check quotes no URL, because one can contain a key.
func (n Network) check() error {
	if len(n.Endpoints) == 0 {
		return invalid("Network.Endpoints", "is empty: must name at least one node")
	}
	var problems []error
	for i, endpoint := range n.Endpoints {
		name := fmt.Sprintf("Network.Endpoints[%d]", i)
		u, err := url.Parse(endpoint)
		switch {
		case err != nil:
			problems = append(problems, invalid(name, "is no URL: must be ws:// or wss:// and a host"))
		case u.Scheme != "ws" && u.Scheme != "wss":
			problems = append(problems, invalid(name, "has scheme %q: must be ws or wss", u.Scheme))
		case u.Host == "":
			problems = append(problems, invalid(name, "has no host"))
		}
	}
	return errors.Join(problems...)
}

// hostOf returns what may be shown of an endpoint: its host and port.
func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "unknown"
	}
	return u.Host
}
