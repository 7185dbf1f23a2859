package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
)

// needNode skips the test unless "make interop" runs it.
func needNode(t *testing.T) {
	t.Helper()
	if os.Getenv("RELAY_INTEROP") == "" {
		t.Skip("needs Node and the packages of interop/package.json: make interop")
	}
}

type fake = organictest.StreamMiner

// interopCases are what the validator serves, by the model that the client names.
func interopCases() map[string]relay.Query {
	lima := fake{Text: []string{"Li", "ma, 日本 🙂 <b>\n", "data: [DONE]"}}
	one := func(m fake) relay.Query { return relay.Query{Miners: miners{1: m.Ask}} }
	calls := []relay.ToolCall{
		{ID: "a", Name: "weather", Arguments: `{"city":`},
		{Arguments: `"Lima"}`},
		{Index: 1, ID: "b", Name: "time", Arguments: `{}`},
	}
	thinks := fake{Reasoning: []string{"Peru, ", "so"}, Text: []string{"Lima"}}
	return map[string]relay.Query{
		"text": one(lima),
		"usage": {Miners: miners{1: emits(text("Lima"), relay.Chunk{
			Finish: "length", Usage: &relay.Usage{
				PromptTokens: 7, CompletionTokens: 1, TotalTokens: 8,
			},
		})}},
		"reasoning": one(thinks),
		"pause": one(
			fake{
				Latency: 350 * time.Millisecond, Text: []string{"Li", "ma"},
				Pause: 250 * time.Millisecond,
			},
		),
		"broken": one(fake{Text: []string{"Li"}, End: organictest.EndsCut}),
		"none":   one(fake{Text: []string{" "}, End: organictest.EndsInError}),
		"failover": {
			View:   relay.One(1).Failover(),
			Miners: miners{1: fake{End: organictest.IsErrorBody}.Ask, 2: lima.Ask},
		},
		"abort": one(fake{Text: []string{"Li", "ma"}, Pause: 500 * time.Millisecond}),
		"tools": one(fake{ToolCalls: calls}),
	}
}

// interopServer is a validator that answers by the cases.
func interopServer(t *testing.T, s *stand) string {
	t.Helper()
	cases := interopCases()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Model         string
			StreamOptions struct {
				IncludeUsage bool `json:"include_usage"`
			} `json:"stream_options"`
		}
		err := json.NewDecoder(r.Body).Decode(&asked)
		query, known := cases[asked.Model]
		query.ID = asked.Model
		query.Wire = relay.SSE{Model: asked.Model, Usage: asked.StreamOptions.IncludeUsage}
		if err == nil && known {
			err = s.relay.Serve(r.Context(), w, query)
		} else {
			err = organic.Refuse(http.StatusServiceUnavailable, "busy")
		}
		if err != nil && !errors.Is(err, relay.ErrLeft) {
			status, message := organic.RefusalOf(err)
			http.Error(w, message, status)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// seen is what the client got of one case.
type seen struct {
	Name, Text, Reasoning          string
	Roles, Finish, Models, Objects []string
	Choices                        []int
	Usage                          map[string]any
	Error                          *struct {
		Status int
		Code   string
		API    bool
	}
}

// called is what the package's helper made of the tool calls.
type called struct {
	Text   *string
	Finish string
	Usage  map[string]any
	Calls  []struct {
		ID, Type string
		Function struct{ Name, Arguments string }
	}
}

// clientLines are what the official client of OpenAI made of the cases, by name.
type clientLines map[string]json.RawMessage

func runClient(t *testing.T, url string) clientLines {
	t.Helper()
	node := exec.CommandContext(t.Context(), "node", "client.mjs", url)
	node.Dir, node.Stderr = "interop", os.Stderr
	out, err := node.Output()
	require.NoError(t, err)
	lines := make(clientLines)
	for line := range bytes.Lines(out) {
		var named struct{ Name string }
		require.NoError(t, json.Unmarshal(line, &named))
		lines[named.Name] = line
	}
	return lines
}

func (c clientLines) seen(t *testing.T, name string) (got seen) {
	t.Helper()
	require.NoError(t, json.Unmarshal(c[name], &got), name)
	return got
}

func (c clientLines) called(t *testing.T, name string) (got called) {
	t.Helper()
	require.NoError(t, json.Unmarshal(c[name], &got), name)
	return got
}

// TestInteropClient lets the official client of OpenAI read what SSE writes.
func TestInteropClient(t *testing.T) {
	needNode(t)
	s := newStand(t, relay.WithKeepAlive(100*time.Millisecond))
	client := runClient(t, interopServer(t, s))
	t.Run("streams", func(t *testing.T) { verifyStreams(t, client) })
	t.Run("tool calls", func(t *testing.T) { verifyToolCalls(t, client) })
	t.Run("errors", func(t *testing.T) { verifyErrors(t, client) })
	t.Run("abort", func(t *testing.T) {
		require.Equal(t, "Li", client.seen(t, "abort").Text)
		answers, err := s.relay.Answers(t.Context(), "abort")
		require.NoError(t, err)
		require.Equal(t, "Lima", answers[1].Text(), "the answer is collected to its end")
	})
	require.NoError(t, s.relay.Close(t.Context()))
}

func verifyStreams(t *testing.T, client clientLines) {
	t.Helper()
	const whole = "Lima, 日本 🙂 <b>\ndata: [DONE]"
	got := client.seen(t, "text")
	require.Nil(t, got.Error)
	require.Equal(t, whole, got.Text)
	require.Equal(t, []string{"assistant"}, got.Roles)
	require.Equal(t, []string{"stop"}, got.Finish)
	require.Equal(t, []string{"text"}, got.Models)
	require.Equal(t, []string{"chat.completion.chunk"}, got.Objects)
	require.NotContains(t, got.Choices, 0, "no usage that was not asked for")
	got = client.seen(t, "usage")
	require.Equal(t, []string{"length"}, got.Finish)
	require.EqualValues(t, 8, got.Usage["total_tokens"])
	got = client.seen(t, "reasoning")
	require.Equal(t, "Peru, so", got.Reasoning)
	require.Equal(t, "Lima", got.Text)
	got = client.seen(t, "pause")
	require.Nil(t, got.Error, "comments are read over")
	require.Equal(t, "Lima", got.Text)
	require.Equal(t, whole, client.seen(t, "failover").Text)
}

func verifyToolCalls(t *testing.T, client clientLines) {
	t.Helper()
	tools := client.called(t, "tools")
	require.Equal(t, "tool_calls", tools.Finish)
	require.Len(t, tools.Calls, 2)
	require.Equal(t, "a", tools.Calls[0].ID)
	require.Equal(t, "function", tools.Calls[0].Type)
	require.Equal(t, "weather", tools.Calls[0].Function.Name)
	require.JSONEq(t, `{"city":"Lima"}`, tools.Calls[0].Function.Arguments)
	require.Equal(t, "time", tools.Calls[1].Function.Name)
	accumulated := client.called(t, "accumulated")
	require.Equal(t, "Lima", *accumulated.Text)
	require.EqualValues(t, 8, accumulated.Usage["total_tokens"])
}

func verifyErrors(t *testing.T, client clientLines) {
	t.Helper()
	got := client.seen(t, "broken")
	require.Equal(t, "Li", got.Text)
	require.NotNil(t, got.Error)
	require.True(t, got.Error.API)
	require.Equal(t, "broken_off", got.Error.Code)
	require.Empty(t, got.Finish)
	require.Equal(t, "no_answer", client.seen(t, "none").Error.Code)
	require.Equal(t, http.StatusServiceUnavailable, client.seen(t, "busy").Error.Status)
}

// mockServer starts an OpenAI-compatible server of another project, which splits what it is asked
// to say into pieces of one unit of UTF-16.
func mockServer(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	config := filepath.Join(t.TempDir(), "mock.yaml")
	require.NoError(t, os.WriteFile(config, []byte(mockConfig), 0o600))
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	node := exec.CommandContext(
		t.Context(), "node", "node_modules/@dwmkerr/mock-llm/dist/main.js", "--config", config,
	)
	node.Dir, node.Stderr = "interop", os.Stderr
	node.Env = append(os.Environ(), "HOST=127.0.0.1", "PORT="+port)
	out, err := node.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, node.Start())
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		if strings.Contains(line, "server running on") {
			break
		}
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, lines) // its log, until it is killed
	}()
	t.Cleanup(func() {
		_ = node.Process.Kill()
		<-read
		_ = node.Wait() // was killed
	})
	return "http://" + address + "/v1/chat/completions"
}

const mockConfig = `
streaming:
  chunkSize: 1
  chunkIntervalMs: 1
rules:
  - path: "/v1/chat/completions"
    match: "@"
    response:
      status: 200
      content: |
        {"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
        "message":{"role":"assistant","content":"{{jmes request body.messages[-1].content}}"},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}
  - path: "/v1/chat/completions"
    match: "contains(body.messages[-1].content, 'fail')"
    response:
      status: 429
      content: |
        {"error":{"message":"too many","type":"rate_limit_error","code":"rate_limit_exceeded"}}
`

// TestInteropServer reads the streams of an OpenAI-compatible server of another project.
func TestInteropServer(t *testing.T) {
	needNode(t)
	url := mockServer(t)
	ask := func(prompt string, stream bool) (relay.Answer, int, error) {
		body := fmt.Sprintf(
			`{"model":"m","stream":%v,"messages":[{"role":"user","content":%q}]}`, stream, prompt,
		)
		request, err := http.NewRequestWithContext(
			context.WithoutCancel(t.Context()), http.MethodPost, url, strings.NewReader(body),
		)
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		answer, err := readOpenAI(response.Body)
		return answer, response.StatusCode, err
	}
	for _, prompt := range []string{"Lima", "Straße, 日本, 🙂 and 🙃.", "a"} {
		answer, status, err := ask(prompt, true)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, prompt, answer.Text())
		require.Equal(t, "stop", answer.Finish())
		require.Equal(t, "assistant", answer.Chunks[0].Role)
		answer, _, err = ask(prompt, false)
		require.NoError(t, err, "a whole completion")
		require.Equal(t, prompt, answer.Text())
	}
	answer, status, err := ask("please fail", true)
	require.Equal(t, http.StatusOK, status)
	require.ErrorIs(t, err, relay.ErrReported, "in the stream, with status 200")
	require.Empty(t, answer.Chunks)
}
