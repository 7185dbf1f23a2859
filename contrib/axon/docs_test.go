package axon_test

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// The functions below hold the Go code of docs/axon.md, so that it compiles.

func docServing(ctx context.Context, v *Validator, users *axon.AllowList) error {
	self, err := keys.ParseSS58("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")
	if err != nil {
		return err
	}
	server, err := axon.New(self, axon.WithAllowList(users))
	if err != nil {
		return err
	}
	route, err := server.Route("/v1/chat/completions")
	if err != nil {
		return err
	}
	if v.OrganicScorer, err = organic.New(v, organic.WithAxon(route)); err != nil {
		return err
	}
	if err := v.Start(ctx); err != nil {
		return err
	}
	return server.ListenAndServe(ctx, ":8091")
}

func docSchemes(self, partner keys.Hotkey) (*axon.Server, error) {
	server, err := axon.New(self, axon.WithSchemes(func(hotkey keys.Hotkey) keys.Scheme {
		if hotkey == partner {
			return keys.Ed25519
		}
		return keys.SR25519
	}))
	return server, err
}

func docProxies(self keys.Hotkey) (*axon.Server, error) {
	server, err := axon.New(self, axon.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/8")))
	return server, err
}

func docAsking(miner keys.Hotkey, body io.Reader) error {
	keypair, err := keys.Load("/home/me/.bittensor/wallets/validator/hotkeys/default", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &axon.Transport{Keypair: keypair, Receiver: miner}}
	response, err := client.Post("http://203.0.113.7:8091/generate", "application/json", body)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func docBearer(server *axon.Server) error {
	users, err := axon.NewBearerKeys(map[string]string{"sk-0123456789abcdef": "carol"})
	if err != nil {
		return err
	}
	route, err := server.Route("/v1/chat/completions", axon.WithBearer(users.Check))
	_ = route
	return err
}

func docMigrating(server *axon.Server) error {
	class := axon.Class{Name: "Organic", Hashed: []axon.Field{{Name: "prompt", Type: axon.Str()}}}
	old, err := server.Synapse(class, axon.WithBTAuth())
	if err != nil {
		return err
	}
	chat, err := server.Route("/v1/chat/completions", axon.WithEpistula())
	_, _ = old, chat
	return err
}

func docKeyFile(path string) error {
	coldkey, err := keys.Load(path, func() ([]byte, error) {
		return []byte(os.Getenv("PASSWORD")), nil
	})
	_ = coldkey
	return err
}

var _ = []any{docServing, docSchemes, docProxies, docAsking, docBearer, docMigrating, docKeyFile}

// TestCodeOfTheDocsCompiles finds each block of Go of the page in this file.
func TestCodeOfTheDocsCompiles(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/axon.md")
	require.NoError(t, err)
	source, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	code := unindented(string(source))
	blocks := strings.Split(string(page), "```go\n")[1:]
	require.Len(t, blocks, 7)
	for _, block := range blocks {
		block, _, closed := strings.Cut(block, "```")
		require.True(t, closed)
		require.Contains(t, code, unindented(block))
	}
}

// unindented cuts the white space off the beginning of each line.
func unindented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimLeft(line, " \t"))
	}
	return b.String()
}

// TestEveryOptionIsInTheDocs finds each option of the package on the page.
func TestEveryOptionIsInTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/axon.md")
	require.NoError(t, err)
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	found := 0
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		source, err := os.ReadFile(entry.Name())
		require.NoError(t, err)
		for line := range strings.Lines(string(source)) {
			name, ok := strings.CutPrefix(line, "func With")
			if !ok {
				continue
			}
			name, _, _ = strings.Cut(name, "(")
			require.Contains(t, string(page), "With"+name)
			found++
		}
	}
	require.Positive(t, found)
}

// TestEveryReasonIsInTheDocs sends nothing: the list of reasons is in one file.
func TestEveryReasonIsInTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/axon.md")
	require.NoError(t, err)
	source, err := os.ReadFile("reason.go")
	require.NoError(t, err)
	found := 0
	for line := range strings.Lines(string(source)) {
		_, value, ok := strings.Cut(line, " Reason = \"")
		if !ok {
			continue
		}
		value, _, _ = strings.Cut(value, "\"")
		if value != string(axon.ReasonHook) { // its status is the hook's
			require.Contains(t, string(page), "`"+value+"`")
		}
		found++
	}
	require.Positive(t, found)
}
