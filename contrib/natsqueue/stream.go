package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// consumerName is the durable consumer that all scorers of a queue share.
const consumerName = "scorers"

// The parts of a queue on the server.
func streamName(name string) string  { return name }
func subjectName(name string) string { return name + ".sample" }
func deadStream(name string) string  { return name + "_dead" }
func deadSubject(name string) string { return name + ".dead" }

// sampleStream holds the samples. It refuses what is beyond its bound: what
// has been accepted is never given up by the server, but for its age.
func (cfg *config) sampleStream() jetstream.StreamConfig {
	stream := jetstream.StreamConfig{
		Name: streamName(cfg.name), Subjects: []string{subjectName(cfg.name)},
		Description: "organic samples that wait to be scored",
		Retention:   jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
		MaxMsgs: int64(cfg.capacity), MaxBytes: -1, Duplicates: cfg.dedupe, Replicas: cfg.replicas,
	}
	if cfg.maxBytes > 0 {
		stream.MaxBytes = cfg.maxBytes
	}
	if cfg.maxAge > 0 {
		stream.MaxAge = cfg.maxAge + cfg.dedupe // the scorers come first, and tell
	}
	return stream
}

// deadLetterStream holds what was given up.
func (cfg *config) deadLetterStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: deadStream(cfg.name), Subjects: []string{deadSubject(cfg.name)},
		Description: "organic samples that were given up",
		Retention:   jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxMsgs: int64(cfg.deadLetters), MaxBytes: -1, MaxAge: cfg.deadAge, Replicas: cfg.replicas,
		Duplicates: min(defaultDedupe, max(cfg.deadAge, time.Duration(0))),
	}
}

// sharedConsumer hands the samples to the scorers. The server neither limits
// the deliveries, for it would then keep the sample for good, nor the samples
// that are unsettled, for those that are delayed count.
func (cfg *config) sharedConsumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait: cfg.ackWait, MaxDeliver: -1, MaxAckPending: -1,
	}
}

// provide makes streams and consumer, or finds them as they must be.
func provide(ctx context.Context, js jetstream.JetStream, cfg *config) (parts parts, err error) {
	samples, err := provideStream(ctx, js, cfg, cfg.sampleStream())
	if err != nil {
		return parts, err
	}
	if parts.dead, err = provideStream(ctx, js, cfg, cfg.deadLetterStream()); err != nil {
		return parts, err
	}
	parts.consumer, err = provideConsumer(ctx, samples, cfg)
	return parts, err
}

// parts is a queue on the server.
type parts struct {
	dead     jetstream.Stream
	consumer jetstream.Consumer
}

func provideStream(ctx context.Context, js jetstream.JetStream, cfg *config, want jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was first
			stream, err = js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("natsqueue: stream %s: %w", want.Name, err)
	}
	info := stream.CachedInfo()
	differ := streamDifferences(info.Config, want)
	if len(differ) == 0 {
		return stream, nil
	}
	if !cfg.update || !isHarmless(info, want) {
		return nil, fmt.Errorf("%w: stream %s: %s", ErrMismatch, want.Name, strings.Join(differ, ", "))
	}
	if stream, err = js.UpdateStream(ctx, updated(info.Config, want)); err != nil {
		return nil, fmt.Errorf("natsqueue: update stream %s: %w", want.Name, err)
	}
	return stream, nil
}

// streamDifferences names the settings that matter and are not as wanted.
func streamDifferences(have, want jetstream.StreamConfig) []string {
	var d differences
	d.add("subjects", fmt.Sprint(have.Subjects), fmt.Sprint(want.Subjects))
	d.add("retention", have.Retention.String(), want.Retention.String())
	d.add("discard", have.Discard.String(), want.Discard.String())
	d.add("storage", have.Storage.String(), want.Storage.String())
	d.add("no ack", have.NoAck, false)
	d.add("sealed", have.Sealed, false)
	d.add("sources", have.Mirror != nil || len(have.Sources) > 0, false)
	d.add("limit per message", have.MaxMsgSize > 0, false)
	d.add("limit per subject", have.MaxMsgsPerSubject > 0, false)
	d.add("messages", have.MaxMsgs, want.MaxMsgs)
	d.add("bytes", have.MaxBytes, want.MaxBytes)
	d.add("age", have.MaxAge, want.MaxAge)
	if want.Duplicates > 0 {
		d.add("dedupe window", have.Duplicates, want.Duplicates)
	}
	d.add("replicas", have.Replicas, want.Replicas)
	return d
}

// differences are settings that are not as they should be.
type differences []string

func (d *differences) add(what string, have, want any) {
	if have != want {
		*d = append(*d, fmt.Sprintf("%s: have %v, want %v", what, have, want))
	}
}

// isHarmless reports whether a stream can be updated without losing anything
// that it holds.
func isHarmless(info *jetstream.StreamInfo, want jetstream.StreamConfig) bool {
	keeps := len(streamDifferences(updated(info.Config, want), want)) == 0
	fits := info.State.Msgs <= uint64(want.MaxMsgs) && (want.MaxBytes < 0 || info.State.Bytes <= uint64(want.MaxBytes)) //nolint:gosec // both are above 0
	oldest := want.MaxAge == 0 || info.State.Msgs == 0 || time.Since(info.State.FirstTime) < want.MaxAge
	return keeps && fits && oldest
}

// updated is the configuration with what may be changed as wanted.
func updated(have, want jetstream.StreamConfig) jetstream.StreamConfig {
	have.MaxMsgs, have.MaxBytes, have.MaxAge, have.Replicas = want.MaxMsgs, want.MaxBytes, want.MaxAge, want.Replicas
	if want.Duplicates > 0 {
		have.Duplicates = want.Duplicates
	}
	return have
}

func provideConsumer(ctx context.Context, stream jetstream.Stream, cfg *config) (jetstream.Consumer, error) {
	want := cfg.sharedConsumer()
	consumer, err := stream.Consumer(ctx, consumerName)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = stream.CreateOrUpdateConsumer(ctx, want)
	}
	if err != nil {
		return nil, fmt.Errorf("natsqueue: consumer %s of stream %s: %w", consumerName, streamName(cfg.name), err)
	}
	have := consumer.CachedInfo().Config
	differ := consumerDifferences(have, want)
	if len(differ) == 0 {
		return consumer, nil
	}
	have.AckWait, have.MaxAckPending, have.MaxDeliver = want.AckWait, want.MaxAckPending, want.MaxDeliver
	if !cfg.update || len(consumerDifferences(have, want)) > 0 {
		return nil, fmt.Errorf("%w: consumer %s of stream %s: %s", ErrMismatch, consumerName, streamName(cfg.name), strings.Join(differ, ", "))
	}
	if consumer, err = stream.UpdateConsumer(ctx, have); err != nil {
		return nil, fmt.Errorf("natsqueue: update consumer %s of stream %s: %w", consumerName, streamName(cfg.name), err)
	}
	return consumer, nil
}

func consumerDifferences(have, want jetstream.ConsumerConfig) []string {
	var d differences
	d.add("acknowledgement", have.AckPolicy.String(), want.AckPolicy.String())
	d.add("filter", have.FilterSubject != "" || len(have.FilterSubjects) > 0, false)
	d.add("push", have.DeliverSubject != "", false)
	d.add("headers only", have.HeadersOnly, false)
	d.add("back-off", len(have.BackOff) > 0, false)
	d.add("inactive threshold", have.InactiveThreshold > 0, false)
	d.add("acknowledgement wait", have.AckWait, want.AckWait)
	d.add("deliveries", have.MaxDeliver, want.MaxDeliver)
	d.add("unsettled samples", have.MaxAckPending, want.MaxAckPending)
	return d
}
