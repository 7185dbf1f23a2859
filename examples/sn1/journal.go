package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

// journal is a log of all that happens, one JSON object per line. Nothing that
// users or miners have written is in it. It is safe for concurrent use.
type journal struct {
	file io.Closer // nil when there is none

	mu      sync.Mutex // guards what follows
	encoder *json.Encoder
	err     error // the first failure to write
}

// openJournal appends to a file, or goes nowhere when the path is empty.
func openJournal(path string) (*journal, error) {
	if path == "" {
		return &journal{encoder: json.NewEncoder(io.Discard)}, nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the user says which file
	if err != nil {
		return nil, err
	}
	return &journal{file: file, encoder: json.NewEncoder(file)}, nil
}

// entry is one line.
type entry struct {
	Time    time.Time              `json:"time"`
	Event   string                 `json:"event"`
	ID      string                 `json:"id,omitempty"`
	Origin  string                 `json:"origin,omitempty"`
	Attempt int                    `json:"attempt,omitempty"`
	Stage   string                 `json:"stage,omitempty"`
	Seconds float64                `json:"seconds,omitempty"`
	Size    int                    `json:"size,omitempty"`
	Error   string                 `json:"error,omitempty"`
	Endings map[organic.UID]string `json:"endings,omitempty"` // how each answer ended
	Rewards organic.Rewards        `json:"rewards,omitempty"`
}

func (j *journal) write(e entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.encoder.Encode(e); j.err == nil {
		j.err = err
	}
}

// event takes down what the scorer reports, which never has a payload.
func (j *journal) event(e organic.Event) {
	line := entry{Time: e.Time, Event: e.Kind.String(), ID: e.ID, Attempt: e.Attempt, Seconds: e.Duration.Seconds(), Size: e.Size}
	if e.ID != "" {
		line.Origin = e.Origin.String()
	}
	if e.Stage != 0 {
		line.Stage = e.Stage.String()
	}
	if e.Err != nil {
		line.Error = e.Err.Error() // our hooks put no text into their errors
	}
	j.write(line)
}

// result takes down how the miners did.
func (j *journal) result(result *organic.Result[Prompt, relay.Answer]) {
	endings := make(map[organic.UID]string, len(result.Responses))
	for uid, answer := range result.Responses {
		endings[uid] = answer.Ending.String()
	}
	j.write(entry{
		Time: time.Now(), Event: "result", ID: result.Sample.ID, Origin: result.Sample.Origin.String(),
		Seconds: result.Durations.Total.Seconds(), Endings: endings, Rewards: result.Rewards,
	})
}

// lost takes down answers that could not be queued.
func (j *journal) lost(id string, err error) { j.trouble("lost", id, err) }

// unsaved takes down that there is no snapshot after a sample.
func (j *journal) unsaved(id string, err error) { j.trouble("unsaved", id, err) }

func (j *journal) trouble(event, id string, err error) {
	j.write(entry{Time: time.Now(), Event: event, ID: id, Error: err.Error()})
}

// close tells what could not be written.
func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.err, err)
}
