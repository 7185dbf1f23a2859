package main

import (
	"sync/atomic"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/weights"
	"go.uber.org/zap"
)

// populate makes the miners, the users and the validator's world, each with
// keys of its own. The place in the cast is the UID.
func (s *subnet) populate(cast []role) error {
	keypair, err := keyOf("validator", 0)
	if err != nil {
		return err
	}
	s.hotkey = keypair.Hotkey()
	for uid, role := range cast {
		key, err := keyOf("miner", uid)
		if err != nil {
			return err
		}
		m, err := newMiner(role, key.Hotkey(), s.hotkey)
		if err != nil {
			return err
		}
		s.miners = append(s.miners, m)
		s.metagraph.Neurons = append(s.metagraph.Neurons, weights.Neuron{Hotkey: m.hotkey.String()})
	}
	if s.users, err = newUsers(s.hotkey); err != nil {
		return err
	}
	s.requests = newRequests(keypair, s.cfg.seed)
	s.allowed = axon.NewAllowList(s.users.hotkeys()...)
	s.judge = judge{patience: s.cfg.patience, copies: newCopies()}
	s.tally = newTally(len(cast))
	s.logger = zap.NewNop()
	s.lost = new(atomic.Uint64)
	s.history = &history{keep: s.cfg.report != "", miners: len(cast)}
	if s.referee, err = newReferee(s.cfg.reference, s.records); err != nil {
		return err
	}
	s.journal, err = openJournal(s.cfg.journal)
	return err
}

// sum adds the counters of two validators, one after the other, and takes the
// gauges of the second.
func sum(before, now organic.Stats) organic.Stats {
	now.Accepted += before.Accepted
	now.Scored += before.Scored
	now.Dead += before.Dead
	now.Dropped += before.Dropped
	now.Expired += before.Expired
	now.Discarded += before.Discarded
	now.SyntheticScored += before.SyntheticScored
	now.SyntheticFailed += before.SyntheticFailed
	now.Refused += before.Refused
	now.Failed += before.Failed
	now.Retried += before.Retried
	now.Returned += before.Returned
	return now
}
