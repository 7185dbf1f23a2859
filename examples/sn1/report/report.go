// Package report writes what happened in a run of the subnet as one HTML page:
// the weights of the miners over time, how long the stages took, the queue,
// what became of every sample, and a table of the miners.
//
// The page needs nothing beside itself, neither network nor scripts, and stays
// below 300 KB for a subnet of 256 miners, however many points there are.
package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"time"
)

// Run is what a page is written from. Every part may be missing: the page then
// says so. A Run is a plain value.
type Run struct {
	Title   string
	Started time.Time
	Ended   time.Time
	Miners  []Miner
	Weights []WeightPoint
	Stages  []StagePoint
	Queue   []QueuePoint
	Fates   []Fate
}

// Miner is one row of the table. A reward that is NaN or infinite is shown as
// missing. A Miner is a plain value.
type Miner struct {
	UID       uint16
	Name      string
	Kind      string // honest, slow, failing, hanging, copying, empty
	Answers   int
	Organic   float64 // mean reward for organic queries, NaN when there is none
	Synthetic float64 // mean reward for synthetic queries, NaN when there is none
	Average   float64 // NaN when there is none
	Weight    uint16
	HumanRank int // 0: none
}

// WeightPoint is a miner's weight from a moment on: it holds until the miner's
// next one. One that is NaN or infinite is left out. A WeightPoint is a plain
// value.
type WeightPoint struct {
	At     time.Duration // since the run has started
	UID    uint16
	Weight float64 // share of all weight, 0..1
}

// StagePoint is one passage through a stage. One of negative length is left
// out. A StagePoint is a plain value.
type StagePoint struct {
	At    time.Duration // since the run has started
	Stage string
	Took  time.Duration
}

// QueuePoint is a reading of the queue. A QueuePoint is a plain value.
type QueuePoint struct {
	At       time.Duration // since the run has started
	Queued   int
	InFlight int
}

// Fate is how many samples ended in a certain way. A Fate is a plain value.
type Fate struct {
	Name  string // scored, retried, dead, dropped, …
	Count uint64
}

//go:embed *.html
var files embed.FS

var pages = template.Must(template.ParseFS(files, "*.html"))

// Write writes the page of a run. Nothing reaches w unless the whole page could
// be made. The run's slices are only read, and points may be in any order:
// stages are shown in that of their first point, fates in their own, and miners
// by weight.
func Write(w io.Writer, run Run) error {
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, "page.html", newPage(run)); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if _, err := out.WriteTo(w); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
