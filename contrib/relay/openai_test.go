package relay_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

// readOpenAI reads an answer.
func readOpenAI(body io.Reader, opts ...relay.ReadOption) (relay.Answer, error) {
	var answer relay.Answer
	err := relay.OpenAI(body, func(chunk relay.Chunk) error {
		answer.Chunks = append(answer.Chunks, chunk)
		return nil
	}, opts...)
	return answer, err
}

// recordedStream is a file of testdata/streams: what a person expects of a body, as JSON, a line
// with three dashes, and the body.
type recordedStream struct {
	About     string
	Role      string
	Text      string
	Reasoning string
	ToolCalls []relay.ToolCall
	Finish    string
	Usage     relay.Usage
	Error     string
	Broken    bool // whether the connection breaks after the body

	name string
	body []byte
}

// streamErrors are the errors that a recorded stream can name.
var streamErrors = map[string]error{
	"": nil, "cut": io.ErrUnexpectedEOF, "reported": relay.ErrReported,
	"malformed": relay.ErrMalformed, "broken": errMishap,
}

func recordedStreams(tb testing.TB) []recordedStream {
	tb.Helper()
	paths, err := filepath.Glob("testdata/streams/*.txt")
	require.NoError(tb, err)
	require.GreaterOrEqual(tb, len(paths), 40)
	var list []recordedStream
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(tb, err)
		head, body, ok := bytes.Cut(data, []byte("\n---\n"))
		require.True(tb, ok, path)
		s := recordedStream{name: strings.TrimSuffix(filepath.Base(path), ".txt"), body: body}
		decoder := json.NewDecoder(bytes.NewReader(head))
		decoder.DisallowUnknownFields()
		require.NoError(tb, decoder.Decode(&s), path)
		require.Contains(tb, streamErrors, s.Error, path)
		list = append(list, s)
	}
	return list
}

// source is the body, with its connection.
func (s recordedStream) source(body io.Reader) io.Reader {
	if s.Broken {
		return io.MultiReader(body, iotest.ErrReader(errMishap))
	}
	return body
}

// verify reads a body and compares the answer with what a person expects.
func (s recordedStream) verify(t *testing.T, body io.Reader) {
	t.Helper()
	answer, err := readOpenAI(s.source(body))
	require.ErrorIs(t, err, streamErrors[s.Error], s.About)
	require.Equal(t, s.Text, answer.Text(), s.About)
	require.Equal(t, s.Reasoning, answer.Reasoning(), s.About)
	require.Equal(t, s.ToolCalls, answer.ToolCalls(), s.About)
	require.Equal(t, s.Finish, answer.Finish(), s.About)
	usage, _ := answer.Usage()
	require.Equal(t, s.Usage, usage, s.About)
	role := ""
	for _, chunk := range answer.Chunks {
		role += chunk.Role
	}
	require.Equal(t, s.Role, role, s.About)
	if err != nil {
		require.NotContains(t, err.Error(), "the te", "no text of others in an error")
	}
}

func TestRecordedStreams(t *testing.T) {
	t.Parallel()
	for _, s := range recordedStreams(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			carriage := bytes.ReplaceAll(s.body, []byte("\n"), []byte("\r\n"))
			for _, body := range [][]byte{
				s.body, carriage, bytes.ReplaceAll(s.body, []byte("\n"), []byte("\r")),
			} {
				s.verify(t, bytes.NewReader(body))
				s.verify(t, iotest.OneByteReader(bytes.NewReader(body)))
				s.verify(t, iotest.DataErrReader(bytes.NewReader(body)))
			}
			for _, body := range [][]byte{s.body, carriage} {
				for at := range body {
					s.verify(
						t, io.MultiReader(bytes.NewReader(body[:at]), bytes.NewReader(body[at:])),
					)
				}
			}
		})
	}
}

func TestLinesUpToALimit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	body := events(
		`{"choices":[{"delta":{"content":"`+long+`"},"finish_reason":"stop"}]}`, "[DONE]",
	)
	_, err := readOpenAI(strings.NewReader(body))
	require.ErrorIs(t, err, relay.ErrTooLong)
	answer, err := readOpenAI(strings.NewReader(body), relay.WithMaxLine(4<<20))
	require.NoError(t, err)
	require.Equal(t, long, answer.Text())

	whole := `{"choices":[{"message":{"content":"` + long + `"},"finish_reason":"stop"}]}`
	_, err = readOpenAI(strings.NewReader(whole))
	require.ErrorIs(t, err, relay.ErrTooLong)
	answer, err = readOpenAI(strings.NewReader(whole), relay.WithMaxLine(4<<20))
	require.NoError(t, err)
	require.Equal(t, long, answer.Text())
	_, err = readOpenAI(strings.NewReader(strings.Repeat(" ", 2<<20)))
	require.ErrorIs(t, err, relay.ErrTooLong)
	_, err = readOpenAI(strings.NewReader(body), relay.WithMaxLine(0))
	require.ErrorIs(t, err, relay.ErrInvalidOption)
	require.ErrorContains(t, err, "WithMaxLine(0): must be at least 1")
}

func TestAnErrorOfEmitEndsTheReading(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		events(`{"choices":[{"delta":{"content":"a"}}]}`, "[DONE]"),
		`{"choices":[{"message":{"content":"a"}}]}`,
	} {
		err := relay.OpenAI(strings.NewReader(body), func(relay.Chunk) error { return errMishap })
		require.ErrorIs(t, err, errMishap)
	}
}

// TestTheEndIsNotWaitedFor: a server may keep the connection open.
func TestTheEndIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"data: [DONE]\n\n", "data: [DONE]\n", "data: [DONE]\r"} {
		silent, _ := io.Pipe()
		body := io.MultiReader(
			strings.NewReader(events(`{"choices":[{"delta":{"content":"a"}}]}`)+end), silent,
		)
		answer, err := readOpenAI(body)
		require.NoError(t, err)
		require.Equal(t, "a", answer.Text())
	}
}

// TestEventsThatWouldTakeMuchMemory: a few bytes of JSON can become many in memory.
func TestEventsThatWouldTakeMuchMemory(t *testing.T) {
	t.Parallel()
	large := func(piece string) string { return strings.Repeat(piece, 900_000/len(piece)) }
	for name, content := range map[string]string{
		"lists": "[" + large("[],") + "0]", "objects": "[" + large("{},") + "0]", "depth": large(
			"[",
		),
	} {
		for _, body := range []string{
			events(`{"choices":[{"delta":{"content":`+content+`}}]}`, "[DONE]"),
			events(`{"choices":[{"delta":{"tool_calls":`+content+`}}]}`, "[DONE]"),
			events(`{"choices":`+content+`}`, "[DONE]"), events(content, "[DONE]"), content,
		} {
			answer, err := readOpenAI(strings.NewReader(body))
			require.Error(t, err, name)
			require.Empty(t, answer.Chunks)
		}
	}
	code := large(`{\"a\\\\\": [1, 2]},\n`)
	answer, err := readOpenAI(
		strings.NewReader(events(`{"choices":[{"delta":{"content":"`+code+`"}}]}`, "[DONE]")),
	)
	require.NoError(t, err, "text is free in what it holds")
	require.Len(t, strings.Split(answer.Text(), "\n"), strings.Count(code, `\n`)+1)
}

// FuzzOpenAI checks that the reader makes the same of a body however it is split and however its
// lines end, that its text is what SSE carries through, and that its errors hold nothing of it.
func FuzzOpenAI(f *testing.F) {
	for _, s := range recordedStreams(f) {
		f.Add(s.body, uint16(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, piece uint16) {
		const limit = 1 << 12
		whole, wholeErr := readOpenAI(bytes.NewReader(body), relay.WithMaxLine(limit))
		split, splitErr := readOpenAI(
			&pieces{rest: body, size: int(piece)%50 + 1}, relay.WithMaxLine(limit),
		)
		require.Equal(t, whole, split)
		require.Equal(t, wholeErr, splitErr)
		known := wholeErr == nil
		for _, err := range []error{
			io.ErrUnexpectedEOF, relay.ErrReported, relay.ErrMalformed, relay.ErrTooLong,
		} {
			known = known || errors.Is(wholeErr, err)
		}
		require.True(t, known, "%v", wholeErr)
		again, err := readOpenAI(
			strings.NewReader(sse(relay.SSE{}, whole.Chunks...)), relay.WithMaxLine(1<<20),
		)
		require.NoError(t, err)
		require.Equal(t, whole.Text(), again.Text())
		require.Equal(t, whole.Reasoning(), again.Reasoning())
		require.Equal(t, whole.ToolCalls(), again.ToolCalls())
		if finish := whole.Finish(); finish != "" {
			require.Equal(t, finish, again.Finish())
		}
	})
}
