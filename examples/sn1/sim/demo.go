package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/relay/copies"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/examples/internal/openai"
	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// lookEvery is how often the demo looks at what it waits for.
const lookEvery = 20 * time.Millisecond

// Demo is a validator on a simulated subnet: it starts both, prints in plain words what happens,
// and a table of the miners at the end. A scorer joins the chain of its front-end.
type Demo struct {
	Config
	Subnet    *Subnet
	Reference func(ctx context.Context, text string) (string, error)
	Out       io.Writer
	Open      func(ctx context.Context, chain subtensor.Network) (*Validator, error)

	URL  string                 // of the chain
	V    *Validator             // that runs, or ran last
	Paid map[organic.UID]uint16 // by the chain; nil until it was read

	accepted [2]atomic.Uint64 // samples that the validator has queued, by origin
}

// Validator is what the demo sees of a validator.
type Validator struct {
	Scorer interface {
		Stats() organic.Stats
		Drain(ctx context.Context) error
	}
	Chain  *subtensor.Client
	Signer *subtensor.Validator
	Relay  *relay.Relay
	Scores *weights.Scores // nil in a front-end, as are the two that follow
	Copies *copies.Detector
	Setter *weights.Setter

	Address string // of the axon
	PageURL string

	Close func(hard context.Context) error
}

// NewDemo reads the files. The caller sets Open.
func NewDemo(cfg Config, out io.Writer) (*Demo, error) {
	cfg.fill()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	d := &Demo{Config: cfg, Out: out}
	if cfg.Reference == byServer {
		server, err := openai.FromEnvironment()
		if err != nil {
			return nil, fmt.Errorf("-reference: %w", err)
		}
		d.Reference, cfg.Reference = server.Reference, recorded.ByModel
	}
	subnet, err := New(cfg)
	if err != nil {
		return nil, err
	}
	d.Subnet = subnet
	if d.Reference == nil {
		d.Reference = subnet.Reference
	}
	return d, nil
}

// Observe counts what the validator's scorer reports.
func (d *Demo) Observe(e organic.Event) {
	if e.Kind == organic.EventAccepted {
		d.accepted[e.Origin].Add(1)
	}
}

// Play runs the demo, or the part of it that the role has, and prints what happens.
func (d *Demo) Play(ctx context.Context) error {
	defer d.Subnet.Stop()
	hard, release := program.UntilSecondInterrupt(ctx)
	defer release()
	err := d.Start(ctx)
	if err != nil {
		return err
	}
	err = d.Pass(ctx)
	if ctx.Err() != nil && !d.Frontend && !d.Scorer {
		err = program.ErrInterrupted
	}
	d.Report()
	if d.Stay && err == nil {
		d.Say("The validator goes on until an interrupt.")
		<-ctx.Done()
	}
	err = errors.Join(err, d.V.Close(hard))
	if lost := d.V.Relay.Stats().DoneFailed; lost > 0 {
		err = errors.Join(err, fmt.Errorf("the queue has not taken %d answered queries", lost))
	}
	return err
}

// Start starts the chain and the miners, where this process has them, and the validator.
func (d *Demo) Start(ctx context.Context) (err error) {
	d.URL = d.Join
	if !d.Scorer {
		if err = d.Subnet.Start(ctx); err != nil {
			return err
		}
		if d.URL, err = d.Subnet.Listen(ctx); err != nil {
			return err
		}
		d.Say("The chain is at %s. %d miners are registered.", d.URL, len(d.Subnet.Miners))
	}
	return d.OpenValidator(ctx)
}

// OpenValidator starts the validator, also after it was closed.
func (d *Demo) OpenValidator(ctx context.Context) (err error) {
	d.V, err = d.Open(ctx, subtensor.Network{Endpoints: []string{d.URL}})
	if err != nil {
		return err
	}
	if d.V.PageURL != "" {
		d.Say("The status page is at %s.", d.V.PageURL)
	}
	if d.Scorer {
		d.Say("The scorer takes samples from the queue until it is interrupted.")
		return nil
	}
	d.Say("The validator serves at %s and has published that on the chain.", d.V.Address)
	return nil
}

// Pass lets everything be asked and scored, and the last weights be set.
func (d *Demo) Pass(ctx context.Context) error {
	if d.Scorer {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return d.readWeights(last)
	}
	if err := d.begin(ctx); err != nil {
		return err
	}
	d.Say("%d users ask %d queries, about %v per second; %d prompts lack an answer and are left out.",
		len(d.Subnet.Users.Hotkeys()), d.Subnet.Queries(), d.Rate, d.Subnet.LeftOut)
	if err := d.Subnet.Visit(ctx); err != nil {
		return err
	}
	if err := wait(ctx, d.Subnet.Prompts.AllAsked); err != nil {
		return err
	}
	if d.Frontend {
		d.Say("All are asked. Chain and miners go on until an interrupt.")
		<-ctx.Done()
		return nil
	}
	if err := d.V.Relay.Close(ctx); err != nil {
		return err
	}
	d.Say("All are answered.")
	if err := d.V.Scorer.Drain(ctx); err != nil {
		return err
	}
	d.Say("All are scored. The last weights go to the chain.")
	return d.settle(ctx)
}

// begin waits for the first scores of synthetic queries, without which the guards of the scores
// have nothing to compare those of users with, and warn of it.
func (d *Demo) begin(ctx context.Context) error {
	d.Say("The validator begins with queries of its own.")
	known := func(s weights.Standing) bool { return s.Synthetic.Count > 0 }
	for !d.Frontend && !slices.ContainsFunc(d.V.Scores.Standings(), known) {
		if err := program.Sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
	return nil
}

// settle sets the last weights and waits until the chain has revealed them.
func (d *Demo) settle(ctx context.Context) error {
	var sent weights.Submission
	for sent.State == weights.None {
		if err := program.Sleep(ctx, lookEvery); err != nil {
			return err
		}
		position, err := d.V.Signer.Position(ctx)
		if err != nil {
			return err
		}
		if position.Block < position.LastUpdate+position.RateLimit {
			continue
		}
		if sent, err = d.V.Setter.Set(ctx); err != nil && !errors.Is(err, weights.ErrTooSoon) {
			return err
		}
	}
	d.Say("They are a commit in block %d, which the chain opens in block %d.",
		sent.Block, sent.RevealBlock)
	for {
		status := d.V.Setter.Status()
		if last := status.LastSubmission; len(status.Pending) == 0 && last.State.Set() {
			d.Say("The chain has revealed them in block %d.", last.RevealedIn)
			return d.readWeights(ctx)
		}
		if err := program.Sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// readWeights reads what the chain pays the miners by: the weights that it has revealed.
func (d *Demo) readWeights(ctx context.Context) error {
	key, err := ValidatorKey()
	if err != nil {
		return err
	}
	metagraph, err := d.V.Chain.Metagraph(ctx, Netuid)
	if err != nil {
		return err
	}
	self, _ := metagraph.UID(key.Hotkey())
	rows, err := d.V.Chain.Weights(ctx, Netuid, 0)
	if err != nil {
		return err
	}
	d.Paid = make(map[organic.UID]uint16)
	for _, weight := range rows[self] {
		d.Paid[weight.UID] = weight.Weight
	}
	return nil
}

// Report prints the table of the miners, and the fate of all queries and samples.
func (d *Demo) Report() {
	if d.Paid != nil {
		d.Say("")
		d.Subnet.Table(d.Out, d.V.Scores.Standings(), d.Paid)
		copiers := d.V.Copies.Copiers()
		for _, standing := range d.V.Scores.Standings() {
			if of := copiers[standing.Hotkey]; of != "" {
				d.Say("UID %d copies %s and gets no weight.", standing.UID, of)
			}
		}
		d.Say("Spearman's rank correlation of the honest miners' weights and human win rates: %.3f",
			d.Subnet.Agreement(d.Paid))
	}
	if !d.Scorer {
		u := d.Subnet.Users
		d.Say("Users: asked %d, answered %d, hung up %d, broken off %d, refused %d.",
			u.Asked.Load(), u.Answered.Load(), u.Left.Load(), u.Broken.Load(), u.Refused.Load())
		d.Say("Queued: %d organic and %d synthetic samples, lost %d.",
			d.accepted[organic.Organic].Load(), d.accepted[organic.Synthetic].Load(),
			d.V.Relay.Stats().DoneFailed)
	}
	if !d.Frontend {
		stats := d.V.Scorer.Stats()
		d.Say("Samples: scored %d, retried %d, dead %d, discarded %d, dropped %d, still queued %d.",
			stats.Scored, stats.Retried, stats.Dead, stats.Discarded, stats.Dropped, stats.Queued)
	}
}

// Say prints a line.
func (d *Demo) Say(format string, args ...any) { _, _ = fmt.Fprintf(d.Out, format+"\n", args...) }
