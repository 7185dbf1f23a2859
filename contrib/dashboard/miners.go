package dashboard

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/organic-scoring/organic/contrib/weights"
)

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
		ID: "standings", Caption: "Standing and weight by miner", Swatch: true,
		Empty: "There are no miners yet.",
		Columns: []string{
			"UID", "hotkey", "share", "weight (of 65535)", "score", "mean organic", "mean synthetic",
			"rewards",
		},
	}
	for i := range standings {
		if i == maxMiners {
			s.Note += fmt.Sprintf(" %d more miners are not listed.", len(standings)-maxMiners)
			break
		}
		m := &standings[i]
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(
				m.UID,
			), short(m.Hotkey), percent(shares[m.UID]), fmt.Sprint(weight[m.UID]), significant(m.Score),
			mean(m.Organic), mean(m.Synthetic), fmt.Sprint(m.Organic.Count + m.Synthetic.Count),
		})
	}
	s.Figures = []figure{d.miners.figure(t, standings)}
	return s
}

// figure draws the shares of the first miners over time, beside a table.
func (h *minerHistory) figure(beside table, standings []weights.Standing) figure {
	f := figure{Table: beside}
	n := len(h.times)
	if n == 0 {
		return f
	}
	more := table{ID: "shares", Caption: "Shares over time", Columns: []string{"time (UTC)"}}
	var values [][]float64
	for i := range min(plotted, len(standings)) {
		uid := standings[i].UID
		more.Columns = append(more.Columns, fmt.Sprint("UID ", uid))
		row := make([]float64, n)
		for j, share := range h.shares[uid] {
			row[j] = 100 * float64(share)
		}
		values = append(values, row)
	}
	every := (n + 29) / 30
	for j := n - 1; j >= 0; j -= every {
		row := []string{h.times[j].UTC().Format("Jan 2 15:04:05")}
		for _, shares := range values {
			row = append(row, percent(shares[j]/100))
		}
		more.Rows = append(more.Rows, row)
	}
	plot := newPlot(
		fmt.Sprintf("Shares of the first %d", len(values)),
		"percent",
		h.times,
		more.Columns[1:],
		values,
	)
	f.Plot, f.More = &plot, &more
	return f
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
	t := table{ID: "setter", Words: true, Caption: "Setter", Columns: []string{"what", "value"}}
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
		ID: "pending", Words: true, Caption: "Submissions under way",
		Columns: []string{"number", "state", "what is known"},
		Empty:   "No submission is under way.",
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
	if s.Block > 0 && s.State == weights.Revealed {
		text = "committed"
	}
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
