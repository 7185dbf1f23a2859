package durable_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic/contrib/durable"
)

func TestDeadLettersPrintWithoutPayload(t *testing.T) {
	t.Parallel()
	letter := durable.DeadLetter[string]{
		Number:   7,
		ID:       "a",
		Cause:    durable.CauseDead,
		Reason:   "SECRET",
		Attempts: 8,
		Time:     time.Now(),
		Sample:   sampleOf("SECRET"),
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		_, _ = fmt.Fprintf(
			&out,
			verb+verb+verb,
			letter,
			&letter,
			[]durable.DeadLetter[string]{letter},
		)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("slog", "letter", letter)
	slog.New(slog.NewTextHandler(&out, nil)).Info("slog", "letter", letter)
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel)).
		Info("zap", zap.Any("letter", letter))
	require.NotContains(t, out.String(), "SECRET")
	require.NotContains(t, out.String(), "hotkey")
	require.Contains(t, out.String(), "dead letter 7: sample a (dead, 8 failed attempts)")
	require.Contains(t, out.String(), `"cause":"dead"`)
}

func TestAttemptsCountTheOneWithTheVerdict(t *testing.T) {
	t.Parallel()
	require.Equal(t, 8, durable.CauseDead.Attempts(7))
	require.Equal(t, 1, durable.CauseDiscarded.Attempts(0))
	require.Equal(t, 2, durable.CauseCrashes.Attempts(2))
	require.Zero(t, durable.CauseUndecodable.Attempts(0))
}
