package option_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/option"
)

func TestIsNil(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		nil, (*int)(nil), map[string]int(nil), (func())(nil), (chan int)(nil),
		[]int(nil),
	} {
		require.True(t, option.IsNil(v), "%T", v)
	}
	for _, v := range []any{0, "", struct{}{}, new(int), []int{}, map[string]int{}} {
		require.False(t, option.IsNil(v), "%T", v)
	}
}

func TestInvalidNamesTheOption(t *testing.T) {
	t.Parallel()
	sentinel := errors.New("invalid option")
	err := option.Invalid(sentinel, "WithLimit(-1)", "must be at least %d", 1)
	require.ErrorIs(t, err, sentinel)
	require.EqualError(t, err, "invalid option: WithLimit(-1): must be at least 1")
}

func TestProblemsAreAllReported(t *testing.T) {
	t.Parallel()
	sentinel := errors.New("invalid option")
	var problems option.Problems
	require.NoError(t, option.InvalidAll(sentinel, "WithLimits", problems))
	problems.If(true, "Low is %d", -1)
	problems.If(false, "Middle is %d", 0)
	problems.If(true, "High is %d", 1)
	err := option.InvalidAll(sentinel, "WithLimits", problems)
	require.ErrorIs(t, err, sentinel)
	require.EqualError(t, err, "invalid option: WithLimits: Low is -1\ninvalid option: WithLimits: High is 1")
}
