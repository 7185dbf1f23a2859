package dashboard

import (
	"fmt"

	"github.com/organic-scoring/organic"
)

// page is what the template shows.
type page struct {
	Title    string
	At       string
	Live     bool
	Controls bool
	Running  bool
	Paused   bool
	Verdict  verdict
	Sections []section
}

// section is a part of the page: figures, and a table that has their numbers.
type section struct {
	ID, Title string
	Note      string
	Figures   []figure
}

// figure is a plot, bars, or neither, with its table.
type figure struct {
	Plot  *plot
	Bars  *bars
	Table table
	More  *table // numbers that are shown when they are asked for
}

// table is a table whose first column names the row.
type table struct {
	ID      string
	Caption string
	Columns []string
	Rows    [][]string
	Empty   string // what to say if there are no rows
	Swatch  bool   // rows have the colors of the lines
	Words   bool   // cells are words, not numbers
}

// compose makes the page. The caller holds the lock.
func (d *Dashboard) compose(r *reading, live bool) page {
	p := page{
		Title: d.cfg.title, At: moment(r.at), Live: live, Controls: live && d.cfg.controls != nil,
		Running: r.stats.Running, Paused: r.stats.Paused, Verdict: d.judge(r, live),
	}
	p.Sections = append(p.Sections, d.queueSection(r), d.stageSection(), fateSection(&r.stats))
	if d.cfg.scores != nil {
		p.Sections = append(p.Sections, d.minerSection(r))
	}
	if d.cfg.setter != nil {
		p.Sections = append(p.Sections, setterSection(r))
	}
	if d.cfg.axon != nil {
		p.Sections = append(p.Sections, axonSection(&r.axon))
	}
	if d.cfg.relay != nil {
		p.Sections = append(p.Sections, relaySection(r))
	}
	if d.cfg.chain != nil {
		p.Sections = append(p.Sections, chainSection(&r.chain))
	}
	p.Sections = append(p.Sections, d.outageSection(r))
	return p
}

// kinds are the columns of a point that one plot shows.
type kinds struct {
	id, unit    string
	first, last int
}

var (
	pointNames = []string{"waiting", "delayed", "organic", "synthetic"}
	samples    = kinds{"samples", "samples", 0, 1}
	iterations = kinds{"iterations", "iterations in flight", 2, 3}
)

func (d *Dashboard) queueSection(r *reading) section {
	s := section{
		ID: "queue", Title: "Queue and iterations in flight",
		Note: "Waiting samples are in the queue; delayed ones are held by the scorer " +
			"until they may go back.",
	}
	for _, k := range []kinds{samples, iterations} {
		s.Figures = append(s.Figures, d.recent.figure("recent", "Last ten minutes", k))
		if d.whole.step > sampleEvery {
			s.Figures = append(s.Figures, d.whole.figure("whole", "Since the page began", k))
		}
	}
	now := table{ID: "now", Words: true, Caption: "Now", Columns: []string{"what", "value"}}
	add := func(is bool, name, value string) {
		if is {
			now.Rows = append(now.Rows, []string{name, value})
		}
	}
	queue, stats := &d.cfg.queue, &r.stats
	add(queue.Capacity > 0, "capacity of the queue", fmt.Sprint(queue.Capacity))
	add(queue.OldestWaiting != nil, "oldest sample that waits", duration(r.oldest))
	add(queue.Leased != nil, "samples that wait for a verdict", fmt.Sprint(r.leased))
	add(queue.DeadLetters != nil, "dead letters", fmt.Sprint(r.dead))
	add(true, "oldest iteration in flight", duration(stats.OldestInFlight))
	add(true, "hooks beyond their timeout", fmt.Sprint(stats.Overdue))
	add(true, "hooks abandoned", fmt.Sprint(stats.Abandoned))
	add(true, "back-off of the loop", duration(stats.LoopBackoff))
	add(true, "last sample scored", moment(stats.LastScored))
	s.Figures = append(s.Figures, figure{Table: now})
	return s
}

// figure draws some kinds of the history.
func (h *history) figure(id, title string, k kinds) figure {
	id += "-" + k.id
	f := figure{Table: table{
		ID: id, Caption: title + ": " + k.unit, Columns: []string{"kind", "now", "mean", "most"},
		Empty: "nothing was sampled yet.", Swatch: true,
	}}
	n := len(h.times)
	if n == 0 {
		return f
	}
	var values [][]float64
	for i := k.first; i <= k.last; i++ {
		row, sum, most := make([]float64, n), 0, 0
		for j, p := range h.points {
			row[j] = float64(p[i])
			sum += p[i]
			most = max(most, p[i])
		}
		values = append(values, row)
		f.Table.Rows = append(f.Table.Rows, []string{
			pointNames[i], fmt.Sprint(h.points[n-1][i]), significant(float64(sum) / float64(n)),
			fmt.Sprint(most),
		})
	}
	plot := newPlot(title, k.unit, h.times, pointNames[k.first:k.last+1], values)
	f.Plot = &plot
	f.More = h.rows(id+"-all", title, k)
	return f
}

// rows lists at most thirty points, evenly spaced, the newest first.
func (h *history) rows(id, title string, k kinds) *table {
	t := &table{
		ID: id, Caption: title + ": " + k.unit + " over time",
		Columns: append([]string{"time (UTC)"}, pointNames[k.first:k.last+1]...),
	}
	every := (len(h.times) + 29) / 30
	for i := len(h.times) - 1; i >= 0; i -= every {
		row := []string{h.times[i].UTC().Format("Jan 2 15:04:05")}
		for _, v := range h.points[i][k.first : k.last+1] {
			row = append(row, fmt.Sprint(v))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (d *Dashboard) stageSection() section {
	t := table{
		ID: "stage-times", Caption: "Times by stage and origin",
		Columns: []string{
			"stage, origin", "done", "median", "95th percentile", "longest", "failed", "median of failed",
		},
		Empty: "No stage has run yet.",
	}
	var list []bar
	for _, row := range d.observed.rows() {
		name := row.stage.String() + ", " + row.origin.String()
		failed := "–"
		if row.failed > 0 {
			failed = duration(row.failedMedian)
		}
		t.Rows = append(t.Rows, []string{
			name, fmt.Sprint(row.done), duration(row.median), duration(row.p95), duration(row.longest),
			fmt.Sprint(row.failed), failed,
		})
		list = append(list, bar{
			Name: name, Class: fmt.Sprintf("s%d", row.origin), Text: duration(row.median),
			Value: row.median.Seconds(), Mark: row.p95.Seconds(),
		})
	}
	f := figure{Table: t}
	if len(list) > 0 {
		b := newBars("Median time, and the 95th percentile as a mark", "seconds", "95th percentile", list)
		f.Bars = &b
	}
	return section{
		ID: "stages", Title: "Stage times by origin", Figures: []figure{f},
		Note: fmt.Sprintf("Of the last %d times of each stage.", keptTimes),
	}
}

func fateSection(s *organic.Stats) section {
	type fate struct {
		name  string
		count uint64
	}
	fates := []fate{
		{"scored", s.Scored},
		{"dead", s.Dead},
		{"dropped, queue full", s.Dropped},
		{"expired", s.Expired},
		{"discarded", s.Discarded},
		{"synthetic scored", s.SyntheticScored},
		{"synthetic failed", s.SyntheticFailed},
	}
	t := table{
		ID:      "fate-counts",
		Caption: "Samples that have ended",
		Columns: []string{"fate", "samples", "share"},
	}
	ended := s.Scored + s.Dead + s.Dropped + s.Expired + s.Discarded
	synthetic := s.SyntheticScored + s.SyntheticFailed
	var list []bar
	for i, f := range fates {
		of, class := ended, "s0"
		if i >= 5 {
			of, class = synthetic, "s1"
		}
		share := "–"
		if of > 0 {
			share = percent(float64(f.count) / float64(of))
		}
		t.Rows = append(t.Rows, []string{f.name, fmt.Sprint(f.count), share})
		list = append(
			list,
			bar{Name: f.name, Class: class, Text: fmt.Sprint(f.count), Value: float64(f.count)},
		)
	}
	b := newBars("Samples by fate", "samples", "", list)
	return section{
		ID: "fates", Title: "Fates of samples",
		Figures: []figure{{Bars: &b, Table: t}, {Table: otherCounts(s)}},
		Note: fmt.Sprintf("Of %s, %s. Shares are by origin.",
			count(s.Accepted, "organic sample accepted", "organic samples accepted"),
			count(ended, "has ended", "have ended")),
	}
}

func otherCounts(s *organic.Stats) table {
	t := table{ID: "counters", Caption: "Other counts", Columns: []string{"what", "count"}}
	add := func(name string, count uint64) {
		t.Rows = append(t.Rows, []string{name, fmt.Sprint(count)})
	}
	add("accepted", s.Accepted)
	add("refused by the queue", s.Refused)
	add("iterations failed (organic)", s.Failed)
	add("came back, attempt counted", s.Retried)
	add("came back, not counted", s.Returned)
	add("dead-letter hook failed", s.DeadLetterFailed)
	add("log hook failed", s.LogFailed)
	add("verdict not taken by the queue", s.SettleFailed)
	add("put back failed", s.PutBackFailed)
	add("source failed", s.SourceFailed)
	add("entry hook failed", s.EntryFailed)
	return t
}
