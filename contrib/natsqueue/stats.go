package natsqueue

import "sync/atomic"

// Stats counts what one process has done with a queue, since New. Its counters
// only grow; together they are no snapshot. It is a plain value.
type Stats struct {
	Added         int64 // samples that Add has stored
	Duplicates    int64 // samples that Add was given under an ID that is known
	Refused       int64 // samples that Add answered ErrFull for
	Delivered     int64 // samples that have come from the server, each delivery counted
	Leased        int64 // samples that Sample has handed out
	Scored        int64 // leases settled as scored
	GivenBack     int64 // leases settled as to be tried again or as interrupted
	DeadLettered  int64 // samples moved to the dead letters, by verdict or by the queue itself
	Undecodable   int64 // of these, messages that could not be decoded
	OverDelivered int64 // of these, samples that were delivered too often
	DroppedFull   int64 // samples given up to make room
	Expired       int64 // samples given up for their age
	LeasesOver    int64 // leases given back because they took too long
	Unsettled     int64 // verdicts that the server has not confirmed
	Rejoined      int64 // deliveries of samples that this process still held, or had settled: not handed out again
}

type counters struct {
	added, duplicates, refused, delivered, leased, scored, givenBack, deadLettered, undecodable, overDelivered, dropped,
	expired, leasesOver, unsettled, rejoined atomic.Int64
}

// Stats returns the counters of this process.
func (q *Queue[S]) Stats() Stats {
	c := &q.counts
	return Stats{
		Added: c.added.Load(), Duplicates: c.duplicates.Load(), Refused: c.refused.Load(),
		Delivered: c.delivered.Load(), Leased: c.leased.Load(), Scored: c.scored.Load(), GivenBack: c.givenBack.Load(),
		DeadLettered: c.deadLettered.Load(), Undecodable: c.undecodable.Load(), OverDelivered: c.overDelivered.Load(),
		DroppedFull: c.dropped.Load(), Expired: c.expired.Load(), LeasesOver: c.leasesOver.Load(),
		Unsettled: c.unsettled.Load(), Rejoined: c.rejoined.Load(),
	}
}
