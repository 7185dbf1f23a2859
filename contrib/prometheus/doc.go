// Package prometheus shows to Prometheus what an organic-scoring loop does. It
// replaces the counters and histograms that validators write into their hooks.
//
// # Overview
//
// A [Scorer] counts the events of a scorer and reads its Stats at each scrape:
//
//	v := &Validator{}
//	metrics := organicprom.NewScorer(v)
//	v.OrganicScorer, err = organic.New(v, organic.WithObserver(metrics.Observe))
//	registry.MustRegister(metrics)
//
// (organicprom is this package, imported beside client_golang's own.) The other
// parts have packages of their own, so that a program links only what it uses:
// promqueue for queues, promweights for contrib/weights, promrelay for
// contrib/relay, promaxon for contrib/axon and promchain for contrib/subtensor.
// Those for parts that live in other modules take functions that return plain
// numbers, and so need none of these modules.
//
// # Names
//
// Names begin with organic_, times are in seconds, sizes in bytes. No label has
// a value that strangers can choose: stages, origins, outcomes and reasons are
// fixed lists, and UIDs are at most as many as the subnet has. No payload,
// sample ID, requester, or text of an error is in a metric. To show several
// scorers of one process, register each with
// prometheus.WrapRegistererWith(prometheus.Labels{"scorer": "…"}, registry).
//
// rules.yml has alert rules: no weights set for two tempos, queue full, loop in
// back-off, clock off, and others. Its tests run in promtool.
//
// # Concurrency
//
// All collectors are safe for concurrent use. They start no goroutine.
package prometheus
