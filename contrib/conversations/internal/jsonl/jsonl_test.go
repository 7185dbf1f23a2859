package jsonl_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/conversations/internal/jsonl"
)

func never() error { return nil }

func write(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func zipped(t *testing.T, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, part := range parts {
		w := gzip.NewWriter(&b)
		_, err := w.Write([]byte(part))
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	return b.Bytes()
}

func open(t *testing.T, data []byte, limit int) *jsonl.Reader {
	t.Helper()
	r, err := jsonl.Open(write(t, data), limit)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// lines reads to the end; a line that is too long is "!".
func lines(t *testing.T, r *jsonl.Reader) []string {
	t.Helper()
	var read []string
	for {
		line, err := r.Next(never)
		switch {
		case errors.Is(err, io.EOF):
			return read
		case errors.Is(err, jsonl.ErrTooLong):
			line = []byte("!")
		default:
			require.NoError(t, err)
		}
		read = append(read, string(line))
		require.Equal(t, len(read), r.Line())
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200_000)
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"one character", "a", []string{"a"}},
		{"no line break at the end", "a\nb", []string{"a", "b"}},
		{"line break at the end", "a\nb\n", []string{"a", "b"}},
		{"blank lines", "\n\na\n \n", []string{"", "", "a", " "}},
		{"carriage returns", "a\r\n\r\nb\r", []string{"a", "", "b"}},
		{"byte order mark", "\ufeffa\nb", []string{"a", "b"}},
		{"byte order mark alone", "\ufeff", []string{""}},
		{"byte order mark elsewhere is text", "a\n\ufeffb", []string{"a", "\ufeffb"}},
		{"exactly the limit", "12345678\na", []string{"12345678", "a"}},
		{
			"exactly the limit with all that does not count", "\ufeff12345678\r\na",
			[]string{"12345678", "a"},
		},
		{"one over the limit", "123456789\na", []string{"!", "a"}},
		{"one over the limit at the end", "a\n123456789", []string{"a", "!"}},
		{"one over the limit with a carriage return", "123456789\r\na", []string{"!", "a"}},
		{"far over the limit", long + "\na\n" + long, []string{"!", "a", "!"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, lines(t, open(t, []byte(tt.text), 8)))
			require.Equal(t, tt.want, lines(t, open(t, zipped(t, tt.text), 8)))
			half := len(tt.text) / 2
			require.Equal(t, tt.want, lines(t, open(t, zipped(t, tt.text[:half], tt.text[half:]), 8)))
		})
	}
}

func TestLineLongerThanAnyBlock(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300_000)
	require.Equal(t, []string{"a", long, "b"}, lines(t, open(t, []byte("a\n"+long+"\nb"), 300_000)))
}

func TestInterruptedLineGoesOn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300_000)
	r := open(t, []byte(long+"\nb\n"), 1<<20)
	stop, calls := errors.New("stop"), 0
	sometimes := func() error {
		if calls++; calls%2 == 0 {
			return stop
		}
		return nil
	}
	var interruptions int
	for {
		line, err := r.Next(sometimes)
		if err == nil {
			require.Equal(t, long, string(line))
			break
		}
		require.ErrorIs(t, err, stop)
		require.Equal(t, 1, r.Line())
		interruptions++
	}
	require.Greater(t, interruptions, 2)
	require.Equal(t, []string{"b"}, rest(t, r))
}

// rest reads on from the middle of a file.
func rest(t *testing.T, r *jsonl.Reader) []string {
	t.Helper()
	var read []string
	for {
		line, err := r.Next(never)
		if errors.Is(err, io.EOF) {
			return read
		}
		require.NoError(t, err)
		read = append(read, string(line))
	}
}

func TestNotOpened(t *testing.T) {
	t.Parallel()
	whole := zipped(t, "a\nb\n")
	dir := t.TempDir()
	for _, tt := range []struct {
		name, path, text string
		cause            error
	}{
		{"missing", filepath.Join(dir, "none"), "no such file or directory", fs.ErrNotExist},
		{"directory", dir, "is a directory", nil},
		{"device", os.DevNull, "is not a regular file", nil},
		{
			"truncated at the magic bytes", write(t, whole[:2]),
			"compressed file is truncated: unexpected EOF", io.ErrUnexpectedEOF,
		},
		{
			"truncated in the header", write(t, whole[:7]), "compressed file is truncated: unexpected EOF",
			io.ErrUnexpectedEOF,
		},
		{
			"bad header", write(t, []byte("\x1f\x8bxxxxxxxxxxxx")), "not readable: gzip: invalid header",
			gzip.ErrHeader,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := jsonl.Open(tt.path, 8)
			require.Nil(t, r)
			require.EqualError(t, err, tt.text)
			if tt.cause != nil {
				require.ErrorIs(t, err, tt.cause)
			}
		})
	}
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	whole := zipped(t, "a\nb\nc")
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-5] ^= 0xff
	for _, tt := range []struct {
		name  string
		data  []byte
		cause error
	}{
		{"truncated", whole[:len(whole)-6], io.ErrUnexpectedEOF},
		{"wrong length", flipped, gzip.ErrChecksum},
		{"something behind it", append(bytes.Clone(whole), "more than nothing"...), gzip.ErrHeader},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := open(t, tt.data, 8)
			for range 2 {
				_, err := r.Next(never)
				require.NoError(t, err)
			}
			_, err := r.Next(never)
			require.ErrorIs(t, err, tt.cause)
			require.Equal(t, 3, r.Line())
		})
	}
}

// The tests of memory do not run beside others.

func TestLongLineIsNotHeld(t *testing.T) {
	const megabytes = 32
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	require.NoError(t, err)
	for range megabytes {
		_, err = w.Write(bytes.Repeat([]byte("x"), 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	r := open(t, b.Bytes(), 1<<20)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = r.Next(never)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, jsonl.ErrTooLong)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
}

func TestLongFileIsNotHeld(t *testing.T) {
	const count = 200_000
	line := strings.Repeat("y", 200) + "\n"
	r := open(t, []byte(strings.Repeat(line, count)), 1<<20)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range count {
		_, err := r.Next(never)
		require.NoError(t, err)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	_, err := r.Next(never)
	require.ErrorIs(t, err, io.EOF)
}
