package relay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

func TestEveryMinerHasAnAnswerThatSaysHowItEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, relay.WithTimeout(time.Minute), relay.WithMaxAnswer(5, 3))
		own := func(ask relay.Miner) relay.Miner { return ask }
		asked := miners{
			0: says("a", "b").every(time.Second).ask,
			1: says("a", "b").every(time.Second).failing(errMishap).ask,
			2: says("a", "b").every(40 * time.Second).ask,
			3: says().hanging().ask,
			4: says("abc", "de", "f").ask,
			5: says("a", "b", "c", "d").ask,
			6: says().ask,
			7: own(func(context.Context, func(relay.Chunk) error) error { panic("text") }),
			8: own(
				func(context.Context, func(relay.Chunk) error) error { runtime.Goexit(); return nil },
			),
			9: own(
				func(ctx context.Context, emit func(relay.Chunk) error) error { <-ctx.Done(); return nil },
			),
		}
		require.NoError(
			t,
			s.serve(
				t.Context(), &requester{}, relay.Query{ID: "id", Miners: asked, View: relay.One(0)},
			),
		)
		result := s.result()
		require.Equal(t, "id", result.ID)
		require.Equal(t, time.Minute, result.Took)
		require.Equal(
			t, relay.Stream{State: relay.StreamWhole, Picked: true, UID: 0, Chunks: 2, Bytes: 2},
			result.Stream,
		)
		want := map[organic.UID]struct {
			ending relay.Ending
			text   string
			ended  time.Duration
			err    error
		}{
			0: {relay.Complete, "ab", 2 * time.Second, nil},
			1: {relay.Failed, "ab", 2 * time.Second, errMishap},
			2: {relay.TimedOut, "a", time.Minute, context.DeadlineExceeded},
			3: {relay.Silent, "", time.Minute, context.DeadlineExceeded},
			4: {relay.CutOff, "abcde", 0, relay.ErrTooLong},
			5: {relay.CutOff, "abc", 0, relay.ErrTooLong},
			6: {relay.Complete, "", 0, nil},
			7: {relay.Failed, "", 0, nil},
			8: {relay.Failed, "", 0, nil},
			9: {relay.Silent, "", time.Minute, context.DeadlineExceeded},
		}
		require.Len(t, result.Answers, len(want))
		for uid, answer := range result.Answers {
			require.Equal(t, want[uid].ending, answer.Ending, "%d", uid)
			require.Equal(t, want[uid].text, answer.Text(), "%d", uid)
			require.Equal(t, want[uid].ended, answer.Ended, "%d", uid)
			require.Equal(t, answer.Ending == relay.Complete, answer.Err == nil, "%d", uid)
			if want[uid].err != nil {
				require.ErrorIs(t, answer.Err, want[uid].err, "%d", uid)
			}
		}
		requirePanic(t, result.Answers[7].Err)
	})
}

func TestTimesOfChunks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		require.NoError(
			t,
			s.serve(
				t.Context(), &requester{},
				relay.Query{Miners: miners{1: says("a", "b").every(2 * time.Second).ask}},
			),
		)
		answer := s.result().Answers[1]
		require.Equal(t, 2*time.Second, answer.Chunks[0].At)
		require.Equal(t, 4*time.Second, answer.Chunks[1].At)
		require.Zero(t, answer.Started)
	})
}

func TestMinersWithoutAFirstChunkAreGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, relay.WithFirstChunk(8*time.Second), relay.WithTimeout(time.Minute))
		w := &requester{}
		require.NoError(t, s.serve(t.Context(), w, relay.Query{View: relay.One(2), Miners: miners{
			1: says("a", "b").every(7 * time.Second).ask,
			2: says("a").every(9 * time.Second).ask,
		}}))
		require.Equal(t, events(failure(relay.NoAnswer)), w.stream())
		answers := s.result().Answers
		require.Equal(t, relay.Complete, answers[1].Ending)
		require.Equal(t, relay.Silent, answers[2].Ending)
		require.Equal(t, 8*time.Second, answers[2].Ended)
	})
}

func TestMinersAreAskedSoManyAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, relay.WithParallel(2), relay.WithTimeout(50*time.Second))
		chunk := func() relay.Miner { return says("a").every(20 * time.Second).ask }
		leaving := func(context.Context, func(relay.Chunk) error) error { runtime.Goexit(); return nil }
		asked := miners{
			0: leaving, 1: leaving, 2: chunk(), 3: chunk(), 4: chunk(), 5: chunk(), 6: chunk(),
			7: chunk(), 8: chunk(), 9: chunk(),
		}
		require.NoError(
			t, s.serve(t.Context(), &requester{}, relay.Query{View: relay.One(9), Miners: asked}),
		)
		answers := s.result().Answers
		for uid, want := range map[organic.UID]relay.Ending{
			9: relay.Complete, 0: relay.Failed, 1: relay.Failed, 2: relay.Complete, 3: relay.Complete,
			4: relay.Complete, 5: relay.Silent, 6: relay.Silent, 7: relay.NeverStarted,
			8: relay.NeverStarted,
		} {
			require.Equal(t, want, answers[uid].Ending, "%d", uid)
		}
		require.Zero(t, answers[9].Started, "the chosen one is asked first")
		require.Equal(t, 40*time.Second, answers[6].Started)
	})
}

func TestEmitAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, relay.WithTimeout(time.Second))
		kept := make(chan func(relay.Chunk) error, 1)
		late := make(chan error, 1)
		require.NoError(t, s.serve(t.Context(), &requester{}, relay.Query{Miners: miners{
			1: func(_ context.Context, emit func(relay.Chunk) error) error {
				kept <- emit
				return emit(relay.Chunk{Text: "a"})
			},
			2: func(ctx context.Context, emit func(relay.Chunk) error) error {
				time.Sleep(time.Minute) // does not heed ctx
				late <- emit(relay.Chunk{Text: "late"})
				return nil
			},
		}}))
		result := s.result()
		require.ErrorIs(t, (<-kept)(relay.Chunk{Text: "b"}), relay.ErrEnded)
		require.ErrorIs(t, <-late, context.DeadlineExceeded)
		require.Equal(t, "a", result.Answers[1].Text())
		require.Equal(t, relay.Silent, result.Answers[2].Ending)
		require.Equal(t, time.Second, result.Took, "the one that overstays is not waited for")
	})
}

func TestAnswersSurviveJSON(t *testing.T) {
	t.Parallel()
	answers := map[organic.UID]relay.Answer{3: {
		Chunks: []relay.Chunk{
			{Role: "assistant", Reasoning: "the capital", At: 2},
			{Text: "Lima €", At: 5},
			{
				ToolCalls: []relay.ToolCall{{Index: 1, ID: "call", Name: "look", Arguments: "{}"}},
				At:        7,
			},
			{
				Finish: "stop",
				Usage:  &relay.Usage{PromptTokens: 1, CompletionTokens: 2, TotalTokens: 3}, At: 8,
			},
		},
		Ending: relay.TimedOut, EndedBy: relay.ByTime, Started: 1, Ended: 9,
	}}
	data, err := json.Marshal(answers)
	require.NoError(t, err)
	var got map[organic.UID]relay.Answer
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, answers, got)
	require.Contains(t, string(data), `"ending":"timed out","endedBy":"time"`, "names, not numbers")
}

func TestAnAnswerWithoutChunksHasAnEmptyList(t *testing.T) {
	t.Parallel()
	r, err := relay.New()
	require.NoError(t, err)
	answers, err := r.Ask(t.Context(), relay.Query{Miners: miners{1: says().ask}})
	require.NoError(t, err)
	data, err := json.Marshal(answers[1])
	require.NoError(t, err)
	require.Contains(t, string(data), `"chunks":[]`)
	require.NoError(t, r.Close(t.Context()))
}

func TestEndingsAsText(t *testing.T) {
	t.Parallel()
	for ending := relay.Ending(0); ending <= relay.Cancelled; ending++ {
		text, err := ending.MarshalText()
		require.NoError(t, err)
		require.Equal(t, ending.String(), string(text))
		var got relay.Ending
		require.NoError(t, got.UnmarshalText(text))
		require.Equal(t, ending, got)
	}
	_, err := (relay.Cancelled + 1).MarshalText()
	require.Error(t, err)
	for party := relay.Party(0); party <= relay.ByValidator; party++ {
		text, err := party.MarshalText()
		require.NoError(t, err)
		require.Equal(t, party.String(), string(text))
		var got relay.Party
		require.NoError(t, got.UnmarshalText(text))
		require.Equal(t, party, got)
	}
	require.Error(t, new(relay.Party).UnmarshalText([]byte("secret")))
	for _, text := range []string{`"secret"`, `""`, `1`, `"Complete"`} {
		ending := relay.Silent
		require.Error(t, json.Unmarshal([]byte(text), &ending))
		require.Equal(t, relay.Silent, ending)
		require.NotContains(t, ending.UnmarshalText([]byte(text)).Error(), "secret")
	}
}

func TestNothingPrintsText(t *testing.T) {
	t.Parallel()
	call := relay.ToolCall{ID: "secret", Name: "secret", Arguments: "secret"}
	chunk := relay.Chunk{
		Text: "secret", Reasoning: "secret", Role: "secret", Finish: "secret", At: time.Second,
		ToolCalls: []relay.ToolCall{call},
	}
	answer := relay.Answer{
		Chunks: []relay.Chunk{chunk}, Ending: relay.Failed, Err: fmt.Errorf("secret"),
	}
	result := relay.Result{ID: "id", Answers: map[organic.UID]relay.Answer{1: answer}}
	for _, value := range []any{
		chunk, answer, result, &chunk, &answer, &result, result.Answers,
		[]relay.Chunk{chunk},
		call, &call, chunk.ToolCalls,
		relay.Event{Data: []byte("secret"), Name: "secret", ID: "secret"},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, value)
			require.NotContains(t, text, "secret")
			require.NotContains(t, text, "736563", "hexadecimal")
			require.NotContains(t, text, "115 101", "decimal")
		}
	}
	var log bytes.Buffer
	core := zapcore.NewCore(
		zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(&log), zapcore.DebugLevel,
	)
	for _, value := range []any{chunk, answer, result, call, relay.Event{Data: []byte("secret")}} {
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "value", value)
		zap.New(core).Info("m", zap.Any("value", value))
	}
	require.Contains(t, log.String(), "failed")
	require.NotContains(t, log.String(), "secret")
	require.NotContains(t, log.String(), "c2Vjcm", "base64")
}

func TestNamesOfConstants(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for ending := relay.Ending(0); ending <= relay.Cancelled; ending++ {
		seen[ending.String()] = true
	}
	require.Len(t, seen, int(relay.Cancelled)+1)
	clear(seen)
	for party := relay.Party(0); party <= relay.ByValidator; party++ {
		seen[party.String()] = true
	}
	require.Len(t, seen, int(relay.ByValidator)+1)
	clear(seen)
	for state := relay.StreamOpen; state <= relay.StreamLeft; state++ {
		seen[state.String()] = true
	}
	require.Len(t, seen, int(relay.StreamLeft)+1)
	clear(seen)
	for f := relay.Failure(0); f <= relay.TooSlow; f++ {
		seen[f.String()], seen[f.Code()] = true, true
	}
	require.Len(t, seen, 2*int(relay.TooSlow)+2)
}
