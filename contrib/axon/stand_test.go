package axon_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// organicClass is the synapse that the tests speak: a signed prompt.
var organicClass = axon.Class{
	Name:   "Organic",
	Hashed: []axon.Field{{Name: "prompt", Type: axon.Str()}},
}

// prompt is a body of organicClass.
type prompt struct {
	Prompt string `json:"prompt"`
}

// stand is a server of Bob's with a Bittensor and an Epistula route, which is
// asked over real connections, by Alice if nothing else is said.
type stand struct {
	t          testing.TB
	server     *axon.Server
	bittensor  *axon.Route
	epistula   *axon.Route
	url        string
	alice, bob *keys.Keypair
	dendrite   *axon.Dendrite
}

func newStand(tb testing.TB, opts ...axon.Option) *stand {
	tb.Helper()
	s := &stand{t: tb, alice: keypairFromURI(tb, "//Alice"), bob: keypairFromURI(tb, "//Bob")}
	var err error
	s.server, err = axon.New(s.bob.Hotkey(), opts...)
	require.NoError(tb, err)
	s.bittensor, err = s.server.Synapse(organicClass)
	require.NoError(tb, err)
	s.epistula, err = s.server.Route("/v1/chat/completions", axon.WithEpistula())
	require.NoError(tb, err)
	s.dendrite = axon.NewDendrite(s.alice)
	httpServer := httptest.NewServer(s.server)
	tb.Cleanup(httpServer.Close)
	s.url = httpServer.URL
	return s
}

// forward attaches one function to both routes.
func (s *stand) forward(
	forward func(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error,
) {
	s.t.Helper()
	require.NoError(s.t, attach(s.bittensor, organic.Handlers{Forward: forward}))
	require.NoError(s.t, attach(s.epistula, organic.Handlers{Forward: forward}))
}

// byDendrite makes a request to the Bittensor route.
func (s *stand) byDendrite(
	dendrite *axon.Dendrite, text string, timeout time.Duration,
) *http.Request {
	s.t.Helper()
	request, err := dendrite.NewRequest(s.t.Context(), axon.Query{
		URL: s.url, Axon: s.bob.Hotkey(), Class: organicClass, Fields: prompt{text}, Timeout: timeout,
	})
	require.NoError(s.t, err)
	return request
}

// byEpistula makes a request to the Epistula route.
func (s *stand) byEpistula(keypair *keys.Keypair, body string) *http.Request {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost,
		s.url+"/v1/chat/completions", strings.NewReader(body))
	require.NoError(s.t, err)
	require.NoError(s.t, axon.SignEpistula(request, keypair, s.bob.Hotkey()))
	return request
}

// reply is an answer that was read to its end.
type reply struct {
	code    int // HTTP's status
	status  int // the protocol's own
	message string
	header  http.Header
	body    string
}

// ask sends a request and reads the answer.
func (s *stand) ask(request *http.Request) reply {
	s.t.Helper()
	response, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	status, message := axon.StatusOf(response)
	return reply{response.StatusCode, status, message, response.Header, string(body)}
}

// echo is a hook that answers with the fields of the request, or with nothing.
func echo(_ context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	if synapse.Protocol != organic.Bittensor {
		return nil
	}
	return axon.Reply(w, synapse, map[string]string{"completion": "done"})
}

// sign signs a message as a header carries it.
func sign(tb testing.TB, keypair *keys.Keypair, message string) string {
	tb.Helper()
	signature, err := keypair.Sign([]byte(message))
	require.NoError(tb, err)
	return "0x" + hex.EncodeToString(signature)
}

// jsonMessage is the body of an error.
func jsonMessage(message string) string {
	data, _ := json.Marshal(map[string]string{"message": message})
	return string(data)
}

// attach attaches handlers to a route for good.
func attach(route *axon.Route, handlers organic.Handlers) error {
	_, err := route.Attach(handlers)
	return err
}
