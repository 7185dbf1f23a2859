package dashboard

import (
	"slices"
	"time"

	"github.com/organic-scoring/organic"
)

// keptTimes is how many of the last times of a stage quantiles are taken of.
const keptTimes = 512

// stageTimes keeps the last times of each stage, by origin and outcome.
type stageTimes struct {
	times [organic.StageLog + 1][2]struct{ done, failed lastTimes }
}

// lastTimes is a ring of the last times, and counts all.
type lastTimes struct {
	count uint64
	ring  []time.Duration
}

func (s *stageTimes) add(stage organic.Stage, origin organic.Origin, failed bool, d time.Duration) {
	if int(stage) >= len(s.times) || int(origin) >= len(s.times[stage]) {
		return
	}
	of := &s.times[stage][origin]
	if failed {
		of.failed.add(d)
	} else {
		of.done.add(d)
	}
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
	stage                  organic.Stage
	origin                 organic.Origin
	done, failed           uint64
	median, p95, max       time.Duration // of those done
	failedMedian, failedMx time.Duration
}

// rows lists the stages that have run, in their order.
func (s *stageTimes) rows() []stageRow {
	var rows []stageRow
	for stage := range s.times {
		for origin := range s.times[stage] {
			of := &s.times[stage][origin]
			if of.done.count+of.failed.count == 0 {
				continue
			}
			row := stageRow{
				stage: organic.Stage(stage), origin: organic.Origin(origin),
				done: of.done.count, failed: of.failed.count,
			}
			row.median, row.p95, row.max = of.done.quantiles()
			row.failedMedian, _, row.failedMx = of.failed.quantiles()
			rows = append(rows, row)
		}
	}
	return rows
}

// quantiles returns the median, the 95th percentile and the maximum, by nearest
// rank.
func (t *lastTimes) quantiles() (median, p95, longest time.Duration) {
	n := len(t.ring)
	if n == 0 {
		return 0, 0, 0
	}
	sorted := slices.Sorted(slices.Values(t.ring))
	return sorted[(n-1)/2], sorted[(n*95+99)/100-1], sorted[n-1]
}
