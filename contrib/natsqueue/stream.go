package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
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
func (cfg *config) allSamples() string             { return cfg.name + ".sample.*" }
func (cfg *config) allRecords() string             { return cfg.name + ".record.>" }
func (cfg *config) deadSubject() string            { return cfg.name + ".dead" }
func (cfg *config) leasesSubject() string          { return cfg.name + ".leases" }

// sampleStream refuses what is beyond its bounds, and a second message for an
// ID that it holds: the server never drops an accepted sample but for its age.
func (cfg *config) sampleStream() jetstream.StreamConfig {
	stream := jetstream.StreamConfig{
		Name: cfg.name, Subjects: []string{cfg.allSamples()}, Description: "organic samples",
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
		DiscardNewPerSubject: true, MaxMsgsPerSubject: 1, MaxMsgs: int64(cfg.capacity),
		MaxBytes: cfg.maxBytes, Duplicates: dedupeWindow, Replicas: cfg.replicas,
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
	stream.Name, stream.Subjects = cfg.name+"_records", []string{cfg.allRecords()}
	stream.Description = "failed attempts of organic samples"
	stream.Retention, stream.Discard = jetstream.LimitsPolicy, jetstream.DiscardOld
	stream.DiscardNewPerSubject = false
	stream.MaxMsgs *= 2 // some are of samples that were removed by others
	stream.MaxBytes = recordBytes * stream.MaxMsgs
	return stream
}

// consumer hands the samples to all scorers. The server limits neither
// deliveries, since it would keep the sample for good then, nor what is not
// settled, since samples that wait for a delay count. The name holds the
// identity of the stream, and verdicts are sent to a subject with that name:
// so a verdict about a sample of a removed stream reaches nothing.
func (cfg *config) consumer(identity string) jetstream.ConsumerConfig {
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
	var err error
	r.consumer, err = provideConsumer(ctx, js.Conn(), r.samples, cfg, cfg.consumer(r.identity))
	if err != nil {
		return nil, fmt.Errorf("natsqueue: consumer of stream %s: %w", cfg.name, err)
	}
	return &r, nil
}

func provideStream(
	ctx context.Context, js jetstream.JetStream, cfg *config, want jetstream.StreamConfig,
) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was first
			stream, err = js.Stream(ctx, want.Name)
		}
	}
	if err == nil {
		info := stream.CachedInfo()
		err = differences(streamSettings(info.Config), streamSettings(want))
		if next, isHarmless := updated(info, want); err != nil && cfg.update && isHarmless {
			stream, err = js.UpdateStream(ctx, next)
		}
	}
	if hasCode(err, codeNeedMaxBytes) {
		err = fmt.Errorf("%w: use WithMaxBytes", err)
	}
	if err != nil {
		err = fmt.Errorf("natsqueue: stream %s: %w", want.Name, err)
		return nil, errors.Join(err, denied(js.Conn(), "."+want.Name+`"`))
	}
	return stream, nil
}

func provideConsumer(
	ctx context.Context, conn *nats.Conn, stream jetstream.Stream, cfg *config,
	want jetstream.ConsumerConfig,
) (jetstream.Consumer, error) {
	consumer, err := stream.Consumer(ctx, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return createConsumer(ctx, conn, stream, want)
	}
	if err != nil {
		return nil, err
	}
	have := consumer.CachedInfo().Config
	err = differences(consumerSettings(have), consumerSettings(want))
	if err != nil && cfg.update {
		return stream.UpdateConsumer(ctx, want) // the server refuses what it cannot change
	}
	return consumer, err
}

// createConsumer returns organic.ErrGone if the user may not create the consumer.
func createConsumer(
	ctx context.Context, conn *nats.Conn, stream jetstream.Stream, want jetstream.ConsumerConfig,
) (consumer jetstream.Consumer, err error) {
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	late, subject := ErrUnavailable, "CONSUMER.CREATE."+stream.CachedInfo().Config.Name+"."
	err = retry(ctx, conn, &late, subject, func(ctx context.Context) (final bool, err error) {
		consumer, err = stream.CreateOrUpdateConsumer(ctx, want)
		return isFinal(err), err
	})
	if errors.Is(err, ErrPermission) {
		err = fmt.Errorf("%w: %w", organic.ErrGone, err)
	}
	return consumer, err
}

// setting is a setting and its name in errors.
type setting struct {
	name  string
	value any
}

// differences is an ErrMismatch that names the settings that differ, or nil.
func differences(have, want []setting) error {
	var text []string
	for i, h := range have {
		if w := want[i]; h != w {
			text = append(text, fmt.Sprintf("%s: have %v, want %v", h.name, h.value, w.value))
		}
	}
	if text == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrMismatch, strings.Join(text, ", "))
}

// streamSettings are the settings by which a stream could lose a sample, or not
// take one.
func streamSettings(cfg jetstream.StreamConfig) []setting {
	return []setting{
		{"subjects", fmt.Sprint(cfg.Subjects)},
		{"retention", cfg.Retention.String()},
		{"discard", cfg.Discard.String()},
		{"discard per subject", cfg.DiscardNewPerSubject},
		{"storage", cfg.Storage.String()},
		{"no ack", cfg.NoAck},
		{"sealed", cfg.Sealed},
		{"sources", cfg.Mirror != nil || len(cfg.Sources) > 0},
		{"direct access", cfg.AllowDirect},
		{"limit per message", cfg.MaxMsgSize > 0},
		{"messages per subject", cfg.MaxMsgsPerSubject},
		{"messages", cfg.MaxMsgs},
		{"bytes", cfg.MaxBytes},
		{"age", cfg.MaxAge},
		{"dedupe window", cfg.Duplicates},
		{"replicas", cfg.Replicas},
	}
}

func consumerSettings(cfg jetstream.ConsumerConfig) []setting {
	return []setting{
		{"acknowledgement", cfg.AckPolicy.String()},
		{"filter", cfg.FilterSubject != "" || len(cfg.FilterSubjects) > 0},
		{"back-off", len(cfg.BackOff) > 0},
		{"inactive threshold", cfg.InactiveThreshold > 0},
		{"acknowledgement wait", cfg.AckWait},
		{"deliveries", cfg.MaxDeliver},
		{"unsettled samples", cfg.MaxAckPending},
	}
}

// updated returns the settings of a stream with what may be changed as wanted, and
// whether that loses nothing.
func updated(
	info *jetstream.StreamInfo, want jetstream.StreamConfig,
) (next jetstream.StreamConfig, isHarmless bool) {
	next, state := info.Config, info.State
	next.MaxMsgs, next.MaxBytes, next.MaxAge = want.MaxMsgs, want.MaxBytes, want.MaxAge
	next.Replicas, next.Duplicates = want.Replicas, want.Duplicates
	fits := state.Msgs <= uint64(want.MaxMsgs) && //nolint:gosec // above 0
		(want.MaxBytes < 0 || state.Bytes <= uint64(want.MaxBytes))
	isYoung := want.MaxAge == 0 || state.Msgs == 0 || time.Since(state.FirstTime) < want.MaxAge
	return next, fits && isYoung && differences(streamSettings(next), streamSettings(want)) == nil
}

// goneAfter is how long a stream must be missing: a cluster that restarts may
// say for a moment that it has none.
const goneAfter = 250 * time.Millisecond

// refresh finds the queue on the server as it is now: the same, the same with a
// consumer that was created again, or that of another stream under this name.
// The error wraps organic.ErrGone if there is no stream.
func (q *Queue[S]) refresh(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	_, err := q.js.Stream(bounded, q.cfg.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		pause(bounded, goneAfter)
		_, err = q.js.Stream(bounded, q.cfg.name)
	}
	var server *remote
	switch {
	case err == nil:
		server, err = provide(bounded, q.js, &q.cfg)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = fmt.Errorf("natsqueue: %w: stream %s does not exist", organic.ErrGone, q.cfg.name)
	default:
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	switch {
	case err == nil:
		q.state.attach(server)
	case ctx.Err() == nil:
		q.state.fail(err, 0)
	}
	return err
}
