package weights

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
)

// pendingSubmission is a submission that a setter follows.
type pendingSubmission struct {
	Submission
	Before  uint64 `json:"before,omitzero"` // the last update before it was sent
	Entries int    `json:"entries"`

	at     uint64 // the block at which it is sent
	sent   uint64 // the setter's before it was sent, as sentAt
	sentAt time.Time
	noted  bool // whether the setter has noted it
}

// savedSetter is what a snapshot holds of a setter.
type savedSetter struct {
	LastSet        int64               `json:"last_set,omitzero"` // Unix nanoseconds
	LastSubmission Submission          `json:"last_submission"`
	Entries        int                 `json:"entries,omitzero"`
	Sent           uint64              `json:"sent,omitzero"`
	SentAt         int64               `json:"sent_at,omitzero"`
	Shown          uint64              `json:"shown,omitzero"`
	Pending        []pendingSubmission `json:"pending,omitempty"`
}

// How many blocks after the last block in which something should have been seen it is given up.
const (
	maxUnseen   = 100 // for an extrinsic
	maxUnknown  = 256 // the era of one whose client has not named it
	maxUnopened = 720 // for a reveal: two usual epochs
)

// unknown reports whether it is not known if it is in a block.
func (p *pendingSubmission) unknown() bool { return p.State == Submitted || p.State == None }

// expires is the last block that can contain it.
func (p *pendingSubmission) expires() uint64 {
	if p.Expires > 0 {
		return p.Expires
	}
	return plus(p.Signed, maxUnknown)
}

// news is the wait until there may be news of it.
func (p *pendingSubmission) news(v view) wait {
	switch {
	case !v.known:
		return wait{time: time.Minute}
	case p.State == Committed && p.RevealBlock > v.pos.Block:
		return v.untilBlock(p.RevealBlock)
	}
	return v.untilBlock(v.pos.Block + 1)
}

// follow asks the chain what has become of each submission under way.
func (s *Setter) follow(ctx context.Context) error {
	s.mu.Lock()
	pending, pos, known := slices.Clone(s.pending), s.pos, s.known
	s.mu.Unlock()
	for _, p := range pending {
		p.noted = true
		if known && p.State == Committed && p.RevealBlock > pos.Block {
			continue
		}
		var now Submission
		err := s.call(ctx, "Follow", func(ctx context.Context) (err error) {
			now, err = s.chain.Follow(ctx, p.Submission)
			return err
		})
		if now.State == None {
			now = p.Submission // an empty answer changes nothing
		}
		if lost := p.givenUp(now, err, pos, known); lost != "" {
			now, err = p.Submission, nil
			now.State, now.Reason = Lost, lost
		}
		if err != nil {
			return fmt.Errorf("weights: follow: %w", err)
		}
		s.note(&p, s.confirm(ctx, &p, now))
	}
	return nil
}

// givenUp is why a submission is lost that the chain cannot be seen to have taken, although the
// time for it is over; empty if it is not over.
func (p *pendingSubmission) givenUp(now Submission, err error, pos Position, known bool) string {
	if !known || err == nil && now.State.Final() {
		return ""
	}
	if err != nil {
		now = p.Submission
	}
	switch {
	case now.State == Committed:
		last := now.RevealBlock
		if last == 0 {
			last = plus(now.Block, maxUnopened)
		}
		if pos.Block > plus(last, max(maxUnopened, plus(pos.Tempo, pos.Tempo))) {
			return fmt.Sprintf("no reveal was seen up to block %d", pos.Block)
		}
	case now.State <= Submitted && pos.Block > plus(p.expires(), maxUnseen):
		return fmt.Sprintf("not seen in a block up to block %d", pos.Block)
	}
	return ""
}

// confirm checks that the last update shows plain weights that the client calls included. Before it
// does they are only submitted, and after their era they are lost.
func (s *Setter) confirm(ctx context.Context, p *pendingSubmission, now Submission) Submission {
	if now.State != Included {
		return now
	}
	s.mu.Lock()
	known, before := s.known, p.Before
	s.mu.Unlock()
	if !known {
		return now
	}
	var pos Position
	err := s.call(ctx, "Position", func(ctx context.Context) (err error) {
		pos, err = s.chain.Position(ctx)
		return err
	})
	switch {
	case err == nil && pos.LastUpdate > before && pos.LastUpdate >= now.Block:
		return now
	case err == nil && pos.Block > plus(max(p.expires(), now.Block), maxUnseen):
		now.State, now.Reason = Lost, fmt.Sprintf(
			"the last update is still block %d",
			pos.LastUpdate,
		)
	default:
		return unconfirmed(now)
	}
	return now
}

// unconfirmed lowers the state Included, which only the client claims, to Submitted.
func unconfirmed(now Submission) Submission {
	if now.State == Included {
		now.State = Submitted
		now.Evidence = "included by the client's word, not shown by the last update"
	}
	return now
}

// note keeps how far a submission has come, saves it, and emits an event if that is new.
func (s *Setter) note(p *pendingSubmission, now Submission) {
	at := time.Now()
	s.mu.Lock()
	if now.Signed == 0 {
		now.Signed = max(p.Signed, p.at)
	}
	news := !p.noted || p.Submission != now
	changed := !p.noted || p.State != now.State
	i := s.position(p)
	p.Submission, p.noted = now, true
	switch {
	case now.State.Final() && i >= 0:
		s.pending = slices.Delete(s.pending, i, i+1)
	case !now.State.Final() && i >= 0:
		s.pending[i] = *p
	case !now.State.Final():
		s.pending = append(s.pending, *p)
	}
	if s.sent = max(s.sent, now.Signed); now.State == Submitted && changed {
		s.sentAt = at
	}
	if now.State.Set() || now.State == Committed {
		s.shown = max(s.shown, now.Block)
	}
	if changed {
		s.countState(at, p)
	}
	s.mu.Unlock()
	if news {
		s.save()
	}
	if changed {
		s.emit(
			SetterEvent{Time: at, Kind: kindOf(now.State), Submission: now},
			zap.Int("entries", p.Entries),
		)
	}
}

// countState counts a state that a submission has reached. The caller holds mu.
func (s *Setter) countState(at time.Time, p *pendingSubmission) {
	switch {
	case p.State.Set():
		s.status.Sets++
		s.status.LastSet, s.status.LastSubmission, s.status.Entries = at, p.Submission, p.Entries
	case p.State == Lost:
		s.status.Lost++
	}
	if (p.State == Included || p.State == Committed) && !s.status.Stopped {
		s.endFailures() // the answer to a try that had seemed to fail
	}
}

// forget removes a submission of which nothing was sent after all.
func (s *Setter) forget(p *pendingSubmission) {
	if !p.noted {
		return
	}
	s.mu.Lock()
	if i := s.position(p); i >= 0 {
		s.pending = slices.Delete(s.pending, i, i+1)
	}
	s.sent, s.sentAt = p.sent, p.sentAt
	s.mu.Unlock()
	s.save()
}

// position is the index of a submission among the pending ones, or -1. The caller holds mu.
func (s *Setter) position(p *pendingSubmission) int {
	if !p.noted {
		return -1
	}
	return slices.IndexFunc(s.pending, func(other pendingSubmission) bool {
		return other.Hash == p.Hash && other.Signed == p.Signed && other.Digest == p.Digest
	})
}

// save keeps the state in the snapshot. An error is in the saver's status and in its log: weights
// are set even if the disk is full.
func (s *Setter) save() {
	if s.saver == nil {
		return
	}
	s.mu.Lock()
	state := &savedSetter{
		LastSet: unixNano(s.status.LastSet), LastSubmission: s.status.LastSubmission,
		Entries: s.status.Entries, Sent: s.sent, SentAt: unixNano(s.sentAt), Shown: s.shown,
		Pending: slices.Clone(s.pending),
	}
	s.mu.Unlock()
	_ = s.saver.keepSetter(state)
}

// restore takes up what another process has left.
func (s *Setter) restore() {
	if s.saver == nil {
		return
	}
	state := s.saver.keptSetter()
	if state == nil {
		return
	}
	now := time.Now()
	s.status.LastSet, s.status.LastSubmission = past(state.LastSet, now), state.LastSubmission
	s.status.Entries, s.sent, s.shown = state.Entries, state.Sent, state.Shown
	s.sentAt, s.pending = past(state.SentAt, now), slices.Clone(state.Pending)
}
