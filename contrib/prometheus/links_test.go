package prometheus_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProgramLinksOnlyTheCollectorsThatItUses(t *testing.T) {
	t.Parallel()
	const contrib = "github.com/organic-scoring/organic/contrib/"
	tests := []struct {
		pkg      string
		not, has string
	}{
		{".", contrib + "weights\n", contrib + "prometheus\n"},
		{".", contrib + "relay\n", contrib + "prometheus\n"},
		{"./promqueue", contrib + "relay\n", "client_golang"},
		{"./promaxon", contrib + "weights\n", "client_golang"},
		{"./promweights", contrib + "relay\n", contrib + "weights\n"},
		{"./promrelay", contrib + "weights\n", contrib + "relay\n"},
	}
	for _, test := range tests {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", test.pkg).Output()
		require.NoError(t, err)
		require.Contains(t, string(out), test.has)
		require.NotContains(t, string(out), test.not, test.pkg)
	}
}
