package organictest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

// checkDeadLetters: what is dead or discarded is kept, with its reason, across
// Close and crashes, until it is forgotten.
func checkDeadLetters(d *durableProbe) {
	d.open()
	require.Empty(d.t, d.letters())
	samples := d.added(2)
	began := time.Now().Add(-time.Second) // a server's clock
	d.retry(0)
	causes := make(map[string]durable.Cause)
	attempts := make(map[string]int)
	for outcome, cause := range map[organic.Outcome]durable.Cause{
		organic.OutcomeDead: durable.CauseDead, organic.OutcomeDiscarded: durable.CauseDiscarded,
	} {
		lease := d.take()
		d.settle(lease, organic.Verdict{Outcome: outcome, Err: errVerdict})
		causes[lease.Sample.ID], attempts[lease.Sample.ID] = cause, lease.Sample.Attempt
	}
	for _, end := range d.ends() {
		end()
		d.open()
		letters := d.awaitLetters(2)
		for i, sample := range samples {
			letter := letters[0]
			if letter.ID != sample.ID {
				letter = letters[1]
			}
			require.Equal(d.t, sample.ID, letter.ID)
			require.Equal(d.t, causes[sample.ID], letter.Cause)
			require.Equal(d.t, errVerdict.Error(), letter.Reason)
			require.Equal(d.t, attempts[sample.ID], letter.Attempts,
				"a dead letter must have the number of failed attempts, the last one included")
			require.Equal(d.t, attempts[sample.ID], letter.Sample.Attempt,
				"the sample of a dead letter must have the attempt at which it was given up")
			require.WithinRange(d.t, letter.Time, began, time.Now().Add(time.Second))
			require.NoError(d.t, letter.Err)
			letter.Sample.Attempt = 1
			requireSame(d.t, samples[i], letter.Sample)
		}
	}
	d.forgetAll()
}

func (d *durableProbe) forgetAll() {
	d.t.Helper()
	for _, letter := range d.letters() {
		require.NoError(
			d.t,
			d.queue.Forget(d.t.Context(), letter.Number),
			"Forget of a dead letter",
		)
		require.ErrorIs(
			d.t,
			d.queue.Forget(d.t.Context(), letter.Number),
			durable.ErrNoDeadLetter,
			"Forget of one that is forgotten",
		)
		require.ErrorIs(
			d.t,
			d.queue.PutBack(d.t.Context(), letter.Number),
			durable.ErrNoDeadLetter,
			"PutBack of one that is forgotten",
		)
	}
	require.Empty(d.t, d.letters())
	d.empty()
}

// checkPutBackLetters: a dead letter that is put back is a sample like new.
func checkPutBackLetters(d *durableProbe) {
	d.open()
	sample := d.samples(1)[0]
	sample.Attempt = 3
	d.add(sample)
	for range 2 {
		d.retry(0)
		d.settle(d.take(), organic.Verdict{Outcome: organic.OutcomeDead, Err: errVerdict})
		letter := d.awaitLetters(1)[0]
		w := d.watch()
		require.NoError(
			d.t,
			d.queue.PutBack(d.t.Context(), letter.Number),
			"PutBack of a dead letter",
		)
		w.requireArrived(
			d.traits.Patience,
			"Arrived must be called when a dead letter was put back",
		)
		require.Empty(d.t, d.letters(), "a dead letter that was put back must be gone")
		require.ErrorIs(
			d.t,
			d.queue.PutBack(d.t.Context(), letter.Number),
			durable.ErrNoDeadLetter,
			"PutBack twice",
		)
		d.close()
		d.open()
		lease := d.takeAttempt(1, "a dead letter that was put back must have no failed attempts")
		sample.Attempt = 1
		requireSame(d.t, sample, lease.Sample)
		d.settle(lease, organic.Verdict{Outcome: organic.OutcomeReturn, Err: errVerdict})
	}
	d.drain([]organic.Sample[string]{sample})
}

// checkLettersStay: a dead letter that cannot be put back stays.
func checkLettersStay(d *durableProbe) {
	d.cfg.Capacity, d.cfg.DropOldest, d.cfg.MaxAge = 4, true, time.Hour
	d.open()
	old := d.samples(1)[0]
	old.Received = time.Now().Add(4*quietFor - time.Hour).Truncate(time.Microsecond)
	d.add(old)
	d.settle(d.take(), organic.Verdict{Outcome: organic.OutcomeDiscarded, Err: errVerdict})
	again := d.added(1)[0]
	d.settle(d.take(), organic.Verdict{Outcome: organic.OutcomeDiscarded, Err: errVerdict})
	numbers := make(map[string]uint64)
	for _, letter := range d.awaitLetters(2) {
		numbers[letter.ID] = letter.Number
	}
	waiting := d.added(4)
	require.ErrorIs(
		d.t,
		d.queue.PutBack(d.t.Context(), numbers[again.ID]),
		organic.ErrFull,
		"PutBack into a full queue must not drop a sample",
	)
	d.size(4)
	d.drain(waiting)

	<-time.After(time.Until(old.Received.Add(time.Hour + quietFor/5)))
	require.ErrorIs(
		d.t,
		d.queue.PutBack(d.t.Context(), numbers[old.ID]),
		durable.ErrExpired,
		"PutBack of a sample that is too old",
	)
	d.awaitLetters(2)
	d.empty()
}

// failingCodec cannot decode payloads that begin with a word.
type failingCodec struct {
	durable.JSON[string]
	word string
}

// Decode fails for payloads that begin with the word.
func (c failingCodec) Decode(data []byte) (organic.Sample[string], error) {
	sample, err := c.JSON.Decode(data)
	if err == nil && strings.HasPrefix(sample.Payload, c.word) {
		return organic.Sample[string]{}, errors.New("organictest: payload of another version")
	}
	return sample, err
}

// checkPoison: what the codec cannot decode is a dead letter, holds up nothing
// else, and can be put back once the codec can.
func checkPoison(d *durableProbe) {
	d.open()
	poison := d.samples(2)
	for i := range poison {
		poison[i].Payload = fmt.Sprintf("POISON %d", i)
	}
	d.add(poison...)
	d.close()

	d.cfg.Codec = failingCodec{word: "POISON"}
	d.open()
	w := d.watch()
	d.drain(d.added(3))
	letters := d.awaitLetters(2)
	d.eventually(
		d.traits.Patience,
		"watchers must be notified of each sample that the queue itself gives up",
		func() bool { return len(w.heard()) == 2 },
	)
	for _, dropped := range w.heard() {
		require.Equal(d.t, organic.DroppedDead, dropped.Reason)
	}
	for _, letter := range letters {
		require.Equal(d.t, durable.CauseUndecodable, letter.Cause)
		require.ErrorIs(d.t, letter.Err, durable.ErrUndecodable)
		require.ErrorIs(
			d.t,
			d.queue.PutBack(d.t.Context(), letter.Number),
			durable.ErrUndecodable,
			"PutBack of a record that cannot be decoded",
		)
	}
	d.awaitLetters(2)
	d.close()

	d.cfg.Codec = nil
	d.open()
	for _, letter := range d.awaitLetters(2) {
		require.NoError(d.t, letter.Err)
		require.NoError(d.t, d.queue.PutBack(d.t.Context(), letter.Number))
	}
	d.drain(poison)
}

func cipherOf(d *durableProbe, id string, key byte) durable.Cipher {
	d.t.Helper()
	cipher, err := durable.NewAESGCM(id, map[string][]byte{id: bytes.Repeat([]byte{key}, 32)})
	require.NoError(d.t, err)
	return cipher
}

// checkWrongKey: a queue that is opened with another key, or without one,
// reports it and harms no sample.
func checkWrongKey(d *durableProbe) {
	right := cipherOf(d, "right", 1)
	d.cfg.Cipher = right
	d.open()
	samples := d.added(5)
	d.settle(d.take(), organic.Verdict{Outcome: organic.OutcomeDiscarded, Err: errVerdict})
	d.close()
	for name, cipher := range map[string]durable.Cipher{
		"a key of another ID":        cipherOf(d, "wrong", 2),
		"another key of the same ID": cipherOf(d, "right", 3),
		"no cipher":                  nil,
	} {
		d.cfg.Cipher = cipher
		d.requireUnknownKey(name)
	}
	d.cfg.Cipher = right
	d.open()
	letter := d.awaitLetters(1)[0]
	require.NoError(d.t, letter.Err, "a wrong key must not harm dead letters")
	require.Equal(d.t, errVerdict.Error(), letter.Reason)
	require.NoError(d.t, d.queue.PutBack(d.t.Context(), letter.Number))
	d.drain(samples)
}

// requireUnknownKey opens the queue with a wrong key: Open or Sample reports it.
func (d *durableProbe) requireUnknownKey(name string) {
	d.t.Helper()
	queue, err := d.store.Open(d.t, d.cfg)
	if err == nil {
		d.eventually(
			d.traits.Patience,
			"Sample must return an error that wraps ErrUnknownKey: "+name,
			func() bool {
				_, err = queue.Sample(d.t.Context())
				return !errors.Is(err, organic.ErrEmpty)
			},
		)
		require.NoError(d.t, queue.Close(d.t.Context()))
	}
	require.ErrorIsf(d.t, err, durable.ErrUnknownKey, "Open or Sample with %s", name)
}

// checkCipher: with a cipher everything works as without.
func checkCipher(d *durableProbe) {
	d.cfg.Cipher = cipherOf(d, "k", 1)
	d.open()
	samples := d.added(5)
	d.settle(d.take(), organic.Verdict{Outcome: organic.OutcomeDead, Err: errVerdict})
	d.retry(0)
	for _, end := range d.ends() {
		end()
		d.open()
	}
	letter := d.awaitLetters(1)[0]
	require.Equal(d.t, errVerdict.Error(), letter.Reason)
	require.NoError(d.t, d.queue.PutBack(d.t.Context(), letter.Number))
	d.drain(samples)
}
