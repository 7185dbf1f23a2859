// Package progress shows how far a program has come.
package progress

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// How often progress is shown.
const (
	liveEvery  = 100 * time.Millisecond
	plainEvery = 2 * time.Second
)

// Progress shows a status again and again: on a terminal as one line that is
// rewritten, elsewhere as plain lines now and then.
type Progress struct {
	out    io.Writer
	status func() string
	live   bool
	width  int // of the line that stands on the terminal
}

// New returns a progress that asks for the status each time, and writes it to
// the output.
func New(out io.Writer, status func() string) *Progress {
	return &Progress{out: out, status: status, live: isTerminal(out)}
}

// Show goes on until ctx ends, and ends with the status of that moment.
func (p *Progress) Show(ctx context.Context) {
	every := plainEvery
	if p.live {
		every = liveEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.line("")
		case <-ctx.Done():
			p.line("\n")
			return
		}
	}
}

// line writes the status. On a terminal it covers what stood there, and stays
// on the line unless there is an end.
func (p *Progress) line(end string) {
	status := p.status()
	if !p.live {
		_, _ = fmt.Fprintln(p.out, status)
		return
	}
	_, _ = fmt.Fprintf(p.out, "\r%-*s%s", p.width, status, end)
	p.width = len(status)
}

// isTerminal reports whether the writer is a character device.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
