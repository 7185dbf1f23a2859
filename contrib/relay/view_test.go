package relay_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

func TestRequesterSees(t *testing.T) {
	t.Parallel()
	fast, slow := func() *script {
		return says("a",
			"b").every(time.Second)
	}, func() *script { return says("x", "y").every(3 * time.Second) }
	isB := relay.FirstGood(func(c relay.Chunk) bool { return c.Text == "b" || c.Text == "y" })
	noWait := func(m *script) *script { return m.every(0) }
	tests := []struct {
		name   string
		view   relay.View
		miners map[organic.UID]*script
		want   string
		picked organic.UID
		state  relay.StreamState
	}{
		{
			name: "the chosen miner", view: relay.One(2),
			miners: map[organic.UID]*script{1: fast(), 2: slow()}, want: events("x", "y", "[DONE]"),
			picked: 2, state: relay.StreamWhole,
		},
		{
			name: "miner zero", view: relay.One(0),
			miners: map[organic.UID]*script{0: slow(), 1: fast()}, want: events("x", "y", "[DONE]"),
			state: relay.StreamWhole,
		},
		{
			name: "the chosen miner, who fails at once", view: relay.One(2),
			miners: map[organic.UID]*script{1: fast(), 2: says().failing(errMishap)},
			want:   events(failure(relay.NoAnswer)), picked: 2, state: relay.StreamFailed,
		},
		{
			name: "the chosen miner, who fails half way", view: relay.One(2),
			miners: map[organic.UID]*script{1: fast(), 2: slow().failing(errMishap)},
			want:   events("x", "y", failure(relay.BrokenOff)), picked: 2, state: relay.StreamFailed,
		},
		{
			name: "the chosen miner, who says nothing", view: relay.One(2),
			miners: map[organic.UID]*script{1: fast(), 2: says()},
			want:   events(failure(relay.NoAnswer)), picked: 2, state: relay.StreamFailed,
		},
		{
			name: "the chosen miner, who hangs", view: relay.One(2),
			miners: map[organic.UID]*script{1: fast(), 2: says("x").hanging()},
			want:   events("x", failure(relay.BrokenOff)), picked: 2, state: relay.StreamFailed,
		},
		{
			name: "the first", miners: map[organic.UID]*script{1: slow(), 2: fast()},
			want: events("a", "b", "[DONE]"), picked: 2, state: relay.StreamWhole,
		},
		{
			name:   "text that looks like an end",
			miners: map[organic.UID]*script{1: slow(), 2: says("[DONE]", "\n\ndata: x")},
			want:   events("[DONE]", "\n\ndata: x", "[DONE]"), picked: 2, state: relay.StreamWhole,
		},
		{
			name:   "the first who is not blank",
			miners: map[organic.UID]*script{1: slow(), 2: says(" ", "\n")},
			want:   events("x", "y", "[DONE]"), picked: 1, state: relay.StreamWhole,
		},
		{
			name:   "the first, who fails later",
			miners: map[organic.UID]*script{1: slow(), 2: fast().failing(errMishap)},
			want:   events("a", "b", failure(relay.BrokenOff)), picked: 2, state: relay.StreamFailed,
		},
		{
			name:   "the first when others fail",
			miners: map[organic.UID]*script{1: slow(), 2: says().failing(errMishap)},
			want:   events("x", "y", "[DONE]"), picked: 1, state: relay.StreamWhole,
		},
		{
			name: "the first good one from its beginning", view: isB,
			miners: map[organic.UID]*script{1: slow(), 2: fast()}, want: events("a", "b", "[DONE]"),
			picked: 2, state: relay.StreamWhole,
		},
		{
			name: "no good one", view: isB,
			miners: map[organic.UID]*script{1: says("c"), 2: says("d")},
			want:   events(failure(relay.NoAnswer)), state: relay.StreamFailed,
		},
		{
			name:   "none at all",
			miners: map[organic.UID]*script{1: says().hanging(), 2: says().failing(errMishap)},
			want:   events(failure(relay.NoAnswer)), state: relay.StreamFailed,
		},
		{
			name: "all", view: relay.All(),
			miners: map[organic.UID]*script{1: fast(), 2: slow().failing(errMishap)}, want: "" +
				"event: 1\ndata: a\n\nevent: 1\ndata: b\n\n" + "event: end\ndata: {\"uid\":1,\"end\":\"complete\"}\n\n" +
				"event: 2\ndata: x\n\nevent: 2\ndata: y\n\n" + "event: end\ndata: {\"uid\":2,\"end\":\"failed\"}\n\n" +
				events("[DONE]"), state: relay.StreamWhole,
		},
		{
			name: "all of nothing", view: relay.All(),
			miners: map[organic.UID]*script{1: noWait(says())},
			want: "event: end\ndata: {\"uid\":1,\"end\":\"complete\"}\n\n" + events(
				failure(relay.NoAnswer),
			),
			state: relay.StreamFailed,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t)
				asked := make(miners)
				for uid, miner := range tt.miners {
					asked[uid] = miner.ask
				}
				w := &requester{}
				require.NoError(
					t, s.serve(t.Context(), w, relay.Query{Miners: asked, View: tt.view}),
				)
				require.Equal(t, tt.want, w.stream())
				require.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
				result := s.result()
				require.Equal(t, tt.picked, result.Stream.UID)
				for uid, miner := range tt.miners {
					require.Equal(t, miner.accepted(), texts(result.Answers[uid]))
				}
				whole := s.relay.Stats().Whole == 1
				require.Equal(t, tt.state == relay.StreamWhole, whole)
			})
		})
	}
}

func TestRawStreamThatFailsReturnsAnError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		miner  *script
		body   string
		err    error
		status int
	}{
		{name: "whole", miner: says("a", "b"), body: "ab"},
		{
			name: "nothing out", miner: says().failing(errMishap), err: relay.ErrNoAnswer,
			status: 502,
		},
		{
			name: "bytes out", miner: says("a").failing(errMishap), body: "a",
			err: relay.ErrBrokenOff, status: 500,
		},
		{
			name: "time over", miner: says("a").hanging(), body: "a", err: relay.ErrBrokenOff,
			status: 500,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, w := newStand(t), &requester{}
				err := s.serve(
					t.Context(), w,
					relay.Query{
						Miners: miners{7: tt.miner.ask}, View: relay.One(7),
						Wire: relay.PlainText{},
					},
				)
				require.Equal(t, tt.body, w.stream())
				s.result()
				if tt.err == nil {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, tt.err)
				require.NotErrorIs(t, err, errMishap, "no internals")
				status, _ := organic.RefusalOf(err)
				require.Equal(t, tt.status, status)
			})
		})
	}
}

func TestPredicateThatPanicsIsTheValidatorsFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), &requester{}
		view := relay.FirstGood(func(c relay.Chunk) bool { panic(c.Text) })
		elsewhere := func(_ context.Context, emit func(relay.Chunk) error) error {
			result := make(chan error)
			go func() { result <- emit(text("a")) }()
			return <-result
		}
		query := relay.Query{Miners: miners{1: says("a").ask, 2: elsewhere}, View: view}
		require.NoError(t, s.serve(t.Context(), w, query))
		require.Equal(t, events(failure(relay.NoAnswer)), w.stream())
		for _, answer := range s.result().Answers {
			require.Equal(t, relay.Failed, answer.Ending)
			require.Equal(t, relay.ByValidator, answer.EndedBy)
			requirePanic(t, answer.Err)
		}
	})
}

func TestPredicateSeesNoChunkAfterTheChoice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), &requester{}
		var judged []string
		view := relay.FirstGood(func(c relay.Chunk) bool {
			judged = append(judged, c.Text)
			return c.Text == "b"
		})
		miner := says("a", "b", "c", "d").every(time.Second)
		require.NoError(
			t, s.serve(t.Context(), w, relay.Query{Miners: miners{1: miner.ask}, View: view}),
		)
		require.Equal(t, []string{"a", "b"}, judged)
		s.result()
	})
}

func TestEmptyChunksAreNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), &requester{}
		view := relay.FirstGood(func(relay.Chunk) bool { return true })
		require.NoError(t, s.serve(t.Context(), w, relay.Query{View: view, Miners: miners{
			1: func(_ context.Context, emit func(relay.Chunk) error) error {
				require.NoError(t, emit(relay.Chunk{}))
				require.NoError(t, emit(relay.Chunk{ToolCalls: []relay.ToolCall{}, At: time.Hour}))
				return nil
			},
		}}))
		require.Equal(t, events(failure(relay.NoAnswer)), w.stream())
		require.Empty(t, s.result().Answers[1].Chunks)
	})
}

func TestChunksThatTheWireDropsAreNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newStand(t), &requester{}
		miner := emits(relay.Chunk{Text: "a"}, relay.Chunk{Reasoning: "hm"}, relay.Chunk{Text: "b"})
		query := relay.Query{
			View: relay.One(1), Wire: relay.PlainText{},
			Miners: miners{1: miner, 2: says("c").every(time.Minute).ask},
		}
		require.NoError(t, s.serve(t.Context(), w, query))
		require.Equal(t, "ab", w.read())
		require.Equal(
			t, relay.Stream{State: relay.StreamWhole, Picked: true, UID: 1, Chunks: 2, Bytes: 2},
			s.result().Stream,
		)
	})
}
