// Package durable is what the durable queues of organic samples share: the
// contract [Queue], dead letters, and how samples are written and encrypted.
// Package boltqueue keeps its samples in one file for one process, package
// natsqueue on NATS JetStream for many processes. Both implement Queue, and
// organictest.TestDurableQueue tests it.
//
// # Delivery
//
// A sample for which Add returned nil is stored. The queue hands it out until
// a verdict ends it: scored, dead or discarded. A lease belongs to one
// consumer at a time. Delivery is at least once: a sample is delivered again
// if its process dies between SetWeights and the verdict, so SetWeights can
// see the same ID twice.
//
// # Attempts and crashes
//
// Sample.Attempt is 1 plus the number of verdicts organic.OutcomeRetry so far.
// Interruptions, delays that a hook asked for, expired leases and restarts do
// not count. A sample that comes into the queue with a higher Attempt starts
// from there.
//
// Deliveries that end with the death of the process are counted separately. A
// queue moves a sample to its dead letters after as many of them as its
// configuration allows, 5 by default, with [CauseCrashes], and reports it to
// its watchers as organic.DroppedDead.
//
// # Dead letters
//
// A sample that is settled as dead or discarded is kept as a [DeadLetter] with
// the reason. So is a record that the codec cannot decode. A sample that the
// cipher cannot open is not a dead letter: the key may be missing here and
// known elsewhere, so the sample stays in the queue, and the queue reports
// [ErrUnknownKey].
//
// # What a validator remembers beside its samples
//
// A [File] keeps a value as JSON, such as a relay.Arrivals or a copies.Detector:
//
//	file, err := durable.OpenFile("arrivals.json", arrivals)
//	group.Go(func() error { return file.Run(ctx, 10*time.Second) })
//
// # Privacy
//
// No log line, error or metric of a queue contains a payload. Payloads are
// stored in the clear unless the queue has a [Cipher]; the IDs of samples are
// always stored in the clear.
package durable
