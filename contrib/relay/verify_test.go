package relay_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

// piece is what a requester read: a chunk, the end of an answer, or the end of
// all, which has no UID.
type piece struct {
	uid  organic.UID
	text string
	end  string // "[DONE]", a failure's code, or a miner's ending
	last bool
}

// readSSE splits a stream without the package's own reader. A stream in
// these tests has one line per chunk. Chunks without a tag are the picked
// miner's.
func readSSE(t *testing.T, body string, picked organic.UID) []piece {
	t.Helper()
	var pieces []piece
	for frame := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		if body == "" {
			break
		}
		name, data, tagged := strings.Cut(frame, "\n")
		if !tagged {
			name, data = "", frame
		}
		data, ok := strings.CutPrefix(data, "data: ")
		require.True(t, ok, "%q", frame)
		name = strings.TrimPrefix(name, "event: ")
		uid := picked
		if tag, err := strconv.Atoi(name); err == nil {
			uid = organic.UID(tag)
		}
		var reported struct {
			UID   organic.UID           `json:"uid"`
			End   string                `json:"end"`
			Error struct{ Code string } `json:"error"`
		}
		switch {
		case data == "[DONE]":
			pieces = append(pieces, piece{end: data, last: true})
		case name == "end":
			require.NoError(t, json.Unmarshal([]byte(data), &reported))
			pieces = append(pieces, piece{uid: reported.UID, end: reported.End})
		case strings.HasPrefix(data, "{"):
			require.NoError(t, json.Unmarshal([]byte(data), &reported))
			pieces = append(pieces, piece{end: reported.Error.Code, last: true})
		default:
			pieces = append(pieces, piece{uid: uid, text: data})
		}
	}
	return pieces
}

// readLines splits a stream of tagged lines.
func readLines(t *testing.T, body string) []piece {
	t.Helper()
	var pieces []piece
	for line := range strings.Lines(body) {
		var reported struct {
			UID       organic.UID `json:"uid"`
			Text, End string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &reported))
		pieces = append(pieces, piece{uid: reported.UID, text: reported.Text, end: reported.End})
	}
	return pieces
}

// scene is one query, what came of it, and what must be so whatever happened.
type scene struct {
	view    string // "one", "first" or "all"
	sse     bool
	scripts map[organic.UID]*script
	body    string
	err     error // of Serve
	result  *relay.Result
}

// verify checks that the answers are what the miners sent, that the requester
// got the beginning of one legal merge of them, and that there was one end.
func (s *scene) verify(t *testing.T) {
	t.Helper()
	require.Len(t, s.result.Answers, len(s.scripts))
	for uid, miner := range s.scripts {
		answer := s.result.Answers[uid]
		require.Equal(t, miner.accepted(), texts(answer), "collected what was sent")
		require.NotZero(t, answer.Ending)
		require.LessOrEqual(t, answer.Ended, s.result.Took)
	}
	switch {
	case !s.sse && s.view != "all":
		s.verifyText(t)
	case s.sse:
		s.verifyPieces(t, readSSE(t, s.body, s.result.Stream.UID))
	default:
		s.verifyPieces(t, readLines(t, s.body))
	}
}

// verifyText is for a raw stream of one answer.
func (s *scene) verifyText(t *testing.T) {
	t.Helper()
	if s.body == "" {
		require.Error(t, s.err)
		return
	}
	require.True(t, s.result.Stream.Picked)
	answer := s.result.Answers[s.result.Stream.UID]
	require.True(t, strings.HasPrefix(answer.Text(), s.body))
	if s.err == nil {
		require.Equal(t, answer.Text(), s.body)
		require.Equal(t, relay.Complete, answer.Ending)
	}
}

func (s *scene) verifyPieces(t *testing.T, pieces []piece) {
	t.Helper()
	next := make(map[organic.UID]int)
	ended := make(map[organic.UID]bool)
	var at time.Duration
	for i, p := range pieces {
		answer := s.result.Answers[p.uid]
		switch {
		case p.last:
			require.Equal(t, len(pieces)-1, i, "one end, and nothing after it")
			require.NoError(t, s.err)
			require.True(t, s.sse)
		case p.end != "":
			require.Equal(t, answer.Ending.String(), p.end)
			require.Len(t, answer.Chunks, next[p.uid], "all before the end")
			require.False(t, ended[p.uid])
			ended[p.uid] = true
		default:
			require.False(t, ended[p.uid])
			require.Less(t, next[p.uid], len(answer.Chunks))
			chunk := answer.Chunks[next[p.uid]]
			require.Equal(t, chunk.Text, p.text)
			require.GreaterOrEqual(t, chunk.At, at, "in the order in which they came")
			at = chunk.At
			next[p.uid]++
		}
	}
	if s.view != "all" {
		require.LessOrEqual(t, len(next), 1, "one answer")
		for uid := range next {
			require.Equal(t, s.result.Stream.UID, uid)
		}
	}
	if s.err != nil {
		return
	}
	end := "[DONE]" // which for a raw stream is the end of the body
	if s.sse {
		require.NotEmpty(t, pieces)
		end = pieces[len(pieces)-1].end
	}
	s.verifyEnd(t, end, next, ended)
}

// verifyEnd checks that the end of the stream is the right one.
func (s *scene) verifyEnd(
	t *testing.T, end string, next map[organic.UID]int, ended map[organic.UID]bool,
) {
	t.Helper()
	uid := s.result.Stream.UID
	answer, got := s.result.Answers[uid], next[uid]
	switch end {
	case "[DONE]":
		require.NotEmpty(t, next)
		if s.view == "all" {
			require.Len(t, ended, len(s.scripts), "the end of each")
			return
		}
		require.Equal(t, relay.Complete, answer.Ending)
		require.Len(t, answer.Chunks, got)
	case relay.NoAnswer.Code():
		require.Empty(t, next)
	case relay.BrokenOff.Code():
		require.NotEqual(t, relay.Complete, answer.Ending)
		require.NotEmpty(t, next)
		require.Len(t, answer.Chunks, got)
	default:
		require.Equal(t, relay.TooSlow.Code(), end)
	}
}

// verifyError checks that Serve's error is one that it documents.
func (s *scene) verifyError(t *testing.T) {
	t.Helper()
	if s.err == nil {
		return
	}
	for _, known := range []error{
		relay.ErrNoAnswer, relay.ErrBrokenOff, relay.ErrTooSlow, relay.ErrLeft,
	} {
		if errors.Is(s.err, known) {
			return
		}
	}
	require.NoError(t, s.err)
}
