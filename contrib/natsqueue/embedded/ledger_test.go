package embedded_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// fill stores samples of 5 KiB in a folder and returns it: as a stopped server
// leaves it, or as a killed one does.
func fill(t *testing.T, samples int, killed bool) string {
	t.Helper()
	folder := t.TempDir()
	server := start(t, folder)
	queue, conn := open(t, server)
	for range samples {
		require.NoError(t, queue.Add(t.Context(), organic.NewSample(strings.Repeat("x", 5<<10))))
	}
	require.NoError(t, queue.Close(t.Context()))
	if killed {
		require.Eventually(t, func() bool { // the ledger is written once a second
			data, err := os.ReadFile(filepath.Join(folder, "ledger.json"))
			return err == nil && bytes.Contains(data, []byte(`"messages":`+strconv.Itoa(samples)))
		}, patience, 10*time.Millisecond)
		image := t.TempDir()
		require.NoError(t, os.CopyFS(image, os.DirFS(folder)))
		folder = image
	}
	conn.Close()
	require.NoError(t, server.Stop(t.Context()))
	return folder
}

// blocks are the files with the samples, the oldest first.
func blocks(t *testing.T, folder string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".blk" && strings.Contains(path,
			filepath.Join("streams", "organic", "msgs")) {
			paths = append(paths, path)
		}
		return err
	}))
	require.NotEmpty(t, paths)
	return paths
}

func streamOf(t *testing.T, folder string) string {
	t.Helper()
	return filepath.Dir(filepath.Dir(blocks(t, folder)[0]))
}

func halve(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, info.Size()/2))
}

// TestReportsMissingData: whatever part of the data is damaged, after a stop or
// a kill, Start reports it, and goes on with what is left if told to.
func TestReportsMissingData(t *testing.T) {
	t.Parallel()
	damages := []struct {
		name    string
		samples int
		stopped bool // it is not found after a kill: it may have been settled
		damage  func(t *testing.T, folder string)
	}{
		{"none", 180, false, func(*testing.T, string) {}},
		{"the only block cut in half", 180, false, func(t *testing.T, folder string) {
			t.Helper()
			halve(t, blocks(t, folder)[0])
		}},
		{"the first block cut in half", 2000, true, func(t *testing.T, folder string) {
			t.Helper()
			halve(t, blocks(t, folder)[0])
		}},
		{"the last block cut in half", 2000, false, func(t *testing.T, folder string) {
			t.Helper()
			all := blocks(t, folder)
			halve(t, all[len(all)-1])
		}},
		{"the first block removed", 2000, true, func(t *testing.T, folder string) {
			t.Helper()
			require.NoError(t, os.Remove(blocks(t, folder)[0]))
		}},
		{"one byte changed", 180, false, func(t *testing.T, folder string) {
			t.Helper()
			data, err := os.ReadFile(blocks(t, folder)[0])
			require.NoError(t, err)
			data[len(data)/2] ^= 1
			require.NoError(t, os.WriteFile(blocks(t, folder)[0], data, 0o600))
		}},
		{"the settings of the stream removed", 180, false, func(t *testing.T, folder string) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Join(streamOf(t, folder), "meta.inf")))
		}},
		{"the settings of the stream cut in half", 180, false, func(t *testing.T, folder string) {
			t.Helper()
			halve(t, filepath.Join(streamOf(t, folder), "meta.inf"))
		}},
		{"the settings of the consumer changed", 180, false, func(t *testing.T, folder string) {
			t.Helper()
			settings, err := filepath.Glob(filepath.Join(streamOf(t, folder), "obs", "*", "meta.inf"))
			require.NoError(t, err)
			require.Len(t, settings, 1)
			data, err := os.ReadFile(settings[0])
			require.NoError(t, err)
			data = bytes.Replace(data, []byte(`"ack_policy"`), []byte(`"bck_policy"`), 1)
			require.NoError(t, os.WriteFile(settings[0], data, 0o600))
		}},
		{"the state of the consumer cut in half", 180, false, func(t *testing.T, folder string) {
			t.Helper()
			states, err := filepath.Glob(filepath.Join(streamOf(t, folder), "obs", "*", "o.dat"))
			require.NoError(t, err)
			require.Len(t, states, 1)
			halve(t, states[0])
		}},
		{"the stream removed", 180, true, func(t *testing.T, folder string) {
			t.Helper()
			require.NoError(t, os.RemoveAll(streamOf(t, folder)))
		}},
	}
	for _, tt := range damages {
		for end, killed := range map[string]bool{"stopped": false, "killed": true} {
			if killed && tt.stopped {
				continue
			}
			t.Run(tt.name+", "+end, func(t *testing.T) {
				t.Parallel()
				folder := fill(t, tt.samples, killed)
				tt.damage(t, folder)
				if tt.name == "none" {
					start(t, folder)
					return
				}
				requireReported(t, folder)
			})
		}
	}
}

// TestReportsMissingDataOfClients: a server counts as stopped also if clients
// could use it until the end.
func TestReportsMissingDataOfClients(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]embedded.Option{
		"a socket":                {embedded.WithListen("127.0.0.1:0"), embedded.WithToken("token")},
		"a connection that stays": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			server := start(t, folder, opts...)
			queue, _ := open(t, server)
			for range 2000 {
				sample := organic.NewSample(strings.Repeat("x", 5<<10))
				require.NoError(t, queue.Add(t.Context(), sample))
			}
			require.NoError(t, queue.Close(t.Context()))
			require.NoError(t, server.Stop(t.Context()))
			intact := t.TempDir()
			require.NoError(t, os.CopyFS(intact, os.DirFS(folder)))
			start(t, intact, opts...)
			require.NoError(t, os.Remove(blocks(t, folder)[0]))
			requireReported(t, folder)
		})
	}
}

// requireReported: the loss is reported until it is accepted, and then once.
func requireReported(t *testing.T, folder string) {
	t.Helper()
	for range 2 {
		_, err := embedded.Start(folder)
		require.ErrorIs(t, err, embedded.ErrCorrupt)
		require.ErrorContains(t, err, "of stream organic")
		require.ErrorContains(t, err, folder)
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	server := start(t, folder, embedded.WithAcceptLoss(), embedded.WithLogger(logger))
	queue, conn := open(t, server)
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	require.NoError(t, queue.Close(t.Context()))
	conn.Close()
	require.NoError(t, server.Stop(t.Context()))
	require.Contains(t, log.String(), "stored messages are missing")
	start(t, folder)
}

// TestReportsAtOnce: what keeps the server from starting is reported at once.
func TestReportsAtOnce(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	began := time.Now()
	_, err = embedded.Start(t.TempDir(), embedded.WithListen(listener.Addr().String()))
	require.ErrorContains(t, err, "address already in use")

	folder := t.TempDir()
	start(t, folder)
	_, err = embedded.Start(folder)
	require.ErrorIs(t, err, embedded.ErrInUse)
	require.ErrorContains(t, err, folder)

	blocked := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(blocked, "jetstream"), nil, 0o600))
	_, err = embedded.Start(blocked)
	require.ErrorContains(t, err, "embedded: server does not start")
	require.Less(t, time.Since(began), patience/2,
		"long before the time that a server may take to start")
}

// TestLogs: the logger gets what the server reports, and no payload.
func TestLogs(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	server := start(t, t.TempDir(), embedded.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	queue, conn := open(t, server)
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("a secret prompt")))
	require.NoError(t, queue.Close(t.Context()))
	conn.Close()
	require.NoError(t, server.Stop(t.Context()))
	require.Contains(t, log.String(), "level=INFO")
	require.Contains(t, log.String(), "JetStream")
	require.NotContains(t, log.String(), "secret")
}
