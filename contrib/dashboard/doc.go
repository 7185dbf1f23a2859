// Package dashboard shows how a validator is, on a live page and in a report. It
// replaces the status pages and log searches that validators come with.
//
// # Overview
//
// A [Dashboard] is an http.Handler, fed by the events of a scorer and by what the
// other parts return when they are asked:
//
//	v := &Validator{}
//	page, err := dashboard.New(v, dashboard.WithScores(v.scores), dashboard.WithSetter(setter))
//	v.OrganicScorer, err = organic.New(v, organic.WithObserver(page.Observe))
//
//	go page.Run(ctx) // samples once a second, until ctx ends
//	mux.Handle("/status/", http.StripPrefix("/status", page))
//
// or, in place of the last two, page.Serve(ctx, listener).
// [Dashboard.SaveReport] writes the same page as one static file.
//
// The page says in words whether the validator is healthy and why not, and shows
// the queue and the iterations in flight over time, the times of the stages by
// origin, the fates of samples, the standing, weight and share of each miner,
// where the last weights stand and when the next are due, refusals by reason, and
// outages. Beside each plot the numbers stand in a table.
//
// # What it shows of the parts
//
// Scorer, scores, setter and relay are shown as they are. Parts of other modules
// are described by functions and plain values: [Queue], [Axon] and [Chain].
//
// # Privacy and access
//
// No payload, response, reference, requester, sample ID, or text of a hook's error
// is on the page. Hotkeys, scores and weights are. The handler asks for no
// password: mount it behind one, or listen on a loopback address only. It changes
// nothing unless [WithControls] is given.
//
// # Lifecycle and concurrency
//
// New starts no goroutine. [Dashboard.Run] takes that of its caller; without it the
// page shows no history and is not live. All methods are safe for concurrent use.
//
// # Cost
//
// An event costs a lock and a few stores. Run asks each part once a second, the
// scores every ten seconds; the page is drawn at most every two seconds, once for
// all viewers, and only while there are some. What is kept does not grow with time:
// 600 points for the last ten minutes and for the whole time each, 120 for each
// miner, and the last 512 times of each stage.
package dashboard
