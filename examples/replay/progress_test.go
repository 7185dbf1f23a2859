package main

import (
	"bytes"
	"context"
	"os"
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
		p := newProgress(&out, func() string {
			text := texts[0]
			texts = texts[1:]
			return text
		})
		p.live = true
		ctx, cancel := context.WithTimeout(t.Context(), 2*liveEvery+liveEvery/2)
		defer cancel()
		p.show(ctx)
		require.Equal(t, "\ra longer line\rshort        \rend  \n", out.String())
	})
}

func TestProgressElsewhereWritesLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		ctx, cancel := context.WithTimeout(t.Context(), plainEvery+time.Second)
		defer cancel()
		newProgress(&out, func() string { return "status" }).show(ctx)
		require.Equal(t, "status\nstatus\n", out.String())
	})
}

func TestIsTerminal(t *testing.T) {
	t.Parallel()
	require.False(t, isTerminal(&bytes.Buffer{}))
	plain, err := os.Create(file(t, "out.txt", ""))
	require.NoError(t, err)
	require.False(t, isTerminal(plain))
	require.NoError(t, plain.Close())
	require.False(t, isTerminal(plain), "closed")
}
