package relay_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

// schedule is a random query: what each miner does when, what the requester
// does, and what limits hold.
type schedule struct {
	random    *rand.Rand
	timeout   time.Duration
	maxBytes  int
	maxChunks int
	maxLag    int
	parallel  int
	first     time.Duration // 0: no limit
	idle      time.Duration
	scripts   map[organic.UID]*script
	view      string
	sse, stop bool
	leave     time.Duration
	pace      []time.Duration
}

// wait is a random time that no other wait adds up to.
func (s *schedule) wait(most time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(most))) | 1
}

func newSchedule(seed uint64) *schedule {
	s := &schedule{random: rand.New(rand.NewPCG(seed, 0)), scripts: make(map[organic.UID]*script)}
	s.timeout = s.wait(20 * time.Second)
	s.maxBytes, s.maxChunks, s.maxLag = 10+s.random.IntN(80), 1+s.random.IntN(15), 5+s.random.IntN(
		80,
	)
	s.parallel = 1 + s.random.IntN(6)
	s.idle = time.Second + s.wait(9*time.Second)
	if s.random.IntN(2) == 0 {
		s.first = s.wait(9 * time.Second)
	}
	s.view = []string{"one", "first", "all"}[s.random.IntN(3)]
	s.sse, s.stop = s.random.IntN(2) == 0, s.random.IntN(2) == 0
	if s.random.IntN(2) == 0 {
		s.leave = s.wait(15 * time.Second)
	}
	for range s.random.IntN(10) {
		s.pace = append(
			s.pace,
			s.wait(
				[]time.Duration{time.Millisecond, time.Second, 15 * time.Second}[s.random.IntN(3)],
			),
		)
	}
	for uid := organic.UID(1); len(s.scripts) == 0 || uid <= 5 && s.random.IntN(4) > 0; uid++ {
		miner := &script{
			hang:     s.random.IntN(4) == 0,
			overstay: s.wait(time.Minute) * time.Duration(s.random.IntN(2)),
		}
		if s.random.IntN(3) == 0 {
			miner.err = errMishap
		}
		for i := range s.random.IntN(12) {
			chunk := fmt.Sprintf("%d-%d%.*s", uid, i, s.random.IntN(8), "........")
			if s.random.IntN(6) == 0 {
				chunk = strings.Repeat(" ", 1+s.random.IntN(3))
			}
			miner.chunks = append(miner.chunks, chunk)
			miner.waits = append(
				miner.waits,
				s.wait([]time.Duration{2, time.Second, 5 * time.Second}[s.random.IntN(3)]),
			)
		}
		s.scripts[uid] = miner
	}
	return s
}

// outcome is what a miner's answer must be.
type outcome struct {
	chunks []string
	ending relay.Ending
	by     relay.Party
	at     time.Duration // when it ends
}

// model is the outcome of a miner that is asked at a time, if no one stops it. A queued miner has
// waited for its turn.
func (s *schedule) model(miner *script, start time.Duration, queued bool) outcome {
	o := outcome{at: start}
	if start > s.timeout {
		return outcome{ending: relay.NeverStarted, by: relay.ByValidator, at: s.timeout}
	}
	due, begun := time.Duration(math.MaxInt64), false
	if s.first > 0 {
		due = start + s.first
	}
	late := func() outcome {
		o.at, o.by, o.ending = min(due, s.timeout), relay.ByTime, relay.Silent
		if queued && o.at == s.timeout {
			o.by = relay.ByValidator
		}
		if begun {
			o.ending = relay.TimedOut
		}
		return o
	}
	size := 0
	for i, chunk := range miner.chunks {
		if o.at += miner.waits[i]; o.at > min(due, s.timeout) {
			return late()
		}
		if size += len(chunk); size > s.maxBytes || i == s.maxChunks {
			o.ending, o.by = relay.CutOff, relay.ByMiner
			return o
		}
		o.chunks = append(o.chunks, chunk)
		if begun = begun || strings.TrimSpace(chunk) != ""; begun {
			due = o.at + s.idle
		}
	}
	o.ending, o.by = relay.Complete, relay.ByMiner
	switch {
	case miner.hang:
		return late()
	case miner.err != nil:
		o.ending = relay.Failed
	}
	return o
}

// run plays the schedule.
func (s *schedule) run(t *testing.T) *scene {
	t.Helper()
	st := newStand(
		t, relay.WithTimeout(s.timeout), relay.WithMaxAnswer(s.maxBytes, s.maxChunks),
		relay.WithMaxLag(s.maxLag), relay.WithParallel(s.parallel), relay.WithIdle(s.idle),
		firstChunk(s.first),
	)
	sc := &scene{view: s.view, sse: s.sse, scripts: s.scripts}
	query := relay.Query{
		View: views()[s.view], Miners: make(miners), StopOnLeave: s.stop, Wire: relay.PlainText{},
	}
	if s.sse {
		query.Wire = relay.SSE{}
	}
	for uid, miner := range s.scripts {
		query.Miners[uid] = miner.ask
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	if s.leave > 0 {
		time.AfterFunc(s.leave, leave)
	}
	w := &requester{pace: func(write int) time.Duration {
		if write > len(s.pace) {
			return 0
		}
		return s.pace[write-1]
	}}
	sc.err = st.serve(ctx, w, query)
	sc.body = w.stream()
	sc.result = st.result()
	return sc
}

// firstChunk is a limit, or one that is never reached.
func firstChunk(limit time.Duration) relay.Option {
	if limit == 0 {
		limit = time.Hour
	}
	return relay.WithFirstChunk(limit)
}

func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	const parts, seeds = 8, 100
	for part := range uint64(parts) {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for seed := part * seeds; seed < (part+1)*seeds; seed++ {
				synctest.Test(t, func(t *testing.T) {
					defer func() {
						if t.Failed() {
							t.Logf("seed %d", seed)
						}
					}()
					s := newSchedule(seed)
					sc := s.run(t)
					sc.verify(t)
					sc.verifyError(t)
					s.verifyModel(t, sc)
				})
			}
		})
	}
}

// verifyModel checks the answers against the model, as far as no one stopped the miners. A miner
// that overstays keeps the next one waiting.
func (s *schedule) verifyModel(t *testing.T, sc *scene) {
	t.Helper()
	if s.leave == 0 {
		require.NotErrorIs(t, sc.err, relay.ErrLeft)
	}
	free := make([]time.Duration, s.parallel) // when each worker can ask the next miner
	for uid := organic.UID(1); int(uid) <= len(s.scripts); uid++ {
		answer := sc.result.Answers[uid]
		slices.Sort(free)
		want := s.model(s.scripts[uid], free[0], int(uid) > s.parallel)
		free[0] = want.at
		if want.at == s.timeout {
			free[0]++ // the end of all
		} else if want.ending == relay.Silent || want.ending == relay.TimedOut {
			free[0] += s.scripts[uid].overstay
		}
		if s.stop && (answer.Ending == relay.Cancelled || answer.Ending == relay.NeverStarted) && want.ending != relay.NeverStarted {
			require.True(t, sc.err != nil || strings.Contains(sc.body, relay.TooSlow.Code()))
			require.Equal(t, relay.ByRequester, answer.EndedBy)
			require.True(t, slices.Equal(want.chunks[:len(answer.Chunks)], texts(answer)))
			continue
		}
		require.Equal(t, want.ending, answer.Ending, "%d", uid)
		if want.ending != relay.NeverStarted { // which a requester may have caused, too
			require.Equal(t, want.by, answer.EndedBy, "%d", uid)
			require.Equal(t, want.at, answer.Ended, "%d", uid)
		}
		require.Equal(t, want.chunks, texts(answer), "%d", uid)
	}
}
