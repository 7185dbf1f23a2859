package main

import (
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// settings are those of one subnet.
type settings struct {
	miners, rounds, asked, seeds, users int

	organics float64 // share of organic rounds by users; the others are synthetic
	flood    float64 // queries of a cheater for each one by users
	noise    float64
	bad      float64
	gap      float64
}

// What answers earn. All honest miners are equally good.
const (
	quality    = 0.7
	badReward  = 0.3
	evaluation = 10 // rounds between two settings of the weights
	cheaterUID = 0
)

// subnet is one run: a validator's scores, and miners of which the first may cheat.
type subnet struct {
	settings
	scores  *weights.Scores
	chance  *rand.Rand
	cheater cheater
	better  bool // every other miner is better by the gap

	round    int
	names    int // of the cheater, used so far
	hotkeys  []string
	current  weights.Metagraph
	order    []organic.UID // memory for the choice of miners
	rewards  organic.Rewards
	shares   []float64 // of the weights, added up
	silenced bool      // the cheater does not answer any more
}

func newSubnet(s settings, seed int, col column, c cheater) (*subnet, error) {
	scores, err := weights.NewScores(
		col.rule,
		weights.Between(0, 1),
		weights.WithGuards(col.guards...),
	)
	if err != nil {
		return nil, err
	}
	n := &subnet{
		settings: s, scores: scores, cheater: c, rewards: organic.Rewards{},
		chance: rand.New(rand.NewPCG(uint64(seed), 7)), //nolint:gosec // must be repeatable
		shares: make([]float64, s.miners), hotkeys: make([]string, s.miners),
		order: make([]organic.UID, s.miners),
	}
	for uid := range n.hotkeys {
		n.hotkeys[uid], n.order[uid] = "miner "+strconv.Itoa(uid), organic.UID(uid)
	}
	return n, n.register()
}

// register gives the validator a new metagraph.
func (n *subnet) register() error {
	n.current = weights.Hotkeys(slices.Clone(n.hotkeys)...)
	return n.scores.SetMetagraph(n.current)
}

// run simulates all rounds: those of the validator and its users, and between them, as often as it
// floods, those of the cheater.
func (n *subnet) run() error {
	due := 0.0
	for n.round = range n.rounds {
		origin := organic.Synthetic
		if n.chance.Float64() < n.organics {
			origin = organic.Organic
			due += n.flood
		}
		if err := n.honestRound(origin); err != nil {
			return err
		}
		for ; n.cheater.query != nil && due >= 1; due-- {
			if err := n.cheatedRound(); err != nil {
				return err
			}
		}
		if n.cheater.between != nil {
			if err := n.cheater.between(n); err != nil {
				return err
			}
		}
		if n.round%evaluation == evaluation-1 {
			n.pay()
		}
	}
	return nil
}

// pay adds what the weights of now would pay.
func (n *subnet) pay() {
	values := n.scores.Values()
	total := 0.0
	for _, value := range values {
		total += max(value, 0)
	}
	if total == 0 {
		return
	}
	for uid, value := range values {
		n.shares[uid] += max(value, 0) / total
	}
}

// honestRound asks miners at random.
func (n *subnet) honestRound(origin organic.Origin) error {
	clear(n.rewards)
	asked := n.choose(n.asked)
	for _, uid := range asked {
		n.rewards[uid] = n.answer(uid)
	}
	requester := ""
	if origin == organic.Organic {
		requester = "user " + strconv.Itoa(n.chance.IntN(n.users))
	}
	if n.cheater.answer != nil && slices.Contains(asked, cheaterUID) {
		n.cheater.answer(n, origin)
	}
	return n.update(origin, requester, asked)
}

// cheatedRound is a query by the cheater.
func (n *subnet) cheatedRound() error {
	clear(n.rewards)
	requester, asked := n.cheater.query(n)
	return n.update(organic.Organic, requester, asked)
}

func (n *subnet) update(origin organic.Origin, requester string, asked []organic.UID) error {
	round := weights.Round{Origin: origin, Requester: requester, Asked: asked, Metagraph: n.current}
	_, err := n.scores.Update(round, n.rewards)
	return err
}

// choose returns some miners at random. They are good until the next call.
func (n *subnet) choose(count int) []organic.UID {
	count = min(count, len(n.order))
	for i := range count {
		j := i + n.chance.IntN(len(n.order)-i)
		n.order[i], n.order[j] = n.order[j], n.order[i]
	}
	return n.order[:count]
}

// answer is the reward of an honest answer.
func (n *subnet) answer(uid organic.UID) float64 {
	if n.chance.Float64() < n.bad {
		return badReward
	}
	mean := quality
	if n.better && uid%2 == 1 {
		mean += n.gap
	}
	return mean + float64(n.noise*n.chance.NormFloat64()) // the same on all machines
}

// name returns one of so many names of the cheater.
func (n *subnet) name(names int) string {
	n.names++
	return "free name " + strconv.Itoa(n.names%names)
}
