// Package boltqueue is a durable queue of organic samples in one file, for one
// process. A validator that keeps its samples in it loses none of them when it
// is restarted, killed, or cut off from power.
//
// # Overview
//
//	queue, err := boltqueue.Open("queue.db", boltqueue.Config[Prompt]{})
//	// ...
//	v.OrganicScorer, err = organic.New(v, organic.WithQueue(queue))
//	// ... Start, and at the end:
//	err = v.Stop(ctx)
//	err = queue.Close(ctx)
//
// The file is one of go.etcd.io/bbolt. Where several processes share a queue,
// use package natsqueue; durable.Move moves samples from one to the other.
//
// # Delivery
//
// What package durable promises holds: a sample for which Add returned nil is
// on the disk, its failures and delays survive a restart, a sample that has
// ended the process 5 times becomes a dead letter, and so does one that is
// settled as dead or discarded. A lease lasts until its verdict; it does not
// expire while the process lives.
//
// # Order and bound
//
// [Config] sets the order: uniformly random, oldest first, newest first, or
// fair to requesters. A full queue drops its oldest sample, or refuses. The
// index of the samples is in memory, about 300 bytes each; their payloads are
// in the file alone. The file grows to what the queue once held and does not
// shrink.
//
// # Syncs
//
// Add and final verdicts wait for the disk, in one transaction of two syncs.
// Calls that come at the same time share one. Sample does not wait for the
// disk, nor does a verdict that gives a sample back at once that has not failed
// or been delayed before. [Config].NoSync leaves out all syncs and states what
// can then be lost.
//
// # Damage
//
// Open reads and checks everything. A file that is cut off, changed, older than
// it should be, replaced by another, or missing is an error that wraps [ErrCorrupt] or
// organic.ErrGone, and nothing is written to it. There is no repair: restore a
// backup and remove its journal, or start with an empty file. To back up a
// queue, Close it and copy the file.
//
// # The journal
//
// Beside the file stands a small one with ".journal" appended: which file it
// belongs to, the process that has the queue open, what it has leased, and the
// last transaction. It is what crashes are counted from. It is not synced while
// the queue is open, so after a power cut a lease may be missing from it, or one
// that had ended counted as a crash.
package boltqueue
