package main

import (
	"fmt"

	"github.com/organic-scoring/organic"
)

// cheater is how the first miner cheats. The zero value is honest.
type cheater struct {
	name string
	// answer changes the rewards of a round by others in which the cheater was asked.
	answer func(n *subnet, origin organic.Origin)
	// query returns the requester and the miners of a query by the cheater, and sets the rewards.
	query func(n *subnet) (requester string, asked []organic.UID)
	// between does something between two rounds.
	between func(n *subnet) error
}

const sybils = 50

func cheaters() []cheater {
	return []cheater{
		{name: "honest, the cheater's place"},
		{name: "asks its own miner, own key", query: selfDealing("", 1, 1)},
		{name: "asks its own miner, one name", query: selfDealing("one name", 1, 1)},
		{name: "asks its own miner, 50 names", query: selfDealing("", sybils, 1)},
		{name: "stays under the ceiling, 50 names", query: selfDealing("", sybils, 1.099*quality)},
		{name: "sabotage by one name", query: sabotage(1, 1, 0)},
		{name: "sabotage by 50 names", query: sabotage(sybils, 1, 0)},
		{name: "sabotage by 50 names, 1e30 and -1e30", query: sabotage(sybils, 1e30, -1e30)},
		{name: "leaves out bad answers", answer: leaveOutBad},
		{name: "answers only organics", answer: answerOnly(organic.Organic)},
		{
			name:   "answers only organics, 50 names",
			answer: answerOnly(organic.Organic),
			query:  selfDealing("", sybils, 1),
		},
		{name: "answers only synthetics", answer: answerOnly(organic.Synthetic)},
		{name: "re-registers, one lucky answer", answer: oneLuckyAnswer, between: reregister(200)},
		{
			name:    "re-registers, 50 names",
			query:   selfDealing("", sybils, 1),
			between: reregister(200),
		},
		{name: "copies another miner", answer: copyAnother},
		{name: "a reward of 1e30 in 50", answer: hugeReward},
	}
}

// selfDealing asks the cheater's miner alone. With one name that is empty it is the miner's own.
func selfDealing(name string, names int, reward float64) func(*subnet) (string, []organic.UID) {
	return func(n *subnet) (string, []organic.UID) {
		n.rewards[cheaterUID] = reward
		switch {
		case names > 1:
			return n.name(names), []organic.UID{cheaterUID}
		case name == "":
			return n.hotkeys[cheaterUID], []organic.UID{cheaterUID}
		}
		return name, []organic.UID{cheaterUID}
	}
}

// sabotage asks what only the cheater's miner can answer.
func sabotage(names int, own, rivals float64) func(*subnet) (string, []organic.UID) {
	return func(n *subnet) (string, []organic.UID) {
		asked := n.choose(n.asked)
		for _, uid := range asked {
			n.rewards[uid] = rivals
		}
		n.rewards[cheaterUID] = own
		return n.name(names), asked
	}
}

// leaveOutBad does not answer where the answer would be bad.
func leaveOutBad(n *subnet, _ organic.Origin) {
	if n.rewards[cheaterUID] < quality-0.1 {
		delete(n.rewards, cheaterUID)
	}
}

func answerOnly(origin organic.Origin) func(*subnet, organic.Origin) {
	return func(n *subnet, asked organic.Origin) {
		if asked != origin {
			delete(n.rewards, cheaterUID)
		}
	}
}

// oneLuckyAnswer is silent after an answer that was good.
func oneLuckyAnswer(n *subnet, _ organic.Origin) {
	if n.silenced {
		delete(n.rewards, cheaterUID)
		return
	}
	n.silenced = n.rewards[cheaterUID] > quality+0.1
}

// reregister gives the cheater a new hotkey now and then.
func reregister(every int) func(*subnet) error {
	return func(n *subnet) error {
		if n.round%every != every-1 {
			return nil
		}
		n.silenced = false
		n.hotkeys[cheaterUID] = fmt.Sprintf("cheater of round %d", n.round)
		return n.register()
	}
}

// copyAnother has the reward of another miner that was asked.
func copyAnother(n *subnet, _ organic.Origin) {
	for uid := organic.UID(1); int(uid) < n.miners; uid++ {
		if reward, ok := n.rewards[uid]; ok {
			n.rewards[cheaterUID] = reward
			return
		}
	}
}

// hugeReward finds a bug in the reward function now and then.
func hugeReward(n *subnet, _ organic.Origin) {
	if n.chance.IntN(50) == 0 {
		n.rewards[cheaterUID] = 1e30
	}
}
