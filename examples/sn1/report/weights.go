package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	colours     = 10
	lineLimit   = 64   // lines that can be told apart at all
	tagLimit    = 24   // texts beside them that find room
	tagHeight   = 16   // pixels
	weightsSize = 8000 // points of all lines
)

// weightsPlot is the weights of the miners over time.
type weightsPlot struct {
	chart

	Kinds []line // one of each dash
	Left  int    // lines that are not drawn, those of the lowest last weight
}

// history is a miner and its weights.
type history struct {
	line   line
	points []point
}

// last returns the weight at the end.
func (h history) last() float64 { return h.points[len(h.points)-1].value }

// newWeights returns the plot, or nil if there are no weights.
func newWeights(run Run, span clock) *weightsPlot {
	histories := newHistories(run)
	if len(histories) == 0 {
		return nil
	}
	p := &weightsPlot{Left: max(0, len(histories)-lineLimit)}
	histories = histories[:len(histories)-p.Left]
	top := 0.0
	for _, h := range histories {
		for _, point := range h.points {
			top = max(top, point.value)
		}
	}
	height := min(max(300, tagHeight*len(histories)), tagHeight*tagLimit)
	p.chart = newChart("weights", height, span, newLinear(top, 5, false), percent)
	p.Title = "Weights over time"
	p.Desc = describeWeights(histories)
	for _, h := range histories {
		points := outline(h.points, weightsSize/len(histories))
		p.add(h.line, append(slices.Clip(points), point{span.high, h.last()}))
	}
	p.Tags = newTags(p.Lines[:min(len(p.Lines), tagLimit)], height)
	p.Kinds = newKinds(p.Lines)
	return p
}

// newKinds returns the first line of each kind.
func newKinds(lines []line) []line {
	var kinds []line
	for _, l := range lines {
		if !slices.ContainsFunc(kinds, func(k line) bool { return k.Dash == l.Dash }) {
			kinds = append(kinds, l)
		}
	}
	return kinds
}

// newHistories returns the miners that have weights, the highest last weight
// first.
func newHistories(run Run) []history {
	points := map[uint16][]point{}
	for _, w := range run.Weights {
		points[w.UID] = append(points[w.UID], point{w.At, w.Weight})
	}
	looks := newLooks(run.Miners)
	var histories []history
	for uid, all := range points {
		all = sorted(all)
		if len(all) == 0 {
			continue
		}
		for i := range all {
			all[i].value = fraction(all[i].value)
		}
		h := history{line: looks.of(uid), points: all}
		h.line.Title = strings.TrimSpace(strconv.Itoa(int(uid))+" "+h.line.Name) + ", at the end " + percent(h.last(), 0.001)
		histories = append(histories, h)
	}
	slices.SortFunc(histories, func(a, b history) int {
		return cmp.Or(cmp.Compare(b.last(), a.last()), cmp.Compare(a.line.UID, b.line.UID))
	})
	return histories
}

// describeWeights says what the plot shows to those who do not see it.
func describeWeights(histories []history) string {
	var out strings.Builder
	out.WriteString("One line for each miner, the highest last weight first:")
	for i, h := range histories[:min(len(histories), tagLimit)] {
		if i > 0 {
			out.WriteByte(';')
		}
		out.WriteString(" " + h.line.Title)
	}
	out.WriteByte('.')
	return out.String()
}

// newTags places texts beside the ends of lines, so that none covers another.
func newTags(lines []line, height int) []tag {
	ends := make([]float64, len(lines))
	for i, l := range lines {
		ends[i], _ = strconv.ParseFloat(l.DotY, 64)
	}
	tags := make([]tag, len(lines))
	for i, mid := range spread(ends, tagHeight, float64(height)) {
		tags[i] = tag{line: lines[i], End: decimal(ends[i]), Mid: decimal(mid), Base: decimal(mid + 4)}
		tags[i].Name = clean(tags[i].Name, tagSize)
	}
	return tags
}

// spread moves ascending places apart until there is a gap between each two,
// none beyond high if there is room.
func spread(places []float64, gap, high float64) []float64 {
	places = slices.Clone(places)
	low := math.Inf(-1)
	for i := range places {
		places[i] = max(places[i], low)
		low = places[i] + gap
	}
	for i := len(places) - 1; i >= 0; i-- {
		places[i] = min(places[i], high)
		high = places[i] - gap
	}
	return places
}

// looks are the colours and dashes of miners.
type looks map[uint16]line

// newLooks gives each miner a colour by its place and a dash by its kind.
func newLooks(miners []Miner) looks {
	dashes := map[string]string{
		"honest": "honest", "slow": "slow", "failing": "failing", "hanging": "hanging", "copying": "copying", "empty": "empty",
	}
	all := looks{}
	for i, m := range miners {
		if _, known := all[m.UID]; known {
			continue
		}
		all[m.UID] = line{
			UID: m.UID, Name: clean(m.Name, lineSize), Kind: clean(m.Kind, tagSize),
			Colour: i % colours, Dash: cmp.Or(dashes[m.Kind], "other"),
		}
	}
	return all
}

// of returns the look of a miner, be it known or not.
func (l looks) of(uid uint16) line {
	if look, known := l[uid]; known {
		return look
	}
	return line{UID: uid, Colour: int(uid) % colours, Dash: "other"}
}
