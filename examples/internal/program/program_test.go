package program

import (
	"context"
	"errors"
	"flag"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, args, out, want string
	}{
		{"flags", "-n 3", "", ""},
		{"help", "-h", "Usage of test:", "help requested"},
		{"unknown flag", "-x", "", "not defined: -x"},
		{"argument", "-n 3 more", "", `unexpected argument "more": a hint`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			flags := flag.NewFlagSet("test", flag.ContinueOnError)
			n := flags.Int("n", 0, "")
			var out strings.Builder
			err := Parse(flags, strings.Fields(tt.args), &out, "a hint")
			require.Contains(t, out.String(), tt.out)
			if tt.want == "" {
				require.NoError(t, err)
				require.Equal(t, 3, *n)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.NoError(t, Sleep(t.Context(), time.Second))
		require.Equal(t, time.Second, time.Since(began))
		reason := errors.New("reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		require.ErrorIs(t, Sleep(ctx, time.Hour), reason)
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestUntilNextInterruptOutlivesTheFirst(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	hard, stop := UntilNextInterrupt(ctx)
	require.NoError(t, hard.Err())
	stop()
	require.ErrorIs(t, hard.Err(), context.Canceled)
}
