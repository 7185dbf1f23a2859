package axon_test

import (
	"math"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

func TestReply(t *testing.T) {
	t.Parallel()
	const sent = `{"name": "Organic", "timeout": 12.0, "dendrite": {"hotkey": null}, "axon": {"status_code": 500},
		"computed_body_hash": "", "total_size": 0, "header_size": 0, "prompt": "2 < 3", "n": 12345678901234567890}`
	for _, tt := range []struct {
		name     string
		protocol organic.Protocol
		body     string
		fields   any
		want     string
		err      string
	}{
		{
			"a map", organic.Bittensor, sent,
			map[string]any{"completion": "yes"},
			`{"completion":"yes","n":12345678901234567890,"prompt":"2 \u003c 3"}`, "",
		},
		{
			"a struct", organic.Bittensor, sent,
			prompt{"mine"},
			`{"n":12345678901234567890,"prompt":"mine"}`, "",
		},
		{"nothing of its own", organic.Bittensor, `{"prompt": null}`, nil, `{"prompt":null}`, ""},
		{"not to a dendrite", organic.BTAuth1, sent, prompt{"mine"}, `{"prompt":"mine"}`, ""},
		{"nothing to a caller that is not a dendrite", organic.Bearer, "no JSON", nil, `{}`, ""},
		{"null", organic.Bittensor, `null`, prompt{}, "", "no JSON object as its body"},
		{"no object", organic.Bittensor, `[]`, prompt{}, "", "no JSON object as its body"},
		{"fields that are none", organic.Bittensor, sent, 7, "", "fields of a reply are no JSON object"},
		{
			"fields that cannot be encoded", organic.Bittensor, sent,
			map[string]any{"x": math.Inf(1)},
			"",
			"encoding the fields",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			err := axon.Reply(w, &organic.Synapse{Protocol: tt.protocol, Body: []byte(tt.body)}, tt.fields)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				require.Empty(t, w.Body.String())
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, w.Body.String(), "the text counts: numbers must not lose digits")
		})
	}
}

func TestStatusOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		code    int
		header  http.Header
		status  int
		message string
	}{
		{"an axon's", 200, http.Header{
			"Bt_header_axon_status_code":    {"422"},
			"Bt_header_axon_status_message": {"no"},
		}, 422, "no"},
		{"without a header", 502, http.Header{}, 502, "Bad Gateway"},
		{"with an odd header", 200, http.Header{"Bt_header_axon_status_code": {"None"}}, 200, "OK"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, message := axon.StatusOf(&http.Response{StatusCode: tt.code, Header: tt.header})
			require.Equal(t, tt.status, status)
			require.Equal(t, tt.message, message)
		})
	}
}

func TestRequestsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	alice := keypairFromURI(t, "//Alice")
	good := axon.Query{
		URL: "http://127.0.0.1:1", Axon: alice.Hotkey(), Class: organicClass,
		Fields: prompt{"hi"},
	}
	for _, tt := range []struct {
		name    string
		keypair *keys.Keypair
		change  func(*axon.Query)
		want    string
	}{
		{"no keypair", nil, func(*axon.Query) {}, "no key pair"},
		{"empty keypair", &keys.Keypair{}, func(*axon.Query) {}, "key pair is empty"},
		{"no axon", alice, func(q *axon.Query) { q.Axon = keys.Hotkey{} }, "Query.Axon is all zero"},
		{"no class", alice, func(q *axon.Query) { q.Class = axon.Class{} }, "bad class"},
		{"no fields", alice, func(q *axon.Query) { q.Fields = nil }, "bad body"},
		{
			"fields that lack a hashed one", alice,
			func(q *axon.Query) { q.Fields = map[string]string{"text": "hi"} }, `"prompt": missing`,
		},
		{
			"fields that cannot be encoded", alice, func(q *axon.Query) { q.Fields = func() {} },
			"encoding the fields of Organic",
		},
		{"no URL", alice, func(q *axon.Query) { q.URL = "http://a b" }, "URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			query := good
			tt.change(&query)
			_, err := axon.NewDendrite(tt.keypair).NewRequest(t.Context(), query)
			require.ErrorContains(t, err, tt.want)
		})
	}
	request := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	require.ErrorIs(t, axon.SignEpistula(request, nil, alice.Hotkey()), axon.ErrNoKeypair)
	require.Error(t, axon.SignEpistula(request, &keys.Keypair{}, alice.Hotkey()))
	require.NoError(t, axon.SignEpistula(request, alice, keys.Hotkey{}))
	require.Empty(t, request.Header.Values("Epistula-Signed-For"), "to nobody")
}
