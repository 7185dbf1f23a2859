package relay_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

// endlessError is an error whose tree has no end.
type endlessError struct{}

func (e *endlessError) Error() string   { return "again" }
func (e *endlessError) Unwrap() []error { return []error{e} }

func TestAnAnswerWithAnEndDoesNotGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		trickle := func(ctx context.Context, emit func(relay.Chunk) error) error {
			_ = emit(relay.Chunk{Text: "Lima", Finish: "stop"})
			for range 60 {
				if err := pause(ctx, time.Second); err != nil {
					return err
				}
				if err := emit(relay.Chunk{Text: " ", Finish: "stop"}); err != nil {
					return err
				}
			}
			return nil
		}
		answers, err := s.relay.Ask(t.Context(), relay.Query{Miners: miners{1: trickle}})
		require.NoError(t, err)
		require.Equal(t, relay.Complete, answers[1].Ending)
		require.LessOrEqual(t, answers[1].Ended, 2*time.Second)
	})
}

func TestErrorsOfDoneThatCannotBeInspected(t *testing.T) {
	t.Parallel()
	for name, hostile := range map[string]error{
		"typed nil": (*panickingError)(nil), "contains itself": &endlessError{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				failed := 0
				r, err := relay.New(relay.WithDoneRetry(time.Second),
					relay.WithDoneFailed(func(_ *relay.Result, err error) {
						failed++
						requirePanic(t, err)
					}))
				require.NoError(t, err)
				require.NoError(t, r.Collect(t.Context(), relay.Query{
					Miners: miners{1: says("Lima").ask},
					Done:   func(context.Context, *relay.Result) error { return hostile },
				}))
				require.NoError(t, r.Close(t.Context()))
				require.Equal(t, 1, failed)
			})
		})
	}
}

type panickingError struct{ text string }

func (e *panickingError) Error() string { return e.text }

func TestBadReadOptionsAreTheValidatorsFault(t *testing.T) {
	t.Parallel()
	for _, option := range []relay.ReadOption{nil, relay.WithMaxLine(0)} {
		s := newStand(t)
		ask := func(_ context.Context, emit func(relay.Chunk) error) error {
			return relay.OpenAI(strings.NewReader(events("[DONE]")), emit, option)
		}
		answers, err := s.relay.Ask(t.Context(), relay.Query{Miners: miners{
			1: ask, 2: relay.Post(nil, "http://localhost", nil, option),
		}})
		require.NoError(t, err)
		for _, answer := range answers {
			require.ErrorIs(t, answer.Err, relay.ErrInvalidOption)
			require.False(t, answer.Scorable())
		}
	}
}

func TestWhatIsNoAnswerIsReported(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"event: error\ndata: [DONE]\n\n", "event: error\ndata:\n\n", `[]`, `["rate limited"]`, `[1]`,
		`{}`, `{"choices":[]}`, `"rate limited"`,
	} {
		err := relay.OpenAI(strings.NewReader(body), func(relay.Chunk) error { return nil })
		require.ErrorIs(t, err, relay.ErrReported, body)
	}
}

func TestTheMapOfAskIsTheCallers(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	query := relay.Query{ID: "a", Miners: miners{1: says("Lima").ask}}
	answers, err := s.relay.Ask(t.Context(), query)
	require.NoError(t, err)
	delete(answers, 1)
	kept, err := s.relay.Answers(t.Context(), "a")
	require.NoError(t, err)
	require.Contains(t, kept, organic.UID(1))
}
