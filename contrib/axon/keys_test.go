package axon_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"
)

const (
	aliceAddress    = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
	bobAddress      = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
	identityAddress = "5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM"
)

func keypairFromURI(tb testing.TB, uri string) *keys.Keypair {
	tb.Helper()
	k, err := keys.FromURI(uri, keys.SR25519)
	require.NoError(tb, err)
	return k
}

// readVectors decodes a file of testdata.
func readVectors(tb testing.TB, name string, into any) {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(tb, err)
	require.NoError(tb, json.Unmarshal(data, into))
}

// hexBytes reads hexadecimal digits with or without "0x"; other text gives nil,
// since some vectors have such signatures.
func hexBytes(text string) []byte {
	data, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil {
		return nil
	}
	return data
}
