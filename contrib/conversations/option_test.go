package conversations_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/conversations"
)

var fixedPast = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// none is a lookup without synonyms.
func none(string) []string { return nil }

func TestInvalidConversationOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opt  conversations.Option
		want string
	}{
		{"nil", nil, "organic: invalid option: Open: option 1 must not be nil"},
		{
			"no lookup", conversations.WithSynonyms(nil),
			"organic: invalid option: WithSynonyms(nil): must be a function",
		},
		{
			"no buffer", conversations.WithShuffle(0),
			"organic: invalid option: WithShuffle(0): must be at least 1",
		},
		{
			"negative buffer", conversations.WithShuffle(-3),
			"organic: invalid option: WithShuffle(-3): must be at least 1",
		},
		{
			"no line", conversations.WithMaxLine(0),
			"organic: invalid option: WithMaxLine(0): must be at least 1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dataset, err := conversations.Open(handWritten, tt.opt)
			require.Nil(t, dataset)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestInvalidConversationOptionsAreToldTogether(t *testing.T) {
	t.Parallel()
	_, err := conversations.Open(handWritten, conversations.WithShuffle(0), nil,
		conversations.WithSeed(1), conversations.WithMaxLine(-1))
	require.ErrorContains(t, err, "WithShuffle(0)")
	require.ErrorContains(t, err, "option 2")
	require.ErrorContains(t, err, "WithMaxLine(-1)")
	require.Len(t, strings.Split(err.Error(), "\n"), 3)
}

func TestSeedRepeatsConversations(t *testing.T) {
	t.Parallel()
	sample := func(opts ...conversations.Option) (all []conversations.Conversation) {
		dataset := openConversations(t, handWritten, opts...)
		for range 40 {
			conversation, err := dataset.Sample(t.Context())
			require.NoError(t, err)
			all = append(all, conversation)
		}
		return all
	}
	first, again := sample(conversations.WithSeed(5)), sample(conversations.WithSeed(5))
	require.Equal(t, first, again)
	require.NotEqual(t, first, sample(conversations.WithSeed(6)))
	unseeded, other := sample(), sample()
	require.NotEqual(t, unseeded, other)
}

const translation = `{"conversation":[{"role":"system","content":"a big\n\thouse"},{"role":"user","content":"One big\n\tHouse"},` +
	`{"role":"assistant","content":"a big\n\thouse"},{"role":"tool","content":"a big house"},{"role":"user","content":"big"}]}`

func TestOnlyTheUsersTurnsAreChanged(t *testing.T) {
	t.Parallel()
	dataset := openConversations(t, conversationFile(t, translation), conversations.WithSeed(3))
	changed := map[string]bool{}
	for range 300 {
		conversation, err := dataset.Sample(t.Context())
		require.NoError(t, err)
		require.Equal(t, conversations.Turn{Role: "system", Content: "a big\n\thouse"}, conversation[0])
		changed[conversation[1].Content] = true
		require.Contains(t, conversation[1].Content, "\n\t")
		if len(conversation) > 2 {
			require.Equal(t, conversations.Turn{Role: "assistant", Content: "a big\n\thouse"},
				conversation[2])
			require.Equal(t, conversations.Turn{Role: "tool", Content: "a big house"}, conversation[3])
		}
	}
	require.Contains(t, changed, "One large\n\tHouse")
	require.Contains(t, changed, "One big\n\tDwelling")
	require.Contains(t, changed, "One huge\n\tHous e")
	require.NotContains(t, changed, "One big\n\tHouse", "a synonym is always found")
}

func TestAugmentationOptions(t *testing.T) {
	t.Parallel()
	banana := func(word string) []string {
		if word != "house" {
			return nil
		}
		return []string{"ba_nana"}
	}
	for _, tt := range []struct {
		name string
		opts []conversations.Option
		want string
	}{
		{
			"one's own synonyms",
			[]conversations.Option{conversations.WithSynonyms(banana)},
			"One big\n\tBa nana",
		},
		{"the last lookup wins", []conversations.Option{
			conversations.WithSynonyms(none),
			conversations.WithSynonyms(banana),
		}, "One big\n\tBa nana"},
		{
			"no synonyms, typos all the same",
			[]conversations.Option{conversations.WithSynonyms(none)},
			"One big\n\tHous",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dataset := openConversations(t, conversationFile(t, translation),
				append(tt.opts, conversations.WithSeed(1))...)
			changed := map[string]bool{}
			for range 300 {
				conversation, err := dataset.Sample(t.Context())
				require.NoError(t, err)
				changed[conversation[1].Content] = true
			}
			require.Contains(t, changed, tt.want)
		})
	}
}

func TestWithoutAugmentationChangesNothing(t *testing.T) {
	t.Parallel()
	asIs := []conversations.Option{
		conversations.WithoutAugmentation(),
		conversations.WithSynonyms(func(string) []string { return []string{"x"} }),
	}
	dataset := openConversations(t, conversationFile(t, translation), asIs...)
	for range 50 {
		conversation, err := dataset.Sample(t.Context())
		require.NoError(t, err)
		require.Equal(t, "One big\n\tHouse", conversation[1].Content)
	}
}
