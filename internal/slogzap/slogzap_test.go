package slogzap_test

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic/internal/slogzap"
)

// newLogger returns a zap logger that writes to out by slog, without times.
func newLogger(out *bytes.Buffer, level slog.Level) *zap.Logger {
	handler := slog.NewTextHandler(out,
		&slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
	return zap.New(slogzap.New(handler))
}

func TestEntriesAndFieldsReachTheHandler(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := newLogger(&out, slog.LevelInfo).Named("organic").With(zap.Int("uid", 7))
	logger.Debug("hidden")
	logger.Info("stage done", zap.String("id", "a b"), zap.Duration("took", time.Second))
	logger.Warn("stage failed", zap.Error(errors.New("no miner")))
	logger.Error("hook abandoned")
	require.NoError(t, logger.Sync())
	require.Equal(t, `level=INFO msg="stage done" uid=7 logger=organic id="a b" took=1s
level=WARN msg="stage failed" uid=7 logger=organic error="no miner"
level=ERROR msg="hook abandoned" uid=7 logger=organic
`, out.String())
}

func TestLevelsAreAsked(t *testing.T) {
	t.Parallel()
	logger := newLogger(&bytes.Buffer{}, slog.LevelWarn)
	for level, want := range map[zapcore.Level]bool{
		zapcore.DebugLevel: false, zapcore.InfoLevel: false, zapcore.WarnLevel: true,
		zapcore.ErrorLevel: true, zapcore.DPanicLevel: true,
	} {
		require.Equal(t, want, logger.Core().Enabled(level), "%v", level)
	}
}

func TestGroupIsEncodedAsAnObject(t *testing.T) {
	t.Parallel()
	when := time.Unix(1000, 0).UTC()
	group := slog.GroupValue(slog.String("id", "a"), slog.Int("attempt", 2),
		slog.Duration("took", time.Second),
		slog.Time("received", when), slog.Bool("organic", true),
		slog.Any("sample", slog.GroupValue(slog.String("source", "synth"))))
	encoder := zapcore.NewMapObjectEncoder()
	require.NoError(t, slogzap.AddGroup(encoder, group))
	require.Equal(t, map[string]any{
		"id": "a", "attempt": int64(2), "took": time.Second, "received": when, "organic": true,
		"sample": map[string]any{"source": "synth"},
	}, encoder.Fields)
}
