package axon_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// wireCase is a call with other lines behind its header, and another body.
type wireCase struct {
	name   string
	lines  string
	body   string
	status int
	reason axon.Reason // none: taken, or when the status is an error, answered by net/http
}

// The body that byBittensor signs, and its length.
const (
	goodBody   = `{"prompt": "hi"}`
	goodLength = "Content-Length: 16\r\n"
)

// requireWire sends raw bytes to a server of their own and checks the first
// answer.
func requireWire(t *testing.T, raw string, status int, reason axon.Reason) {
	t.Helper()
	limits := axon.Limits{}
	if reason == axon.ReasonSlow {
		limits.BodyTime = 50 * time.Millisecond
	}
	f := newFortress(t, axon.WithLimits(limits))
	w := dial(t, f.listen(t))
	w.write(raw)
	got, body, own := w.read(t)
	require.Equal(t, status, got, body)
	stats := f.server.Stats()
	if status == 200 {
		require.EqualValues(t, 1, stats.Verified)
		return
	}
	require.Zero(t, f.reached.Load())
	require.Zero(t, stats.Verified)
	require.Zero(t, stats.Remembered)
	require.Zero(t, stats.Hotkeys)
	require.Equal(t, reason != "", own)
	if own {
		require.Equal(t, uint64(1), stats.Refused[reason], "%v", stats.Refused)
		require.JSONEq(t, jsonMessage(refusalTexts[status]), body)
	}
}

// TestFraming sends bodies whose length is told wrong, and good ones whose
// length is told oddly.
func TestFraming(t *testing.T) {
	t.Parallel()
	const body = goodBody
	chunks := "Transfer-Encoding: chunked\r\n"
	for _, tt := range []wireCase{
		{"good", "Content-Length: 16\r\n", body, 200, ""},
		{"the length twice", "Content-Length: 16\r\nContent-Length: 16\r\n", body, 200, ""},
		{"chunks", chunks, chunked(body[:5], body[5:]), 200, ""},
		{"chunks with extensions", chunks, "10;a=b\r\n" + body + "\r\n0\r\n\r\n", 200, ""},
		{
			"chunks and a length", "Content-Length: 4\r\n" + chunks, chunked(body), 200,
			"",
		}, // net/http goes by the chunks
		{"chunked in upper case", "Transfer-Encoding: CHUNKED\r\n", chunked(body), 200, ""},
		{"no length", "", body, 400, axon.ReasonBody},
		{"no body", "Content-Length: 0\r\n", "", 400, axon.ReasonBody},
		{"a length too short", "Content-Length: 15\r\n", body, 400, axon.ReasonBody},
		{"a length too long", "Content-Length: 17\r\n", body, 408, axon.ReasonSlow},
		{"a length too long by far", "Content-Length: 1048576\r\n", body, 408, axon.ReasonSlow},
		{"a length beyond the limit", "Content-Length: 1048577\r\n", body, 413, axon.ReasonSize},
		{
			"a length that fits no int", "Content-Length: 9223372036854775807\r\n", body, 413,
			axon.ReasonSize,
		},
		{"a length that overflows", "Content-Length: 9223372036854775808\r\n", body, 400, ""},
		{"a negative length", "Content-Length: -1\r\n", body, 400, ""},
		{"a length with a plus", "Content-Length: +16\r\n", body, 400, ""},
		{"a hexadecimal length", "Content-Length: 0x10\r\n", body, 400, ""},
		{"two lengths", "Content-Length: 16\r\nContent-Length: 15\r\n", body, 400, ""},
		{"two lengths in a line", "Content-Length: 16, 16\r\n", body, 400, ""},
		{"an empty length", "Content-Length: \r\n", body, 400, ""},
		{"gzip and chunks", "Transfer-Encoding: gzip, chunked\r\n", chunked(body), 501, ""},
		{"chunks twice in a line", "Transfer-Encoding: chunked, chunked\r\n", chunked(body), 501, ""},
		{"chunks twice", chunks + chunks, chunked(body), 501, ""},
		{"identity", "Transfer-Encoding: identity\r\nContent-Length: 16\r\n", body, 501, ""},
		{"something like chunked", "Transfer-Encoding: xchunked\r\n", chunked(body), 501, ""},
		{"chunked behind a tab", "Transfer-Encoding:\tchunked\r\n", chunked(body), 200, ""},
		{"chunked behind a vertical tab", "Transfer-Encoding: \vchunked\r\n", chunked(body), 400, ""},
		{
			"a chunk's length that is none", chunks, "zz\r\n" + body + "\r\n0\r\n\r\n", 400,
			axon.ReasonBody,
		},
		{"a chunk's negative length", chunks, "-10\r\n" + body + "\r\n0\r\n\r\n", 400, axon.ReasonBody},
		{
			"a chunk's length that overflows", chunks, "10000000000000010\r\n" + body + "\r\n0\r\n\r\n", 400,
			axon.ReasonBody,
		},
		{"a chunk longer than told", chunks, "f\r\n" + body + "\r\n0\r\n\r\n", 400, axon.ReasonBody},
		{"a chunk without its end", chunks, "10\r\n" + body, 408, axon.ReasonSlow},
		{"chunks without an end", chunks, "10\r\n" + body + "\r\n", 408, axon.ReasonSlow},
		{
			"chunks beyond the limit", chunks, chunked(strings.Repeat("x", 1<<20), "x"), 413,
			axon.ReasonSize,
		},
		{
			"many small chunks", chunks, strings.Repeat("1\r\nx\r\n", 100_000) + "0\r\n\r\n", 400,
			axon.ReasonBody,
		},
		{
			"a long extension", chunks,
			"10;" + strings.Repeat("a", 20_000) + "\r\n" + body + "\r\n0\r\n\r\n", 400, axon.ReasonBody,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			requireWire(t, byBittensor(t).raw(t, tt.lines, tt.body), tt.status, tt.reason)
		})
	}
}

// TestHeaderLines sends headers that only a raw connection can.
func TestHeaderLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, lines string
		status      int
		reason      axon.Reason
	}{
		{"a folded line that is not read", "X-Line: a\r\n b\r\n", 200, ""},
		{
			"a doubled header in upper case", "BT_HEADER_DENDRITE_UUID: " + someUUID + "\r\n", 401,
			axon.ReasonShape,
		},
		{"a doubled header, empty", "bt_header_dendrite_uuid:\r\n", 401, axon.ReasonShape},
		{"a space before the colon", "bt_header_dendrite_uuid : " + someUUID + "\r\n", 400, ""},
		{"a line without a colon", "nonsense\r\n", 400, ""},
		{"a line without a name", ": x\r\n", 400, ""},
		{"a zero byte in a value", "X-Line: a\x00b\r\n", 400, ""},
		{"a zero byte in a name", "X-\x00: a\r\n", 400, ""},
		{"a carriage return in a value", "X-Line: a\rb\r\n", 400, ""},
		{"a name beyond ASCII", "bt_header_dendrite_uu\u0131d: x\r\n", 400, ""},
		{"a second host", "Host: other\r\n", 400, ""},
		{"101 lines", strings.Repeat("X-Line: x\r\n", 101), 431, axon.ReasonHeader},
		{
			"20 KiB, as some senders have that copy fields of the body",
			"X-Line: " + strings.Repeat("x", 20<<10) + "\r\n", 200, "",
		},
		{"33 KiB", "X-Line: " + strings.Repeat("x", 33<<10) + "\r\n", 431, axon.ReasonHeader},
		{"80 KiB", "X-Line: " + strings.Repeat("x", 80<<10) + "\r\n", 431, ""},
		{"an expectation that is none", "Expect: nothing\r\n", 417, ""},
		{"an upgrade", "Connection: Upgrade\r\nUpgrade: h2c\r\n", 200, ""},
		{"a trailer that names a signed header", "Trailer: bt_header_dendrite_signature\r\n", 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			requireWire(t, byBittensor(t).raw(t, tt.lines+goodLength, goodBody), tt.status, tt.reason)
		})
	}
}

// TestRequestLines replaces what stands before the header.
func TestRequestLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, line string
		status     int
		reason     axon.Reason
	}{
		{"HTTP 1.0", "POST /Organic HTTP/1.0", 200, ""},
		{"HTTP 2", "POST /Organic HTTP/2.0", 505, ""},
		{"HTTP 1.1 in lower case", "POST /Organic http/1.1", 400, ""},
		{"no version", "POST /Organic", 400, ""},
		{"a space in the path", "POST /Organic x HTTP/1.1", 400, ""},
		{"a space before", " POST /Organic HTTP/1.1", 400, ""},
		{"no path", "POST  HTTP/1.1", 400, ""},
		{"a path without a slash", "POST Organic HTTP/1.1", 400, ""},
		{"a bad escape", "POST /Organic%zz HTTP/1.1", 400, ""},
		{"a fragment", "POST /Organic#x HTTP/1.1", 404, axon.ReasonRoute},
		{"an asterisk", "POST * HTTP/1.1", 404, axon.ReasonRoute},
		{"two slashes", "POST //Organic HTTP/1.1", 404, axon.ReasonRoute},
		{"a zero byte in the path", "POST /Organic\x00 HTTP/1.1", 400, ""},
		{"a path of 8 KiB", "POST /" + strings.Repeat("x", 8<<10) + " HTTP/1.1", 404, axon.ReasonRoute},
		{"a path of 80 KiB", "POST /" + strings.Repeat("x", 80<<10) + " HTTP/1.1", 431, ""},
		{"a method with a slash", "PO/ST /Organic HTTP/1.1", 400, ""},
		{"a method in lower case", "post /Organic HTTP/1.1", 405, axon.ReasonMethod},
		{"the whole URL", "POST http://elsewhere/Organic HTTP/1.1", 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, behind, _ := strings.Cut(byBittensor(t).raw(t, goodLength, goodBody), "\r\n")
			requireWire(t, tt.line+"\r\n"+behind, tt.status, tt.reason)
		})
	}
}

// TestATrailerIsNoHeader sends the signature behind the body.
func TestATrailerIsNoHeader(t *testing.T) {
	t.Parallel()
	c := byBittensor(t)
	signature := sign(t, c.keypair, c.message())
	setHeader("bt_header_dendrite_signature")(c)
	chunks := strings.TrimSuffix(chunked(c.body),
		"\r\n") + "bt_header_dendrite_signature: " + signature + "\r\n\r\n"
	requireWire(t, c.raw(t, "Trailer: bt_header_dendrite_signature\r\nTransfer-Encoding: chunked\r\n",
		chunks), 401, axon.ReasonMissing)
}

// TestWhatFollowsIsJudgedByItself smuggles a second request in what the first
// one's length leaves over: it is read as one without a signature.
func TestWhatFollowsIsJudgedByItself(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	w := dial(t, f.listen(t))
	c := byBittensor(t)
	const smuggled = "POST /Organic HTTP/1.1\r\nHost: axon\r\nContent-Length: 0\r\n\r\n"
	w.write(c.raw(t, fmt.Sprintf("Content-Length: %d\r\n", len(c.body)), c.body+smuggled))
	for _, want := range []int{200, 401} {
		status, _, own := w.read(t)
		require.Equal(t, want, status)
		require.True(t, own)
	}
	require.Equal(t, map[axon.Reason]uint64{axon.ReasonMissing: 1}, f.server.Stats().Refused)
}

// TestAmbiguousFramingEndsTheConnection sends bodies whose end a proxy may have seen
// elsewhere: what follows on the connection is not read.
func TestAmbiguousFramingEndsTheConnection(t *testing.T) {
	t.Parallel()
	const chunks = "Transfer-Encoding: chunked\r\n"
	for _, tt := range []struct {
		name, version, lines, body string
		target                     string
		closes                     bool
	}{
		{"a length", "1.1", goodLength, goodBody, "/Organic", false},
		{
			"chunks and a length", "1.1", "Content-Length: 4\r\n" + chunks, chunked(goodBody), "/Organic",
			true,
		},
		{
			"a length and chunks", "1.1", chunks + "Content-Length: 16\r\n", chunked(goodBody), "/Organic",
			true,
		},
		{
			"chunks and a length, refused", "1.1", "Content-Length: 4\r\n" + chunks, chunked(goodBody), "/x",
			true,
		},
		{
			"chunks and a length of HTTP 1.0", "1.0", "Connection: keep-alive\r\n" + goodLength + chunks,
			goodBody, "/Organic", true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFortress(t), byBittensor(t)
			c.target = tt.target
			w := dial(t, f.listen(t))
			raw := strings.Replace(c.raw(t, tt.lines, tt.body), "HTTP/1.1", "HTTP/"+tt.version, 1)
			w.write(raw + "POST /Organic HTTP/1.1\r\nHost: axon\r\nContent-Length: 0\r\n\r\n")
			response, err := http.ReadResponse(w.answers, nil)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, tt.closes, response.Close)
			_, err = w.answers.ReadByte()
			if tt.closes {
				require.ErrorIs(t, err, io.EOF)
				return
			}
			require.NoError(t, err)
		})
	}
}
