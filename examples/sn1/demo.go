package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/examples/internal/openai"
	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/sn1/sim"
)

// lookEvery is how often the demo looks at what it waits for.
const lookEvery = 20 * time.Millisecond

// demo is a validator on a simulated subnet. A scorer joins the chain of its front-end.
type demo struct {
	cfg    config
	subnet *sim.Subnet
	out    io.Writer
	v      *Validator             // that runs, or ran last
	paid   map[organic.UID]uint16 // by the chain; nil until it was read
}

// play runs the demo, or the part of it that the role names, and prints what happens.
func play(ctx context.Context, cfg config, out io.Writer) (err error) {
	d, err := newDemo(cfg, out)
	if err != nil {
		return err
	}
	if d.cfg.state == "" {
		if d.cfg.state, err = os.MkdirTemp("", "sn1-"); err != nil {
			return err
		}
		defer os.RemoveAll(d.cfg.state)
	}
	defer d.subnet.Stop()
	hard, release := program.UntilSecondInterrupt(ctx)
	defer release()
	if err = d.start(ctx); err == nil {
		err = d.pass(ctx)
	}
	if d.v == nil {
		return err
	}
	if ctx.Err() != nil && cfg.role == roleAll {
		err = program.ErrInterrupted
	}
	d.report()
	if cfg.stay && err == nil {
		d.say("The validator goes on until an interrupt.")
		<-ctx.Done()
	}
	err = errors.Join(err, d.v.close(hard))
	if cfg.report != "" {
		d.say("The report is in %s.", cfg.report)
	}
	return errors.Join(err, d.missing())
}

func newDemo(cfg config, out io.Writer) (*demo, error) {
	subnet, err := sim.New(cfg.sim)
	if err != nil {
		return nil, err
	}
	d := &demo{cfg: cfg, subnet: subnet, out: out}
	s := &d.cfg.settings
	s.netuid, s.private, s.refresh = sim.Netuid, true, 1
	s.schedule = weights.Epoch{Before: cfg.sim.Before()}
	s.users, s.minStake = subnet.Users.Hotkeys(), 1
	s.prompts, s.reference = subnet.Prompts, subnet.Reference
	s.idle = min(s.idle, time.Duration(4*float64(time.Second)/cfg.sim.Rate))
	if s.beacon, err = sim.Beacon(); err != nil {
		return nil, err
	}
	if s.keypair, err = sim.Validator(); err != nil {
		return nil, err
	}
	if cfg.referenceKind == referenceServer {
		server, err := openai.FromEnvironment()
		if err != nil {
			return nil, fmt.Errorf("-reference: %w", err)
		}
		s.reference = server.Reference
	}
	return d, nil
}

// start starts the chain and the miners, where this process has them, and the validator.
func (d *demo) start(ctx context.Context) (err error) {
	url := d.cfg.join
	if d.cfg.role != roleScorer {
		if err = d.subnet.Start(ctx); err != nil {
			return err
		}
		if url, err = d.subnet.Listen(ctx); err != nil {
			return err
		}
		d.say("The chain is at %s. %d miners are registered.", url, len(d.subnet.Miners))
	}
	d.cfg.network = subtensor.Network{Endpoints: []string{url}}
	return d.openValidator(ctx)
}

func (d *demo) openValidator(ctx context.Context) error {
	v, err := newValidator(ctx, d.cfg.settings)
	if err != nil {
		return err
	}
	d.v = v
	if err := v.open(ctx); err != nil {
		return err
	}
	if v.pageURL != "" {
		d.say("The status page is at %s.", v.pageURL)
	}
	if d.cfg.role == roleScorer {
		d.say("The scorer takes samples from %s until it is interrupted.", d.cfg.queue)
		return nil
	}
	d.cfg.listen = v.address // where it listens again after a restart
	d.say("The validator serves at %s and has published that on the chain.", v.address)
	return nil
}

// restart closes the validator and opens it again, as a deploy does.
func (d *demo) restart(ctx context.Context) error {
	if err := d.v.close(ctx); err != nil {
		return err
	}
	return d.openValidator(ctx)
}

// pass lets everything be asked and scored, and the last weights be set.
func (d *demo) pass(ctx context.Context) error {
	if d.cfg.role == roleScorer {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return d.readWeights(last)
	}
	if err := d.begin(ctx); err != nil {
		return err
	}
	d.say("%d users ask %d queries, about %v per second; %d prompts lack an answer and are left out.",
		len(d.cfg.users), d.subnet.Queries(), d.cfg.sim.Rate, d.subnet.LeftOut)
	if err := d.subnet.Visit(ctx); err != nil {
		return err
	}
	select {
	case <-d.subnet.Prompts.AllAsked:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if d.cfg.role == roleFrontend {
		d.say("All are asked. Chain and miners go on until an interrupt.")
		<-ctx.Done()
		return nil
	}
	d.v.stopAsking()
	d.v.asking.Wait()
	if err := d.v.relay.Close(ctx); err != nil {
		return err
	}
	d.say("All are answered.")
	if err := d.v.Drain(ctx); err != nil {
		return err
	}
	d.say("All are scored. The last weights go to the chain.")
	return d.settle(ctx)
}

// begin waits for the first scores of synthetic queries, without which the guards of the scores have
// nothing to compare those of users with, and warn of it.
func (d *demo) begin(ctx context.Context) error {
	d.say("The validator begins with queries of its own.")
	known := func(s weights.Standing) bool { return s.Synthetic.Count > 0 }
	for d.v.scores != nil && !slices.ContainsFunc(d.v.scores.Standings(), known) {
		if err := program.Sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
	return nil
}

// settle sets the last weights and waits until the chain has revealed them.
func (d *demo) settle(ctx context.Context) error {
	var sent weights.Submission
	for sent.State == weights.None {
		if err := program.Sleep(ctx, lookEvery); err != nil {
			return err
		}
		position, err := d.v.chain.Position(ctx)
		if err != nil {
			return err
		}
		if position.Block < position.LastUpdate+position.RateLimit {
			continue
		}
		if sent, err = d.v.setter.Set(ctx); err != nil && !errors.Is(err, weights.ErrTooSoon) {
			return err
		}
	}
	d.say("They are a commit in block %d, which the chain opens in block %d.", sent.Block, sent.RevealBlock)
	for {
		status := d.v.setter.Status()
		if last := status.LastSubmission; len(status.Pending) == 0 && last.State.Set() {
			d.say("The chain has revealed them in block %d.", last.RevealedIn)
			break
		}
		if err := program.Sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
	return d.readWeights(ctx)
}

// readWeights reads what the chain pays the miners by: the weights that it has revealed.
func (d *demo) readWeights(ctx context.Context) error {
	metagraph, err := d.v.client.Metagraph(ctx, d.v.netuid)
	if err != nil {
		return err
	}
	self, _ := metagraph.UID(d.v.keypair.Hotkey())
	rows, err := d.v.client.Weights(ctx, d.v.netuid, 0)
	if err != nil {
		return err
	}
	d.paid = make(map[organic.UID]uint16)
	for _, weight := range rows[self] {
		d.paid[weight.UID] = weight.Weight
	}
	return nil
}

// report prints the table of the miners, and the fate of all queries and samples.
func (d *demo) report() {
	if d.paid != nil {
		d.say("")
		d.subnet.Table(d.out, d.v.scores.Standings(), d.paid)
		copiers := d.v.copies.copiers()
		for _, standing := range d.v.scores.Standings() {
			if of := copiers[standing.Hotkey]; of != "" {
				d.say("UID %d copies %s and gets no weight.", standing.UID, of)
			}
		}
		d.say("Spearman's rank correlation of the honest miners' weights and human win rates: %.3f", d.subnet.Agreement(d.paid))
	}
	if d.cfg.role != roleScorer {
		u := d.subnet.Users
		d.say("Users: asked %d, answered %d, hung up %d, broken off %d, refused %d.",
			u.Asked.Load(), u.Answered.Load(), u.Left.Load(), u.Broken.Load(), u.Refused.Load())
		d.say("Queued: %d organic and %d synthetic samples, lost %d.",
			d.v.kept[organic.Organic].Load(), d.v.kept[organic.Synthetic].Load(), d.v.lost.Load())
	}
	if d.cfg.role != roleFrontend {
		stats := d.v.Stats()
		d.say("Samples: scored %d, retried %d, dead %d, discarded %d, dropped %d, still queued %d.",
			stats.Scored, stats.Retried, stats.Dead, stats.Discarded, stats.Dropped, stats.Queued)
	}
}

// missing is the error of a run in which answers were lost.
func (d *demo) missing() error {
	if lost := d.v.lost.Load(); lost > 0 {
		return fmt.Errorf("the queue has not taken %d answered queries", lost)
	}
	return nil
}

func (d *demo) say(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", args...) }
