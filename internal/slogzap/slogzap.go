// Package slogzap connects zap and slog: it lets a zap logger write to a slog
// handler, and a slog value be written by a zap encoder.
package slogzap

import (
	"context"
	"encoding/json"
	"log/slog"

	"go.uber.org/zap/zapcore"
)

// New returns a core that passes entries and their fields to handler. The name
// of the zap logger becomes the attribute "logger".
func New(handler slog.Handler) zapcore.Core { return &core{handler: handler} }

type core struct{ handler slog.Handler }

// Enabled asks the handler.
func (c *core) Enabled(level zapcore.Level) bool {
	return c.handler.Enabled(context.Background(), slogLevel(level))
}

// With returns a core that adds fields to every entry.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{handler: c.handler.WithAttrs(attrs(fields))}
}

// Check adds the core to an entry that the handler is enabled for.
func (c *core) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write passes an entry to the handler.
func (c *core) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	record := slog.NewRecord(entry.Time, slogLevel(entry.Level), entry.Message, 0)
	if entry.LoggerName != "" {
		record.AddAttrs(slog.String("logger", entry.LoggerName))
	}
	record.AddAttrs(attrs(fields)...)
	return c.handler.Handle(context.Background(), record)
}

// Sync does nothing: a slog handler has no buffer that could be flushed.
func (c *core) Sync() error { return nil }

// slogLevel maps zap's levels, of which everything above error is an error.
func slogLevel(level zapcore.Level) slog.Level {
	switch {
	case level <= zapcore.DebugLevel:
		return slog.LevelDebug
	case level == zapcore.InfoLevel:
		return slog.LevelInfo
	case level == zapcore.WarnLevel:
		return slog.LevelWarn
	default:
		return slog.LevelError
	}
}

// attrs lets zap encode the fields, and keeps their order.
func attrs(fields []zapcore.Field) []slog.Attr {
	attrs := make([]slog.Attr, 0, len(fields))
	for _, field := range fields {
		encoder := zapcore.NewMapObjectEncoder()
		field.AddTo(encoder)
		for key, value := range encoder.Fields {
			attrs = append(attrs, slog.Any(key, value))
		}
	}
	return attrs
}

// AddGroup adds the attributes of a group to a zap encoder, so that a type that
// is a slog.LogValuer can be a zapcore.ObjectMarshaler without saying twice what
// of it is logged.
func AddGroup(encoder zapcore.ObjectEncoder, group slog.Value) error {
	for _, attr := range group.Group() {
		value := attr.Value.Resolve()
		switch value.Kind() {
		case slog.KindString:
			encoder.AddString(attr.Key, value.String())
		case slog.KindInt64:
			encoder.AddInt64(attr.Key, value.Int64())
		case slog.KindDuration:
			encoder.AddDuration(attr.Key, value.Duration())
		case slog.KindTime:
			encoder.AddTime(attr.Key, value.Time())
		case slog.KindGroup:
			nested := zapcore.ObjectMarshalerFunc(func(encoder zapcore.ObjectEncoder) error {
				return AddGroup(encoder, value)
			})
			if err := encoder.AddObject(attr.Key, nested); err != nil {
				return err
			}
		default:
			if err := encoder.AddReflected(attr.Key, value.Any()); err != nil {
				return err
			}
		}
	}
	return nil
}

// JSON encodes a group as a JSON object.
func JSON(group slog.Value) ([]byte, error) {
	encoder := zapcore.NewMapObjectEncoder()
	if err := AddGroup(encoder, group); err != nil {
		return nil, err
	}
	return json.Marshal(encoder.Fields)
}
