package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Post returns a miner that is asked over HTTP: the client posts body to url as JSON, and [OpenAI]
// reads the answer. A nil client is [http.DefaultClient]. Give one whose transport signs the
// requests, and that follows no redirect to another host, such as an axon.Transport. Nothing is
// sent before the relay asks the miner.
//
// A status other than 200 is a failure of the miner, as is an error of the client. A url that
// cannot be parsed and an invalid option are [ErrValidator]. Body must not be changed later.
func Post(client *http.Client, url string, body []byte, opts ...ReadOption) Miner {
	if client == nil {
		client = http.DefaultClient
	}
	return func(ctx context.Context, emit func(chunk Chunk) error) error {
		cfg, invalid := readOptions(opts)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err := errors.Join(invalid, err); err != nil {
			return fmt.Errorf("%w: %w", ErrValidator, err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("relay: status %d", response.StatusCode)
		}
		return readOpenAI(response.Body, emit, cfg)
	}
}
