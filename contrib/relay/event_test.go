package relay_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

// readEvents reads until the first error. Data is copied.
func readEvents(source io.Reader, limit int) ([]relay.Event, error) {
	events := relay.NewEventReader(source, limit)
	var list []relay.Event
	for {
		event, err := events.Next()
		if err != nil {
			return list, err
		}
		event.Data = bytes.Clone(event.Data)
		list = append(list, event)
	}
}

// datas are the data of events.
func datas(events []relay.Event) []string {
	var list []string
	for _, event := range events {
		list = append(list, string(event.Data))
	}
	return list
}

func TestEventReaderReads(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		stream string
		want   []string
	}{
		{"nothing", "", nil},
		{"blank lines", "\n\n\r\n\r\r", nil},
		{"one", "data: a\n\n", []string{"a"}},
		{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}},
		{"CR", "data: a\r\rdata: b\r\r", []string{"a", "b"}},
		{"mixed ends", "data: a\r\n\ndata: b\n\rdata: c\r\n\r", []string{"a", "b", "c"}},
		{"several lines", "data: a\ndata: b\r\ndata\ndata: c\n\n", []string{"a\nb\n\nc"}},
		{"without blank", "data:a\n\n", []string{"a"}},
		{"one blank is taken", "data:  a \n\n", []string{" a "}},
		{"empty data", "data:\n\ndata\n\n", []string{"", ""}},
		{"comments", ": ping\n\ndata: a\n: more\n\n:\n\n", []string{"a"}},
		{"unknown fields", "retry: 5\nfoo: bar\nDATA: x\n data: y\ndata: a\n\n", []string{"a"}},
		{"a name alone is no event", "event: x\n\nid: 1\n\n", nil},
		{"byte order mark", "\ufeffdata: a\n\ndata: \ufeffb\n\n", []string{"a", "\ufeffb"}},
		{"byte order mark on a blank line", "\ufeff\ndata: a\n\n", []string{"a"}},
		{"no blank line at the end", "data: a\n\ndata: [DONE]\n", []string{"a", "[DONE]"}},
		{"no line end at the end", "data: a\n\ndata: [DONE]", []string{"a", "[DONE]"}},
		{"ends in CR", "data: a\r", []string{"a"}},
		{"zero bytes", "data: a\x00b\n\n", []string{"a\x00b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for name, source := range map[string]io.Reader{
				"at once":          strings.NewReader(tt.stream),
				"byte by byte":     iotest.OneByteReader(strings.NewReader(tt.stream)),
				"end with a piece": iotest.DataErrReader(strings.NewReader(tt.stream)),
			} {
				got, err := readEvents(source, 0)
				require.ErrorIs(t, err, io.EOF, name)
				require.Equal(t, tt.want, datas(got), name)
			}
		})
	}
}

func TestEventReaderReadsNamesAndIDs(t *testing.T) {
	t.Parallel()
	stream := "id: 1\nevent: first\ndata: a\n\ndata: b\n\nid: bad\x00\nevent:x\nevent:y\ndata: c\n\nid\ndata: d\n\n"
	got, err := readEvents(strings.NewReader(stream), 0)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, []relay.Event{
		{Name: "first", ID: "1", Data: []byte("a")},
		{ID: "1", Data: []byte("b")},
		{Name: "y", ID: "1", Data: []byte("c")},
		{Data: []byte("d")},
	}, got)
}

func TestEventReaderHasLimits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	tests := []struct {
		name   string
		stream string
		limit  int
		want   []string
		err    error
	}{
		{"at the limit", "data: ab\n\n", 8, []string{"ab"}, io.EOF},
		{"a line above it", "data: a\n\ndata: abc\n\n", 8, []string{"a"}, relay.ErrTooLong},
		{
			"a line above it that never ends", "data: a\n\n" + strings.Repeat("x", 10_000), 8,
			[]string{"a"},
			relay.ErrTooLong,
		},
		{"a comment above it", ":" + long + "\n\n", 8, nil, relay.ErrTooLong},
		{
			"lines above it together", "data: a\n\n" + strings.Repeat("data:xyz\n", 4), 8,
			[]string{"a"},
			relay.ErrTooLong,
		},
		{
			"below the default", "data: " + strings.Repeat(long, 10_000) + "\n\n", 0,
			[]string{strings.Repeat(long, 10_000)},
			io.EOF,
		},
		{
			"above the default", "data: " + strings.Repeat(long, 11_000) + "\n\n", 0, nil,
			relay.ErrTooLong,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			events := relay.NewEventReader(strings.NewReader(tt.stream), tt.limit)
			for _, want := range tt.want {
				event, err := events.Next()
				require.NoError(t, err)
				require.Equal(t, want, string(event.Data))
			}
			for range 3 {
				_, err := events.Next()
				require.ErrorIs(t, err, tt.err, "again and again")
			}
		})
	}
}

// brokenReader gives its text and then an error.
func brokenReader(text string) io.Reader {
	return io.MultiReader(strings.NewReader(text), iotest.ErrReader(errMishap))
}

func TestEventReaderDropsWhatWasBrokenOff(t *testing.T) {
	t.Parallel()
	for _, rest := range []string{"", "data: b", "data: b\n", "data: b\r"} {
		got, err := readEvents(brokenReader("data: a\n\n"+rest), 0)
		require.ErrorIs(t, err, errMishap)
		require.Equal(t, []string{"a"}, datas(got))
	}
}

// idleReader reads nothing and says nothing.
type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

func TestEventReaderDoesNotSpin(t *testing.T) {
	t.Parallel()
	_, err := readEvents(idleReader{}, 0)
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func TestEventReaderWaitsForNoMoreThanTheEvent(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\n\n", "\r\r", "\r\n\r\n", "\r\n\r"} {
		source, sink := io.Pipe()
		go func() { _, _ = sink.Write([]byte("data: a" + end)) }()
		event, err := relay.NewEventReader(source, 0).Next() // would hang
		require.NoError(t, err)
		require.Equal(t, "a", string(event.Data))
		require.NoError(t, source.Close())
	}
}

func TestAppendEvent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		event relay.Event
		want  string
	}{
		{"nothing", relay.Event{}, "data: \n\n"},
		{"data", relay.Event{Data: []byte("a")}, "data: a\n\n"},
		{"all", relay.Event{Name: "n", ID: "i", Data: []byte("a")}, "id: i\nevent: n\ndata: a\n\n"},
		{
			"lines",
			relay.Event{Data: []byte("a\nb\rc\r\nd\n")},
			"data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n",
		},
		{
			"no forged fields",
			relay.Event{Name: "n\ndata: x", ID: "i\r\n\r\n"},
			"id: i    \nevent: n data: x\ndata: \n\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(
				t, "before"+tt.want, string(relay.AppendEvent([]byte("before"), tt.event)),
			)
		})
	}
}

// FuzzEventReader checks that the reader makes the same of a stream however
// it is split, stays within its limit, and reads what AppendEvent writes.
func FuzzEventReader(f *testing.F) {
	for _, stream := range []string{
		"data: a\n\n", "data: a\r\rdata: b\r\n\r\n", "\ufeff: c\nid: 1\nevent: e\ndata: x\ndata: y\n\n",
		"data: [DONE]", "\r\n\r", "data",
	} {
		f.Add([]byte(stream), uint16(3), uint16(100))
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece, limit uint16) {
		most := int(limit)%2000 + 1
		whole, wholeErr := readEvents(bytes.NewReader(stream), most)
		split, splitErr := readEvents(&pieces{rest: stream, size: int(piece)%50 + 1}, most)
		require.Equal(t, whole, split)
		require.Equal(t, wholeErr, splitErr)
		require.True(
			t, errors.Is(wholeErr, io.EOF) || errors.Is(wholeErr, relay.ErrTooLong), "%v", wholeErr,
		)
		var written []byte
		for _, event := range whole {
			require.LessOrEqual(t, len(event.Data), most)
			require.NotContains(t, string(event.Data), "\r")
			written = relay.AppendEvent(written, event)
		}
		again, err := readEvents(bytes.NewReader(written), 1<<20)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, datas(whole), datas(again))
		raw := relay.AppendEvent(nil, relay.Event{Data: stream})
		one, err := readEvents(bytes.NewReader(raw), 1<<20)
		require.ErrorIs(t, err, io.EOF)
		normal := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(stream))
		require.Equal(t, []string{normal}, datas(one))
	})
}

// pieces gives its text in pieces of a size.
type pieces struct {
	rest []byte
	size int
}

func (p *pieces) Read(buf []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(buf[:min(p.size, len(buf))], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
