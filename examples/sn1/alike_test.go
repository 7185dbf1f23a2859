package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// seen is a request as it stands on the wire.
type seen struct {
	start    string   // method, path and version
	header   []string // its lines in their order; of values that vary, the length
	body     string   // without the content and what is drawn
	size     int
	question question
}

// wiretap is a miner that takes down what it is sent, byte by byte.
type wiretap struct {
	listener net.Listener

	mu   sync.Mutex // guards all
	all  []seen
	errs []error
}

func newWiretap(t *testing.T) *wiretap {
	t.Helper()
	listener, err := listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	w := &wiretap{listener: listener}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { w.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return w
}

// serve answers every request of a connection with one word.
func (w *wiretap) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		request, err := readSeen(in)
		if errors.Is(err, io.EOF) {
			return
		}
		w.mu.Lock()
		w.all, w.errs = append(w.all, request), append(w.errs, err)
		w.mu.Unlock()
		answer := "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\ndata: [DONE]\n\n"
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: "+strconv.Itoa(len(answer))+"\r\n\r\n"+answer)
	}
}

// varying are the header's values that differ from request to request, each of
// one length.
var varying = []string{"X-Bittensor-Nonce", "X-Bittensor-Signature"}

func readSeen(in *bufio.Reader) (s seen, err error) {
	if s.start, err = in.ReadString('\n'); err != nil {
		return s, io.EOF
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == "\r\n" {
			break
		}
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case name == "Content-Length": // follows from the body
			if s.size, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return s, err
			}
			line = name
		case slices.Contains(varying, name):
			line = name + ": " + strconv.Itoa(len(value))
		}
		s.header = append(s.header, line)
	}
	body := make([]byte, s.size)
	if _, err := io.ReadFull(in, body); err != nil {
		return s, err
	}
	s.body = blank(body)
	return s, json.Unmarshal(body, &s.question)
}

var (
	content = regexp.MustCompile(`"content":"(\\.|[^"\\])*"`)
	drawn   = regexp.MustCompile(`"(temperature|max_tokens|seed)":[0-9.]+`)
)

// blanked is every body, with its fields in this order.
const blanked = `{"stream":true,"messages":[{"role":"user","content":""}],"temperature":0,"max_tokens":0,"seed":0}`

// blank returns a body without what is asked and the parameters that are drawn.
func blank(body []byte) string {
	return string(drawn.ReplaceAll(content.ReplaceAll(body, []byte(`"content":""`)), []byte(`"$1":0`)))
}

// take returns what was seen since the last time.
func (w *wiretap) take(t *testing.T, n int) []seen {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range w.errs {
		require.NoError(t, err)
	}
	require.Len(t, w.all, n)
	all := w.all
	w.all = nil
	return all
}

// tapped is a validator that has the wiretap as its only miner.
func tapped(t *testing.T, tap *wiretap) (*subnet, *Validator) {
	t.Helper()
	s := setup(t, "-seed 11 -patience 1m")
	s.requests.peers = []peer{{url: urlOf(tap.listener.Addr().String()), hotkey: s.miners[0].hotkey}}
	s.metagraph = weights.Metagraph{Neurons: []weights.Neuron{{Hotkey: s.miners[0].hotkey.String()}}}
	v, err := newValidator(t.Context(), s.world)
	require.NoError(t, err)
	t.Cleanup(s.requests.close)
	return s, v
}

func TestMinersCannotTellOrganicFromSynthetic(t *testing.T) {
	t.Parallel()
	tap := newWiretap(t)
	s, v := tapped(t, tap)
	const rounds = 40
	ask := [2]func(text string, i int){
		organic.Organic:   func(text string, i int) { askAsUser(t, v, text, i) },
		organic.Synthetic: func(text string, _ int) { askAsValidator(t, v, text) },
	}
	var requests [2][]seen
	for i := range rounds { // in turn, so that both meet connections of all ages
		for j, record := range s.records {
			for k := range ask {
				origin := (i + j + k) % 2 // each is first as often; who gets which draw is the same in every run
				ask[origin](textOf(record.Prompt), i)
				requests[origin] = append(requests[origin], tap.take(t, 1)...)
			}
		}
	}
	require.NoError(t, v.live.Close(t.Context()))
	first := requests[0][0]
	require.Equal(t, "POST /v1/chat/completions HTTP/1.1\r\n", first.start)
	require.Subset(t, first.header, []string{"Content-Type: application/json\r\n", "X-Bittensor-Version: 1\r\n"})
	require.Equal(t, blanked, first.body) //nolint:testifylint // the order of the fields counts
	for origin, all := range requests {
		require.Len(t, all, rounds*len(s.records))
		for _, request := range all {
			require.Equal(t, first.start, request.start, organic.Origin(origin))
			require.Equal(t, first.header, request.header, organic.Origin(origin))
			require.Equal(t, first.body, request.body, organic.Origin(origin))
		}
	}
	for name, value := range map[string]func(seen) float64{
		"size":        func(r seen) float64 { return float64(r.size) },
		"temperature": func(r seen) float64 { return r.question.Temperature },
		"max_tokens":  func(r seen) float64 { return float64(r.question.MaxTokens) },
		"seed":        func(r seen) float64 { return float64(r.question.Seed) },
	} {
		// Two samples of 480 from one distribution are farther apart once in
		// a thousand times; the seed makes this one of the others,
		// in every run.
		require.Less(t, distance(requests[0], requests[1], value), 0.126, name)
	}
}

// askAsUser sends a query through the entry hook, in turn by both routes, with
// parameters that a user may send along.
func askAsUser(t *testing.T, v *Validator, text string, i int) {
	t.Helper()
	synapse := &organic.Synapse{Path: "/Organic", Timeout: time.Duration(i) * time.Second}
	var body any = map[string]any{"prompt": text}
	if i%2 == 1 {
		synapse.Path = wire.ChatPath
		body = map[string]any{
			"stream": true, "messages": []wire.ChatMessage{{Role: "user", Content: text}},
			"temperature": 0.5, "seed": i, "model": "any",
		}
	}
	var err error
	synapse.Body, err = json.Marshal(body)
	require.NoError(t, err)
	answer := httptest.NewRecorder()
	require.NoError(t, v.OnOrganicEntry(t.Context(), answer, synapse))
	require.Equal(t, http.StatusOK, answer.Code)
	require.Contains(t, answer.Body.String(), "word")
}

func askAsValidator(t *testing.T, v *Validator, text string) {
	t.Helper()
	sample := organic.NewSample(Prompt{Text: text})
	sample.Origin = organic.Synthetic
	answers, err := v.QueryMiners(t.Context(), sample)
	require.NoError(t, err)
	require.Equal(t, "word", answers[0].Text())
}

// distance is that of Kolmogorov and Smirnov: how far the distributions of two
// samples are apart at most.
func distance(a, b []seen, value func(seen) float64) float64 {
	share := func(all []seen, limit float64) float64 {
		n := 0
		for _, r := range all {
			if value(r) <= limit {
				n++
			}
		}
		return float64(n) / float64(len(all))
	}
	var farthest float64
	for _, r := range slices.Concat(a, b) {
		farthest = max(farthest, share(a, value(r))-share(b, value(r)), share(b, value(r))-share(a, value(r)))
	}
	return farthest
}

func TestOrganicsAreNotAskedAgain(t *testing.T) {
	t.Parallel()
	tap := newWiretap(t)
	_, v := tapped(t, tap)
	askAsUser(t, v, "a question", 0)
	require.NoError(t, v.live.Close(t.Context()))
	lease, err := v.store.queue.Sample(context.Background())
	require.NoError(t, err)
	answers, err := v.QueryMiners(t.Context(), lease.Sample)
	require.NoError(t, err)
	require.Equal(t, "word", answers[0].Text())
	tap.take(t, 1)
}
