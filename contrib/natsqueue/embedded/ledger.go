package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrCorrupt is returned by Start if messages are missing that the server had
// stored, or what it had stored about a stream or consumer: a file was damaged,
// or the power was cut before the files were written through. The text gives
// the stream and how many are missing. See [WithAcceptLoss].
var ErrCorrupt = errors.New("embedded: stored messages are missing")

// saveEvery is how often the ledger is written while the server runs.
const saveEvery = time.Second

// offline is the code of the error about a stream that the server does not run,
// because it does not understand the settings of a consumer.
const offline jetstream.ErrorCode = 10194

// leaveFor is how long the server may take to notice that a connection was
// closed.
const leaveFor = 100 * time.Millisecond

// ledger is a file beside the server's data that holds what the streams held.
// The server itself recovers from a damaged file with what is left, and reports
// nothing.
type ledger struct {
	path     string
	accepted map[string]uint64 // see page
	removed  bool              // files, so that the server has to start again
	done     chan struct{}
	saver    sync.WaitGroup
	last     page // of the saver
}

// page is what is written: the numbers at the last save.
type page struct {
	Clean    bool               `json:"clean"` // the server was stopped: the numbers are exact
	Streams  map[string]numbers `json:"streams"`
	Accepted map[string]uint64  `json:"accepted,omitempty"` // missing and reported
}

type numbers struct {
	Created  time.Time `json:"created"`
	Messages uint64    `json:"messages"`
	LastSeq  uint64    `json:"lastSeq"`
}

// check compares the streams with the ledger and with what is readable.
func (s *Server) check(cfg *config, folder string) (*ledger, error) {
	l := &ledger{
		path: filepath.Join(folder, "ledger.json"), accepted: map[string]uint64{},
		done: make(chan struct{}),
	}
	before := l.read()
	conn, err := s.Connect()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	readable, err := countAll(js)
	if err != nil {
		return nil, fmt.Errorf("embedded: read what is stored: %w", err)
	}
	streams, err := details(s.nats) // after counting: messages may have become too old meanwhile
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(streams, func(name string, _ server.StreamDetail) bool {
		_, ok := readable[name]
		return !ok
	})
	var missing []error
	for name, stream := range streams {
		lost := lostMessages(stream, readable[name], before)
		if lost > before.Accepted[name] {
			missing = append(missing, fmt.Errorf("%w: %d of stream %s", ErrCorrupt, lost, name))
		}
		if lost > 0 {
			l.accepted[name] = lost // if it is
		}
	}
	for name, had := range before.Streams {
		if _, ok := streams[name]; !ok && before.Clean && had.Messages > 0 {
			missing = append(missing, fmt.Errorf("%w: all %d of stream %s", ErrCorrupt, had.Messages, name))
		}
	}
	damaged, err := unreadable(os.DirFS(folder), streams)
	if err != nil {
		return nil, err
	}
	for name := range damaged {
		missing = append(missing, fmt.Errorf("%w: the %s cannot be read", ErrCorrupt, name))
	}
	if loss := errors.Join(missing...); loss != nil {
		if !cfg.acceptsLoss {
			return nil, loss
		}
		cfg.logger.Error(loss.Error())
	}
	l.removed = len(damaged) > 0
	return l, removeAll(folder, damaged)
}

// removeAll removes the files that keep the server from making streams and
// consumers again.
func removeAll(folder string, damaged map[string][]string) (err error) {
	for _, files := range damaged {
		for _, file := range files {
			err = errors.Join(err, os.RemoveAll(filepath.Join(folder, file)))
		}
	}
	return err
}

// lostMessages returns how many messages of a stream are missing, as far as can
// be known:
//   - those that the server counts and cannot read;
//   - those at the end that an earlier run had stored, or handed to a consumer;
//   - those that a stopped server had.
//
// What is missing in the middle after a kill cannot be told from what was
// settled since the ledger was written.
func lostMessages(now server.StreamDetail, readable uint64, before page) (lost uint64) {
	atLeast := func(expected, have uint64) {
		if expected > have {
			lost = max(lost, expected-have)
		}
	}
	atLeast(now.State.Msgs, readable)
	for _, consumer := range now.Consumer {
		atLeast(consumer.Delivered.Stream, now.State.LastSeq)
	}
	if had, ok := before.Streams[now.Name]; ok && had.Created.Equal(now.Created) {
		atLeast(had.LastSeq, now.State.LastSeq)
		if before.Clean && now.Config.MaxAge == 0 {
			atLeast(had.Messages, readable)
		}
	}
	return lost
}

// The files of a server's store: messages, and what a consumer has delivered.
const (
	messageFiles  = "jetstream/*/streams/*/msgs/*.blk"
	consumerFiles = "jetstream/*/streams/*/obs/*/o.dat"
)

// unreadable returns the streams and consumers that are stored and that the
// server has left out, because it could not read their files. It gives for each
// the files that keep the server from making another of the name.
func unreadable(
	folder fs.FS, streams map[string]server.StreamDetail,
) (files map[string][]string, err error) {
	files = make(map[string][]string)
	for _, pattern := range []string{messageFiles, consumerFiles} {
		stored, err := fs.Glob(folder, pattern)
		if err != nil {
			return nil, fmt.Errorf("embedded: %w", err)
		}
		for _, file := range stored {
			info, err := fs.Stat(folder, file)
			if err != nil {
				return nil, fmt.Errorf("embedded: %w", err)
			}
			parts := strings.Split(file, "/")
			stream, known := streams[parts[3]]
			switch {
			case info.Size() == 0: // nothing is lost with it
			case !known:
				dir := path.Join(parts[:4]...)
				files["settings of stream "+parts[3]] = []string{
					dir + "/meta.inf", dir + "/meta.sum", dir + "/obs",
				}
			case pattern == consumerFiles && !hasConsumer(stream, parts[5]):
				name := fmt.Sprintf("consumer %s of stream %s", parts[5], parts[3])
				files[name] = []string{path.Dir(file)}
			}
		}
	}
	return files, nil
}

func hasConsumer(stream server.StreamDetail, name string) bool {
	return slices.ContainsFunc(stream.Consumer, func(c *server.ConsumerInfo) bool {
		return c.Name == name
	})
}

// details returns the streams of the server by name.
func details(ns *server.Server) (map[string]server.StreamDetail, error) {
	all := &server.JSzOptions{Accounts: true, Streams: true, Consumer: true, Config: true}
	info, err := ns.Jsz(all)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	streams := make(map[string]server.StreamDetail)
	for _, account := range info.AccountDetails {
		for _, stream := range account.Streams {
			streams[stream.Name] = stream
		}
	}
	return streams, nil
}

// countAll counts the messages that can be read, by stream. It leaves out those
// that the server has and does not run.
func countAll(js jetstream.JetStream) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readyFor)
	defer cancel()
	var streams []jetstream.Stream
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		stream, err := js.Stream(ctx, name)
		if failure, ok := errors.AsType[*jetstream.APIError](err); ok && failure.ErrorCode == offline {
			continue
		}
		if err != nil {
			return nil, err
		}
		streams = append(streams, stream)
	}
	if names.Err() != nil {
		return nil, names.Err()
	}
	counts := make(map[string]uint64)
	for _, stream := range streams { // takes as long as there are messages
		n, err := countMessages(stream)
		if err != nil {
			return nil, err
		}
		counts[stream.CachedInfo().Config.Name] = n
	}
	return counts, nil
}

// countMessages reads a stream to its end.
func countMessages(stream jetstream.Stream) (n uint64, err error) {
	for seq := uint64(1); ; n++ {
		seq, err = nextMessage(stream, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// nextMessage reads the first message from a number on and returns the number
// after it.
func nextMessage(stream jetstream.Stream, seq uint64) (next uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), readyFor)
	defer cancel()
	msg, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(">"))
	if err != nil {
		return seq, err
	}
	return msg.Sequence + 1, nil
}

// read returns the last page, or an empty one if there is none that can be
// read: it is not written through to the disk.
func (l *ledger) read() (p page) {
	data, err := os.ReadFile(l.path)
	if err != nil || json.Unmarshal(data, &p) != nil {
		return page{}
	}
	return p
}

// start begins a new page.
func (l *ledger) start(ns *server.Server) { l.saver.Go(func() { l.keep(ns) }) }

// keep writes the numbers of the streams until close is called.
func (l *ledger) keep(ns *server.Server) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		_ = l.save(ns, false) // the next one or close reports it
		select {
		case <-tick.C:
		case <-l.done:
			return
		}
	}
}

func (l *ledger) save(ns *server.Server, clean bool) error {
	streams, err := details(ns)
	if err != nil {
		return err
	}
	next := page{Clean: clean, Streams: make(map[string]numbers, len(streams)), Accepted: l.accepted}
	same := l.last.Streams != nil && l.last.Clean == clean && len(l.last.Streams) == len(streams)
	for name, detail := range streams {
		next.Streams[name] = numbers{detail.Created, detail.State.Msgs, detail.State.LastSeq}
		same = same && l.last.Streams[name] == next.Streams[name]
	}
	if same {
		return nil
	}
	l.last = next
	data, err := json.Marshal(next)
	if err == nil {
		err = os.WriteFile(l.path+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(l.path+".new", l.path)
	}
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	return nil
}

// close writes the last page. Its numbers are final if no client is connected
// and none can connect.
func (l *ledger) close(ns *server.Server) (final bool, err error) {
	close(l.done)
	l.saver.Wait()
	for end := time.Now().Add(leaveFor); ns.NumClients() > 0 && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	final = ns.Addr() == nil && ns.NumClients() == 0
	return final, l.save(ns, final)
}
