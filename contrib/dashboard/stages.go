package dashboard

import (
	"slices"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
)

// keptTimes is how many of the last times of a stage quantiles are taken of.
const keptTimes = 512

// observed is what events say. It has a lock of its own, since the scorer waits for
// its observers. It is safe for concurrent use.
type observed struct {
	mu            sync.Mutex // guards what follows
	times         [organic.StageLog + 1][2]outcomes
	sourceSkipped time.Time // until when a source that has failed is skipped
}

// outcomes are the last times of a stage for one origin.
type outcomes struct{ done, failed lastTimes }

func (o *observed) add(e *organic.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch e.Kind {
	case organic.EventStageDone, organic.EventStageFailed, organic.EventLogFailed:
		if int(e.Stage) >= len(o.times) || int(e.Origin) >= len(o.times[e.Stage]) {
			return
		}
		of := &o.times[e.Stage][e.Origin]
		if e.Kind == organic.EventStageDone {
			of.done.add(e.Duration)
		} else {
			of.failed.add(e.Duration)
		}
	case organic.EventSourceFailed:
		until := time.Now().Add(max(e.Duration, 2*sampleEvery))
		if until.After(o.sourceSkipped) {
			o.sourceSkipped = until
		}
	default: // is in Stats
	}
}

// skips reports whether a source is skipped at a time.
func (o *observed) skips(at time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return at.Before(o.sourceSkipped)
}

// copied returns the times of a stage for one origin.
func (o *observed) copied(stage, origin int) outcomes {
	o.mu.Lock()
	defer o.mu.Unlock()
	of := o.times[stage][origin]
	of.done.ring, of.failed.ring = slices.Clone(of.done.ring), slices.Clone(of.failed.ring)
	return of
}

// lastTimes is a ring of the last times, and counts all.
type lastTimes struct {
	count uint64
	ring  []time.Duration
}

func (t *lastTimes) add(d time.Duration) {
	if len(t.ring) < keptTimes {
		t.ring = append(t.ring, d)
	} else {
		t.ring[t.count%keptTimes] = d
	}
	t.count++
}

// stageRow is what the page says of a stage for one origin.
type stageRow struct {
	stage                organic.Stage
	origin               organic.Origin
	done, failed         uint64
	median, p95, longest time.Duration // of those done
	failedMedian         time.Duration
}

// rows lists the stages that have run, in their order.
func (o *observed) rows() []stageRow {
	var rows []stageRow
	for stage := range len(o.times) {
		for origin := range len(o.times[stage]) {
			of := o.copied(stage, origin)
			if of.done.count+of.failed.count == 0 {
				continue
			}
			row := stageRow{
				stage: organic.Stage(stage), origin: organic.Origin(origin),
				done: of.done.count, failed: of.failed.count,
			}
			row.median, row.p95, row.longest = of.done.quantiles()
			row.failedMedian, _, _ = of.failed.quantiles()
			rows = append(rows, row)
		}
	}
	return rows
}

// quantiles returns the median, the 95th percentile and the maximum, by nearest
// rank. It sorts the ring, and so is for copies.
func (t *lastTimes) quantiles() (median, p95, longest time.Duration) {
	n := len(t.ring)
	if n == 0 {
		return 0, 0, 0
	}
	slices.Sort(t.ring)
	return t.ring[(n-1)/2], t.ring[(n*95+99)/100-1], t.ring[n-1]
}
