package report

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// page is what the template shows.
type page struct {
	Title   string
	When    string
	Machine string // when it started, for machines
	Lasted  string
	Answers string
	Count   string // of miners

	Weights *weightsPlot
	Queue   queuePlots
	Stages  *stagesPlot
	Fates   *fatesPlot
	Miners  []minerRow
}

// minerRow is a miner in the table.
type minerRow struct {
	UID       uint16
	Name      string
	Kind      string
	Answers   string
	Organic   string
	Synthetic string
	Average   string
	Weight    string
	HumanRank string
}

// newPage returns the page of a run.
func newPage(run Run) page {
	answers := 0
	for _, m := range run.Miners {
		answers += m.Answers
	}
	p := page{
		Title: cmp.Or(clean(run.Title, 2*nameSize), "Run of the subnet"),
		When:  when(run.Started, run.Ended), Lasted: "not recorded",
		Count: grouped(len(run.Miners)), Answers: grouped(answers),
	}
	if !run.Started.IsZero() {
		p.Machine = run.Started.Format(time.RFC3339)
	}
	if run.timed() {
		p.Lasted = length(run.Ended.Sub(run.Started))
	}
	span := run.span()
	p.Weights = newWeights(run, span)
	p.Queue = newQueue(run.Queue, span)
	p.Stages = newStages(run.Stages)
	p.Fates = newFates(run.Fates)
	p.Miners = newMiners(run.Miners)
	return p
}

// newMiners returns the table, the highest weight first.
func newMiners(miners []Miner) []minerRow {
	miners = slices.Clone(miners)
	slices.SortStableFunc(miners, func(a, b Miner) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.UID, b.UID))
	})
	rows := make([]minerRow, len(miners))
	for i, m := range miners {
		rows[i] = minerRow{
			UID: m.UID, Name: clean(m.Name, nameSize), Kind: clean(m.Kind, tagSize),
			Answers: grouped(m.Answers), Weight: grouped(m.Weight),
			Organic: reward(m.Organic), Synthetic: reward(m.Synthetic), Average: reward(m.Average),
			HumanRank: missing,
		}
		if m.HumanRank > 0 {
			rows[i].HumanRank = strconv.Itoa(m.HumanRank)
		}
	}
	return rows
}

// when writes from when to when, the day once if it is the same.
func when(started, ended time.Time) string {
	const date, clock = "2 January 2006", "15:04:05 MST"
	switch {
	case started.IsZero():
		return "not recorded"
	case ended.Before(started):
		return started.Format(date + ", " + clock)
	}
	ended = ended.In(started.Location())
	if started.Format(date) == ended.Format(date) {
		return started.Format(date+", 15:04:05") + " to " + ended.Format(clock)
	}
	return started.Format(date+", 15:04:05") + " to " + ended.Format(date+", "+clock)
}
