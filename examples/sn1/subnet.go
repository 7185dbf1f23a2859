package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/progress"
	"github.com/organic-scoring/organic/examples/internal/recorded"
)

const (
	lookEvery   = 100 * time.Millisecond // at the queue, for the report
	settleEvery = 10 * time.Millisecond  // at what is left to score
)

// subnet is one pass over the recorded prompts by miners, a validator and
// users, or the part of it that the role says.
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

	deploying sync.Mutex // is held while one validator takes the place of another

	mu        sync.Mutex // guards what follows
	validator *Validator // that runs, or ran last
	closed    bool       // it runs no more
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
	if cfg.state != "" {
		if err := os.MkdirAll(cfg.state, 0o700); err != nil {
			return nil, fmt.Errorf("-state: %w", err)
		}
	}
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
	orEach := func(n int) int {
		if n == 0 {
			return len(texts)
		}
		return n
	}
	s.queries = arrange(texts, orEach(s.cfg.queries), rand.New(rand.NewPCG(s.cfg.seed, 5)))
	s.synthetics = newSynthetics(texts, orEach(s.cfg.synthetic), s.cfg.seed)
}

// start lets the miners and the validator serve.
func (s *subnet) start(ctx context.Context) error {
	if err := s.startMiners(ctx); err != nil {
		return err
	}
	return s.openValidator(ctx, "127.0.0.1:0")
}

// startMiners starts those of this process, and tells the validator where all
// are.
func (s *subnet) startMiners(ctx context.Context) error {
	host, first, _ := net.SplitHostPort(s.cfg.miners) // checked with the flags
	port, err := strconv.Atoi(first)
	if err != nil {
		return fmt.Errorf("-miners: %w", err)
	}
	for uid, m := range s.miners {
		address := net.JoinHostPort(host, "0")
		if port != 0 {
			address = net.JoinHostPort(host, strconv.Itoa(port+uid))
		}
		if m.url = urlOf(address); s.cfg.role != roleScorer {
			if err := m.start(ctx, address); err != nil {
				return err
			}
		}
		s.requests.peers = append(s.requests.peers, peer{url: m.url, hotkey: m.hotkey})
	}
	return nil
}

// openValidator builds a validator and then lets it listen at an address, in
// this order: an axon refuses what was signed before it was made. A scorer
// does not listen.
func (s *subnet) openValidator(ctx context.Context, address string) error {
	v, err := newValidator(ctx, s.world)
	if err != nil {
		return err
	}
	var listener net.Listener
	if s.cfg.role != roleScorer {
		if listener, err = listen(ctx, address); err != nil {
			return errors.Join(err, v.store.close(ctx), v.closeScores())
		}
		if s.address == "" { // which users know from then on
			s.address = listener.Addr().String()
			s.users.url = "http://" + s.address
		}
	}
	if err := v.open(ctx, listener); err != nil {
		return errors.Join(err, v.store.close(ctx), v.closeScores())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.validator, s.closed = v, false
	return nil
}

// closeValidator stops the validator and keeps its counters.
func (s *subnet) closeValidator(hard context.Context) error {
	v := s.current()
	err := v.close(hard)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past, s.closed = sum(s.past, v.last), true
	return err
}

// restart closes the validator and opens another one at the same address, as
// a deploy does. It goes on from what was saved.
func (s *subnet) restart(ctx context.Context) error {
	s.deploying.Lock()
	defer s.deploying.Unlock()
	if err := s.closeValidator(ctx); err != nil {
		return err
	}
	return s.openValidator(ctx, s.address)
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
	defer s.stopMiners()
	if err := s.start(ctx); err != nil {
		return errors.Join(err, s.journal.close())
	}
	_, _ = fmt.Fprintf(out, "%s: %d miners from %s, %d users with %d queries at %v per second for the validator at %s\n",
		s.cfg.role, len(s.miners), s.requests.peers[0].url, userCount, len(s.queries), s.cfg.rate, s.address)
	dismiss := s.startHelpers(ctx, out)
	err := s.pass(ctx)
	if ctx.Err() != nil && s.cfg.role != roleScorer {
		err = program.ErrInterrupted
	}
	err = errors.Join(err, s.stop(ctx))
	dismiss()
	s.ended = time.Now()
	return errors.Join(err, s.missing())
}

// missing is the error of a pass that has not scored all that users asked.
func (s *subnet) missing() error {
	var errs []error
	if stats := s.stats(); stats.Scored < stats.Accepted {
		errs = append(errs, fmt.Errorf("%d of %d samples were scored", stats.Scored, stats.Accepted))
	}
	if lost := s.lost.Load(); lost > 0 {
		errs = append(errs, fmt.Errorf("the queue has not taken %d answered queries", lost))
	}
	return errors.Join(errs...)
}

// pass is the time from the first query to the last reward. A front-end's is
// over when all are answered, and a scorer's when it is interrupted.
func (s *subnet) pass(ctx context.Context) error {
	if s.cfg.role == roleScorer {
		<-ctx.Done()
		return nil
	}
	err := s.users.visit(ctx, s.queries, s.cfg)
	if err != nil || s.cfg.role == roleFrontend {
		return err
	}
	select {
	case <-s.synthetics.allAsked:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.deploying.Lock()
	defer s.deploying.Unlock()
	return errors.Join(s.current().live.Close(ctx), s.settle(ctx)) // what is still collected comes first
}

// settle waits until every sample that was accepted is accounted for. Drain
// alone is not enough where an embedded server was restarted: what the
// validator before had in its hands is nobody's until ackWait is over, and does
// not count as queued. Where nothing comes for longer than that, another
// process has scored the rest.
func (s *subnet) settle(ctx context.Context) error {
	var before uint64
	var last time.Time // that anything came
	for {
		if err := s.current().Drain(ctx); err != nil {
			return err
		}
		stats := s.stats()
		accounted := stats.Scored + stats.Dead + stats.Dropped + stats.Expired + stats.Discarded
		if last.IsZero() || accounted > before {
			before, last = accounted, time.Now()
		}
		if stats.Accepted <= accounted || time.Since(last) > 2*ackWait {
			return nil
		}
		if err := program.Sleep(ctx, settleEvery); err != nil {
			return err
		}
	}
}

// stats are the counters of all validators so far, and the gauges of the one
// that runs.
func (s *subnet) stats() organic.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.past
	}
	return sum(s.past, s.validator.Stats())
}

// stop stops softly. An interrupt that is not the first is a hard stop.
func (s *subnet) stop(ctx context.Context) error {
	hard, release := s.untilSecondInterrupt(ctx)
	defer release()
	return errors.Join(s.closeValidator(hard), s.journal.close())
}

// untilSecondInterrupt returns a context that ends with the interrupt after
// the one that ends ctx, which may have come or not.
func (s *subnet) untilSecondInterrupt(ctx context.Context) (hard context.Context, release func()) {
	hard, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		next, stop := program.UntilNextInterrupt(ctx)
		defer stop()
		s.stopping.Store(true) // who reads it may interrupt at once
		select {
		case <-next.Done():
			cancel(program.ErrInterrupted)
		case <-hard.Done():
		}
	})
	return hard, func() {
		forget()
		cancel(nil)
	}
}

func (s *subnet) stopMiners() {
	s.requests.close()
	for _, m := range s.miners {
		m.kill()
	}
}

// startHelpers shows the progress and looks at the queue, until both are
// dismissed and waited for.
func (s *subnet) startHelpers(ctx context.Context, out io.Writer) (dismiss func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	helpers.Go(func() { progress.New(out, s.status).Show(ctx) })
	helpers.Go(func() {
		for program.Sleep(ctx, lookEvery) == nil {
			s.history.look(s.stats())
		}
	})
	return func() {
		cancel()
		helpers.Wait()
	}
}

// status is the progress in one line.
func (s *subnet) status() string {
	stats := s.stats()
	what := "asked"
	if s.stopping.Load() {
		what = "stopping, interrupt again to stop at once: asked"
	}
	return fmt.Sprintf("%s %d of %d, scored %d organic and %d synthetic, queued %d, in flight %d, %.1f s",
		what, s.users.counts.asked.Load(), len(s.queries), s.tally.samples(organic.Organic), s.tally.samples(organic.Synthetic),
		stats.Queued, stats.InFlight, time.Since(s.history.began).Seconds())
}
