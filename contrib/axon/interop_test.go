package axon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// peer is a Node process with clients and servers that are not ours, see
// interop/peer.mjs.
type peer struct {
	requests *json.Encoder
	answers  *json.Decoder
}

type peerAnswer struct {
	Status    int
	Text, URL string
}

// startPeer skips the test unless "make interop" runs it.
func startPeer(t *testing.T) peer {
	t.Helper()
	if os.Getenv("AXON_INTEROP") == "" {
		t.Skip("needs Node and packages of npm: make interop")
	}
	node := exec.CommandContext(t.Context(), "node", "peer.mjs")
	node.Dir, node.Stderr = "interop", os.Stderr
	in, err := node.StdinPipe()
	require.NoError(t, err)
	out, err := node.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, node.Start())
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		_ = node.Wait() // t.Context has ended, which may kill it first
	})
	return peer{requests: json.NewEncoder(in), answers: json.NewDecoder(out)}
}

func (p peer) ask(t *testing.T, call string, arguments map[string]any) (answer peerAnswer) {
	t.Helper()
	request := maps.Clone(arguments)
	request["call"] = call
	require.NoError(t, p.requests.Encode(request))
	require.NoError(t, p.answers.Decode(&answer))
	return answer
}

// TestInteropServer is asked by Node, by btauth/1.
func TestInteropServer(t *testing.T) {
	t.Parallel()
	node := startPeer(t)
	listening, server := peerServer(t, asIs, axon.WithSchemes(pinned(t)))
	answered := 0
	for scheme, hotkey := range map[string]keys.Hotkey{"sr25519": keypairFromURI(t,
		"//Alice").Hotkey(), "ed25519": edAlice(t).Hotkey()} {
		for _, target := range []string{
			"/generate", "/generate?stream=false",
			"/generate?b=%2F%20&a=%E2%82%AC&a",
		} {
			for _, body := range []string{"", `{"prompt": "hello"}`, strings.Repeat("ü", 10_000)} {
				method := http.MethodPost
				if body == "" {
					method = http.MethodGet
				}
				request := map[string]any{
					"url": listening.URL, "target": target, "method": method, "body": body, "uri": "//Alice",
					"scheme": scheme, "receiver": bobAddress,
				}
				answer := node.ask(t, "send", request)
				require.Equal(t, http.StatusOK, answer.Status)
				require.Equal(t, "/generate "+body+" "+hotkey.String(), answer.Text)
				answered++
				if method == http.MethodPost {
					request["spoil"] = true
					require.Equal(t, http.StatusUnauthorized, node.ask(t, "send", request).Status)
				}
				request["receiver"] = aliceAddress
				require.Equal(t, http.StatusUnauthorized, node.ask(t, "send", request).Status)
			}
		}
	}
	require.EqualValues(t, answered, server.Stats().Verified)
	t.Logf("%d requests of Node's: verified; none with another body or for another receiver", answered)
}

// TestInteropClient asks a server of Node's, by btauth/1.
func TestInteropClient(t *testing.T) {
	t.Parallel()
	node := startPeer(t)
	theirs := node.ask(t, "listen", map[string]any{"receiver": bobAddress})
	asked := 0
	for _, keypair := range []*keys.Keypair{keypairFromURI(t, "//Alice"), edAlice(t)} {
		for _, receiver := range []string{"//Bob", "//Charlie"} {
			client := &http.Client{Transport: &axon.Transport{
				Keypair:  keypair,
				Receiver: keypairFromURI(t, receiver).Hotkey(),
			}}
			for _, target := range []string{
				"/generate", "/generate?stream=false", "/a%2Fb?q=%2f%20&",
				"/?",
			} {
				answer, err := post(t, client, theirs.URL+target, `{"prompt": "hello"}`)
				require.NoError(t, err)
				if receiver == "//Bob" {
					require.Equal(t, "200 "+keypair.Hotkey().String(), answer)
				} else {
					require.Equal(t, "401 refused", answer)
				}
				asked++
			}
		}
	}
	t.Logf("%d requests of ours: verified by Node, but for those to another receiver", asked)
}

// chatRequest is what a client of OpenAI's API sends, as far as the test reads
// it.
type chatRequest struct {
	Stream   bool
	Messages []struct{ Content string }
}

// chatAnswer answers as OpenAI does, with the prompt and who asked.
func chatAnswer(_ context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	var request chatRequest
	if err := json.Unmarshal(synapse.Body, &request); err != nil {
		return organic.Refuse(http.StatusBadRequest, "Bad request")
	}
	text := synapse.Requester + " asked " + request.Messages[0].Content
	if !request.Stream {
		return json.NewEncoder(w).Encode(map[string]any{
			"id": "1", "object": "chat.completion", "model": "subnet",
			"choices": []any{map[string]any{
				"index": 0, "finish_reason": "stop",
				"message": map[string]string{"role": "assistant", "content": text},
			}},
		})
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for word := range strings.SplitAfterSeq(text, " ") {
		chunk, err := json.Marshal(map[string]any{
			"id": "1", "object": "chat.completion.chunk", "model": "subnet",
			"choices": []any{map[string]any{"index": 0, "delta": map[string]string{"content": word}}},
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", chunk); err != nil {
			return err
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "data: [DONE]\n\n")
	return err
}

// TestInteropOpenAI is asked by the official client, with a bearer key.
func TestInteropOpenAI(t *testing.T) {
	t.Parallel()
	node := startPeer(t)
	users, err := axon.NewBearerKeys(map[string]string{bearerKey: "carol"})
	require.NoError(t, err)
	server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey())
	require.NoError(t, err)
	route, err := server.Route("/v1/chat/completions", axon.WithBearer(users.Check))
	require.NoError(t, err)
	var busy atomic.Bool // once: the client tries again
	require.NoError(t, attach(route, organic.Handlers{
		Blacklist: func(context.Context, *organic.Synapse) error {
			if busy.CompareAndSwap(true, false) {
				return organic.Refuse(http.StatusServiceUnavailable, "Busy")
			}
			return nil
		},
		Forward: chatAnswer,
	}))
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	for _, stream := range []bool{false, true} {
		request := map[string]any{
			"url": listening.URL, "key": bearerKey, "stream": stream,
			"prompt": "Where is Lima? 日本",
		}
		require.Equal(t, peerAnswer{Status: 200, Text: "carol asked Where is Lima? 日本"},
			node.ask(t, "chat", request))
		busy.Store(true)
		require.Equal(t, http.StatusOK, node.ask(t, "chat", request).Status)
		request["key"] = "sk-unknown-0123456789"
		require.Equal(t, peerAnswer{Status: 401, Text: "AuthenticationError"},
			node.ask(t, "chat", request))
	}
	require.EqualValues(t, 2, server.Stats().Refused[axon.ReasonHook])
	t.Log("the client of OpenAI: answered in one piece and in a stream, tried again after 503, refused with an unknown key")
}
