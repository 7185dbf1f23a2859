package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/organic-scoring/organic/examples/sn1/report"
)

// report writes the table of the miners and what became of all queries and
// samples, and where the flag names a file, the HTML page.
func (s *subnet) report(out io.Writer) error {
	rows := s.rows()
	var text bytes.Buffer
	if s.cfg.role != roleFrontend { // which has seen no rewards
		writeTable(&text, rows)
		_, _ = fmt.Fprintln(&text)
	}
	if s.cfg.role != roleFrontend && s.ranking != nil {
		_, _ = fmt.Fprintf(&text, "Spearman's rank correlation of honest miners' ROUGE and human win rates: %s\n\n", number("%.3f", s.agreement()))
	}
	stats := s.stats()
	counts := &s.users.counts
	_, _ = fmt.Fprintf(&text, "users: asked %d, answered %d, hung up %d, broken off %d, refused %d\n",
		counts.asked.Load(), counts.answered.Load(), counts.left.Load(), counts.broken.Load(), counts.refused.Load())
	_, _ = fmt.Fprintf(&text, "samples: accepted %d, scored %d, retried %d, dead %d, dropped %d, lost %d, still queued %d; synthetic: scored %d, failed %d\n",
		stats.Accepted, stats.Scored, stats.Retried, stats.Dead, stats.Dropped, s.lost.Load(), stats.Queued, stats.SyntheticScored, stats.SyntheticFailed)
	_, err := out.Write(text.Bytes())
	return errors.Join(err, s.writePage(rows))
}

// writeTable writes the miners, by UID.
func writeTable(out io.Writer, rows []report.Miner) {
	width := len("miner")
	for _, r := range rows {
		width = max(width, utf8.RuneCountInString(r.Name))
	}
	heading := fmt.Sprintf("%3s  %-*s  %-7s  %7s  %8s  %9s  %8s  %6s  %10s",
		"uid", width, "miner", "kind", "answers", "organic", "synthetic", "average", "weight", "human rank")
	_, _ = fmt.Fprintf(out, "%s\n%s\n", heading, strings.Repeat("-", utf8.RuneCountInString(heading)))
	for _, r := range rows {
		rank := "-"
		if r.HumanRank > 0 {
			rank = fmt.Sprint(r.HumanRank)
		}
		_, _ = fmt.Fprintf(out, "%3d  %-*s  %-7s  %7d  %8s  %9s  %8s  %6d  %10s\n", r.UID, width, r.Name, r.Kind, r.Answers,
			number("%.4f", r.Organic), number("%.4f", r.Synthetic), number("%.4f", r.Average), r.Weight, rank)
	}
}

// number formats a value, or writes a dash where there is none.
func number(format string, value float64) string {
	if math.IsNaN(value) {
		return "-"
	}
	return fmt.Sprintf(format, value)
}

// writePage writes the HTML page.
func (s *subnet) writePage(rows []report.Miner) error {
	if s.cfg.report == "" {
		return nil
	}
	file, err := os.Create(s.cfg.report)
	if err != nil {
		return err
	}
	s.history.mu.Lock()
	defer s.history.mu.Unlock()
	err = report.Write(file, report.Run{
		Title:   "A subnet on loopback",
		Started: s.history.began,
		Ended:   s.ended,
		Miners:  rows,
		Weights: s.history.weights,
		Stages:  s.history.stages,
		Queue:   s.history.queue,
		Fates:   s.fates(),
	})
	return errors.Join(err, file.Close())
}
