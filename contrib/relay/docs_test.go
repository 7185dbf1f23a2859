package relay_test

import (
	"bytes"
	"context"
	"fmt"
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

type Prompt struct {
	Text    string
	Answers map[organic.UID]relay.Answer
}

type Validator struct {
	*organic.OrganicScorer[Prompt, relay.Answer]
	organic.DefaultHooks[Prompt, relay.Answer]
	relay  *relay.Relay
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
		return relay.OpenAI(response.Body, emit)
	}
}

func reward(
	answers map[organic.UID]relay.Answer, reference relay.Answer,
	score func(answer, reference relay.Answer) float64,
) organic.Rewards {
	rewards := make(organic.Rewards)
	for uid, answer := range answers {
		if !answer.Scorable() {
			continue // not the miner's fault: neither reward nor punishment
		}
		rewards[uid] = score(answer, reference)
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
	require.Len(t, blocks, 4)
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		require.Contains(t, flat(string(source)), flat(code))
	}
}

// TestTheCodeOfTheDocsWorks, with a server in place of a subnet.
func TestTheCodeOfTheDocsWorks(t *testing.T) {
	t.Parallel()
	r, err := relay.New()
	require.NoError(t, err)
	server := httptest.NewServer(organictest.StreamMiner{Text: []string{"Lima"}})
	defer server.Close()
	asked := map[organic.UID]relay.Miner{7: ask(server.URL, nil), 8: ask("://", nil)}
	got, err := r.Ask(t.Context(), relay.Query{Miners: asked})
	require.NoError(t, err)
	same := func(answer, _ relay.Answer) float64 { return float64(len(answer.Text())) }
	require.Equal(t, organic.Rewards{7: 4}, reward(got, relay.Answer{}, same))
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

// QueryMiners and the other hooks are of no interest here.
func (v *Validator) QueryMiners(
	_ context.Context, sample organic.Sample[Prompt],
) (map[organic.UID]relay.Answer, error) {
	return sample.Payload.Answers, nil
}

func (v *Validator) GenerateRewards(
	context.Context, organic.Sample[Prompt], map[organic.UID]relay.Answer, relay.Answer,
) (organic.Rewards, error) {
	return organic.Rewards{}, nil
}

func (v *Validator) SetWeights(context.Context, organic.Sample[Prompt], organic.Rewards) error {
	return nil
}
