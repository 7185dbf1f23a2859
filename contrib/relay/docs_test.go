package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
)

// What follows is the code of docs/streaming.md, so that the compiler sees it.

// Prompt is the payload of a sample: the question, and what the miners have answered a user.
type Prompt struct {
	Text    string
	Answers map[organic.UID]relay.Answer
}

// Validator has the hooks of this page. Each answer is a relay.Answer.
type Validator struct {
	*organic.OrganicScorer[Prompt, relay.Answer]
	organic.DefaultHooks[Prompt, relay.Answer]

	relay  *relay.Relay // of relay.New(), before organic.New
	miners func(text string) map[organic.UID]relay.Miner
}

func (v *Validator) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	text := string(synapse.Body)
	return v.relay.Serve(ctx, w, relay.Query{
		Miners: v.miners(text),
		View:   relay.FirstGood(nil),
		Wire:   relay.SSE{Model: "my-subnet"},
		Done: func(ctx context.Context, result *relay.Result) error {
			if err := result.Err(); err != nil {
				return err // cut short, and not by the miners
			}
			_, err := v.EnqueueSample(ctx, organic.Sample[Prompt]{
				Payload:   Prompt{Text: text, Answers: result.Answers},
				Requester: synapse.Requester,
				Received:  result.Started, // the holder of a UID at that time is rewarded
			})
			return err
		},
	})
}

func ask(url string, body []byte) relay.Miner {
	return func(ctx context.Context, emit func(relay.Chunk) error) error {
		post, sent := http.MethodPost, bytes.NewReader(body)
		request, err := http.NewRequestWithContext(ctx, post, url, sent)
		if err != nil {
			return fmt.Errorf("%w: %w", relay.ErrValidator, err) // not the miner's fault
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", response.StatusCode)
		}
		for part := make([]byte, 4096); ; {
			n, err := response.Body.Read(part)
			if emitErr := emit(relay.Chunk{Text: string(part[:n])}); emitErr != nil {
				return emitErr
			}
			if errors.Is(err, io.EOF) {
				return nil // the answer is whole
			}
			if err != nil {
				return err
			}
		}
	}
}

func reward(answers map[organic.UID]relay.Answer) organic.Rewards {
	rewards := make(organic.Rewards)
	for uid, answer := range answers { // what GenerateRewards gets
		if !answer.Scorable() {
			continue // not the miner's fault: neither reward nor punishment
		}
		rewards[uid] = float64(strings.Count(answer.Text(), "Lima"))
	}
	return rewards
}

func fakes() map[organic.UID]relay.Miner {
	miners := map[organic.UID]relay.Miner{
		1: organictest.StreamMiner{Text: []string{" ", "\n", "Lima"}, Pause: time.Second}.Ask,
		2: organictest.StreamMiner{Text: []string{"Li"}, End: organictest.EndsCut}.Ask,
	}
	return miners
}

// TestTheCodeOfTheDocsIsCompiled: each block of Go in docs/streaming.md stands above, but for its
// indentation.
func TestTheCodeOfTheDocsIsCompiled(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/streaming.md")
	require.NoError(t, err)
	source, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	flat := func(code string) string {
		var lines []string
		for line := range strings.Lines(code) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.TrimSpace(strings.Join(lines, "\n"))
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	require.Len(t, blocks, 7)
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if strings.Contains(code, "axon.") {
			continue // of another module: examples/internal/docs compiles it
		}
		require.Contains(t, flat(string(source)), flat(code))
	}
}

// TestTheCodeOfTheDocsWorks, with a server in place of a subnet.
func TestTheCodeOfTheDocsWorks(t *testing.T) {
	t.Parallel()
	r, err := relay.New()
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Lima")
	}))
	defer server.Close()
	asked := map[organic.UID]relay.Miner{7: ask(server.URL, nil), 8: ask("://", nil)}
	got, err := r.Ask(t.Context(), relay.Query{Miners: asked})
	require.NoError(t, err)
	require.Equal(t, organic.Rewards{7: 1}, reward(got))
	require.Len(t, fakes(), 2)
	require.NoError(t, r.Close(t.Context()))

	v := &Validator{miners: func(string) map[organic.UID]relay.Miner { return asked }}
	axon := &organictest.Axon{}
	v.OrganicScorer, err = organic.New(v, organic.WithAxon(axon))
	require.NoError(t, err)
	v.relay, err = relay.New()
	require.NoError(t, err)
	require.NoError(t, v.Start(t.Context()))
	synapse := &organic.Synapse{Requester: "5F", Body: []byte("Peru?")}
	status, body := axon.Ask(t.Context(), synapse)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, events("Lima", "[DONE]"), simplified(string(body)))
	require.NoError(t, v.relay.Close(t.Context()))
	require.NoError(t, v.Stop(t.Context()))
}

func (v *Validator) QueryMiners(
	ctx context.Context, sample organic.Sample[Prompt],
) (map[organic.UID]relay.Answer, error) {
	if sample.Payload.Answers != nil {
		return sample.Payload.Answers, nil
	}
	return v.relay.Ask(ctx, relay.Query{Miners: v.miners(sample.Payload.Text)})
}

// The other hooks are of no interest here.

func (v *Validator) GenerateRewards(
	context.Context, organic.Sample[Prompt], map[organic.UID]relay.Answer, relay.Answer,
) (organic.Rewards, error) {
	return organic.Rewards{}, nil
}

func (v *Validator) SetWeights(context.Context, organic.Sample[Prompt], organic.Rewards) error {
	return nil
}
