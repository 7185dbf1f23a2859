package copies_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/relay/copies"
)

// newDetector returns a detector with the defaults.
func newDetector(t *testing.T) *copies.Detector {
	t.Helper()
	d, err := copies.New(copies.Config{})
	require.NoError(t, err)
	return d
}

// says makes a whole answer whose chunks come at these times.
func says(started time.Duration, chunks ...relay.Chunk) relay.Answer {
	return relay.Answer{
		Started: started, Ending: relay.Complete, EndedBy: relay.ByMiner, Chunks: chunks,
	}
}

func at(ms int, text string) relay.Chunk {
	return relay.Chunk{Text: text, At: time.Duration(ms) * time.Millisecond}
}

// round makes a round of the answers of miners that are called by the letters from a.
func round(number int, prompt string, answers ...relay.Answer) copies.Round {
	made := copies.Round{
		ID: fmt.Sprint("round ", number), Prompt: prompt,
		Answers: make(map[organic.UID]relay.Answer), Hotkeys: make(map[organic.UID]string),
	}
	for i, answer := range answers {
		if answer.Chunks != nil {
			uid := organic.UID(i)
			made.Answers[uid], made.Hotkeys[uid] = answer, string(rune('a'+i))
		}
	}
	return made
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
			text := fmt.Sprint("answer ", i)
			return []relay.Answer{says(0, at(300, text)), says(0, at(400, text))}
		}, map[string]string{"b": "a"}},
		{"a blank or an invisible character at once looks early", 6, func(i int) []relay.Answer {
			text := fmt.Sprint("answer ", i)
			later := says(0, at(1, " "), at(2, "\u200b"), at(400, text))
			return []relay.Answer{says(0, at(300, text)), later}
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
			later := says(0, at(9, fmt.Sprint("the  ANSWER ", i, "!")))
			return []relay.Answer{says(0, at(1, fmt.Sprint("The answer: ", i))), later}
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
			text := fmt.Sprint(i)
			return []relay.Answer{says(0, at(2, text)), says(0, at(1, text)), says(0, at(9, text))}
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
			d := newDetector(t)
			for i := range tt.rounds {
				added := round(i, fmt.Sprint("prompt ", i), tt.answer(i)...)
				d.Add(added)
				d.Add(added) // tried again
			}
			if tt.want == nil {
				tt.want = map[string]string{}
			}
			require.Equal(t, tt.want, d.Copiers())
		})
	}
}

func TestCopiersArePromptsDistinct(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for i := range 40 {
		d.Add(round(i, fmt.Sprint("prompt ", i%5), says(0, at(1, "same")), says(0, at(9, "same"))))
	}
	require.Empty(t, d.Copiers(), "five prompts are too few, however often they are asked")
}

// A sample whose settlement has failed comes again after later ones, and perhaps after a restart.
func TestRoundThatIsAddedAgainChangesNothing(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	first := round(1, "prompt", says(0, at(1, "before")))
	d.Add(first)
	for i := range 1023 {
		d.Add(round(2+i, "prompt", says(0, at(1, "after"))))
	}
	before, err := json.Marshal(d)
	require.NoError(t, err)
	d = newDetector(t)
	require.NoError(t, json.Unmarshal(before, d))
	d.Add(first)
	after, err := json.Marshal(d)
	require.NoError(t, err)
	require.JSONEq(t, string(before), string(after))

	d.Add(round(2000, "prompt", says(0, at(1, "later"))))
	var memory struct{ Rounds []any }
	after, err = json.Marshal(d)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(after, &memory))
	require.Len(t, memory.Rounds, 1024, "of which there are no more")
}

// A prompt that was asked while a miner was away counts when it is asked again, and a restart
// changes nothing.
func TestPromptsOfAnOutageCountLater(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for i := range 6 {
		d.Add(round(i, fmt.Sprint("prompt ", i), says(0, at(1, fmt.Sprint(i))), relay.Answer{}))
	}
	require.Empty(t, d.Copiers())
	for i := range 6 {
		if i == 3 {
			saved, err := json.Marshal(d)
			require.NoError(t, err)
			d = newDetector(t)
			require.NoError(t, json.Unmarshal(saved, d))
		}
		text := fmt.Sprint(i)
		d.Add(round(10+i, fmt.Sprint("prompt ", i), says(0, at(1, text)), says(0, at(9, text))))
	}
	require.Equal(t, map[string]string{"b": "a"}, d.Copiers())
	require.Equal(t, []string{"b"}, d.Hotkeys())
}

func TestMemoryIsBoundedAndPrivate(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for i := range 3 * 128 {
		d.Add(round(i, "a secret prompt", says(0, at(1, "a secret answer"))))
		d.Add(round(1000+i, fmt.Sprint("prompt ", i), says(0, at(1, fmt.Sprint(i)))))
	}
	for i := range 8200 {
		d.Add(copies.Round{
			Answers: map[organic.UID]relay.Answer{0: says(0, at(1, "text")), 1: says(0, at(2, "text"))},
			Hotkeys: map[organic.UID]string{0: fmt.Sprint("hotkey ", i), 1: "a"},
		})
	}
	saved, err := json.Marshal(d)
	require.NoError(t, err)
	require.NotContains(t, string(saved), "secret")
	var memory struct {
		Rounds []any
		Miners map[string]struct{ Answers []any }
	}
	require.NoError(t, json.Unmarshal(saved, &memory))
	require.Len(t, memory.Rounds, 2*3*128)
	require.Len(t, memory.Miners, 8192)
	require.Len(t, memory.Miners["a"].Answers, 128)
	require.Contains(t, memory.Miners, "hotkey 8199")
	require.NotContains(t, fmt.Sprintf("%+v", d), "hotkey", "fmt prints the address of the memory")
}

func TestDamagedMemoryIsRefused(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	d.Add(round(1, "prompt", says(0, at(1, "text"))))
	before, err := json.Marshal(d)
	require.NoError(t, err)
	for _, damaged := range []string{
		`{`, `[]`, `null`, `{"key":"AAAA","miners":{}}`,
		`{"key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","miners":{"a":null}}`,
	} {
		require.ErrorContains(t, d.UnmarshalJSON([]byte(damaged)), "copies: ", damaged)
	}
	after, err := json.Marshal(d)
	require.NoError(t, err)
	require.JSONEq(t, string(before), string(after))
}

func TestBadConfigIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := copies.New(copies.Config{Prompts: -1, Share: 2, Memory: -1})
	require.ErrorIs(t, err, copies.ErrInvalidOption)
	for _, want := range []string{
		"Config.Prompts is -1: must not be negative", "Config.Share is 2: must be from 0 to 1",
		"Config.Memory is -1: must not be negative",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = copies.New(copies.Config{Memory: 5})
	require.ErrorContains(t, err, "Config.Memory is 5: must be at least Prompts, 6")
}

func TestRoundsWithoutAnIDAreDistinct(t *testing.T) {
	t.Parallel()
	detector := newDetector(t)
	for i := range 6 { // of different prompts, which only one of them was asked
		early := round(i, fmt.Sprint("prompt ", i), says(0, at(100, "yes")))
		late := round(i, fmt.Sprint("other prompt ", i), relay.Answer{}, says(0, at(400, "yes")))
		early.ID, late.ID = "", ""
		detector.Add(early)
		detector.Add(late)
	}
	require.Empty(t, detector.Copiers())
	for i := range 6 {
		both := round(i, fmt.Sprint("prompt ", i), says(0, at(100, "no")), says(0, at(400, "no")))
		both.ID = ""
		detector.Add(both)
	}
	require.Equal(t, map[string]string{"b": "a"}, detector.Copiers())
}

func TestARoundPrintsNoText(t *testing.T) {
	t.Parallel()
	secret := round(1, "secret", says(0, at(100, "secret")))
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb, secret, &secret)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("round", "value", secret, "pointer", &secret)
	slog.New(slog.NewTextHandler(&out, nil)).Info("round", "value", secret, "pointer", &secret)
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{})
	zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel)).
		Info("round", zap.Any("value", secret), zap.Any("pointer", &secret))
	require.NotContains(t, out.String(), "secret")
	require.NotContains(t, out.String(), "736563726574")
	require.Contains(t, out.String(), "of 1 answers")
}
