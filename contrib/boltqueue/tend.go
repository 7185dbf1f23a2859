package boltqueue

import (
	"errors"
	"time"

	"github.com/organic-scoring/organic"
)

const (
	// retirePerBatch is how many samples tend removes in one transaction.
	retirePerBatch = 500
	// firstPause and lastPause are how long tend waits after an error of the
	// file, doubling.
	firstPause = time.Second
	lastPause  = time.Minute
)

// startTending starts the goroutine that ends delays and removes what is
// retired. The lock is held.
func (q *Queue[S]) startTending() {
	if q.tending || q.closed {
		return
	}
	q.tending = true
	q.active++
	go q.tend()
}

// tend runs until Close.
func (q *Queue[S]) tend() {
	defer q.leave()
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := firstPause
	var retryAt time.Time // nothing is removed before
	for {
		select {
		case <-q.stop:
			return
		case <-q.wake:
		case <-timer.C:
		}
		q.advance()
		if now := time.Now(); !now.Before(retryAt) {
			if err := q.removeRetired(); err != nil {
				retryAt = now.Add(pause)
				pause = min(2*pause, lastPause)
			} else {
				retryAt, pause = time.Time{}, firstPause
			}
		}
		timer.Reset(q.untilNext(retryAt))
	}
}

// advance ends delays and looks for samples that are too old.
func (q *Queue[S]) advance() {
	q.mu.Lock()
	now := time.Now()
	arrived := q.index.endDelays(now)
	q.index.expire(now, retirePerBatch)
	q.mu.Unlock()
	if arrived {
		q.notify(nil, true)
	}
}

func (q *Queue[S]) removeRetired() error {
	q.mu.Lock()
	batch := q.index.retiring(retirePerBatch)
	q.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := q.remove(batch)
	if err == nil || errors.Is(err, ErrCorrupt) {
		return nil // what is damaged stays in the file, and Open reports it
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.index.retired = append(batch, q.index.retired...)
	return err
}

// remove removes samples from the file, makes dead letters of some of them, and
// notifies the watchers. It leaves samples whose record is damaged and returns
// an error that wraps ErrCorrupt for them.
func (q *Queue[S]) remove(batch []retirement) error {
	var ops []op
	var damage error
	removed := batch[:0:0]
	for _, r := range batch {
		if r.cause != "" {
			record, err := q.letterOf(r)
			if err != nil {
				damage = errors.Join(damage, err)
				continue
			}
			ops = append(ops, record)
		}
		ops = append(ops, r.entry.removal()...)
		removed = append(removed, r)
	}
	if len(removed) == 0 {
		return damage
	}
	if err := q.commits.commit(ops...); err != nil {
		return err
	}
	q.mu.Lock()
	var drops []organic.Dropped
	for _, r := range removed {
		q.index.forget(r.entry)
		if r.drop != 0 {
			drops = append(drops, r.entry.dropped(r.drop))
		}
	}
	q.mu.Unlock()
	q.notify(drops, false)
	return damage
}

// reschedule wakes tend if it has something to do before it runs next. The lock
// is held.
func (q *Queue[S]) reschedule() {
	at := q.index.next(time.Now())
	if at.IsZero() || !q.wakeAt.IsZero() && !at.Before(q.wakeAt) {
		return
	}
	q.wakeAt = at
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// untilNext returns how long tend has nothing to do.
func (q *Queue[S]) untilNext(retryAt time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.wakeAt = q.index.next(now)
	if q.wakeAt.IsZero() {
		return lastPause
	}
	if q.wakeAt.Before(retryAt) {
		q.wakeAt = retryAt
	}
	return q.wakeAt.Sub(now)
}
