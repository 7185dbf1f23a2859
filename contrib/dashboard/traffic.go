package dashboard

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

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
	served := table{
		ID:      "requests",
		Caption: "Requests",
		Columns: []string{"what", "requests"},
		Rows: [][]string{
			{"verified", fmt.Sprint(a.Verified)},
			{"served", fmt.Sprint(a.Served)},
			{"being read", fmt.Sprint(a.Reading)},
			{"being served", fmt.Sprint(a.Serving)},
			{"waiting for their turn", fmt.Sprint(a.Waiting)},
		},
	}
	return section{
		ID:      "axon",
		Title:   "Axon: requests and refusals",
		Figures: []figure{f, {Table: served}},
	}
}

func relaySection(r *reading) section {
	s := &r.relay
	t := table{
		ID:      "relay-streams",
		Caption: "Streams to requesters",
		Columns: []string{"outcome", "streams"},
	}
	var list []bar
	for _, row := range []struct {
		name  string
		count uint64
	}{
		{"whole", s.Whole},
		{"failed", s.Failed},
		{"requester too slow", s.TooSlow},
		{"requester left", s.Left},
	} {
		t.Rows = append(t.Rows, []string{row.name, fmt.Sprint(row.count)})
		list = append(
			list,
			bar{Name: row.name, Class: "s0", Text: fmt.Sprint(row.count), Value: float64(row.count)},
		)
	}
	b := newBars("Streams by outcome", "streams", "", list)
	queries := table{
		ID:      "relay-queries",
		Caption: "Queries",
		Columns: []string{"what", "value"},
		Rows: [][]string{
			{"begun", fmt.Sprint(s.Begun)},
			{"refused", fmt.Sprint(s.Refused)},
			{"completed", fmt.Sprint(s.Completed)},
			{"handing over failed", fmt.Sprint(s.DoneFailed)},
			{"open", fmt.Sprint(s.Open)},
			{"in flight", size(s.InFlight)},
			{"kept for scoring", fmt.Sprint(s.Kept)},
			{"memory of those", size(s.KeptBytes)},
		},
	}
	return section{
		ID:      "relay",
		Title:   "Relay",
		Figures: []figure{{Bars: &b, Table: t}, {Table: queries}},
	}
}

func size(bytes int) string { return significant(float64(bytes)/(1<<20)) + " MiB" }

func chainSection(c *Chain) section {
	endpoint := c.Endpoint
	if endpoint == "" {
		endpoint = "none"
	}
	t := table{
		ID:      "chain-connection",
		Words:   true,
		Caption: "Connection",
		Columns: []string{"what", "value"},
		Rows: [][]string{
			{"node", endpoint},
			{"connections made", fmt.Sprint(c.Connections)},
			{"attempts failed", fmt.Sprint(c.Failures)},
			{"spec version", fmt.Sprint(c.Spec)},
		},
	}
	if c.Block > 0 {
		t.Rows = append(t.Rows, []string{"best block", fmt.Sprint(c.Block)})
	}
	return section{ID: "chain", Title: "Chain", Figures: []figure{{Table: t}}}
}

func (d *Dashboard) outageSection(r *reading) section {
	t := table{
		ID: "outage-list", Words: true, Caption: "Outages, the newest first",
		Columns: []string{"what", "from", "to", "duration"},
		Empty:   "There was no outage.",
	}
	for _, o := range d.outages.all() {
		end, until := o.end, moment(o.end)
		if end.IsZero() {
			end, until = r.at, "lasts"
		}
		t.Rows = append(
			t.Rows,
			[]string{o.what, moment(o.begin), until, duration(end.Sub(o.begin).Round(time.Second))},
		)
	}
	s := section{ID: "outages", Title: "Outages", Figures: []figure{{Table: t}}}
	if d.outages.more > 0 {
		s.Note = fmt.Sprintf("%d earlier ones are not listed.", d.outages.more)
	}
	return s
}
