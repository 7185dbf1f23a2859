package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// started is a miner that serves, and its validator's key.
func started(t *testing.T, r role) (*miner, *keys.Keypair) {
	t.Helper()
	validator, err := keyOf("validator", 0)
	require.NoError(t, err)
	key, err := keyOf("miner", 0)
	require.NoError(t, err)
	m, err := newMiner(r, key.Hotkey(), validator.Hotkey())
	require.NoError(t, err)
	require.NoError(t, m.start(t.Context(), "127.0.0.1:0"))
	t.Cleanup(m.kill)
	return m, validator
}

// ask asks a miner in the name of a key, and returns the status and the words.
func ask(t *testing.T, m *miner, key *keys.Keypair, text string) (int, []string, error) {
	t.Helper()
	body, err := json.Marshal(question{Stream: true, Messages: []wire.ChatMessage{{Role: "user", Content: text}}})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.url, bytes.NewReader(body))
	require.NoError(t, err)
	if key != nil {
		require.NoError(t, axon.Sign(request, key, m.hotkey))
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var words []string
	if response.StatusCode == http.StatusOK {
		err = relay.OpenAI(response.Body, func(chunk relay.Chunk) error {
			if chunk.HasText() {
				words = append(words, chunk.Text)
			}
			return nil
		})
	}
	return response.StatusCode, words, err
}

func TestMinersAnswerTheValidatorAlone(t *testing.T) {
	t.Parallel()
	m, validator := started(t, role{kind: honest, answers: map[string]string{"What?": "It is this."}})
	status, words, err := ask(t, m, validator, "What?")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{"It ", "is ", "this."}, words, "word by word")

	stranger, err := keyOf("user", 0)
	require.NoError(t, err)
	status, _, _ = ask(t, m, stranger, "What?")
	require.Equal(t, http.StatusForbidden, status)
	status, _, _ = ask(t, m, nil, "What?")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _, _ = ask(t, m, validator, "")
	require.Equal(t, http.StatusNotFound, status, "no recording")
	require.Equal(t, uint64(2), m.asked.Load(), "the others have not come that far")
}

func TestFailingMinersFailEveryThirdTime(t *testing.T) {
	t.Parallel()
	m, validator := started(t, role{kind: failing, answers: map[string]string{"What?": "It is this."}})
	var outcomes []string
	for range 6 {
		status, words, err := ask(t, m, validator, "What?")
		outcome := strings.Join(words, "")
		switch {
		case status != http.StatusOK:
			outcome = http.StatusText(status)
		case err != nil:
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			outcome += "…"
		}
		outcomes = append(outcomes, outcome)
	}
	require.Equal(t, []string{
		"It is this.", "It is this.", "It is …",
		"It is this.", "It is this.", "Internal Server Error",
	}, outcomes)
}

func TestEmptyMinersSayNothing(t *testing.T) {
	t.Parallel()
	m, validator := started(t, role{kind: empty})
	status, words, err := ask(t, m, validator, "What?")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, words)
}

func TestKillCutsOff(t *testing.T) {
	t.Parallel()
	m, validator := started(t, role{kind: hanging, hang: time.Hour})
	request := newRequests(validator, 1)
	failed := make(chan error, 1)
	go func() {
		failed <- request.ask(t.Context(), peer{m.url, m.hotkey}, []byte(`{"stream": true, "messages": [{"content": "What?"}]}`), nil)
	}()
	require.Eventually(t, func() bool { return m.asked.Load() == 1 }, 10*time.Second, time.Millisecond)
	m.kill()
	require.Error(t, <-failed)
	m.kill()
}

func TestCast(t *testing.T) {
	t.Parallel()
	s := setup(t, "")
	var kinds []kind
	for _, m := range s.miners {
		kinds = append(kinds, m.kind)
	}
	require.Equal(t, []kind{honest, honest, honest, honest, slow, failing, hanging, copying, empty}, kinds)
	require.Equal(t, s.miners[0].answers, s.miners[7].answers)
	require.Greater(t, s.miners[7].latency, s.miners[0].latency)
	require.NotEqual(t, s.miners[4].answers, s.miners[5].answers)
	require.Len(t, s.miners[4].answers, 12)
	require.Len(t, s.miners[1].answers, 11)
}
