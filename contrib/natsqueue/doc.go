// Package natsqueue is a durable queue of organic samples on NATS JetStream: one
// queue for many front-ends that add samples and many scorers that score them,
// on one machine or several. It replaces the Redis list, the HTTP call between
// API and scorer, or the table, that validators write when the two become
// separate processes.
//
// # Overview
//
// The same code runs against a server or cluster of NATS, and against a server
// inside the process (package embedded):
//
//	conn, err := nats.Connect(url, nats.MaxReconnects(-1))
//	// ...
//	js, err := jetstream.New(conn)
//	// ...
//	queue, err := natsqueue.New[Prompt](ctx, js)
//	// ...
//	v.OrganicScorer, err = organic.New(v, organic.WithQueue(queue))
//
// A front-end needs no scorer:
//
//	err := queue.Add(ctx, organic.NewSample(prompt))
//
// The server must be nats-server 2.10 or newer ([MinServer]). A queue has three
// streams: the samples, the dead letters, and a record for each sample that has
// come back, with its failures, crashes and delay. The file permissions.conf of
// this package holds the permissions that front-ends and scorers need.
//
// # Delivery
//
// A sample for which Add returned nil is stored, and is handed out until a
// verdict ends it, to one process at a time. The process reports to the server
// while the iteration runs. If it is silent for the time of [WithAckWait], the
// sample is handed to another process. Delivery is at least once: a sample is
// scored twice if its process dies, or is cut off for longer than that, or the
// server is killed, between SetWeights and the verdict.
//
// A sample that failed comes back after its delay, which survives restarts of
// processes and servers. The clocks of the processes must agree as well as the
// delays are to be kept. Sample.Attempt counts failures. Deliveries that ended
// with the death of the process are counted separately, see [WithMaxCrashes].
//
// If the stream of samples is removed, calls return organic.ErrGone, and verdicts
// on leases of it do nothing; the queue goes on when the stream exists again. A
// consumer that is removed is created again, and failures and delays are kept.
//
// # Order and bounds
//
// Samples come in the order in which they were added; [WithShuffle] comes
// closest to the random order of [organic.MemoryQueue]. A full queue returns
// organic.ErrFull, or drops its oldest samples with [WithDropOldest].
// [WithMaxAge] drops samples that are too old. What a process drops it counts
// and reports to its watchers.
//
// # Lifecycle
//
// Stop the scorer, then Close the queue, then close the connection. Close gives
// back what the process holds, so that others have it at once.
//
// # Where samples can be lost
//
// A server that is killed loses nothing. A power cut loses what was accepted
// since the server last wrote its files through to the disk: up to 2 minutes by
// default, nothing with its setting sync_interval: always. With [WithReplicas]
// of 3 a loss is less likely, but one server that loses power can be enough while
// others are slow or cut off (nats-server issues 7564 and 7567): only
// sync_interval: always on every server makes power cuts safe.
package natsqueue
