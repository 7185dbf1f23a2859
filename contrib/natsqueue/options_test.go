package natsqueue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue"
)

// TestBadOptions: each bad option is found, before the server is asked for
// anything.
func TestBadOptions(t *testing.T) {
	t.Parallel()
	var noCipher *durable.AESGCM
	tests := []struct {
		name   string
		option natsqueue.Option
		says   string
	}{
		{"nil", nil, "option 1 is nil"},
		{"empty name", natsqueue.WithName(""), `WithName("")`},
		{"name with a dot", natsqueue.WithName("a.b"), `WithName("a.b")`},
		{"long name", natsqueue.WithName(strings.Repeat("a", 65)), "must be 1 to 64 letters"},
		{"capacity", natsqueue.WithCapacity(0), "WithCapacity(0)"},
		{"bytes", natsqueue.WithMaxBytes(0), "WithMaxBytes(0)"},
		{"age", natsqueue.WithMaxAge(999 * time.Millisecond), "WithMaxAge(999ms): must be at least 1s"},
		{"no replicas", natsqueue.WithReplicas(0), "WithReplicas(0)"},
		{"replicas", natsqueue.WithReplicas(6), "WithReplicas(6): must be from 1 to 5"},
		{"nil codec", natsqueue.WithCodec[string](nil), "codec is nil"},
		{
			"codec of another payload", natsqueue.WithCodec(durable.JSON[int]{}),
			"WithCodec: have durable.JSON[int]",
		},
		{"nil cipher", natsqueue.WithCipher(nil), "cipher is nil"},
		{"nil pointer to a cipher", natsqueue.WithCipher(noCipher), "cipher is nil"},
		{"prefetch", natsqueue.WithPrefetch(0), "WithPrefetch(0): must be from 1 to 1000"},
		{"shuffle", natsqueue.WithShuffle(1), "WithShuffle(1): must be from 2 to 1000"},
		{"ack wait", natsqueue.WithAckWait(time.Millisecond), "WithAckWait(1ms)"},
		{"lease", natsqueue.WithMaxLease(0), "WithMaxLease(0s)"},
		{"crashes", natsqueue.WithMaxCrashes(0), "WithMaxCrashes(0)"},
		{"add timeout", natsqueue.WithAddTimeout(0), "WithAddTimeout(0s): must be above 0"},
		{"long add timeout", natsqueue.WithAddTimeout(2 * time.Minute), "must be above 0 and below 2m"},
		{"dead letters", natsqueue.WithDeadLetters(0, 0), "WithDeadLetters(0, 0s)"},
		{
			"age of dead letters", natsqueue.WithDeadLetters(1, time.Millisecond),
			"WithDeadLetters(1, 1ms)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := natsqueue.New[string](t.Context(), nil, tt.option)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			require.ErrorContains(t, err, tt.says)
			require.ErrorContains(t, err, "js is nil", "all is reported at once")
		})
	}
}
