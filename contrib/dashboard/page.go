package dashboard

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
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

var queueNames = []string{"waiting", "delayed", "organic in flight", "synthetic in flight"}

func (d *Dashboard) queueSection(r *reading) section {
	s := section{
		ID: "queue", Title: "Queue and iterations in flight",
		Note: "Samples that wait in the queue, samples that the scorer holds until their delay is over, " +
			"and iterations in flight.",
	}
	s.Figures = append(s.Figures, d.recent.figure("recent", "Last ten minutes"))
	if d.whole.step > sampleEvery {
		s.Figures = append(s.Figures, d.whole.figure("whole", "Since the page began"))
	}
	now := table{ID: "now", Caption: "Now", Columns: []string{"what", "value"}}
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

// figure draws the history of the queue.
func (h *history) figure(id, title string) figure {
	f := figure{Table: table{
		ID: id, Caption: title + ": number by kind", Columns: []string{"kind", "now", "mean", "most"},
		Empty: "No samples were taken yet.", Swatch: true,
	}}
	n := len(h.times)
	if n == 0 {
		return f
	}
	values := make([][]float64, len(queueNames))
	for i, name := range queueNames {
		sum, most := 0, 0
		for _, p := range h.points {
			values[i] = append(values[i], float64(p[i]))
			sum += p[i]
			most = max(most, p[i])
		}
		f.Table.Rows = append(f.Table.Rows, []string{
			name, fmt.Sprint(h.points[n-1][i]), significant(float64(sum) / float64(n)), fmt.Sprint(most),
		})
	}
	plot := newPlot(title, "number", h.times, queueNames, values)
	f.Plot = &plot
	f.More = h.rows(id+"-all", title)
	return f
}

// rows lists at most thirty points, evenly spaced, the newest first.
func (h *history) rows(id, title string) *table {
	t := &table{ID: id, Caption: title + ": numbers over time", Columns: append([]string{"time (UTC)"}, queueNames...)}
	every := (len(h.times) + 29) / 30
	for i := len(h.times) - 1; i >= 0; i -= every {
		row := []string{h.times[i].UTC().Format("15:04:05")}
		for _, v := range h.points[i] {
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
	for _, row := range d.stages.rows() {
		name := row.stage.String() + ", " + row.origin.String()
		failed := "–"
		if row.failed > 0 {
			failed = duration(row.failedMedian)
		}
		t.Rows = append(t.Rows, []string{
			name, fmt.Sprint(row.done), duration(row.median), duration(row.p95), duration(row.max),
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
		{"scored", s.Scored}, {"dead", s.Dead}, {"dropped, queue full", s.Dropped}, {"expired", s.Expired},
		{"discarded", s.Discarded}, {"synthetic scored", s.SyntheticScored}, {"synthetic failed", s.SyntheticFailed},
	}
	t := table{ID: "fate-counts", Caption: "Samples that have ended", Columns: []string{"fate", "samples", "share"}}
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
		list = append(list, bar{Name: f.name, Class: class, Text: fmt.Sprint(f.count), Value: float64(f.count)})
	}
	b := newBars("Samples by fate", "samples", "", list)
	others := table{ID: "counters", Caption: "Other counts", Columns: []string{"what", "count"}}
	for _, f := range []fate{
		{"accepted", s.Accepted},
		{"refused by the queue", s.Refused},
		{"iterations failed (organic)", s.Failed},
		{"came back, attempt counted", s.Retried},
		{"came back, not counted", s.Returned},
		{"dead-letter hook failed", s.DeadLetterFailed},
		{"log hook failed", s.LogFailed},
		{"verdict not taken by the queue", s.SettleFailed},
		{"put back failed", s.PutBackFailed},
		{"source failed", s.SourceFailed},
		{"entry hook failed", s.EntryFailed},
	} {
		others.Rows = append(others.Rows, []string{f.name, fmt.Sprint(f.count)})
	}
	return section{
		ID: "fates", Title: "Fates of samples", Figures: []figure{{Bars: &b, Table: t}, {Table: others}},
		Note: fmt.Sprintf("Of %s, %s. Shares are by origin.",
			count(s.Accepted, "organic sample accepted", "organic samples accepted"),
			count(ended, "has ended", "have ended")),
	}
}

// plotted is how many miners have a line.
const plotted = 6

func (d *Dashboard) minerSection(r *reading) section {
	s := section{
		ID: "miners", Title: "Miners", Note: "Share of the weights that the scores give now.",
	}
	if r.noVector != nil {
		s.Note = "Share of the scores; they give no weights now: " + text(r.noVector) + "."
	}
	shares, weight := sharesOf(r), weightsOf(&r.vector)
	standings := slices.Clone(r.standings)
	slices.SortStableFunc(standings, func(a, b weights.Standing) int {
		return cmp.Or(cmp.Compare(shares[b.UID], shares[a.UID]), cmp.Compare(b.Score, a.Score))
	})
	t := table{
		ID: "standings", Caption: "Standing and weight by miner", Swatch: true, Empty: "There are no miners yet.",
		Columns: []string{
			"UID", "hotkey", "share", "weight (of 65535)", "score", "mean organic", "mean synthetic", "rewards",
		},
	}
	for i := range standings {
		if i == maxMiners {
			s.Note += fmt.Sprintf(" %d more miners are not listed.", len(standings)-maxMiners)
			break
		}
		m := &standings[i]
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(m.UID), short(m.Hotkey), percent(shares[m.UID]), fmt.Sprint(weight[m.UID]), significant(m.Score),
			mean(m.Organic), mean(m.Synthetic), fmt.Sprint(m.Organic.Count + m.Synthetic.Count),
		})
	}
	f := figure{Table: t}
	if len(d.miners.times) > 0 {
		var names []string
		var values [][]float64
		for i := range min(plotted, len(standings)) {
			uid := standings[i].UID
			names = append(names, fmt.Sprint("UID ", uid))
			row := make([]float64, len(d.miners.times))
			for j, share := range d.miners.shares[uid] {
				row[j] = 100 * float64(share)
			}
			values = append(values, row)
		}
		plot := newPlot(fmt.Sprintf("Share of the first %d over time", len(names)), "percent", d.miners.times, names, values)
		f.Plot = &plot
	}
	s.Figures = []figure{f}
	return s
}

func mean(t weights.Track) string {
	if t.Count == 0 {
		return "–"
	}
	return significant(t.Mean)
}

// short shortens a hotkey to what people compare.
func short(hotkey string) string {
	runes := []rune(hotkey)
	if len(runes) <= 14 {
		return hotkey
	}
	return string(runes[:7]) + "…" + string(runes[len(runes)-5:])
}

func setterSection(r *reading) section {
	status := &r.setter
	t := table{ID: "setter", Caption: "Setter", Columns: []string{"what", "value"}}
	add := func(name, value string) { t.Rows = append(t.Rows, []string{name, value}) }
	add("last set", moment(status.LastSet))
	if !status.LastSet.IsZero() {
		add("evidence", submission(&status.LastSubmission))
		add("entries", fmt.Sprint(status.Entries))
	}
	due := "not known"
	if !status.NextDue.IsZero() {
		due = moment(status.NextDue)
		if wait := status.NextDue.Sub(r.at); wait > 0 {
			due += ", in " + duration(wait)
		}
	}
	add("next due", due)
	if status.NextBlock > 0 {
		add("at block", fmt.Sprint(status.NextBlock))
	}
	add("sets since the start", fmt.Sprint(status.Sets))
	add("lost since the start", fmt.Sprint(status.Lost))
	add("failed tries in a row", fmt.Sprint(status.Failures))
	if status.Held != "" {
		add("held", status.Held)
	}
	pending := table{
		ID: "pending", Caption: "Submissions under way", Columns: []string{"number", "state", "what is known"},
		Empty: "No submission is under way.",
	}
	for i := range status.Pending {
		p := &status.Pending[i]
		pending.Rows = append(pending.Rows, []string{fmt.Sprint(i + 1), p.State.String(), submission(p)})
	}
	return section{
		ID: "weights", Title: "Weights on the chain", Figures: []figure{{Table: t}, {Table: pending}},
		Note: "A submission is submitted, then included, or committed and later revealed; or it is lost.",
	}
}

// submission says how far a submission has come and what supports it.
func submission(s *weights.Submission) string {
	text := s.State.String()
	if s.Block > 0 {
		text += fmt.Sprintf(" in block %d", s.Block)
	}
	switch {
	case s.RevealedIn > 0:
		text += fmt.Sprintf(", revealed in block %d", s.RevealedIn)
	case s.RevealBlock > 0:
		text += fmt.Sprintf(", reveal expected in block %d", s.RevealBlock)
	}
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	return text
}

func axonSection(a *Axon) section {
	t := table{
		ID: "refusals", Caption: "Refusals by reason", Columns: []string{"reason", "requests"},
		Empty: "No request was refused.",
	}
	var list []bar
	reasons := slices.SortedFunc(maps.Keys(a.Refused), func(x, y string) int {
		return cmp.Or(cmp.Compare(a.Refused[y], a.Refused[x]), cmp.Compare(x, y))
	})
	for _, reason := range reasons {
		n := a.Refused[reason]
		t.Rows = append(t.Rows, []string{reason, fmt.Sprint(n)})
		list = append(list, bar{Name: reason, Class: "s0", Text: fmt.Sprint(n), Value: float64(n)})
	}
	f := figure{Table: t}
	if len(list) > 0 {
		b := newBars("Refusals by reason", "requests", "", list)
		f.Bars = &b
	}
	served := table{ID: "requests", Caption: "Requests", Columns: []string{"what", "requests"}, Rows: [][]string{
		{"verified", fmt.Sprint(a.Verified)},
		{"served", fmt.Sprint(a.Served)},
		{"being served", fmt.Sprint(a.Serving)},
		{"waiting for their turn", fmt.Sprint(a.Waiting)},
	}}
	return section{ID: "axon", Title: "Axon: requests and refusals", Figures: []figure{f, {Table: served}}}
}

func relaySection(r *reading) section {
	s := &r.relay
	t := table{ID: "relay-streams", Caption: "Streams to requesters", Columns: []string{"outcome", "streams"}}
	var list []bar
	for _, row := range []struct {
		name  string
		count uint64
	}{{"whole", s.Whole}, {"failed", s.Failed}, {"requester too slow", s.TooSlow}, {"requester left", s.Left}} {
		t.Rows = append(t.Rows, []string{row.name, fmt.Sprint(row.count)})
		list = append(list, bar{Name: row.name, Class: "s0", Text: fmt.Sprint(row.count), Value: float64(row.count)})
	}
	b := newBars("Streams by outcome", "streams", "", list)
	queries := table{ID: "relay-queries", Caption: "Queries", Columns: []string{"what", "value"}, Rows: [][]string{
		{"begun", fmt.Sprint(s.Begun)},
		{"refused", fmt.Sprint(s.Refused)},
		{"completed", fmt.Sprint(s.Completed)},
		{"handing over failed", fmt.Sprint(s.DoneFailed)},
		{"open", fmt.Sprint(s.Open)},
		{"in flight", size(s.InFlight)},
		{"kept for scoring", fmt.Sprint(s.Kept)},
		{"memory of those", size(s.KeptBytes)},
	}}
	return section{ID: "relay", Title: "Relay", Figures: []figure{{Bars: &b, Table: t}, {Table: queries}}}
}

func size(bytes int) string { return significant(float64(bytes)/(1<<20)) + " MiB" }

func chainSection(c *Chain) section {
	endpoint := c.Endpoint
	if endpoint == "" {
		endpoint = "none"
	}
	t := table{ID: "chain-connection", Caption: "Connection", Columns: []string{"what", "value"}, Rows: [][]string{
		{"node", endpoint},
		{"connections made", fmt.Sprint(c.Connections)},
		{"attempts failed", fmt.Sprint(c.Failures)},
		{"spec version", fmt.Sprint(c.Spec)},
	}}
	if c.Block > 0 {
		t.Rows = append(t.Rows, []string{"best block", fmt.Sprint(c.Block)})
	}
	return section{ID: "chain", Title: "Chain", Figures: []figure{{Table: t}}}
}

func (d *Dashboard) outageSection(r *reading) section {
	t := table{
		ID: "outage-list", Caption: "Outages, the newest first", Columns: []string{"what", "from", "to", "duration"},
		Empty: "There was no outage.",
	}
	for _, o := range d.outages.all() {
		end, until := o.end, moment(o.end)
		if end.IsZero() {
			end, until = r.at, "lasts"
		}
		t.Rows = append(t.Rows, []string{o.what, moment(o.begin), until, duration(end.Sub(o.begin).Round(time.Second))})
	}
	s := section{ID: "outages", Title: "Outages", Figures: []figure{{Table: t}}}
	if d.outages.more > 0 {
		s.Note = fmt.Sprintf("%d earlier ones are not listed.", d.outages.more)
	}
	return s
}
