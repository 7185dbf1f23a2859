package scale_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// realMetadata reads metadata of a real runtime. The files are not part of the repository: the test
// is skipped where the folder, or that of the environment variable, is absent.
func realMetadata(t testing.TB, name string) []byte {
	t.Helper()
	folder := os.Getenv("CHAIN_METADATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "..", "shared", "data", "chain", "metadata")
	}
	data, err := os.ReadFile(filepath.Join(folder, name))
	if os.IsNotExist(err) {
		t.Skipf("no %s: set CHAIN_METADATA to a folder that has it", name)
	}
	require.NoError(t, err)
	if !strings.HasSuffix(name, ".hex") {
		return data
	}
	data, err = hex.DecodeString(strings.TrimPrefix(string(bytes.TrimSpace(data)), "0x"))
	require.NoError(t, err)
	return data
}

func TestX(t *testing.T) {
	for _, n := range []string{"finney-365-v16.scale", "finney-393-v16.scale", "finney-424-v16.scale", "raonet-v15.hex"} {
		data := realMetadata(t, n)
		if i := bytes.Index(data, []byte("meta")); i > 0 && i < 8 {
			data = data[i:]
		}
		m, err := scale.Parse(data)
		require.NoError(t, err, n)
		t.Log(n, len(m.Types), len(m.Pallets), m.Extrinsic.Versions)
		for _, e := range m.Extrinsic.Extensions {
			t.Log(e.Name)
		}
	}
}
