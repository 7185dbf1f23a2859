package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/progress"
	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// lookEvery is how often the queue is looked at.
const lookEvery = 100 * time.Millisecond

// subnet is one pass over the recorded prompts by miners, a validator and
// users.
type subnet struct {
	world
	records  []recorded.Record
	ranking  map[string]float64 // nil without one
	miners   []*miner
	users    *users
	queries  []string // that users ask
	address  string   // the validator's
	ended    time.Time
	stopping atomic.Bool // after an interrupt

	mu        sync.Mutex // guards what follows
	validator *Validator // that runs, or ran last
	past      organic.Stats
}

// newSubnet reads the files and builds all that outlives a validator.
func newSubnet(cfg config) (*subnet, error) {
	reference := cfg.reference
	if reference == byServer {
		reference = recorded.ByModel // which the data must have, though it is not used
	}
	records, err := recorded.Read(cfg.data, reference)
	if errors.Is(err, os.ErrNotExist) && cfg.data == defaultData {
		return nil, fmt.Errorf("%w: run it in the folder of the examples, or give a file with -data", err)
	}
	if err != nil {
		return nil, err
	}
	models, err := recorded.Models(records)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.data, err)
	}
	s := &subnet{records: records}
	s.cfg = cfg
	if cfg.ranking != "" {
		if s.ranking, err = recorded.ReadRanking(cfg.ranking, models); err != nil {
			return nil, err
		}
	}
	s.plan()
	return s, s.populate(newCast(models, records, cfg.patience, cfg.word))
}

// plan decides what users and validator are to ask.
func (s *subnet) plan() {
	texts := make([]string, len(s.records))
	for i, r := range s.records {
		texts[i] = textOf(r.Prompt)
	}
	atLeast := func(n int) int {
		if n == 0 {
			return len(texts)
		}
		return n
	}
	s.queries = arrange(texts, atLeast(s.cfg.queries), rand.New(rand.NewPCG(s.cfg.seed, 5)))
	s.synthetics = newSynthetics(texts, atLeast(s.cfg.synthetic), s.cfg.seed)
}

// start lets the miners and the validator serve.
func (s *subnet) start(ctx context.Context) error {
	for _, m := range s.miners {
		if err := m.start(ctx); err != nil {
			return err
		}
		s.requests.peers = append(s.requests.peers, peer{url: m.url, hotkey: m.hotkey})
	}
	listener, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.address = listener.Addr().String()
	s.users.url = "http://" + s.address
	return s.openValidator(ctx, listener)
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

func (s *subnet) openValidator(ctx context.Context, listener net.Listener) error {
	v, err := newValidator(s.world)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.mu.Lock()
	s.validator = v
	s.mu.Unlock()
	return v.open(ctx, listener)
}

// closeValidator stops the validator and keeps its counters.
func (s *subnet) closeValidator(hard context.Context) error {
	v := s.current()
	err := v.close(hard)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past = sum(s.past, v.Stats())
	return err
}

// restart closes the validator and opens another one at the same address, as
// a deploy does. It goes on from what was saved, so it needs -state.
func (s *subnet) restart(ctx context.Context) error {
	if err := s.closeValidator(ctx); err != nil {
		return err
	}
	listener, err := listen(ctx, s.address)
	if err != nil {
		return err
	}
	return s.openValidator(ctx, listener)
}

func (s *subnet) current() *Validator {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.validator
}

// play lets users ask all there is to ask, waits until it is scored, and stops.
// When ctx ends it stops where it is. Nothing runs any more when it returns.
func (s *subnet) play(ctx context.Context, out io.Writer) error {
	s.history.began = time.Now()
	if err := s.start(ctx); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "%d miners, a validator at %s, and %d users with %d queries at %v per second\n",
		len(s.miners), s.users.url, userCount, len(s.queries), s.cfg.rate)
	dismiss := s.startHelpers(ctx, out)
	err := s.pass(ctx)
	if ctx.Err() != nil {
		err = program.ErrInterrupted
	}
	err = errors.Join(err, s.stop(ctx))
	dismiss()
	s.ended = time.Now()
	return err
}

// pass is the time from the first query to the last reward.
func (s *subnet) pass(ctx context.Context) error {
	if err := s.users.visit(ctx, s.queries, s.cfg); err != nil {
		return err
	}
	select {
	case <-s.synthetics.allAsked:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	v := s.current()
	return errors.Join(v.live.Close(ctx), v.Drain(ctx)) // answers that are still collected come first
}

// stop stops softly. After an interrupt it takes another one for a hard stop.
func (s *subnet) stop(ctx context.Context) error {
	hard := ctx
	if ctx.Err() != nil {
		s.stopping.Store(true)
		var cancel func()
		hard, cancel = program.UntilNextInterrupt(ctx)
		defer cancel()
	}
	err := s.closeValidator(hard)
	s.requests.close()
	for _, m := range s.miners {
		m.kill()
	}
	return errors.Join(err, s.journal.close())
}

// startHelpers shows the progress and looks at the queue, until both are
// dismissed and waited for.
func (s *subnet) startHelpers(ctx context.Context, out io.Writer) (dismiss func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	helpers.Go(func() { progress.New(out, s.status).Show(ctx) })
	helpers.Go(func() {
		for program.Sleep(ctx, lookEvery) == nil {
			s.history.look(s.current().Stats())
		}
	})
	return func() {
		cancel()
		helpers.Wait()
	}
}

// status is the progress in one line.
func (s *subnet) status() string {
	stats := s.current().Stats()
	what := "asked"
	if s.stopping.Load() {
		what = "stopping, interrupt again to stop at once: asked"
	}
	return fmt.Sprintf("%s %d of %d, scored %d organic and %d synthetic, queued %d, in flight %d, %.1f s",
		what, s.users.counts.asked.Load(), len(s.queries), s.tally.samples(organic.Organic), s.tally.samples(organic.Synthetic),
		stats.Queued, stats.InFlight, time.Since(s.history.began).Seconds())
}
