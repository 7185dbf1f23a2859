package conversations_test

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/conversations"
)

func TestFileWithoutConversations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, data string }{
		{"empty", ""},
		{"byte order mark", "\ufeff"},
		{"blank lines", "\n\r\n \t\n"},
		{"nobody asks", unasked},
		{"nobody asks, more than the buffer holds", strings.Repeat(unasked, 3000)},
		{"compressed", zipped(t, "")},
	} {
		for _, shuffle := range []int{1, 1024} {
			t.Run(fmt.Sprint(tt.name, shuffle), func(t *testing.T) {
				t.Parallel()
				dataset := inOrder(t, tt.data, conversations.WithShuffle(shuffle))
				for range 3 {
					requireFailure(t, dataset, 0, "has no conversation in which a user says something")
				}
			})
		}
	}
}

func TestFileOfBadLinesOnly(t *testing.T) {
	t.Parallel()
	dataset := inOrder(t, "bad\n\nworse\n")
	for range 3 {
		requireFailure(t, dataset, 1, "not valid JSON at byte 1 of 3")
		requireFailure(t, dataset, 3, "not valid JSON at byte 1 of 5")
	}
}

func TestTruncatedGzip(t *testing.T) {
	t.Parallel()
	whole := zipped(t, asked("one")+asked("two")+asked("three"))
	truncated := whole[:len(whole)-7]
	for _, shuffle := range []int{1, 1024} {
		dataset := inOrder(t, truncated, conversations.WithShuffle(shuffle))
		for range 3 {
			var answers []string
			for range 3 {
				if shuffle == 1024 && len(answers) == 0 {
					requireFailure(t, dataset, 4, "compressed file is truncated: unexpected EOF")
				}
				answers = append(answers, said(t, dataset))
			}
			if shuffle == 1 {
				requireFailure(t, dataset, 4, "compressed file is truncated: unexpected EOF")
			}
			require.ElementsMatch(t, []string{"one", "two", "three"}, answers)
		}
	}
	_, err := conversations.Open(conversationFile(t, whole[:5]))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestFileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	dataset, err := conversations.Open(missing)
	require.Nil(t, dataset)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "conversations: "+missing+": no such file or directory")
	_, err = conversations.Open(dir)
	require.EqualError(t, err, "conversations: "+dir+": is a directory")
}

func TestFileIsOpenedAgain(t *testing.T) {
	t.Parallel()
	path := conversationFile(t, asked("old"))
	dataset := openConversations(t, path, conversations.WithoutAugmentation())
	require.Equal(t, "old", said(t, dataset))
	require.NoError(t, os.Remove(path))
	for range 2 {
		requireFailure(t, dataset, 0, "no such file or directory")
	}
	require.NoError(t, os.WriteFile(path, []byte(asked("new")), 0o600))
	require.Equal(t, "new", said(t, dataset))
}

// This test of memory does not run beside others.
func TestLongFileIsStreamed(t *testing.T) {
	const count = 200_000
	file, err := os.Create(filepath.Join(t.TempDir(), "long.jsonl"))
	require.NoError(t, err)
	_, err = io.WriteString(file, strings.Repeat(asked(strings.Repeat("long ", 40)), count))
	require.NoError(t, err)
	require.NoError(t, file.Close())
	dataset := openConversations(t, file.Name(), conversations.WithShuffle(1000))

	before := heap()
	for range 5000 {
		said(t, dataset)
	}
	after := heap()
	require.Less(t, after, before+4<<20, "the file has 50 MB")
	require.NoError(t, dataset.Close())
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
