package organic_test

import (
	"context"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// scorerMethods are all the methods that embedding a scorer promotes.
var scorerMethods = []string{
	"Done", "Drain", "Enqueue", "EnqueueSample", "IncrementStep", "Iterate",
	"Pause", "Resume", "Run", "SetStep", "Start", "Stats", "Stop",
}

func methodsOf(t reflect.Type) []string {
	names := make([]string, 0, t.NumMethod())
	for method := range t.Methods() {
		names = append(names, method.Name)
	}
	return names
}

func TestEmbeddingPromotesNothingElse(t *testing.T) {
	t.Parallel()
	scorer := reflect.TypeFor[*organic.OrganicScorer[string, string]]()
	require.Equal(t, scorerMethods, methodsOf(scorer))
	hooks := methodsOf(reflect.TypeFor[organic.Hooks[string, string]]())
	require.Contains(t, hooks, "QueryMiners")
	for _, name := range scorerMethods {
		require.NotContains(t, hooks, name, "a hook of that name would be ambiguous")
	}
	for field := range scorer.Elem().Fields() {
		require.False(t, field.IsExported(), "no exported fields")
	}
}

func TestScorerThatWasNeverBuilt(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*textScorer{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for method, call := range map[string]func() error{
				"Run": func() error { return s.Run(ctx) }, "Start": func() error { return s.Start(ctx) },
				"Stop": func() error { return s.Stop(ctx) }, "Drain": func() error { return s.Drain(ctx) },
				"Enqueue":       func() error { _, err := s.Enqueue(ctx, "text"); return err },
				"EnqueueSample": func() error { _, err := s.EnqueueSample(ctx, textSample{}); return err },
				"Iterate":       func() error { _, err := s.Iterate(ctx); return err },
			} {
				require.ErrorIs(t, call(), organic.ErrNotBuilt, method)
			}
			s.IncrementStep()
			s.SetStep(3)
			s.Pause()
			s.Resume()
			require.Zero(t, s.Stats())
			<-s.Done()
		})
	}
}

func TestValidatorIsHalfBuiltDuringNew(t *testing.T) {
	t.Parallel()
	v := &embedding{} // its scorer is nil as long as New runs
	require.ErrorIs(t, v.Start(t.Context()), organic.ErrNotBuilt)
	var err error
	v.OrganicScorer, err = organic.New(v, organic.WithSynth(endless))
	require.NoError(t, err)
	result, err := v.Iterate(t.Context())
	require.NoError(t, err)
	require.Equal(t, organic.Synthetic, result.Sample.Origin)
	require.NoError(t, v.Stop(t.Context()))
}

func TestNewCallsNoHook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		for _, name := range hookNames {
			hooks := hooksCalling(name, func(context.Context) { panic(name) })
			s, err := organic.New(hooks, organic.WithSynth(endless), organic.WithAxon(&organictest.Axon{}))
			require.NoError(t, err)
			enqueue(t, s, 1)
			time.Sleep(time.Hour)
			require.Equal(t, organic.Stats{Accepted: 1, Queued: 1}, s.Stats())
		}
	})
}
