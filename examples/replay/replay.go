package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/progress"
	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// replay is one pass over the recorded prompts.
type replay struct {
	cfg       config
	records   []recorded.Record
	ranking   map[string]float64 // nil without one
	validator *Validator
	began     time.Time
	stopping  atomic.Bool // after an interrupt
}

// newReplay reads the files and builds the validator.
func newReplay(cfg config) (*replay, error) {
	records, err := recorded.Read(cfg.data, cfg.reference)
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
	r := &replay{cfg: cfg, records: records}
	if cfg.ranking != "" {
		if r.ranking, err = recorded.ReadRanking(cfg.ranking, models); err != nil {
			return nil, err
		}
	}
	r.validator, err = newValidator(cfg, models, records)
	return r, err
}

// play lets all prompts arrive, waits until they are scored, and stops. When
// ctx ends it stops where it is. Nothing runs any more when it returns.
func (r *replay) play(ctx context.Context, out io.Writer) error {
	r.began = time.Now()
	_, _ = fmt.Fprintf(out,
		"replaying %d prompts to %d miners at %v queries per second, against the %s reference\n",
		len(r.records), len(r.validator.miners), r.cfg.rate, r.cfg.reference)
	// The end of ctx is to be the soft stop, so the run must not end with it.
	if err := r.validator.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	dismiss := r.startHelpers(ctx, out)
	err := r.arrive(ctx)
	if err == nil {
		err = r.validator.Drain(ctx)
	}
	if ctx.Err() != nil {
		err = program.ErrInterrupted
	}
	err = errors.Join(err, r.stop(ctx))
	dismiss()
	if scored := r.validator.board.samples(); scored < len(r.records) {
		err = errors.Join(err, fmt.Errorf("%d of %d prompts were scored", scored, len(r.records)))
	}
	return err
}

// startHelpers shows the progress and, where the trigger needs them, counts
// steps, until both are dismissed and waited for.
func (r *replay) startHelpers(ctx context.Context, out io.Writer) (dismiss func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	helpers.Go(func() { progress.New(out, r.status).Show(ctx) })
	if r.cfg.trigger == triggerSteps {
		helpers.Go(func() { r.step(ctx) })
	}
	return func() {
		cancel()
		helpers.Wait()
	}
}

// arrive enqueues the prompts in the order that the seed gives, at the rate.
// The ID of the prompt becomes that of the sample.
func (r *replay) arrive(ctx context.Context) error {
	between := time.Duration(float64(time.Second) / r.cfg.rate)
	order := rand.New(rand.NewPCG(r.cfg.seed, 0)).Perm(len(r.records))
	for place, i := range order {
		due := r.began.Add(time.Duration(place) * between)
		if err := program.Sleep(ctx, time.Until(due)); err != nil {
			return err
		}
		prompt := r.records[i].Prompt
		sample := organic.Sample[Prompt]{ID: prompt.ID, Payload: prompt}
		if _, err := r.validator.EnqueueSample(ctx, sample); err != nil {
			return err
		}
	}
	return nil
}

// step counts steps for the steps trigger, as a validator would count blocks.
func (r *replay) step(ctx context.Context) {
	ticker := time.NewTicker(stepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.validator.IncrementStep()
		case <-ctx.Done():
			return
		}
	}
}

// stop stops softly: what is in flight is still scored. After an interrupt it
// takes another one for a hard stop.
func (r *replay) stop(ctx context.Context) error {
	if ctx.Err() == nil {
		return r.validator.Stop(ctx)
	}
	ctx = context.WithoutCancel(ctx)
	hard, cancel := program.UntilNextInterrupt(ctx)
	defer cancel()
	r.stopping.Store(true)
	if r.validator.Stop(hard) == nil {
		return nil
	}
	return r.validator.Stop(ctx) // the hooks are cancelled and return soon
}

// status is the progress in one line.
func (r *replay) status() string {
	stats := r.validator.Stats()
	if r.stopping.Load() {
		return fmt.Sprintf(
			"stopping, interrupt again to stop at once: scored %d of %d, in flight %d",
			stats.Scored, len(r.records), stats.InFlight)
	}
	return fmt.Sprintf("scored %d of %d, queued %d, in flight %d, delayed %d, retried %d, %.1f s",
		stats.Scored, len(r.records), stats.Queued, stats.InFlight, stats.Delayed, stats.Retried,
		time.Since(r.began).Seconds())
}

// report writes the table of the miners and the fates of the samples.
func (r *replay) report(out io.Writer) error {
	var text bytes.Buffer
	rows, err := r.rows()
	if err != nil {
		return err
	}
	writeTable(&text, rows, r.ranking != nil)
	if r.ranking != nil {
		_, _ = fmt.Fprintf(&text,
			"\nSpearman's rank correlation of mean rewards and human win rates: %s\n",
			correlation(agreement(rows)))
	}
	stats := r.validator.Stats()
	_, _ = fmt.Fprintf(&text,
		"\naccepted %d, scored %d, retried %d, dead %d, dropped %d, still queued %d\n",
		stats.Accepted, stats.Scored, stats.Retried, stats.Dead, stats.Dropped, stats.Queued)
	_, err = out.Write(text.Bytes())
	return err
}

func (r *replay) rows() ([]row, error) {
	v := r.validator
	weights, err := v.weights()
	return newRows(v.miners, v.board.all(), v.scores.Values(), weights, r.ranking), err
}
