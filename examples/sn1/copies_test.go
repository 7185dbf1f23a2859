package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// says makes a whole answer whose chunks come at these times.
func says(started time.Duration, chunks ...relay.Chunk) relay.Answer {
	return relay.Answer{Started: started, Ending: relay.Complete, EndedBy: relay.ByMiner, Chunks: chunks}
}

func at(ms int, text string) relay.Chunk {
	return relay.Chunk{Text: text, At: time.Duration(ms) * time.Millisecond}
}

// round makes a sample of the answers of miners that are called by the letters from a.
func round(number int, prompt string, answers ...relay.Answer) organic.Sample[Prompt] {
	sample := organic.Sample[Prompt]{ID: fmt.Sprint("round ", number), Payload: Prompt{
		Text: prompt, Answers: make(map[organic.UID]relay.Answer), Hotkeys: make(map[organic.UID]string),
	}}
	for i, answer := range answers {
		if answer.Chunks != nil {
			uid := organic.UID(i)
			sample.Payload.Answers[uid], sample.Payload.Hotkeys[uid] = answer, string(rune('a'+i))
		}
	}
	return sample
}

func TestCopiers(t *testing.T) {
	t.Parallel()
	absent := relay.Answer{}
	for _, tt := range []struct {
		name   string
		rounds int
		answer func(i int) []relay.Answer
		want   map[string]string
	}{
		{"the later one copies", 6, func(i int) []relay.Answer {
			return []relay.Answer{says(0, at(300, fmt.Sprint("answer ", i))), says(0, at(400, fmt.Sprint("answer ", i)))}
		}, map[string]string{"b": "a"}},
		{"a blank or an invisible character at once looks early", 6, func(i int) []relay.Answer {
			text := fmt.Sprint("answer ", i)
			return []relay.Answer{says(0, at(300, text)), says(0, at(1, " "), at(2, "\u200b"), at(400, text))}
		}, map[string]string{"b": "a"}},
		{"a first word at once looks early", 6, func(i int) []relay.Answer {
			text := fmt.Sprintf(" %d and so on for a while", i)
			return []relay.Answer{says(0, at(300, "The"+text)), says(0, at(1, "The"), at(400, text))}
		}, map[string]string{"b": "a"}},
		{"asked earlier, answered later", 6, func(i int) []relay.Answer {
			text := fmt.Sprint("answer ", i)
			return []relay.Answer{says(200*time.Millisecond, at(100, text)), says(0, at(310, text))}
		}, map[string]string{"b": "a"}},
		{"other case, blanks and marks", 6, func(i int) []relay.Answer {
			return []relay.Answer{says(0, at(1, fmt.Sprint("The answer: ", i))), says(0, at(9, fmt.Sprint("the  ANSWER ", i, "!")))}
		}, map[string]string{"b": "a"}},
		{"too few prompts", 5, func(i int) []relay.Answer {
			return []relay.Answer{says(0, at(1, fmt.Sprint(i))), says(0, at(9, fmt.Sprint(i)))}
		}, nil},
		{"the same words now and then", 30, func(i int) []relay.Answer {
			return []relay.Answer{says(0, at(1, fmt.Sprint(i))), says(0, at(9, fmt.Sprint(i-i%2)))}
		}, nil},
		{"silence is no copy", 9, func(int) []relay.Answer {
			return []relay.Answer{says(0, at(1, " ")), says(0, at(9, " "))}
		}, nil},
		{"two copiers of one", 6, func(i int) []relay.Answer {
			return []relay.Answer{says(0, at(2, fmt.Sprint(i))), says(0, at(1, fmt.Sprint(i))), says(0, at(9, fmt.Sprint(i)))}
		}, map[string]string{"a": "b", "c": "b"}},
		{"one that registers late", 20, func(i int) []relay.Answer {
			answers := []relay.Answer{says(0, at(1, fmt.Sprint(i))), absent}
			if i >= 14 {
				answers[1] = says(0, at(9, fmt.Sprint(i)))
			}
			return answers
		}, map[string]string{"b": "a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := openCopies(filepath.Join(t.TempDir(), "copies.json"), zap.NewNop())
			require.NoError(t, err)
			for i := range tt.rounds {
				sample := round(i, fmt.Sprint("prompt ", i), tt.answer(i)...)
				c.see(sample)
				c.see(sample) // tried again
			}
			if tt.want == nil {
				tt.want = map[string]string{}
			}
			require.Equal(t, tt.want, c.copiers())
		})
	}
}

func TestCopiersArePromptsDistinct(t *testing.T) {
	t.Parallel()
	c, err := openCopies(filepath.Join(t.TempDir(), "copies.json"), zap.NewNop())
	require.NoError(t, err)
	for i := range 40 {
		c.see(round(i, fmt.Sprint("prompt ", i%5), says(0, at(1, "same")), says(0, at(9, "same"))))
	}
	require.Empty(t, c.copiers(), "five prompts are too few, however often they are asked")
}

// A prompt that was asked while a miner was away counts when it is asked again.
func TestPromptsOfAnOutageCountLater(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "copies.json")
	c, err := openCopies(path, zap.NewNop())
	require.NoError(t, err)
	for i := range 6 {
		c.see(round(i, fmt.Sprint("prompt ", i), says(0, at(1, fmt.Sprint(i))), relay.Answer{}))
	}
	require.Empty(t, c.copiers())
	for i := range 6 {
		if i == 3 { // a restart
			require.NoError(t, c.save())
			c, err = openCopies(path, zap.NewNop())
			require.NoError(t, err)
		}
		c.see(round(10+i, fmt.Sprint("prompt ", i), says(0, at(1, fmt.Sprint(i))), says(0, at(9, fmt.Sprint(i)))))
	}
	require.Equal(t, map[string]string{"b": "a"}, c.copiers())
}

func TestMemoryOfCopiesIsBoundedAndPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "copies.json")
	c, err := openCopies(path, zap.NewNop())
	require.NoError(t, err)
	for i := range 3 * copyMemory {
		c.see(round(i, "a secret prompt", says(0, at(1, "a secret answer"))))
		c.see(round(i, fmt.Sprint("prompt ", i), says(0, at(1, fmt.Sprint(i)))))
	}
	require.Len(t, c.memory.Miners["a"], copyMemory)
	require.NoError(t, c.save())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), "secret")

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err = openCopies(path, zap.NewNop())
	require.ErrorContains(t, err, "copies.json: damaged")
}
