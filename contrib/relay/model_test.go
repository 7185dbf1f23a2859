package relay_test

import (
	"context"
	"fmt"
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
	s.maxBytes, s.maxChunks, s.maxLag = 10+s.random.IntN(80), 1+s.random.IntN(15), 5+s.random.IntN(80)
	s.parallel = 1 + s.random.IntN(6)
	s.view = []string{"one", "first", "all"}[s.random.IntN(3)]
	s.sse, s.stop = s.random.IntN(2) == 0, s.random.IntN(2) == 0
	if s.random.IntN(2) == 0 {
		s.leave = s.wait(15 * time.Second)
	}
	for range s.random.IntN(10) {
		s.pace = append(s.pace, s.wait([]time.Duration{time.Millisecond, time.Second, 15 * time.Second}[s.random.IntN(3)]))
	}
	for uid := organic.UID(1); len(s.scripts) == 0 || uid <= 5 && s.random.IntN(4) > 0; uid++ {
		miner := &script{hang: s.random.IntN(4) == 0, overstay: s.wait(time.Minute) * time.Duration(s.random.IntN(2))}
		if s.random.IntN(3) == 0 {
			miner.err = errMishap
		}
		for i := range s.random.IntN(12) {
			miner.chunks = append(miner.chunks, fmt.Sprintf("%d-%d%.*s", uid, i, s.random.IntN(8), "........"))
			miner.waits = append(miner.waits, s.wait([]time.Duration{2, time.Second, 5 * time.Second}[s.random.IntN(3)]))
		}
		s.scripts[uid] = miner
	}
	return s
}

// model is what a miner's answer must be when it is asked at a time and nobody
// stops it, and when it ends.
func (s *schedule) model(miner *script, start time.Duration) (chunks []string, ending relay.Ending, at time.Duration) {
	if start > s.timeout {
		return nil, relay.NeverStarted, s.timeout
	}
	size := 0
	at = start
	for i, chunk := range miner.chunks {
		if at += miner.waits[i]; at > s.timeout {
			return chunks, late(chunks), s.timeout
		}
		if size += len(chunk); size > s.maxBytes || i == s.maxChunks {
			return chunks, relay.CutOff, at
		}
		chunks = append(chunks, chunk)
	}
	switch {
	case miner.hang:
		return chunks, late(chunks), s.timeout
	case miner.err != nil:
		return chunks, relay.Failed, at
	default:
		return chunks, relay.Complete, at
	}
}

func late(chunks []string) relay.Ending {
	if len(chunks) == 0 {
		return relay.Silent
	}
	return relay.TimedOut
}

// run plays the schedule.
func (s *schedule) run(t *testing.T) *scene {
	t.Helper()
	st := newStand(t, relay.WithTimeout(s.timeout), relay.WithMaxAnswer(s.maxBytes, s.maxChunks), relay.WithMaxLag(s.maxLag), relay.WithParallel(s.parallel))
	sc := &scene{view: s.view, sse: s.sse, scripts: s.scripts}
	query := relay.Query{View: views()[s.view], Miners: make(miners), StopOnLeave: s.stop, Wire: relay.PlainText{}}
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

// verifyModel checks the answers against the model, as far as nobody stopped
// the miners.
func (s *schedule) verifyModel(t *testing.T, sc *scene) {
	t.Helper()
	if s.leave == 0 {
		require.NotErrorIs(t, sc.err, relay.ErrLeft)
	}
	free := make([]time.Duration, s.parallel) // when each worker can ask the next miner
	for uid := organic.UID(1); int(uid) <= len(s.scripts); uid++ {
		answer := sc.result.Answers[uid]
		slices.Sort(free)
		chunks, ending, at := s.model(s.scripts[uid], free[0])
		free[0] = at
		if at == s.timeout {
			free[0]++ // the end of all
		}
		if s.stop && (answer.Ending == relay.Cancelled || answer.Ending == relay.NeverStarted) && ending != relay.NeverStarted {
			require.True(t, sc.err != nil || strings.Contains(sc.body, relay.TooSlow.Code()))
			require.True(t, slices.Equal(chunks[:len(answer.Chunks)], texts(answer)))
			continue
		}
		require.Equal(t, ending, answer.Ending, "%d", uid)
		require.Equal(t, chunks, texts(answer), "%d", uid)
	}
}
