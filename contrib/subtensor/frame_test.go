package subtensor_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
)

func TestFramesOfNodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, result, failure, subscription string
		id                                  uint64
	}{
		"answer": {text: `{"jsonrpc":"2.0","id":7,"result":{"a":1}}`, id: 7, result: `{"a":1}`},
		"null":   {text: `{"jsonrpc":"2.0","id":7,"result":null}`, id: 7, result: `null`},
		"notification": {
			text:   `{"method":"x","params":{"subscription":"s","result":1}}`,
			result: "1", subscription: `"s"`,
		},
		"notification by number": {
			text:   `{"method":"x","params":{"subscription":5,"result":1}}`,
			result: "1", subscription: `5`,
		},
		"error": {
			text:    `{"id":1,"error":{"code":1010,"message":"Invalid Transaction","data":"Custom error: 6"}}`,
			id:      1,
			failure: `subtensor: : node returned error 1010 "Invalid Transaction" ("Custom error: 6")`,
		},
		"error with an object": {
			text: `{"id":1,"error":{"code":1,"message":"m","data":{"a":[1]}}}`, id: 1,
			failure: `subtensor: : node returned error 1 "m" ("{\"a\":[1]}")`,
		},
		"error without code": {
			text: `{"id":1,"error":{"invalid":{"badProof":null}}}`, id: 1,
			failure: `subtensor: : node returned error 0 "{\"invalid\":{\"badProof\":null}}"`,
		},
		"error as text": {
			text: `{"id":1,"error":"too\nbad"}`, id: 1,
			failure: `subtensor: : node returned error 0 "too\nbad"`,
		},
		"error of no request": {
			text:    `{"id":null,"error":{"code":-32999,"message":"busy"}}`,
			failure: `subtensor: : node returned error -32999 "busy"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, result, failure, subscription, err := subtensor.ParseFrame([]byte(c.text))
			require.NoError(t, err)
			require.Equal(t, c.id, id)
			require.Equal(t, c.result, result)
			require.Equal(t, c.failure, failure)
			require.Equal(t, c.subscription, subscription)
		})
	}
}

func TestMalformedFramesAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "secret", "[]", "{}", `"x"`, `{"id":-1}`, `{"id":"1","result":1}`, `{"id":1.5,"result":1}`,
		`{"id":null,"result":1}`, `{"id":1`, `{"id":99999999999999999999}`, "\x00\xff",
	} {
		_, _, _, _, err := subtensor.ParseFrame([]byte(text))
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestErrorOfANodeIsBounded(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(
		map[string]any{"message": strings.Repeat("é", 1<<20), "data": strings.Repeat("y", 1<<20)},
	)
	require.NoError(t, err)
	var e subtensor.RPCError
	require.NoError(t, json.Unmarshal(text, &e))
	require.LessOrEqual(t, len(e.Message), 2048)
	require.LessOrEqual(t, len(e.Data), 2048)
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":7,"result":{"a":1}}`))
	f.Add([]byte(`{"method":"x","params":{"subscription":"s","result":1}}`))
	f.Add(
		[]byte(`{"id":1,"error":{"code":1010,"message":"Invalid Transaction","data":"Custom error: 6"}}`),
	)
	f.Add([]byte(`{"id":1,"error":{"invalid":{"badProof":null}}}`))
	f.Add([]byte(`{"id":null,"error":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, result, failure, _, err := subtensor.ParseFrame(data)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(result), len(data))
		require.LessOrEqual(t, len(failure), 20000)
		if result != "" {
			require.True(t, json.Valid([]byte(result)))
		}
	})
}
