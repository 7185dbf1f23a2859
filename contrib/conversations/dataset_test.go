package conversations_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/conversations"
)

const handWritten = "testdata/conversations.jsonl"

// asked returns a line whose only turn is a question.
func asked(question string) string {
	return fmt.Sprintf(`{"conversation":[{"role":"user","content":%q}]}`+"\n", question)
}

const unasked = `{"conversation":[{"role":"assistant","content":"hello?"}]}` + "\n"

func conversationFile(t *testing.T, data string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "conversations.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
	return path
}

func zipped(t *testing.T, data string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(data))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

func openConversations(
	t *testing.T, path string, opts ...conversations.Option,
) *conversations.Dataset {
	t.Helper()
	dataset, err := conversations.Open(path, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dataset.Close()) })
	return dataset
}

// inOrder opens data as it is in the file.
func inOrder(t *testing.T, data string, opts ...conversations.Option) *conversations.Dataset {
	t.Helper()
	opts = append([]conversations.Option{
		conversations.WithShuffle(1),
		conversations.WithoutAugmentation(), conversations.WithSeed(1),
	}, opts...)
	return openConversations(t, conversationFile(t, data), opts...)
}

// said samples and returns the last turn's text.
func said(t *testing.T, dataset *conversations.Dataset) string {
	t.Helper()
	conversation, err := dataset.Sample(t.Context())
	require.NoError(t, err)
	return conversation[len(conversation)-1].Content
}

// requireFailure fails unless the next sample is an error about the line.
func requireFailure(t *testing.T, dataset *conversations.Dataset, line int, text string) {
	t.Helper()
	conversation, err := dataset.Sample(t.Context())
	require.Nil(t, conversation)
	failure, ok := errors.AsType[*conversations.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, line, failure.Line)
	require.EqualError(t, failure.Err, text)
	position := failure.File
	if line > 0 {
		position = fmt.Sprintf("%s:%d", failure.File, line)
	}
	require.EqualError(t, err, "conversations: "+position+": "+text)
}

func TestConversationsEndOnAQuestion(t *testing.T) {
	t.Parallel()
	dataset := openConversations(t, handWritten, conversations.WithSeed(7))
	lengths := map[int]bool{}
	for range 300 {
		conversation, err := dataset.Sample(t.Context())
		require.NoError(t, err)
		last := conversation[len(conversation)-1]
		require.Equal(t, "user", last.Role)
		require.NotEmpty(t, strings.TrimSpace(last.Content))
		lengths[len(conversation)] = true
	}
	require.Equal(t, map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true}, lengths)
}

func TestEveryConversationComesOncePerPass(t *testing.T) {
	t.Parallel()
	const count = 50
	var data strings.Builder
	var want []string
	for i := range count {
		want = append(want, fmt.Sprintf("question %02d", i))
		data.WriteString(asked(want[i]) + "\n \r\n" + unasked)
	}
	for _, shuffle := range []int{1, 7, count, 1 << 40} {
		for _, content := range []string{
			data.String(), zipped(t, data.String()),
			"\ufeff" + strings.TrimSpace(data.String()),
		} {
			dataset := inOrder(t, content, conversations.WithShuffle(shuffle))
			var passes [3][]string
			for i := range passes {
				for range count {
					passes[i] = append(passes[i], said(t, dataset))
				}
				require.ElementsMatch(t, want, passes[i])
				require.Equal(t, shuffle == 1, slices.Equal(want, passes[i]))
			}
			require.Equal(t, shuffle == 1, slices.Equal(passes[0], passes[1]))
		}
	}
}

func TestShuffleLooksNoFurtherThanItsBuffer(t *testing.T) {
	t.Parallel()
	var data strings.Builder
	for i := range 200 {
		data.WriteString(asked(fmt.Sprint(i)))
	}
	dataset := inOrder(t, data.String(), conversations.WithShuffle(10))
	for i := range 200 {
		var number int
		_, err := fmt.Sscan(said(t, dataset), &number)
		require.NoError(t, err)
		require.Less(t, number, i+10)
	}
}

func TestBadLineIsOneError(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, line, want string }{
		{"truncated", `{"conversation":[{"role":"user","con`, "not valid JSON at byte 36 of 36"},
		{"secret where a value should be", `{"conversation":secret}`, "not valid JSON at byte 17 of 23"},
		{"text behind", `{"conversation":[]} secret`, "not valid JSON at byte 21 of 26"},
		{"not UTF-8", "{\"conversation\":\"\xff\"}", "not valid UTF-8"},
		{"not UTF-8 at all", "\xff\xfe{\x00", "not valid UTF-8"},
		{
			"too deep", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000),
			"not valid JSON at byte 10001 of 40000",
		},
		{"a string", `"secret"`, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"an array", `["secret"]`, "not a JSON object"},
		{"no conversation", `{"secret":[]}`, `no "conversation" key`},
		{"the key is written just so", `{"Conversation":[]}`, `no "conversation" key`},
		{"conversation is null", `{"conversation":null}`, `"conversation" is not an array`},
		{"conversation is an object", `{"conversation":{"secret":1}}`, `"conversation" is not an array`},
		{"conversation is a string", `{"conversation":"secret"}`, `"conversation" is not an array`},
		{"turn is a string", `{"conversation":["secret"]}`, "turn 1: not a JSON object"},
		{"turn is null", `{"conversation":[null]}`, "turn 1: not a JSON object"},
		{"no role", `{"conversation":[{"content":"secret"}]}`, `turn 1: no "role" key`},
		{
			"role is a number", `{"conversation":[{"role":1,"content":"secret"}]}`,
			`turn 1: "role" is not a string`,
		},
		{
			"role is null", `{"conversation":[{"role":null,"content":"secret"}]}`,
			`turn 1: "role" is not a string`,
		},
		{"role is empty", `{"conversation":[{"role":"","content":"secret"}]}`, `turn 1: "role" is empty`},
		{
			"role is blank", `{"conversation":[{"role":" ","content":"secret"}]}`,
			`turn 1: "role" is empty`,
		},
		{
			"no content", `{"conversation":[{"role":"user","content":"a"},{"role":"user"}]}`,
			`turn 2: no "content" key`,
		},
		{
			"content is an array", `{"conversation":[{"role":"user","content":["secret"]}]}`,
			`turn 1: "content" is not a string`,
		},
		{
			"content is null", `{"conversation":[{"role":"user","content":null}]}`,
			`turn 1: "content" is not a string`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dataset := inOrder(t, asked("first")+"\n"+tt.line+"\r\n"+asked("last"))
			for range 2 {
				require.Equal(t, "first", said(t, dataset))
				requireFailure(t, dataset, 3, tt.want)
				require.Equal(t, "last", said(t, dataset))
			}
			require.NotContains(t, tt.want, "secret")
		})
	}
}

func TestLongLineIsOneError(t *testing.T) {
	t.Parallel()
	long := asked(strings.Repeat("long ", 100_000))
	dataset := inOrder(t, asked("first")+long+asked("last"), conversations.WithMaxLine(100))
	for range 2 {
		require.Equal(t, "first", said(t, dataset))
		requireFailure(t, dataset, 2, "longer than 100 bytes")
		require.Equal(t, "last", said(t, dataset))
	}
	within := inOrder(t, long)
	require.Len(t, said(t, within), 500_000)
	beyond := inOrder(t, asked(strings.Repeat("x", 1<<20)))
	requireFailure(t, beyond, 1, "longer than 1048576 bytes")
}

func TestErrorsInTheBufferAreToldOnce(t *testing.T) {
	t.Parallel()
	var data strings.Builder
	for range 20 {
		data.WriteString(asked("good") + "bad\n" + strings.Repeat("x", 200) + "\n")
	}
	dataset := inOrder(t, data.String(), conversations.WithShuffle(1024),
		conversations.WithMaxLine(100))
	var lines []int
	for range 60 {
		if _, err := dataset.Sample(t.Context()); err != nil {
			failure, ok := errors.AsType[*conversations.Error](err)
			require.True(t, ok)
			lines = append(lines, failure.Line)
		}
	}
	slices.Sort(lines)
	require.Len(t, slices.Compact(lines), 40)
}

func TestOddConversationsAreSkipped(t *testing.T) {
	t.Parallel()
	odd := `{"conversation":[]}` + "\n" + unasked + asked("") + asked(" \n\u00a0") +
		`{"conversation":[{"role":"User","content":"a"},{"role":"system","content":"b"}]}` + "\n"
	dataset := inOrder(t, odd+asked("one")+odd+asked("two")+odd)
	for range 3 {
		require.Equal(t, "one", said(t, dataset))
		require.Equal(t, "two", said(t, dataset))
	}
}

func TestCutIsAmongQuestions(t *testing.T) {
	t.Parallel()
	dataset := inOrder(t, `{"x":1,"conversation":[{"role":"system","content":"s"},{"role":"user","content":" "},`+
		`{"role":"user","content":"one","y":2},{"role":"assistant","content":""},{"role":"user","content":"two"},{"role":"assistant","content":"a"}]}`)
	whole := conversations.Conversation{
		{"system", "s"},
		{"user", " "},
		{"user", "one"},
		{"assistant", ""},
		{"user", "two"},
	}
	seen := map[int]int{}
	for range 200 {
		conversation, err := dataset.Sample(t.Context())
		require.NoError(t, err)
		require.Equal(t, whole[:len(conversation)], conversation)
		seen[len(conversation)]++
	}
	require.Len(t, seen, 2)
	require.Greater(t, seen[3], 60)
	require.Greater(t, seen[5], 60)
}

func TestClosedDataset(t *testing.T) {
	t.Parallel()
	dataset := openConversations(t, handWritten)
	require.NoError(t, dataset.Close())
	require.NoError(t, dataset.Close())
	_, err := dataset.Sample(t.Context())
	require.ErrorIs(t, err, organic.ErrClosed)
	var unopened conversations.Dataset
	_, err = unopened.Sample(t.Context())
	require.ErrorIs(t, err, organic.ErrClosed)
	require.NoError(t, unopened.Close())
}

func TestEndedContext(t *testing.T) {
	t.Parallel()
	dataset := inOrder(t, asked("one")+asked("two"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := dataset.Sample(ctx)
	require.ErrorIs(t, err, context.Canceled)
	ctx, cancel = context.WithDeadline(t.Context(), fixedPast)
	defer cancel()
	_, err = dataset.Sample(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, "one", said(t, dataset), "nothing was lost")
}

// endsAfter is a context that ends when it has been asked a number of times.
type endsAfter struct {
	context.Context
	asked int
}

func (c *endsAfter) Err() error {
	if c.asked--; c.asked < 0 {
		return context.Canceled
	}
	return nil
}

func TestContextEndsWhileReading(t *testing.T) {
	t.Parallel()
	dataset := inOrder(t, asked("one")+strings.Repeat(unasked, 1000)+asked("two"),
		conversations.WithShuffle(1))
	require.Equal(t, "one", said(t, dataset))
	for range 5 {
		_, err := dataset.Sample(&endsAfter{Context: t.Context(), asked: 100})
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, "two", said(t, dataset), "goes on where it was")
}

func TestCloseCutsSamplesShort(t *testing.T) {
	t.Parallel()
	data := asked("one") + unasked
	dataset := inOrder(t, data, conversations.WithShuffle(2))
	var started, done sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		started.Add(1)
		done.Go(func() {
			for first := true; errs[i] == nil; first = false {
				_, errs[i] = dataset.Sample(t.Context())
				if first {
					started.Done()
				}
			}
		})
	}
	started.Wait()
	require.NoError(t, dataset.Close())
	done.Wait()
	for _, err := range errs {
		require.Equal(t, organic.ErrClosed, err)
	}
}

func TestConversationsFromManyGoroutines(t *testing.T) {
	t.Parallel()
	const count, goroutines = 400, 8
	var data strings.Builder
	for i := range count {
		data.WriteString(asked(fmt.Sprintf("please explain question %d", i)))
	}
	dataset := openConversations(t, conversationFile(t, data.String()), conversations.WithShuffle(16),
		conversations.WithSynonyms(none))
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	for range goroutines {
		wg.Go(func() {
			for range count / goroutines {
				conversation, err := dataset.Sample(t.Context())
				mu.Lock()
				if err == nil {
					seen[conversation[0].Content]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	total := 0
	for _, times := range seen {
		total += times
	}
	require.Equal(t, count, total)
}

func TestConversationIsTheCallersOwn(t *testing.T) {
	t.Parallel()
	dataset := inOrder(t, `{"conversation":[{"role":"user","content":"one"},{"role":"assistant","content":"two"}]}`)
	for range 3 {
		conversation, err := dataset.Sample(t.Context())
		require.NoError(t, err)
		require.Equal(t, conversations.Conversation{{"user", "one"}}, conversation)
		conversation[0].Content = "changed"
		_ = append(conversation, conversations.Turn{Role: "assistant", Content: "changed"})
	}
}
