package natsqueue

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// askFor is how long the server keeps a request for samples.
	askFor = 30 * time.Second
	// heartbeat is how often it tells that it still has it.
	heartbeat = 2 * time.Second
	// patience is after what silence a request counts as lost.
	patience = heartbeat*2 + heartbeat/4
	// The times for which the server is left alone after it has refused one.
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// requests is what this process has asked the server for: one request at a
// time, for as many samples as there is room for. It is also what wakes a
// scorer when somebody else adds a sample. The queue's lock guards it.
type requests struct {
	sub         *nats.Subscription
	inbox       string    // what samples come to, with the number of the request
	wanted      bool      // somebody calls Sample
	asked       time.Time // when Sample was called last
	number      uint64    // of the request
	outstanding int       // samples it may still bring
	expected    time.Time // until when what this process has added may be on its way to it
	incoming    bool      // it has come, and is being looked at
	heard       time.Time // when the server told of it last
	notBefore   time.Time
	pause       time.Duration
	failed      error // why the server refused the last one
}

// ask sends the next request when there is room for it. The lock is held.
func (q *Queue[S]) ask() {
	room, now := q.cfg.prefetch-len(q.buffer), time.Now()
	if q.closed || !q.wanted || q.incoming || q.outstanding > 0 || room <= 0 || now.Before(q.notBefore) {
		return
	}
	if least := q.cfg.prefetch / 2; !q.cfg.shuffle && room < least {
		return // by handfuls
	}
	request, err := json.Marshal(struct {
		Batch     int           `json:"batch"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{room, askFor, heartbeat})
	if err != nil || q.subscribe() != nil || !q.conn.IsConnected() {
		return
	}
	q.number++
	if q.conn.PublishRequest(q.next, fmt.Sprintf("%s.%d", q.inbox, q.number), request) == nil {
		q.outstanding, q.heard = room, now
	}
}

// subscribe listens for what is asked for. The lock is held.
func (q *Queue[S]) subscribe() error {
	if q.sub != nil {
		return nil
	}
	q.inbox = q.conn.NewRespInbox() + rand.Text() // so that no old request is revived
	sub, err := q.conn.Subscribe(q.inbox+".*", q.receive)
	if err != nil {
		return err
	}
	q.sub = sub
	return sub.SetPendingLimits(-1, -1)
}

// receive gets samples and what the server says of requests, one at a time.
func (q *Queue[S]) receive(msg *nats.Msg) {
	status := msg.Header.Get("Status")
	if status == "" || len(msg.Data) > 0 {
		q.land(msg)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if number := msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:]; number != strconv.FormatUint(q.number, 10) {
		return // of an earlier request
	}
	q.heard = time.Now()
	switch status {
	case "100":
		return
	case "408": // its time is over
		q.pause, q.failed = 0, nil
	default:
		q.pause = min(max(2*q.pause, firstPause), lastPause)
		q.notBefore = q.heard.Add(q.pause)
		q.failed = fmt.Errorf("%w: status %s %q", ErrUnavailable, status, msg.Header.Get("Description"))
	}
	q.outstanding = 0
	q.ask()
}

// lost forgets a request that the server has lost, as when the connection was
// cut or the stream has another leader, and asks anew.
func (q *Queue[S]) lost() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.outstanding, q.notBefore = 0, time.Time{}
	q.ask()
}

// tend asks anew when the server is silent or its pause is over.
func (q *Queue[S]) tend(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.outstanding > 0 && now.Sub(q.heard) > patience {
		q.outstanding = 0
	}
	q.ask()
}

// rest takes back what was asked for, until Sample is called again. What is on
// its way still lands. The lock is held.
func (q *Queue[S]) rest() {
	q.wanted, q.outstanding = false, 0
	drained := q.drain()
	if drained == nil {
		return
	}
	q.workers.Go(func() {
		select {
		case <-drained:
		case <-time.After(serverTime):
		}
	})
}

// drain stops listening. It returns what is closed when the last sample under
// way has landed, or nil. The lock is held.
func (q *Queue[S]) drain() <-chan struct{} {
	sub := q.sub
	if sub == nil {
		return nil
	}
	q.sub = nil
	drained := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(drained) })
	if sub.Drain() != nil { // there is no connection, or it is closed
		_ = sub.Unsubscribe()
		return nil
	}
	return drained
}

// shut stops everything that brings samples. It returns what is closed when
// the last of those under way has landed, or nil.
func (q *Queue[S]) shut() (drained <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.announce()
	return q.drain()
}
