package organic_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

var fixedPast = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// none is a lookup without synonyms.
func none(string) []string { return nil }

func TestInvalidConversationOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opt  organic.ConversationOption
		want string
	}{
		{"nil", nil, "organic: invalid option: OpenConversations: option 1 must not be nil"},
		{"nil pointer", (*organic.SeedOption)(nil), "organic: invalid option: OpenConversations: option 1 must not be nil"},
		{"no lookup", organic.WithSynonyms(nil), "organic: invalid option: WithSynonyms(nil): must be a function"},
		{"no buffer", organic.WithShuffle(0), "organic: invalid option: WithShuffle(0): must be at least 1"},
		{"negative buffer", organic.WithShuffle(-3), "organic: invalid option: WithShuffle(-3): must be at least 1"},
		{"no line", organic.WithMaxLine(0), "organic: invalid option: WithMaxLine(0): must be at least 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dataset, err := organic.OpenConversations(handWritten, tt.opt)
			require.Nil(t, dataset)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestInvalidConversationOptionsAreToldTogether(t *testing.T) {
	t.Parallel()
	_, err := organic.OpenConversations(handWritten, organic.WithShuffle(0), nil, organic.WithSeed(1), organic.WithMaxLine(-1))
	require.ErrorContains(t, err, "WithShuffle(0)")
	require.ErrorContains(t, err, "option 2")
	require.ErrorContains(t, err, "WithMaxLine(-1)")
	require.Len(t, strings.Split(err.Error(), "\n"), 3)
}

func TestSeedRepeatsConversations(t *testing.T) {
	t.Parallel()
	sample := func(opts ...organic.ConversationOption) (all []organic.Conversation) {
		dataset := openConversations(t, handWritten, opts...)
		for range 40 {
			conversation, err := dataset.Sample(t.Context())
			require.NoError(t, err)
			all = append(all, conversation)
		}
		return all
	}
	first, again := sample(organic.WithSeed(5)), sample(organic.WithSeed(5))
	require.Equal(t, first, again)
	require.NotEqual(t, first, sample(organic.WithSeed(6)))
	unseeded, other := sample(), sample()
	require.NotEqual(t, unseeded, other)
}

const translation = `{"conversation":[{"role":"system","content":"a big\n\thouse"},{"role":"user","content":"One big\n\tHouse"},` +
	`{"role":"assistant","content":"a big\n\thouse"},{"role":"tool","content":"a big house"},{"role":"user","content":"big"}]}`

func TestOnlyTheUsersTurnsAreChanged(t *testing.T) {
	t.Parallel()
	dataset := openConversations(t, conversationFile(t, translation), organic.WithSeed(3))
	changed := map[string]bool{}
	for range 300 {
		conversation, err := dataset.Sample(t.Context())
		require.NoError(t, err)
		require.Equal(t, organic.Turn{Role: "system", Content: "a big\n\thouse"}, conversation[0])
		changed[conversation[1].Content] = true
		require.Contains(t, conversation[1].Content, "\n\t")
		if len(conversation) > 2 {
			require.Equal(t, organic.Turn{Role: "assistant", Content: "a big\n\thouse"}, conversation[2])
			require.Equal(t, organic.Turn{Role: "tool", Content: "a big house"}, conversation[3])
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
		opts []organic.ConversationOption
		want string
	}{
		{"one's own synonyms", []organic.ConversationOption{organic.WithSynonyms(banana)}, "One big\n\tBa nana"},
		{"the last lookup wins", []organic.ConversationOption{organic.WithSynonyms(none), organic.WithSynonyms(banana)}, "One big\n\tBa nana"},
		{"no synonyms, typos all the same", []organic.ConversationOption{organic.WithSynonyms(none)}, "One big\n\tHous"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dataset := openConversations(t, conversationFile(t, translation), append(tt.opts, organic.WithSeed(1))...)
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
	asIs := []organic.ConversationOption{organic.WithoutAugmentation(), organic.WithSynonyms(func(string) []string { return []string{"x"} })}
	dataset := openConversations(t, conversationFile(t, translation), asIs...)
	for range 50 {
		conversation, err := dataset.Sample(t.Context())
		require.NoError(t, err)
		require.Equal(t, "One big\n\tHouse", conversation[1].Content)
	}
}
