package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// spoken is a whole answer whose words came at once, after a while.
func spoken(text string, first time.Duration) relay.Answer {
	answer := relay.Answer{Ending: relay.Complete, EndedBy: relay.ByMiner, Ended: first}
	for word := range strings.SplitAfterSeq(text, " ") {
		answer.Chunks = append(answer.Chunks, relay.Chunk{Text: word, At: first})
	}
	return answer
}

func TestRewards(t *testing.T) {
	t.Parallel()
	ended := func(ending relay.Ending, answer relay.Answer) relay.Answer {
		answer.Ending = ending
		return answer
	}
	for _, tt := range []struct {
		name   string
		answer relay.Answer
		want   float64
	}{
		{"the reference", spoken("the cat sat", 0), 1},
		{"half of it", spoken("the dog", 0), 0.4},
		{"nothing of it", spoken("a dog", 0), 0},
		{"half the patience", spoken("the cat sat", time.Second/2), 1},
		{"three quarters of it", spoken("the cat sat", time.Second*3/4), 0.5},
		{"all of it", spoken("the cat sat", time.Second), 0},
		{"more", spoken("the cat sat", time.Hour), 0},
		{"empty", relay.Answer{Ending: relay.Complete, EndedBy: relay.ByMiner}, 0},
		{"silent", relay.Answer{Ending: relay.Silent, EndedBy: relay.ByTime}, 0},
		{"broken off", ended(relay.Failed, spoken("the cat sat", 0)), 0},
		{"not done in time", ended(relay.TimedOut, spoken("the cat sat", 0)), 0},
		{"cut off", ended(relay.CutOff, spoken("the cat sat", 0)), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := judge{patience: time.Second, copies: newCopies()}
			rewards := j.rewards(map[organic.UID]relay.Answer{0: tt.answer}, said("the cat sat"))
			require.Len(t, rewards, 1)
			require.InDelta(t, tt.want, rewards[0], 1e-12)
		})
	}
}

func TestCopiersLoseMoreThanTheyCanEarn(t *testing.T) {
	t.Parallel()
	j := judge{patience: time.Second, copies: newCopies()}
	answers := map[organic.UID]relay.Answer{0: spoken("the cat sat", 0), 1: spoken("the cat sat", 1)}
	for i := range copyPrompts {
		require.Equal(t, organic.Rewards{0: 1, 1: 1}, j.rewards(answers, said("the cat sat")))
		j.copies.see(fmt.Sprint(i), answers)
	}
	require.Equal(t, organic.Rewards{0: 1, 1: 0}, j.rewards(answers, said("the cat sat")))
	answers[1] = spoken("a dog", 1)
	require.Equal(t, organic.Rewards{0: 1, 1: -1}, j.rewards(answers, said("the cat sat")))
}

func TestCopier(t *testing.T) {
	t.Parallel()
	type prompts struct {
		n              int
		first, second  string
		begin, another time.Duration
	}
	for _, tt := range []struct {
		name    string
		prompts []prompts
		want    []bool
	}{
		{"nobody", nil, []bool{false, false}},
		{"the later one", []prompts{{6, "a", "a", 1, 2}}, []bool{false, true}},
		{"the later one, of the lower UID", []prompts{{6, "a", "a", 2, 1}}, []bool{true, false}},
		{"mostly later", []prompts{{4, "a", "a", 1, 2}, {2, "a", "a", 2, 1}}, []bool{false, true}},
		{"too few prompts", []prompts{{5, "a", "a", 1, 2}}, []bool{false, false}},
		{"eight of ten", []prompts{{8, "a", "a", 1, 2}, {2, "a", "b", 1, 2}}, []bool{false, true}},
		{"eight of eleven", []prompts{{8, "a", "a", 1, 2}, {3, "a", "b", 1, 2}}, []bool{false, false}},
		{"white space around it", []prompts{{6, "a", " a\n", 1, 2}}, []bool{false, true}},
		{"both empty", []prompts{{20, "", "", 1, 2}}, []bool{false, false}},
		{"empty ones do not count", []prompts{{5, "a", "a", 1, 2}, {9, "", "", 1, 2}, {9, "a", "", 1, 2}}, []bool{false, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, n := newCopies(), 0
			for _, p := range tt.prompts {
				for range p.n {
					n++
					c.see(fmt.Sprint(n), map[organic.UID]relay.Answer{3: spoken(p.first, p.begin), 5: spoken(p.second, p.another)})
				}
			}
			copiers := c.copiers()
			require.Equal(t, tt.want, []bool{copiers[3], copiers[5]})
			require.False(t, copiers[4])
		})
	}
}

func TestAPromptCountsOnce(t *testing.T) {
	t.Parallel()
	c := newCopies()
	for range 20 {
		c.see("the same", map[organic.UID]relay.Answer{0: spoken("a", 1), 1: spoken("a", 2)})
	}
	require.False(t, c.copiers()[1])
}

func TestHalfAnswersAreNoCopies(t *testing.T) {
	t.Parallel()
	c := newCopies()
	for i := range 20 {
		half := spoken("a", 2)
		half.Ending = relay.Failed
		c.see(fmt.Sprint(i), map[organic.UID]relay.Answer{0: spoken("a", 1), 1: half})
	}
	require.False(t, c.copiers()[1])
}

// A whole subnet is judged in a few milliseconds, not in as many for each
// miner.
func BenchmarkRewards(b *testing.B) {
	j := judge{patience: time.Second, copies: newCopies()}
	answers := make(map[organic.UID]relay.Answer)
	for uid := range organic.UID(256) {
		answers[uid] = spoken(fmt.Sprint("the cat sat ", uid), 0)
	}
	j.copies.see("a prompt", answers)
	for b.Loop() {
		j.rewards(answers, said("the cat sat"))
	}
}

func TestRealModelsAreNoCopiers(t *testing.T) {
	t.Parallel()
	for _, path := range []string{smallData, realData} {
		if _, err := os.Stat(path); err != nil {
			t.Skip("the data is not here")
		}
		records, err := recorded.Read(path, recorded.ByModel)
		require.NoError(t, err)
		models, err := recorded.Models(records)
		require.NoError(t, err)
		cast := newCast(models, records, time.Second, 0)
		c := newCopies()
		for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(len(records)) {
			answers := make(map[organic.UID]relay.Answer)
			for uid, r := range cast {
				if text, ok := r.answers[textOf(records[i].Prompt)]; ok {
					answers[organic.UID(uid)] = spoken(text, r.latency)
				}
			}
			c.see(textOf(records[i].Prompt), answers)
			for uid := range c.copiers() {
				require.Equal(t, copying, cast[uid].kind, cast[uid].name)
			}
		}
		copiers := c.copiers()
		for uid, r := range cast {
			require.Equal(t, r.kind == copying, copiers[organic.UID(uid)], r.name)
		}
	}
}
