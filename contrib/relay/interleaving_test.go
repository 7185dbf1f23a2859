package relay_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

// behaviour is how a miner answers, and how its answer must end.
type behaviour struct {
	name   string
	script func(name string) *script
	ending relay.Ending
}

// behaviours are measured against a time of 30 s and 40 chunks.
func behaviours() []behaviour {
	chunks := func(name string, n int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = name + string(rune('a'+i%26))
		}
		return list
	}
	return []behaviour{
		{
			"whole",
			func(name string) *script { return says(chunks(name, 5)...).every(time.Second) },
			relay.Complete,
		},
		{
			"slow",
			func(name string) *script { return says(chunks(name, 5)...).every(9 * time.Second) },
			relay.TimedOut,
		},
		{"silent", func(string) *script { return says().hanging() }, relay.Silent},
		{"failing", func(name string) *script {
			return says(chunks(name, 2)...).every(1500 * time.Millisecond).failing(errMishap)
		}, relay.Failed},
		{"refusing", func(string) *script { return says().failing(errMishap) }, relay.Failed},
		{"flooding", func(name string) *script { return says(chunks(name, 100)...) }, relay.CutOff},
		{"overstaying", func(name string) *script {
			s := says(chunks(name, 2)...).every(2 * time.Second).hanging()
			s.overstay = time.Minute
			return s
		}, relay.TimedOut},
	}
}

// reader is how a requester behaves.
type reader struct {
	name  string
	leave time.Duration // when it leaves; 0: never
	pace  func(write int) time.Duration
}

func readers() []reader {
	return []reader{
		{name: "reading"},
		{name: "leaving", leave: 3300 * time.Millisecond},
		{name: "leaving at once", leave: time.Nanosecond},
		{
			name: "stalling",
			pace: func(write int) time.Duration { return time.Duration(write/2) * time.Hour },
		},
		{name: "lagging", pace: slowly(4100 * time.Millisecond)},
	}
}

func views() map[string]relay.View {
	return map[string]relay.View{
		"one": relay.One(1), "first": relay.FirstGood(nil), "all": relay.All(),
	}
}

func TestEveryMinerMeetsEveryRequester(t *testing.T) {
	t.Parallel()
	for view := range views() {
		for _, r := range readers() {
			t.Run(view+" "+r.name, func(t *testing.T) {
				t.Parallel()
				for _, first := range behaviours() {
					for _, second := range behaviours() {
						for _, stop := range []bool{false, true} {
							for _, sse := range []bool{false, true} {
								meet(t, view, r, []behaviour{first, second}, stop, sse)
							}
						}
					}
				}
			})
		}
	}
}

// meet plays one query to two miners.
func meet(t *testing.T, view string, r reader, asked []behaviour, stop, sse bool) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("%s beside %s, stop %v, SSE %v", asked[0].name, asked[1].name, stop, sse)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		st := newStand(
			t, relay.WithTimeout(30*time.Second), relay.WithMaxAnswer(1<<20, 40),
			relay.WithMaxLag(30),
		)
		sc := &scene{view: view, sse: sse, scripts: make(map[organic.UID]*script)}
		query := relay.Query{
			View: views()[view], Miners: make(miners), StopOnLeave: stop, Wire: relay.PlainText{},
		}
		if sse {
			query.Wire = relay.SSE{}
		}
		for i, b := range asked {
			uid := organic.UID(i + 1)
			sc.scripts[uid] = b.script(string(rune('A' + i)))
			query.Miners[uid] = sc.scripts[uid].ask
		}
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		if r.leave > 0 {
			time.AfterFunc(r.leave, leave)
		}
		w := &requester{pace: r.pace}
		sc.err = st.serve(ctx, w, query)
		sc.body = w.stream()
		sc.result = st.result()
		sc.verify(t)
		sc.verifyError(t)
		for i, b := range asked {
			want := []relay.Ending{b.ending}
			if stop {
				want = append(want, relay.Cancelled, relay.NeverStarted)
			}
			require.True(
				t, slices.Contains(want, sc.result.Answers[organic.UID(i+1)].Ending), b.name,
			)
		}
		require.LessOrEqual(t, sc.result.Took, 30*time.Second)
	})
}
