package relay_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

// step is one act of a miner: it waits, and emits a chunk.
type step struct {
	after time.Duration
	chunk relay.Chunk
}

// after is a step after seconds.
func after(seconds int, chunk relay.Chunk) step {
	return step{time.Duration(seconds) * time.Second, chunk}
}

// acts is a miner that takes steps and returns an error.
func acts(err error, steps ...step) relay.Miner {
	return func(ctx context.Context, emit func(relay.Chunk) error) error {
		for _, s := range steps {
			if err := pause(ctx, s.after); err != nil {
				return err
			}
			if err := emit(s.chunk); err != nil {
				return err
			}
		}
		return err
	}
}

// hangs is a miner that takes steps and then waits for its end.
func hangs(steps ...step) relay.Miner {
	return func(ctx context.Context, emit func(relay.Chunk) error) error {
		if err := acts(nil, steps...)(ctx, emit); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

func text(s string) relay.Chunk      { return relay.Chunk{Text: s} }
func reasoning(s string) relay.Chunk { return relay.Chunk{Reasoning: s} }

func toolCall(name string) relay.Chunk {
	return relay.Chunk{ToolCalls: []relay.ToolCall{{ID: "id", Name: name, Arguments: "{}"}}}
}

// served serves a query and returns what the requester read, as an answer, the result, and the
// error with which the reading ended.
func served(t *testing.T, query relay.Query, opts ...relay.Option) (
	relay.Answer, *relay.Result, error,
) {
	t.Helper()
	s, w := newStand(t, opts...), &requester{}
	require.NoError(t, s.serve(t.Context(), w, query))
	read, err := readOpenAI(&pieces{rest: []byte(w.read()), size: 100})
	return read, s.result(), err
}

func TestNoBlankWins(t *testing.T) {
	t.Parallel()
	others := map[string]relay.Chunk{
		"role": {Role: "assistant"}, "reasoning": reasoning("hm"), "end": {Finish: "stop"},
		"usage": {Usage: &relay.Usage{TotalTokens: 1}}, "tool call": toolCall("f"),
		"arguments": {ToolCalls: []relay.ToolCall{{Arguments: "{}"}}},
	}
	for name, blank := range blanks {
		others[name] = text(blank)
	}
	for name, first := range others {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				read, result, err := served(t, relay.Query{Miners: miners{
					1: acts(nil, after(0, first), after(5, text("late"))),
					2: acts(nil, after(1, text("Lima"))),
				}})
				require.NoError(t, err)
				require.Equal(t, "Lima", read.Text())
				require.EqualValues(t, 2, result.Stream.UID)
			})
		})
	}
}

func TestTheWinnerIsShownFromItsBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		read, _, err := served(t, relay.Query{Miners: miners{
			1: acts(nil, after(0, reasoning("hm")), after(0, text("\n")), after(1, text("Lima"))),
			2: acts(nil, after(3, text("late"))),
		}})
		require.NoError(t, err)
		require.Equal(t, "hm", read.Reasoning())
		require.Equal(t, "\nLima", read.Text())
	})
}

func TestReasoningInTheStream(t *testing.T) {
	t.Parallel()
	speaks := relay.FirstGood(func(c relay.Chunk) bool { return c.HasText() || c.HasReasoning() })
	tests := []struct {
		name            string
		view            relay.View
		text, reasoning string
	}{
		{"text is preferred", relay.FirstGood(nil), "Lima", ""},
		{"reasoning wins", speaks, "Quito", "hm"},
		{"reasoning wins and is hidden", speaks.HideReasoning(), "Quito", ""},
		{"one, shown", relay.One(1), "Quito", "hm"},
		{"one, hidden", relay.One(1).HideReasoning(), "Quito", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				read, result, err := served(t, relay.Query{View: tt.view, Miners: miners{
					1: acts(nil, after(0, reasoning("hm")), after(60, text("Quito"))),
					2: acts(nil, after(1, text("Lima"))),
				}})
				require.NoError(t, err)
				require.Equal(t, tt.text, read.Text())
				require.Equal(t, tt.reasoning, read.Reasoning())
				require.Equal(t, "hm", result.Answers[1].Reasoning(), "the answer keeps it")
			})
		})
	}
}

// TestToolCallsAreShownInTheEnd: a call wins over no text, but over nothing else.
func TestToolCallsAreShownInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := miners{
			1: acts(errMishap, after(0, toolCall("cut"))),
			2: acts(nil, after(2, toolCall("f")), after(0, relay.Chunk{Finish: "tool_calls"})),
			3: acts(nil, after(1, reasoning("hm"))),
		}
		read, result, err := served(t, relay.Query{Miners: asked})
		require.NoError(t, err)
		require.Equal(t, toolCall("f").ToolCalls, read.ToolCalls())
		require.Equal(t, "tool_calls", read.Finish())
		require.EqualValues(t, 2, result.Stream.UID)

		own := relay.FirstGood(func(c relay.Chunk) bool { return c.HasText() })
		_, _, err = served(t, relay.Query{Miners: asked, View: own})
		require.ErrorIs(t, err, relay.ErrReported, "a function of one's own says what wins")
	})
}

func TestFailover(t *testing.T) {
	t.Parallel()
	speaks := relay.FirstGood(func(c relay.Chunk) bool { return c.HasText() || c.HasReasoning() })
	lima := acts(nil, after(1, text("Li")), after(1, text("ma")))
	tests := []struct {
		name            string
		view            relay.View
		miners          miners
		text, reasoning string
		failed          bool // whether the requester reads of a failure
		uid             int
	}{
		{"not by default", relay.One(1), miners{1: acts(errMishap), 2: lima}, "", "", true, 1},
		{
			"from one that fails", relay.One(1).Failover(),
			miners{1: acts(errMishap, after(9, text(" "))), 2: lima},
			" Lima", "", false, 2,
		},
		{
			"from one that ends empty", relay.One(1).Failover(),
			miners{1: acts(nil, after(1, relay.Chunk{Finish: "stop"})), 2: lima},
			"Lima", "", false,
			2,
		},
		{
			"from one that only reasons", relay.One(1).Failover(),
			miners{1: acts(nil, after(1, reasoning("hm "))), 2: lima},
			"Lima", "hm ", false, 2,
		},
		{
			"before the other has begun", relay.One(1).Failover(),
			miners{1: acts(errMishap), 2: acts(nil, after(20, text("Lima")))},
			"Lima", "", false, 2,
		},
		{
			"not after text", relay.One(1).Failover(),
			miners{1: acts(errMishap, after(0, text("Qui"))), 2: lima},
			"Qui", "", true, 1,
		},
		{
			"not after a tool call", relay.One(1).Failover(),
			miners{1: acts(errMishap, after(0, toolCall("f"))), 2: lima},
			"", "", true, 1,
		},
		{
			"to the first that was good", relay.One(1).Failover(),
			miners{
				1: acts(errMishap, after(9, text(""))), 2: acts(nil, after(2, text("second"))),
				3: acts(nil, after(1, text("first"))),
			},
			"first", "", false, 3,
		},
		{
			"rather to one that has not failed", relay.One(1).Failover(),
			miners{
				1: acts(errMishap, after(9, text(""))), 2: acts(errMishap, after(1, text("half"))),
				3: acts(nil, after(2, text("whole"))),
			},
			"whole", "", false, 3,
		},
		{
			"to one that has failed if there is no other", relay.One(1).Failover(),
			miners{
				1: acts(errMishap, after(9, text(""))), 2: acts(errMishap, after(1, text("half"))),
			},
			"half", "", true, 2,
		},
		{
			"to none", relay.One(1).Failover(),
			miners{1: acts(errMishap), 2: acts(nil, after(1, text(" ")))},
			"", "", true, -1,
		},
		{
			"again", speaks.Failover(),
			miners{
				1: acts(errMishap, after(0, reasoning("a"))),
				2: acts(nil, after(1, reasoning("b")), after(1, reasoning("c"))),
				3: acts(nil, after(3, text("Lima"))),
			},
			"Lima", "abc", false, 3,
		},
		{
			"past all that only reasoned", speaks.Failover(),
			miners{
				1: acts(errMishap, after(0, reasoning("a")), after(9, text(""))),
				2: acts(errMishap, after(1, reasoning("b"))),
				3: acts(nil, after(2, reasoning("c"))),
			},
			"", "acb", true, -1,
		},
		{
			"past them to text", speaks.Failover(),
			miners{
				1: acts(errMishap, after(0, reasoning("a")), after(9, text(""))),
				2: acts(errMishap, after(1, reasoning("b"))),
				3: acts(nil, after(2, reasoning("c"))), 4: acts(nil, after(20, text("Lima"))),
			},
			"Lima", "acb", false, 4,
		},
		{
			"from one that pauses", speaks.Failover(),
			miners{1: hangs(after(0, reasoning("a"))), 2: acts(nil, after(2, text("Lima")))},
			"Lima", "a", false, 2,
		},
		{
			"back to one that has paused", relay.One(1).Failover(),
			miners{1: acts(nil, after(0, reasoning("a")), after(45, text("Lima"))), 2: hangs()},
			"Lima", "a", false, 1,
		},
		{
			"from one that pauses, after text", relay.One(1).Failover(),
			miners{1: hangs(after(0, text("a"))), 2: lima},
			"a", "", true, 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				read, result, err := served(
					t, relay.Query{View: tt.view, Miners: tt.miners},
					relay.WithStreamIdle(30*time.Second),
				)
				require.Equal(t, tt.failed, err != nil, "%v", err)
				require.Equal(t, tt.text, read.Text())
				require.Equal(t, tt.reasoning, read.Reasoning())
				require.Equal(t, tt.uid >= 0, result.Stream.Picked)
				if tt.uid >= 0 {
					require.EqualValues(t, tt.uid, result.Stream.UID)
				}
				require.Len(t, result.Answers, len(tt.miners), "all are collected")
			})
		})
	}
}

func TestFailoverOfAllIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), &requester{}
		require.NoError(
			t,
			s.serve(
				t.Context(), w,
				relay.Query{
					View:   relay.All().Failover(),
					Miners: miners{1: acts(errMishap), 2: emits(text("a"))},
				},
			),
		)
		require.Contains(t, w.stream(), "event: 2\ndata: a\n\n")
		require.Contains(t, w.stream(), "data: [DONE]\n\n")
		s.result()
	})
}
