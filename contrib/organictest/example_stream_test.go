package organictest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
)

// A miner that streams ends its answer as a test needs it.
func ExampleStreamMiner() {
	for _, end := range []organictest.StreamEnd{
		organictest.EndsWhole, organictest.EndsEarly, organictest.EndsInError,
	} {
		miner := organictest.StreamMiner{Text: []string{"It is ", "Lima"}, End: end}
		var text strings.Builder
		err := miner.Ask(context.Background(), func(chunk relay.Chunk) error {
			text.WriteString(chunk.Text)
			return nil
		})
		fmt.Printf("%q %t %t\n", text.String(),
			errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, relay.ErrReported))
	}
	// Output:
	// "It is Lima" false false
	// "It is Lima" true false
	// "It is Lima" false true
}
