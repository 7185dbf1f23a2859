package dashboard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/organic-scoring/organic/internal/usercode"
)

const (
	sampleEvery = time.Second
	drawEvery   = 2 // samples
	maxPoints   = 600
	minerPoints = 120
	minerEvery  = 10 * time.Second
	maxMiners   = 512 // rows of the table
)

// Dashboard is a live page about one validator, and a report. Make one with [New].
// It is safe for concurrent use.
type Dashboard struct {
	scorer   Scorer
	cfg      config
	live     *feed
	observed observed

	mu      sync.Mutex // guards what follows
	started time.Time
	running bool // Run has not returned
	last    *reading
	recent  *history
	whole   *history
	miners  *minerHistory
	outages outages
}

// reading is what all parts say at one moment.
type reading struct {
	at        time.Time
	scoredAt  time.Time // when the scores were asked
	stats     organic.Stats
	oldest    time.Duration
	leased    int
	dead      int // letters
	standings []weights.Standing
	vector    weights.Vector
	noVector  error
	setter    weights.Status
	relay     relay.Stats
	axon      Axon
	chain     Chain
	silent    []string // parts that panicked when they were asked
}

// New returns the dashboard of a scorer. The scorer may be a validator whose
// OrganicScorer is still nil. New reports everything that is invalid at once, starts
// nothing, and asks nothing.
func New(scorer Scorer, opts ...Option) (*Dashboard, error) {
	cfg, err := configured(scorer, opts)
	if err != nil {
		return nil, err
	}
	return &Dashboard{
		scorer: scorer, cfg: cfg, started: time.Now(),
		live:   newFeed(),
		recent: newHistory(maxPoints, sampleEvery, sampleEvery),
		whole:  newHistory(maxPoints, sampleEvery, 1<<20*sampleEvery),
		miners: newMinerHistory(minerPoints, minerEvery),
	}, nil
}

// Observe takes in an event of the scorer. Give it to [organic.WithObserver].
func (d *Dashboard) Observe(e organic.Event) { d.observed.add(&e) }

// Run samples all parts once a second and sends the page to its viewers, until ctx
// ends; then it ends their streams and returns nil. It returns an error at once
// while another Run has not returned.
func (d *Dashboard) Run(ctx context.Context) error {
	if !d.setRunning(true) {
		return fmt.Errorf("dashboard: %w", organic.ErrRunning)
	}
	defer d.setRunning(false)
	defer d.live.end()
	d.live.open()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		r := d.sample(time.Now())
		if n%drawEvery == 0 && d.live.viewers() > 0 {
			d.live.publish(d.draw(r, true))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *Dashboard) setRunning(running bool) (changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	changed = d.running != running
	d.running = running
	return changed
}

// sample reads all parts and adds them to what is kept.
func (d *Dashboard) sample(now time.Time) *reading {
	r := d.read(now, d.latest())
	d.mu.Lock()
	defer d.mu.Unlock()
	synthetic := r.stats.InFlight - r.stats.InFlightOrganic
	row := point{r.stats.Queued, r.stats.Delayed, r.stats.InFlightOrganic, max(synthetic, 0)}
	d.recent.add(now, row)
	d.whole.add(now, row)
	d.miners.add(now, r)
	d.outages.update(now, d.problems(r))
	d.last = r
	return r
}

// latest returns the last reading, nil while Run does not run.
func (d *Dashboard) latest() *reading {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.running {
		return nil
	}
	return d.last
}

// read asks all parts. One that panics is left out, and named. The scores, which may
// take long, are taken from an earlier reading if that is not too old.
func (d *Dashboard) read(now time.Time, earlier *reading) *reading {
	r := &reading{at: now, scoredAt: now}
	ask := func(given bool, name string, part func()) {
		if !given {
			return
		}
		err := usercode.Call(func() error {
			part()
			return nil
		}, func(value any) error { return organic.NewPanicError(value) })
		if err != nil && !slices.Contains(r.silent, name) {
			r.silent = append(r.silent, name)
		}
	}
	queue := &d.cfg.queue
	ask(true, "the scorer", func() { r.stats = d.scorer.Stats() })
	ask(queue.OldestWaiting != nil, "the queue", func() { r.oldest = queue.OldestWaiting() })
	ask(queue.Leased != nil, "the queue", func() { r.leased = queue.Leased() })
	ask(queue.DeadLetters != nil, "the queue", func() { r.dead = queue.DeadLetters() })
	if earlier != nil && now.Sub(earlier.scoredAt) < minerEvery-sampleEvery/2 {
		r.standings, r.vector, r.noVector = earlier.standings, earlier.vector, earlier.noVector
		r.scoredAt = earlier.scoredAt
	} else {
		ask(d.cfg.scores != nil, "the scores", func() {
			r.standings = d.cfg.scores.Standings()
			r.vector, r.noVector = d.cfg.scores.Convert(d.cfg.convert...)
			if len(r.vector.UIDs) != len(r.vector.Weights) {
				r.vector, r.noVector = weights.Vector{}, errors.Join(r.noVector, weights.ErrLength)
			}
		})
	}
	ask(d.cfg.setter != nil, "the setter", func() { r.setter = d.cfg.setter.Status() })
	ask(d.cfg.relay != nil, "the relay", func() { r.relay = d.cfg.relay.Stats() })
	ask(d.cfg.axon != nil, "the axon", func() { r.axon = d.cfg.axon() })
	ask(d.cfg.chain != nil, "the chain client", func() { r.chain = d.cfg.chain() })
	return r
}
