package weights

import (
	"context"

	"go.uber.org/zap"
)

// Chain is where weights are sent.
//
// A [Setter] calls SetWeights from the goroutine of Run or Set, never twice at
// the same time, with a vector that is not empty and not shorter than the
// subnet's minimum. The vector is the chain's to keep. It may block until ctx
// ends, which allows two minutes (see [WithTimeout]), and must return then.
//
// Nil is a promise that the weights are set. Where the chain only takes them
// in, see that the last-update block of the validator has moved before
// returning nil. A chain that wants commitments (commit-reveal) and has no
// code for them must return an error. An error means that the weights are sent
// again later, made anew from the scores of then.
type Chain interface {
	SetWeights(ctx context.Context, vector Vector) error
}

// ChainFunc makes a function a [Chain].
type ChainFunc func(ctx context.Context, vector Vector) error

// SetWeights calls the function.
func (f ChainFunc) SetWeights(ctx context.Context, vector Vector) error { return f(ctx, vector) }

// LogOnly returns a chain that writes each vector to a log, row by row at the
// level info, and sends nothing: for trying things out and for tests.
func LogOnly(logger *zap.Logger) Chain {
	return ChainFunc(func(_ context.Context, vector Vector) error {
		if entry := logger.Check(zap.InfoLevel, "weights, not sent"); entry != nil {
			entry.Write(zap.Inline(vector))
		}
		return nil
	})
}
