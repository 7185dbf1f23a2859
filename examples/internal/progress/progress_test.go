package progress

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgressOnTerminalRewritesOneLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		texts := []string{"a longer line", "short", "end"}
		var out bytes.Buffer
		p := New(&out, func() string {
			text := texts[0]
			texts = texts[1:]
			return text
		})
		p.live = true
		ctx, cancel := context.WithTimeout(t.Context(), 2*liveEvery+liveEvery/2)
		defer cancel()
		p.Show(ctx)
		require.Equal(t, "\ra longer line\rshort        \rend  \n", out.String())
	})
}

func TestProgressElsewhereWritesLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		ctx, cancel := context.WithTimeout(t.Context(), plainEvery+time.Second)
		defer cancel()
		New(&out, func() string { return "status" }).Show(ctx)
		require.Equal(t, "status\nstatus\n", out.String())
	})
}

func TestIsTerminal(t *testing.T) {
	t.Parallel()
	require.False(t, isTerminal(&bytes.Buffer{}))
	plain, err := os.Create(filepath.Join(t.TempDir(), "out.txt"))
	require.NoError(t, err)
	require.False(t, isTerminal(plain))
	require.NoError(t, plain.Close())
	require.False(t, isTerminal(plain), "closed")
}
