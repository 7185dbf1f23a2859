package program

import (
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// OpenLog returns a logger that writes everything to the end of a file as JSON lines or, without a
// file, warnings to the terminal.
func OpenLog(file string, terminal io.Writer) (
	logger *zap.Logger, closeLog func() error, err error,
) {
	if file == "" {
		encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
		out := zapcore.Lock(zapcore.AddSync(terminal))
		core := zapcore.NewCore(encoder, out, zap.WarnLevel)
		return zap.New(core), func() error { return nil }, nil
	}
	const flags = os.O_APPEND | os.O_CREATE | os.O_WRONLY
	out, err := os.OpenFile(file, flags, 0o600) //nolint:gosec // the user says which file
	if err != nil {
		return nil, nil, err
	}
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	core := zapcore.NewCore(encoder, zapcore.Lock(out), zap.DebugLevel)
	return zap.New(core), out.Close, nil
}
