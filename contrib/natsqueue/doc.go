// Package natsqueue is a queue of organic samples on NATS JetStream: one for
// many front-ends that take queries in and many scorers that score them, on
// one machine or several. It replaces the Redis list, the HTTP call between
// API and scorer, or the table, that validators write when the two become
// separate processes.
//
// # Overview
//
// The same code runs against a server or cluster of NATS, and against a server
// inside the process (package embedded beside this one):
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
// # Delivery
//
// What Add has returned nil for is stored, and is handed out until somebody
// has settled it for good. It is handed out by one process at a time, which
// reports to the server while the iteration runs; when it falls silent, the
// sample is another's ([WithAckWait]), and so is one that is leased for too
// long ([WithMaxLease]). Delivery is at least once: a sample is scored twice
// when a process dies, or is cut off for longer than that, between the weights
// and the verdict. Sample.Attempt counts deliveries, interruptions and crashes
// included.
//
// A failed sample comes back after its delay without being stored anew. The
// scorer gives it up by its own count (organic.WithRetry); one that ends the
// process each time is given up by the queue ([WithMaxDeliveries]). Both are
// copied to a stream of dead letters first, with the reason: see
// [Queue.DeadLetters] and [Queue.PutBack].
//
// # Order
//
// Samples come in the order in which they were added. [WithShuffle] comes
// closest to the random pick of [organic.MemoryQueue].
//
// # The bound
//
// A full queue refuses with [organic.ErrFull]: what was accepted stays. With
// [WithDropOldest] it gives up the oldest sample that waits. [WithMaxAge] drops
// what is too old. All that a process drops it counts, and tells its watchers.
//
// # Lifecycle
//
// Stop the scorer, then Close the queue, then close the connection. Close
// gives back what the process holds, so that others have it at once.
//
// # Privacy
//
// No payload is in a log line, error or event. On the server they are in the
// clear, unless [WithCipher] encrypts them.
//
// # Where samples can be lost
//
// A server that is killed loses nothing. A power cut loses what was accepted
// since the server last wrote its files through to the disk: up to 2 minutes
// by default, nothing with its setting sync_interval: always. With
// [WithReplicas] of 3 that is less likely, but one server that loses power can
// be enough while others are slow or cut off (nats-server issues 7564 and
// 7567): only sync_interval: always on every server makes power cuts safe.
package natsqueue
