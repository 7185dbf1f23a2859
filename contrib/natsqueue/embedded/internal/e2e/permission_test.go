package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"
)

func isGone(err error) bool { return errors.Is(err, organic.ErrGone) }

func text(size int) string { return strings.Repeat("x", size) }

// cipherWith seals with the first of these keys and opens with all.
func cipherWith(t *testing.T, ids ...string) durable.Cipher {
	t.Helper()
	keys := make(map[string][]byte)
	for _, id := range ids {
		keys[id] = []byte(strings.Repeat(id[:1], 32))
	}
	cipher, err := durable.NewAESGCM(ids[0], keys)
	require.NoError(t, err)
	return cipher
}

// runServer runs a server with a configuration file.
func runServer(t *testing.T, config string) *server.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.conf")
	head := "listen: \"127.0.0.1:-1\"\njetstream { store_dir: \"" + t.TempDir() + "\" }\n"
	require.NoError(t, os.WriteFile(file, []byte(head+config), 0o600))
	options, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	options.NoLog, options.NoSigs = true, true
	s, err := server.NewServer(options)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(patience))
	return s
}

func connectAs(t *testing.T, s *server.Server, user string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(s.ClientURL(), nats.UserInfo(user, user), quiet)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return streamsOf(t, conn)
}

// limitedAccount is an account whose streams need a limit in bytes.
func limitedAccount(t *testing.T) jetstream.JetStream {
	t.Helper()
	s := runServer(t, `accounts { A {
	jetstream { max_store: 8388608, max_bytes: true }
	users: [{user: a, password: a}]
} }`)
	return connectAs(t, s, "a")
}

// permissions are those that the queue ships for users to copy.
func permissions(t *testing.T) string {
	t.Helper()
	config, err := os.ReadFile("../../../permissions.conf")
	require.NoError(t, err)
	return string(config)
}

// TestPermissions: with the documented permissions an owner can create the
// queue, a front-end can add, and a scorer can score, and none of them can do
// more.
func TestPermissions(t *testing.T) {
	t.Parallel()
	s := runServer(t, permissions(t))
	owner := openOver(t, connectAs(t, s, "owner"))
	require.NoError(t, owner.Close(t.Context()))

	frontend := openOver(t, connectAs(t, s, "frontend"))
	ids := add(t, frontend, 4)
	eventually(t, "a front-end knows the size", func() bool { return frontend.Size() == 4 })
	_, err := frontend.Sample(t.Context())
	require.ErrorIs(t, err, natsqueue.ErrPermission)
	require.ErrorContains(t, err, "$JS.API.CONSUMER.MSG.NEXT.organic.")

	scorer := openOver(t, connectAs(t, s, "scorer"))
	settle(t, take(t, scorer), organic.OutcomeScored, 0)
	settle(t, take(t, scorer), organic.OutcomeRetry, 0)
	settle(t, take(t, scorer), organic.OutcomeDead, 0)
	settle(t, take(t, scorer), organic.OutcomeDiscarded, 0)
	lease := take(t, scorer)
	require.Contains(t, ids, lease.Sample.ID)
	settle(t, lease, organic.OutcomeScored, 0)
	all := letters(t, scorer)
	require.Len(t, all, 2)
	require.NoError(t, scorer.Forget(t.Context(), all[0].Number))
	require.NoError(t, scorer.PutBack(t.Context(), all[1].Number))
	eventually(t, "both know the size",
		func() bool { return scorer.Size() == 1 && frontend.Size() == 1 })

	for name, js := range map[string]jetstream.JetStream{
		"front-end": connectAs(t, s, "frontend"),
		"scorer":    connectAs(t, s, "scorer"),
	} {
		require.Error(t, js.DeleteStream(shortly(t), "organic"), name)
		stream, err := js.Stream(t.Context(), "organic")
		require.NoError(t, err)
		require.Error(t, stream.Purge(shortly(t)), name)
	}
}

// TestMissingPermissions: each missing permission is reported by its subject.
func TestMissingPermissions(t *testing.T) {
	t.Parallel()
	s := runServer(t, `authorization { users: [
	{user: all, password: all},
	{user: noinfo, password: noinfo, permissions: {publish: {deny: ["$JS.API.STREAM.INFO.organic"]}}},
	{user: nonext, password: nonext, permissions: {publish: {deny: ["$JS.API.CONSUMER.MSG.NEXT.>"]}}},
	{user: noadd, password: noadd, permissions: {publish: {deny: ["organic.sample.>"]}}},
	{user: noack, password: noack, permissions: {publish: {deny: ["$JS.ACK.>"]}}},
	{user: norecord, password: norecord, permissions: {publish: {deny: ["organic.record.>"]}}},
	{user: nodead, password: nodead, permissions: {publish: {deny: ["organic.dead"]}}}
] }`)
	add(t, openOver(t, connectAs(t, s, "all")), 10)
	short := func(lease organic.Lease[string], outcome organic.Outcome) error {
		return lease.Settle(shortly(t), organic.Verdict{Outcome: outcome, Err: errHook})
	}
	tests := []struct {
		user, subject string
		call          func(queue *natsqueue.Queue[string]) error
	}{
		{"nonext", "$JS.API.CONSUMER.MSG.NEXT.organic.", func(q *natsqueue.Queue[string]) error {
			_, err := q.Sample(t.Context())
			return err
		}},
		{
			"noadd", "organic.sample.",
			func(q *natsqueue.Queue[string]) error { return q.Add(t.Context(), organic.NewSample("new")) },
		},
		{
			"noack", "$JS.ACK.organic.",
			func(q *natsqueue.Queue[string]) error { return short(take(t, q), organic.OutcomeScored) },
		},
		{
			"norecord", "organic.record.",
			func(q *natsqueue.Queue[string]) error { return short(take(t, q), organic.OutcomeRetry) },
		},
		{"nodead", "organic.dead", func(q *natsqueue.Queue[string]) error {
			return short(take(t, q),
				organic.OutcomeDead)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.user, func(t *testing.T) {
			queue, err := natsqueue.New[string](t.Context(), connectAs(t, s, tt.user))
			require.NoError(t, err)
			began := time.Now()
			err = tt.call(queue)
			require.ErrorIs(t, err, natsqueue.ErrPermission)
			require.ErrorContains(t, err, tt.subject)
			require.Less(t, time.Since(began), soon)
			_ = queue.Close(shortly(t)) // it may not give back
		})
	}
	_, err := natsqueue.New[string](shortly(t), connectAs(t, s, "noinfo"))
	require.ErrorIs(t, err, natsqueue.ErrPermission)
	require.ErrorContains(t, err, "$JS.API.STREAM.INFO.organic")
}

// TestConsumerIsGoneForAScorer: a scorer that may not create the consumer again
// reports that it is gone, and the permission, and goes on when it is there.
func TestConsumerIsGoneForAScorer(t *testing.T) {
	t.Parallel()
	config := strings.Replace(permissions(t), "users = [", "users = [ {user: all, password: all}", 1)
	s := runServer(t, config)
	js := connectAs(t, s, "all")
	queue := openOver(t, js)
	add(t, queue, 3)
	require.NoError(t, queue.Close(t.Context()))
	scorer := openOver(t, connectAs(t, s, "scorer"))
	lease := take(t, scorer)
	stream, err := js.Stream(t.Context(), "organic")
	require.NoError(t, err)
	for name := range stream.ConsumerNames(t.Context()).Name() {
		require.NoError(t, stream.DeleteConsumer(t.Context(), name))
	}
	began := time.Now()
	eventually(t, "it is reported",
		func() bool { _, err = scorer.Sample(t.Context()); return isGone(err) })
	require.ErrorIs(t, err, natsqueue.ErrPermission)
	require.ErrorContains(t, err, "CONSUMER.CREATE.organic.")
	require.ErrorIs(t, lease.Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeScored}),
		organic.ErrGone)
	require.Less(t, time.Since(began), 5*time.Second)
	openOver(t, js)
	eventually(t, "it goes on", func() bool { _, err = scorer.Sample(t.Context()); return err == nil })
}

// TestMayNotReadRecords: a scorer that may not read what is known about samples that
// came back reports it, and takes the others.
func TestMayNotReadRecords(t *testing.T) {
	t.Parallel()
	s := runServer(t, `authorization { users: [
	{user: all, password: all},
	{user: noget, password: noget, permissions: {publish: {deny: ["$JS.API.STREAM.MSG.GET.organic_records"]}}}
] }`)
	all := openOver(t, connectAs(t, s, "all"))
	add(t, all, 1)
	settle(t, take(t, all), organic.OutcomeReturn, 0)
	require.NoError(t, all.Close(t.Context()))
	queue := openOver(t, connectAs(t, s, "noget"))
	began := time.Now()
	eventually(t, "it is reported", func() bool {
		_, err := queue.Sample(t.Context())
		return errors.Is(err, natsqueue.ErrPermission) && strings.Contains(err.Error(),
			"$JS.API.STREAM.MSG.GET.organic_records")
	})
	require.Less(t, time.Since(began), 5*time.Second)
	id := add(t, queue, 1)[0]
	eventually(t, "the others are taken", func() bool {
		lease, err := queue.Sample(t.Context())
		return err == nil && lease.Sample.ID == id
	})
}
