package subtensor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// feed is a kind of notification that a node offers.
type feed struct{ subscribe, unsubscribe string }

var (
	newHeads        = feed{"chain_subscribeNewHeads", "chain_unsubscribeNewHeads"}
	finalizedHeads  = feed{"chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads"}
	runtimeVersions = feed{"state_subscribeRuntimeVersion", "state_unsubscribeRuntimeVersion"}
)

// subscription receives the newest notification of a feed. It outlives
// connections: it is opened again on each. Notifications that the receiver is
// too slow for are replaced by newer ones, and those of the time without a
// connection are missing, so the receiver must look for what lies between.
type subscription struct {
	session *session
	feed    feed
	updates chan json.RawMessage // capacity 1; closed when the subscription ends
	err     error                // why it ended; read after updates is closed

	name string // by which the node of the current connection knows it
}

func newSubscription(s *session, f feed) *subscription {
	return &subscription{session: s, feed: f, updates: make(chan json.RawMessage, 1)}
}

// subscribe begins to receive a feed. The caller must call close.
func (s *session) subscribe(ctx context.Context, f feed) (*subscription, error) {
	u := newSubscription(s, f)
	if err := s.send(ctx, subscribe{u}); err != nil {
		return nil, err
	}
	return u, nil
}

// next waits for the newest notification that has not been returned before. It
// returns the node's error if the node refuses the subscription.
func (u *subscription) next(ctx context.Context) (json.RawMessage, error) {
	select {
	case update, ok := <-u.updates:
		if !ok {
			return nil, u.err
		}
		return update, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// close ends the subscription, here and at the node.
func (u *subscription) close() {
	_ = u.session.send(context.Background(), unsubscribe{u}) // fails only if all has ended
}

type subscribe struct{ subscription *subscription }

func (s subscribe) do(o *owner) {
	o.subs[s.subscription] = struct{}{}
	if o.conn != nil {
		o.open(s.subscription)
	}
}

type unsubscribe struct{ subscription *subscription }

func (s unsubscribe) do(o *owner) {
	u := s.subscription
	if _, exists := o.subs[u]; !exists {
		return
	}
	delete(o.subs, u)
	if o.conn != nil && u.name != "" {
		delete(o.named, u.name)
		o.release(u.feed, u.name)
	}
}

// end tells the receiver why there is nothing more.
func (u *subscription) end(err error) {
	u.err = err
	close(u.updates)
}

// open subscribes at the node of the current connection.
func (o *owner) open(u *subscription) {
	u.name = ""
	c, err := o.session.newCall(u.feed.subscribe, nil)
	if err != nil {
		delete(o.subs, u)
		u.end(err)
		return
	}
	c.opens = u
	o.add(c)
}

// opened handles the node's answer to open.
func (o *owner) opened(u *subscription, message frame) {
	_, wanted := o.subs[u]
	var failure error
	if message.err != nil {
		failure = message.err
	} else if isAbsent(message.result) {
		failure = fmt.Errorf("%w to %s: no name", ErrBadReply, u.feed.subscribe)
	}
	switch {
	case failure != nil && wanted && u != o.version: // the owner's own is opened again at each node
		delete(o.subs, u)
		u.end(failure)
	case failure != nil:
	case !wanted:
		o.release(u.feed, string(message.result))
	default:
		u.name = string(message.result)
		o.named[u.name] = u
	}
}

// release asks the node to end a subscription. Its answer does not matter.
func (o *owner) release(f feed, name string) {
	c, err := o.session.newCall(f.unsubscribe, []any{json.RawMessage(name)})
	if err != nil {
		return // the name is what the node sent, and so is JSON
	}
	c.once = true
	o.add(c)
}

// deliver replaces what the receiver has not taken.
func (o *owner) deliver(u *subscription, update json.RawMessage) {
	if u == o.version {
		var version RuntimeVersion
		if json.Unmarshal(update, &version) == nil && version.check() == nil {
			o.stats.Version, o.stats.VersionAt = version, time.Now()
			o.publish()
		}
		return
	}
	select {
	case <-u.updates:
	default:
	}
	u.updates <- update
}
