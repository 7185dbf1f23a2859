package e2e_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"
)

// payload is what is stored in benchmarks, 1 KiB.
var payload = strings.Repeat("organic ", 128)

// benchCapacity is above what any benchmark stores.
const benchCapacity = 10_000_000

// openBench opens a queue of its own, and its server.
func openBench(
	b *testing.B, opts ...natsqueue.Option,
) (*natsqueue.Queue[string], jetstream.JetStream) {
	b.Helper()
	js := connect(b, startServer(b))
	return openOver(b, js, append(opts, natsqueue.WithCapacity(benchCapacity))...), js
}

// BenchmarkAdd: the floor writes the sample as JSON and publishes it with its
// ID as the message's, and waits for the server.
func BenchmarkAdd(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		_, js := openBench(b)
		for b.Loop() {
			require.NoError(b, publish(b, js))
		}
	})
	b.Run("organic", func(b *testing.B) {
		b.ReportAllocs()
		queue, _ := openBench(b)
		for b.Loop() {
			if err := queue.Add(b.Context(), organic.NewSample(payload)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// publish is the floor of Add.
func publish(b *testing.B, js jetstream.JetStream) error {
	b.Helper()
	msg, err := rawMessage()
	if err != nil {
		return err
	}
	_, err = js.PublishMsg(b.Context(), msg)
	return err
}

// rawMessage is a sample as a program without the queue writes it: on a subject
// of its own, so that no ID is stored twice.
func rawMessage() (*nats.Msg, error) {
	sample := organic.NewSample(payload)
	data, err := json.Marshal(sample)
	header := nats.Header{"Organic-Id": {sample.ID}, nats.MsgIdHdr: {sample.ID}}
	return &nats.Msg{Subject: "organic.sample." + sample.ID, Header: header, Data: data}, err
}

// fill stores as many samples as a benchmark takes.
func fill(b *testing.B, js jetstream.JetStream) {
	b.Helper()
	fillWith(b, js, b.N)
	b.ResetTimer()
}

func fillWith(b *testing.B, js jetstream.JetStream, samples int) {
	b.Helper()
	for i := range samples {
		msg, err := rawMessage()
		require.NoError(b, err)
		_, err = js.PublishMsgAsync(msg)
		require.NoError(b, err)
		if i%1000 == 999 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
}

func benchConsumer(b *testing.B, js jetstream.JetStream) jetstream.Consumer {
	b.Helper()
	stream, err := js.Stream(b.Context(), "organic")
	require.NoError(b, err)
	for name := range stream.ConsumerNames(b.Context()).Name() {
		consumer, err := stream.Consumer(b.Context(), name)
		require.NoError(b, err)
		return consumer
	}
	require.Fail(b, "the queue has a consumer")
	return nil
}

// end is what each floor does with a sample.
func end(b *testing.B, msg jetstream.Msg) {
	b.Helper()
	var sample organic.Sample[string]
	if err := json.Unmarshal(msg.Data(), &sample); err != nil {
		b.Fatal(err)
	}
	if err := msg.DoubleAck(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func takeAndSettle(b *testing.B, queue organic.Queue[string], samples int) {
	b.Helper()
	for range samples {
		lease, err := queue.Sample(b.Context())
		for errors.Is(err, organic.ErrEmpty) {
			lease, err = queue.Sample(b.Context())
		}
		if err != nil {
			b.Fatal(err)
		}
		if err := lease.Settle(b.Context(), organic.Verdict{Outcome: organic.OutcomeScored}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSampleAndSettle: the floor fetches one message without waiting,
// reads it, and acknowledges it with confirmation.
func BenchmarkSampleAndSettle(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		_, js := openBench(b)
		consumer := benchConsumer(b, js)
		fill(b, js)
		for range b.N {
			batch, err := consumer.FetchNoWait(1)
			require.NoError(b, err)
			end(b, <-batch.Messages())
		}
	})
	b.Run("organic", func(b *testing.B) {
		b.ReportAllocs()
		queue, js := openBench(b)
		fill(b, js)
		takeAndSettle(b, queue, b.N)
	})
}

// BenchmarkPrefetch: the floor lets the client hold 100 messages ahead, reads
// them one by one, and acknowledges each with confirmation.
func BenchmarkPrefetch(b *testing.B) {
	const ahead = 100
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		_, js := openBench(b)
		consumer := benchConsumer(b, js)
		fill(b, js)
		messages, err := consumer.Messages(jetstream.PullMaxMessages(ahead))
		require.NoError(b, err)
		defer messages.Stop()
		for range b.N {
			msg, err := messages.Next()
			require.NoError(b, err)
			end(b, msg)
		}
	})
	b.Run("organic", func(b *testing.B) {
		b.ReportAllocs()
		queue, js := openBench(b, natsqueue.WithPrefetch(ahead))
		fill(b, js)
		takeAndSettle(b, queue, b.N)
	})
}
