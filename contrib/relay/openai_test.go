package relay_test

import (
	"io"

	"github.com/organic-scoring/organic/contrib/relay"
)

// readOpenAI reads an answer.
func readOpenAI(body io.Reader, opts ...relay.ReadOption) (relay.Answer, error) {
	var answer relay.Answer
	err := relay.OpenAI(body, func(chunk relay.Chunk) error {
		answer.Chunks = append(answer.Chunks, chunk)
		return nil
	}, opts...)
	return answer, err
}
