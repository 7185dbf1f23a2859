package natsqueue

import (
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/organic-scoring/organic"
)

// What a message is answered with. The package nats has them for messages of
// its own subscriptions; a lease may be of an earlier one.
var (
	ackDone       = []byte("+ACK")
	ackInProgress = []byte("+WPI")
)

// nak asks for a message to be delivered again after a delay.
func nak(delay time.Duration) []byte {
	if delay <= 0 {
		return []byte("-NAK")
	}
	return fmt.Appendf(nil, `-NAK {"delay": %d}`, delay.Nanoseconds())
}

// delivery is one sample that this process holds: ahead, or leased.
type delivery[S any] struct {
	seq      uint64 // its number in the stream
	attempts int    // how often it was delivered
	header   nats.Header
	body     []byte
	sample   organic.Sample[S]

	mu     sync.Mutex // guards all below
	reply  string     // where its verdict goes; a later delivery has another
	state  leaseState
	alive  time.Time // when the server was told last that it is held
	leased time.Time // zero while it is held ahead
}

// leaseState is how far the lease of a delivery is. After held nothing but its
// one verdict may be sent: a sign of life would undo the delay of a nak.
type leaseState uint8

const (
	leaseHeld    leaseState = iota
	leaseRevoked            // given back without a verdict
	leaseSettled            // its verdict is known
)

func newDelivery[S any](msg *nats.Msg) (*delivery[S], uint64, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, 0, err
	}
	d := &delivery[S]{
		seq: meta.Sequence.Stream, attempts: int(meta.NumDelivered), //nolint:gosec // far below
		header: msg.Header, body: msg.Data, reply: msg.Reply, alive: time.Now(),
	}
	return d, meta.NumPending, nil
}

// lease notes that the sample is in a scorer's hands now.
func (d *delivery[S]) lease(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leased = now
}

// renew takes over a later delivery of the same message.
func (d *delivery[S]) renew(later *delivery[S]) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reply, d.alive = later.reply, later.alive
}

// revoke ends the lease without a verdict. It returns false when it was over.
func (d *delivery[S]) revoke() (reply string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != leaseHeld {
		return "", false
	}
	d.state = leaseRevoked
	return d.reply, true
}

// settle ends the lease with a verdict, once. Over says that it was revoked.
func (d *delivery[S]) settle() (reply string, over bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == leaseSettled {
		return "", false, errSettled
	}
	over = d.state == leaseRevoked
	d.state = leaseSettled
	return d.reply, over, nil
}

// keepAlive tells the server that the sample is held, when it is time to. It
// returns true when that has lasted for too long.
func (d *delivery[S]) keepAlive(conn *nats.Conn, now time.Time, every, limit time.Duration) (over bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != leaseHeld {
		return false
	}
	if !d.leased.IsZero() && now.Sub(d.leased) >= limit {
		return true
	}
	if now.Sub(d.alive) >= every && conn.Publish(d.reply, ackInProgress) == nil {
		d.alive = now
	}
	return false
}
