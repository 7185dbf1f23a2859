package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/examples/sn1/sim"
)

// play runs the validator in the simulation. This file is no part of the validator.
func play(ctx context.Context, c config, simulation sim.Config, out io.Writer) (err error) {
	if c.state == "" {
		if c.state, err = os.MkdirTemp("", "sn1-"); err != nil {
			return err
		}
		defer os.RemoveAll(c.state)
	}
	demo, err := newDemo(&c, simulation, out)
	if err != nil {
		return err
	}
	return demo.Play(ctx)
}

// newDemo gives the validator what the simulation has in place of a real chain.
func newDemo(c *config, simulation sim.Config, out io.Writer) (*sim.Demo, error) {
	simulation.Patience, simulation.Legacy = c.patience, c.legacy
	simulation.Frontend, simulation.Scorer = c.role == roleFrontend, c.role == roleScorer
	demo, err := sim.NewDemo(simulation, out)
	if err != nil {
		return nil, err
	}
	c.netuid, c.users, c.observe = sim.Netuid, demo.Subnet.Users.Hotkeys(), demo.Observe
	c.prompts, c.reference = demo.Subnet.Prompts, demo.Reference
	c.refresh, c.schedule = 1, weights.Epoch{Before: simulation.Before()}
	c.idle = min(c.idle, time.Duration(4*float64(time.Second)/simulation.Rate))
	c.pace = min(c.pace, time.Duration(float64(time.Second)/4/simulation.Rate))
	c.serveOptions = []subtensor.ServeOption{subtensor.AllowPrivate()}
	pulses, err := sim.NewPulses()
	if err != nil {
		return nil, err
	}
	c.keyOptions = []subtensor.ValidatorOption{subtensor.WithBeacon(pulses.Public())}
	if c.keypair, err = sim.ValidatorKey(); err != nil {
		return nil, err
	}
	demo.Open = func(ctx context.Context, chain subtensor.Network) (*sim.Validator, error) {
		c.network = chain
		v, err := start(ctx, *c)
		if err != nil {
			return nil, err
		}
		c.listen = v.address // it serves there again after a restart
		return &sim.Validator{
			Scorer: v, Chain: v.client, Signer: v.chain, Relay: v.relay, Scores: v.scores,
			Copies: v.copies, Setter: v.setter, Address: v.address, PageURL: v.pageURL, Close: v.close,
		}, nil
	}
	return demo, nil
}
