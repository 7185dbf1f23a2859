package organictest_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

type (
	miner  = organictest.Miner[string, string]
	miners = organictest.Miners[string, string]
)

func echo(_ context.Context, sample organic.Sample[string]) (string, error) {
	return "re: " + sample.Payload, nil
}

func TestMiners(t *testing.T) {
	t.Parallel()
	answered := func(uids ...organic.UID) map[organic.UID]string {
		responses := make(map[organic.UID]string)
		for _, uid := range uids {
			responses[uid] = "re: prompt"
		}
		return responses
	}
	tests := []struct {
		name   string
		miners miners
		want   map[organic.UID]string
		took   time.Duration
	}{
		{name: "nobody", want: answered()},
		{
			name: "all, at the same time",
			miners: miners{
				0: {Answer: echo, Latency: 3 * time.Second},
				9: {Answer: echo, Latency: 2 * time.Second},
			}, want: answered(0, 9), took: 3 * time.Second,
		},
		{
			name: "the zero miner answers the zero R", miners: miners{4: {}},
			want: map[organic.UID]string{4: ""},
		},
		{
			name: "failures are left out",
			miners: miners{
				1: {Answer: echo}, 2: {Answer: echo, Err: errors.New("refused")},
				3: {Answer: fails},
			}, want: answered(1),
		},
		{
			name: "late ones are left out",
			miners: miners{
				1: {Answer: echo, Latency: 9 * time.Second},
				2: {Answer: echo, Latency: 11 * time.Second},
			}, want: answered(1), took: 10 * time.Second,
		},
		{
			name:   "hanging ones are left out",
			miners: miners{1: {Answer: echo}, 2: {Answer: echo, Hang: true}}, want: answered(1),
			took: 10 * time.Second,
		},
		{
			name:   "panicking ones are left out",
			miners: miners{1: {Answer: echo}, 2: {Panic: "boom"}, 3: {Answer: panics}}, want: answered(1),
		},
		{
			name:   "so are those that leave their goroutine",
			miners: miners{1: {Answer: echo}, 2: {Answer: exits}}, want: answered(1),
		},
		{
			name:   "an answer that does not heed ctx is waited for and left out",
			miners: miners{1: {Answer: echo}, 2: {Answer: sleepy}}, want: answered(1), took: time.Minute,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				began := time.Now()
				responses, err := tt.miners.Query(ctx, organic.NewSample("prompt"))
				require.NoError(t, err)
				require.Equal(t, tt.want, responses)
				require.Equal(t, tt.took, time.Since(began))
			})
		})
	}
}

func fails(context.Context, organic.Sample[string]) (string, error)  { return "half", errOwn }
func panics(context.Context, organic.Sample[string]) (string, error) { panic("boom") }
func exits(context.Context, organic.Sample[string]) (string, error)  { runtime.Goexit(); return "", nil }

func sleepy(context.Context, organic.Sample[string]) (string, error) {
	time.Sleep(time.Minute)
	return "late", nil
}

func TestEndedContextGetsNoAnswers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	asked := miners{1: {Answer: echo}, 2: {Hang: true}, 3: {Latency: time.Hour}}
	responses, err := asked.Query(ctx, organic.NewSample("prompt"))
	require.NoError(t, err)
	require.Empty(t, responses)
}

// TestPanicPropagates: on request, and not before all miners are done.
func TestPanicPropagates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := miners{
			1: {Answer: echo, Latency: time.Second},
			2: {Panic: "boom", Propagate: true},
			3: {Panic: "contained"},
		}
		began := time.Now()
		require.PanicsWithValue(t, "boom",
			func() { _, _ = asked.Query(t.Context(), organic.NewSample("prompt")) })
		require.Equal(t, time.Second, time.Since(began))
	})
}

// TestQueryIsAHook: Query fits where a validator asks its miners.
func TestQueryIsAHook(t *testing.T) {
	t.Parallel()
	hooks := organictest.HookFuncs[string, string]{QueryMinersFunc: miners{7: miner{Answer: echo}}.Query}
	responses, err := hooks.QueryMiners(t.Context(), organic.NewSample("prompt"))
	require.NoError(t, err)
	require.Equal(t, map[organic.UID]string{7: "re: prompt"}, responses)
}
