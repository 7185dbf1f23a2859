package boltqueue

import (
	"fmt"
	"time"
)

// Commits returns a function that commits one record of this number, in batches
// that apply is given the numbers of.
func Commits(apply func(batch []uint64) error) (commit func(number uint64) error) {
	c := &committer{apply: func(writes []*write) error {
		var batch []uint64
		for _, w := range writes {
			batch = append(batch, w.ops[0].key)
		}
		return apply(batch)
	}}
	return func(number uint64) error { return c.commit(op{in: sampleBucket, key: number}) }
}

// NextExpiry returns when an index with one waiting sample has something to do,
// and whether the sample is too old now.
func NextExpiry(received time.Time, maxAge time.Duration, now time.Time) (time.Time, bool) {
	x := newIndex(limits{capacity: 1, maxAge: maxAge})
	e := &entry{received: received}
	x.hold(e)
	x.wait(e)
	return x.next(now), x.isExpired(e, now)
}

// Reserve reserves a record of this size in an index without a bound by bytes.
func Reserve(size int64) error {
	_, err := newIndex(limits{capacity: 1}).reserve(&entry{size: size}, false)
	return err
}

// Fail makes a queue believe that a write has failed with an unknown result.
func Fail[S any](q *Queue[S]) {
	err := fmt.Errorf("%w: test", ErrFailed)
	q.store.failed.Store(&err)
}
