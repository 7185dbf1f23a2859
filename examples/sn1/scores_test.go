package main

import (
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/stretchr/testify/require"
)

// says makes a whole answer whose chunks come at these times.
func says(chunks ...relay.Chunk) relay.Answer {
	return relay.Answer{Ending: relay.Complete, EndedBy: relay.ByMiner, Chunks: chunks}
}

func at(ms int, text string) relay.Chunk {
	return relay.Chunk{Text: text, At: time.Duration(ms) * time.Millisecond}
}

func TestRewards(t *testing.T) {
	t.Parallel()
	const patience = time.Second
	reference := says(at(0, "one two three four"))
	whole := func(ms int) relay.Answer { return says(at(ms, "one two three four")) }
	failed := relay.Answer{
		Ending: relay.Failed, EndedBy: relay.ByMiner,
		Chunks: []relay.Chunk{at(1, "one two")},
	}
	for _, tt := range []struct {
		name    string
		answers map[organic.UID]relay.Answer
		want    organic.Rewards
	}{
		{
			"by words",
			map[organic.UID]relay.Answer{0: whole(10), 1: says(at(10, "one two")), 2: says(at(10, "five"))},
			organic.Rewards{0: 1, 1: 2.0 / 3, 2: 0},
		},
		{
			"a missing, failed or silent answer is worth nothing",
			map[organic.UID]relay.Answer{
				0: whole(10), 1: failed, 2: {Ending: relay.Failed, EndedBy: relay.ByMiner},
				3: {Ending: relay.Silent, EndedBy: relay.ByTime}, 4: says(),
			},
			organic.Rewards{0: 1, 1: 0, 2: 0, 3: 0, 4: 0},
		},
		{
			"what the validator cut short is left out",
			map[organic.UID]relay.Answer{
				0: whole(10),
				1: {Ending: relay.Cancelled, EndedBy: relay.ByValidator},
			},
			organic.Rewards{0: 1},
		},
		{
			"late beside the others",
			map[organic.UID]relay.Answer{
				0: whole(10), 1: whole(10), 2: whole(10), 3: whole(760),
				4: whole(5000),
			},
			organic.Rewards{0: 1, 1: 1, 2: 1, 3: 0.5, 4: 0},
		},
		{
			"a blank is no first word",
			map[organic.UID]relay.Answer{
				0: whole(10), 1: whole(10),
				2: says(at(1, " "), at(1010, "one two three four")),
			},
			organic.Rewards{0: 1, 1: 1, 2: 0},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := rewards(tt.answers, reference, patience)
			require.Len(t, got, len(tt.want))
			for uid, want := range tt.want {
				require.InDelta(t, want, got[uid], 1e-9, "UID %d", uid)
			}
		})
	}
}

func TestRewardsDoNotDependOnHowBusyTheMachineIs(t *testing.T) {
	t.Parallel()
	reference := says(at(0, "one two three"))
	made := func(delay int) map[organic.UID]relay.Answer {
		return map[organic.UID]relay.Answer{
			0: says(at(20+delay, "one two three")), 1: says(at(100+delay, "one two")),
			2: says(at(800+delay, "one")),
		}
	}
	idle := rewards(made(0), reference, time.Second)
	for _, delay := range []int{1, 300, 2500, 60_000} {
		require.Equal(t, idle, rewards(made(delay), reference, time.Second), "%d ms", delay)
	}
}
