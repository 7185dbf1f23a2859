package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
)

// MinServer is the oldest version of nats-server that the queue works with.
const MinServer = "2.10"

const (
	// serverTime bounds a call to the server that has no other bound.
	serverTime = 5 * time.Second
	// recordBytes is what the server stores for the record of a sample, at most.
	recordBytes = 320
	// ageMargin is how long after a sample's maximum age the server removes it,
	// if no scorer has dropped it by then.
	ageMargin = 2 * time.Minute
	// dedupeWindow is how long the server knows the messages that were sent, so
	// that sending one again is safe.
	dedupeWindow = 2 * time.Minute
)

// remote is a queue on the server. It is never changed: a stream that was
// removed and made again is another remote.
type remote struct {
	samples  jetstream.Stream // the samples, one subject per ID
	dead     jetstream.Stream // the dead letters
	records  jetstream.Stream // what is known about samples that came back
	consumer jetstream.Consumer
	identity string // of the stream of samples: when it was made
}

// The names of a queue on the server.
func (cfg *config) sampleSubject(id string) string { return cfg.name + ".sample." + token(id) }
func (cfg *config) deadSubject() string            { return cfg.name + ".dead" }
func (cfg *config) leasesSubject() string          { return cfg.name + ".leases" }

// sampleStream refuses what is beyond its bounds, and a second message for an
// ID that it holds: the server never drops an accepted sample but for its age.
func (cfg *config) sampleStream() jetstream.StreamConfig {
	stream := jetstream.StreamConfig{
		Name: cfg.name, Subjects: []string{cfg.name + ".sample.*"}, Description: "organic samples",
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
		DiscardNewPerSubject: true, MaxMsgsPerSubject: 1, MaxMsgs: int64(cfg.capacity),
		MaxBytes: -1, Duplicates: dedupeWindow, Replicas: cfg.replicas,
	}
	if cfg.maxBytes > 0 {
		stream.MaxBytes = cfg.maxBytes
	}
	if cfg.maxAge > 0 {
		stream.MaxAge = cfg.maxAge + ageMargin
	}
	return stream
}

func (cfg *config) deadStream() jetstream.StreamConfig {
	stream := jetstream.StreamConfig{
		Name: cfg.name + "_dead", Subjects: []string{cfg.deadSubject()},
		Description: "organic samples that were given up", Discard: jetstream.DiscardOld,
		MaxMsgs: int64(cfg.deadLetters), MaxBytes: -1, MaxMsgsPerSubject: -1, MaxAge: cfg.deadAge,
		Duplicates: dedupeWindow, Replicas: cfg.replicas,
	}
	if cfg.maxBytes > 0 {
		stream.MaxBytes = cfg.maxBytes + letterMargin
	}
	if cfg.deadAge > 0 {
		stream.Duplicates = min(dedupeWindow, cfg.deadAge)
	}
	return stream
}

// recordStream keeps the last record per sample. It has no direct access, so
// that a record is read from the leader of a cluster, which knows the last one.
func (cfg *config) recordStream() jetstream.StreamConfig {
	stream := cfg.sampleStream()
	stream.Name, stream.Subjects = cfg.name+"_records", []string{cfg.name + ".record.>"}
	stream.Description = "failed attempts of organic samples"
	stream.Retention, stream.Discard = jetstream.LimitsPolicy, jetstream.DiscardOld
	stream.DiscardNewPerSubject = false
	stream.MaxMsgs *= 2 // some are of samples that were removed by others
	stream.MaxBytes = recordBytes * stream.MaxMsgs
	return stream
}

// sharedConsumer hands the samples to all scorers. The server limits neither
// deliveries, since it would keep the sample for good then, nor what is not
// settled, since samples that wait for a delay count. The name holds the
// identity of the stream, and verdicts are sent to a subject with that name:
// so a verdict about a sample of a removed stream reaches nothing.
func (cfg *config) sharedConsumer(identity string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: "scorers_" + identity, AckPolicy: jetstream.AckExplicitPolicy,
		DeliverPolicy: jetstream.DeliverAllPolicy, AckWait: cfg.ackWait,
		MaxDeliver: -1, MaxAckPending: -1,
	}
}

// provide creates streams and consumer, or finds them with these settings.
func provide(ctx context.Context, js jetstream.JetStream, cfg *config) (*remote, error) {
	var r remote
	var errs [3]error
	r.samples, errs[0] = provideStream(ctx, js, cfg, cfg.sampleStream())
	if errs[0] == nil {
		r.dead, errs[1] = provideStream(ctx, js, cfg, cfg.deadStream())
		r.records, errs[2] = provideStream(ctx, js, cfg, cfg.recordStream())
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	r.identity = strconv.FormatInt(r.samples.CachedInfo().Created.UnixNano(), 36)
	return &r, provideConsumer(ctx, cfg, &r)
}

func provideStream(
	ctx context.Context, js jetstream.JetStream, cfg *config, want jetstream.StreamConfig,
) (jetstream.Stream, error) {
	failed := func(err error) error {
		if hasCode(err, codeNeedMaxBytes) {
			err = fmt.Errorf("%w: use WithMaxBytes", err)
		}
		err = fmt.Errorf("natsqueue: stream %s: %w", want.Name, err)
		return errors.Join(err, denied(js.Conn(), "."+want.Name+"\""))
	}
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was first
			stream, err = js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return nil, failed(err)
	}
	info := stream.CachedInfo()
	differ := streamDifferences(info.Config, want)
	if len(differ) == 0 {
		return stream, nil
	}
	if !cfg.update || !isHarmless(info, want) {
		text := strings.Join(differ, ", ")
		return nil, fmt.Errorf("%w: stream %s: %s", ErrMismatch, want.Name, text)
	}
	if stream, err = js.UpdateStream(ctx, updated(info.Config, want)); err != nil {
		return nil, failed(err)
	}
	return stream, nil
}

// differences are settings that are not as wanted.
type differences []string

func (d *differences) add(what string, have, want any) {
	if have != want {
		*d = append(*d, fmt.Sprintf("%s: have %v, want %v", what, have, want))
	}
}

func streamDifferences(have, want jetstream.StreamConfig) []string {
	var d differences
	d.add("subjects", fmt.Sprint(have.Subjects), fmt.Sprint(want.Subjects))
	d.add("retention", have.Retention.String(), want.Retention.String())
	d.add("discard", have.Discard.String(), want.Discard.String())
	d.add("discard per subject", have.DiscardNewPerSubject, want.DiscardNewPerSubject)
	d.add("storage", have.Storage.String(), want.Storage.String())
	d.add("no ack", have.NoAck, false)
	d.add("sealed", have.Sealed, false)
	d.add("sources", have.Mirror != nil || len(have.Sources) > 0, false)
	d.add("direct access", have.AllowDirect, false)
	d.add("limit per message", have.MaxMsgSize > 0, false)
	d.add("messages per subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
	d.add("messages", have.MaxMsgs, want.MaxMsgs)
	d.add("bytes", have.MaxBytes, want.MaxBytes)
	d.add("age", have.MaxAge, want.MaxAge)
	d.add("dedupe window", have.Duplicates, want.Duplicates)
	d.add("replicas", have.Replicas, want.Replicas)
	return d
}

// isHarmless reports whether a stream can be updated without a loss.
func isHarmless(info *jetstream.StreamInfo, want jetstream.StreamConfig) bool {
	state := info.State
	fits := state.Msgs <= uint64(want.MaxMsgs) && //nolint:gosec // above 0
		(want.MaxBytes < 0 || state.Bytes <= uint64(want.MaxBytes))
	young := want.MaxAge == 0 || state.Msgs == 0 || time.Since(state.FirstTime) < want.MaxAge
	return fits && young && len(streamDifferences(updated(info.Config, want), want)) == 0
}

// updated is a configuration with what may be changed as wanted.
func updated(have, want jetstream.StreamConfig) jetstream.StreamConfig {
	have.MaxMsgs, have.MaxBytes, have.MaxAge = want.MaxMsgs, want.MaxBytes, want.MaxAge
	have.Replicas, have.Duplicates = want.Replicas, want.Duplicates
	return have
}

func provideConsumer(ctx context.Context, cfg *config, r *remote) error {
	want := cfg.sharedConsumer(r.identity)
	failed := func(err error) error {
		return fmt.Errorf("natsqueue: consumer %s of stream %s: %w", want.Durable, cfg.name, err)
	}
	consumer, err := r.samples.Consumer(ctx, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = r.samples.CreateOrUpdateConsumer(ctx, want)
	}
	if err != nil {
		return failed(err)
	}
	have := consumer.CachedInfo().Config
	var d differences
	d.add("acknowledgement", have.AckPolicy.String(), want.AckPolicy.String())
	d.add("filter", have.FilterSubject != "" || len(have.FilterSubjects) > 0, false)
	d.add("back-off", len(have.BackOff) > 0, false)
	d.add("inactive threshold", have.InactiveThreshold > 0, false)
	fixed := len(d)
	d.add("acknowledgement wait", have.AckWait, want.AckWait)
	d.add("deliveries", have.MaxDeliver, want.MaxDeliver)
	d.add("unsettled samples", have.MaxAckPending, want.MaxAckPending)
	if len(d) > 0 && (fixed > 0 || !cfg.update) {
		return failed(fmt.Errorf("%w: %s", ErrMismatch, strings.Join(d, ", ")))
	}
	if len(d) > 0 {
		have.AckWait, have.MaxDeliver = want.AckWait, want.MaxDeliver
		have.MaxAckPending = want.MaxAckPending
		if consumer, err = r.samples.UpdateConsumer(ctx, have); err != nil {
			return failed(err)
		}
	}
	r.consumer = consumer
	return nil
}

// goneAfter is how long a stream must be missing: a cluster that restarts may
// say for a moment that it has none.
const goneAfter = 250 * time.Millisecond

// find returns the queue on the server as it is now: the same, the same with a
// consumer that was created again, or that of another stream under this name.
// The error wraps organic.ErrGone if there is no stream.
func (q *Queue[S]) find(ctx context.Context) (*remote, error) {
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	for try := range 2 {
		_, err := q.js.Stream(ctx, q.cfg.name)
		if err == nil {
			return provide(ctx, q.js, &q.cfg)
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if try == 0 {
			pause(ctx, goneAfter)
		}
	}
	return nil, fmt.Errorf("natsqueue: %w: stream %s does not exist", organic.ErrGone, q.cfg.name)
}
