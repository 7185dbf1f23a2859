// Package browser_test opens the dashboard in a headless Chromium.
package browser_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/dashboard"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"
)

// validator is a scorer whose numbers the test sets.
type validator struct {
	mu    sync.Mutex
	stats organic.Stats
}

func (v *validator) Stats() organic.Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stats
}

func (v *validator) change(f func(s *organic.Stats)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f(&v.stats)
}

func (v *validator) Pause()  { v.change(func(s *organic.Stats) { s.Paused = true }) }
func (v *validator) Resume() { v.change(func(s *organic.Stats) { s.Paused = false }) }

type miners struct{}

func (miners) Standings() []weights.Standing {
	standings := make([]weights.Standing, 64)
	for i := range standings {
		standings[i] = weights.Standing{
			UID: organic.UID(i), Hotkey: fmt.Sprintf("5F3sa2TJAWMqDhXG6jhV4N8ko9SxwGy8TpaNS%08d", i),
			Score: 1 / float64(i+1), Organic: weights.Track{Count: 20, Mean: 1 / float64(i+2)},
			Synthetic: weights.Track{Count: 30, Mean: 1 / float64(i+1)},
		}
	}
	return standings
}

func (miners) Convert(...weights.ConvertOption) (weights.Vector, error) {
	var v weights.Vector
	for i := range 64 {
		v.UIDs = append(v.UIDs, organic.UID(i))
		v.Weights = append(v.Weights, uint16(65535/(i+1)))
	}
	return v, nil
}

type setter struct{}

func (setter) Status() weights.Status {
	now := time.Now()
	return weights.Status{
		Running: true, LastSet: now.Add(-time.Hour),
		NextDue: now.Add(12 * time.Minute), NextBlock: 7_200_360,
		Entries: 64, Sets: 12, Lost: 1,
		LastSubmission: weights.Submission{
			State:      weights.Revealed,
			Block:      7_200_000,
			RevealedIn: 7_200_300,
		},
		Pending: []weights.Submission{
			{State: weights.Committed, Block: 7_200_350, RevealBlock: 7_200_660},
		},
	}
}

type streams struct{}

func (streams) Stats() relay.Stats {
	return relay.Stats{Begun: 300, Completed: 290, Whole: 260, Left: 21, Failed: 9}
}

// newPage returns a dashboard with all its parts.
func newPage(t *testing.T) (*validator, *dashboard.Dashboard) {
	t.Helper()
	v := &validator{stats: organic.Stats{
		Running: true, Accepted: 5210, Scored: 5000, Dead: 11, Dropped: 40, Expired: 3,
		SyntheticScored: 900,
		SyntheticFailed: 12, Failed: 77, Retried: 66, Queued: 20, InFlight: 3, InFlightOrganic: 2,
		LastScored: time.Now(),
	}}
	page, err := dashboard.New(v,
		dashboard.WithTitle("Subnet 1 validator"), dashboard.WithControls(v),
		dashboard.WithScores(miners{}), dashboard.WithSetter(setter{}), dashboard.WithRelay(streams{}),
		dashboard.WithQueue(dashboard.Queue{Capacity: 10_000, DeadLetters: func() int { return 11 }}),
		dashboard.WithAxon(func() dashboard.Axon {
			return dashboard.Axon{
				Verified: 5300,
				Served:   5210,
				Refused:  map[string]uint64{"rate": 420, "stale": 17, "signature": 260},
			}
		}),
		dashboard.WithChain(func() dashboard.Chain {
			return dashboard.Chain{
				Endpoint:    "entrypoint-finney.opentensor.ai",
				Connections: 3,
				Failures:    1,
				Spec:        424,
			}
		}))
	require.NoError(t, err)
	for i := range 2000 {
		took := time.Duration(200+i%700) * time.Millisecond
		for stage := organic.StageQuery; stage <= organic.StageLog; stage++ {
			kind := organic.EventStageDone
			if i%40 == 0 {
				kind = organic.EventStageFailed
			}
			page.Observe(
				organic.Event{
					Kind:     kind,
					Stage:    stage,
					Origin:   organic.Origin(i % 2),
					Duration: took / time.Duration(stage),
				},
			)
		}
	}
	return v, page
}

// stand serves a live page.
func stand(t *testing.T) (v *validator, url string) {
	t.Helper()
	v, page := newPage(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = page.Run(ctx) })
	server := httptest.NewServer(http.StripPrefix("/status", page))
	t.Cleanup(func() { cancel(); running.Wait(); server.Close() })
	return v, server.URL + "/status/"
}

// report writes the report of three hours in which the queue was filled twice, and
// returns its file.
func report(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "report.html")
	synctest.Test(t, func(t *testing.T) {
		v, page := newPage(t)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = page.Run(ctx) })
		for minute := range 180 {
			time.Sleep(time.Minute)
			v.change(func(s *organic.Stats) {
				s.Queued = max(0, 40*(minute%90)-30*(minute%90)*(minute%90)/60)
				s.InFlightOrganic, s.InFlight = min(s.Queued, 6), 6+minute%3
				s.LoopBackoff = 0
				if minute > 100 && minute < 110 {
					s.LoopBackoff = time.Minute
				}
			})
		}
		cancel()
		running.Wait()
		file, err := os.Create(name)
		require.NoError(t, err)
		require.NoError(t, page.WriteReport(file))
		require.NoError(t, file.Close())
	})
	return name
}

// output is what a browser writes to its terminal. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// logOnFailure logs what is needed to see why a test has failed, in the browser or in the page.
func logOnFailure(t *testing.T, browser *output, console func() []string) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		browser.mu.Lock()
		defer browser.mu.Unlock()
		t.Logf("console: %q\nbrowser:\n%s", console(), &browser.text)
	})
}

// open starts a tab, and collects what its console says.
func open(t *testing.T) (ctx context.Context, console func() []string) {
	t.Helper()
	if os.Getenv("CHROMIUM") == "" {
		t.Skip("set CHROMIUM to the browser's path, as make dashboard-check does")
	}
	said := new(output)
	opts := append(
		chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(
			os.Getenv("CHROMIUM"),
		),
		chromedp.CombinedOutput(said),
		chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(2*time.Minute),
	)
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var lines []string
	console = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(lines)
	}
	logOnFailure(t, said, console)
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			lines = append(lines, fmt.Sprint("console: ", e.Type))
		case *runtime.EventExceptionThrown:
			lines = append(lines, fmt.Sprint("exception: ", e.ExceptionDetails.Text))
		case *log.EventEntryAdded:
			lines = append(lines, e.Entry.Text+" "+e.Entry.URL)
		}
	}))
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	return ctx, console
}

// faults measures the page: what is wider than it, and text whose contrast with its
// ground is below 4.5, or whose lines and bars are below 3.
const faults = `(() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth)
    found.push("page is " + root.scrollWidth + " wide in " + root.clientWidth);
  const rgb = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = (c) => c.slice(0, 3).map((v) => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + .05) / (y + .05);
  };
  let checked = 0;
  const check = (e, color, least) => {
    checked++;
    const ratio = contrast(rgb(color), ground(e));
    if (ratio < least)
      found.push(e.tagName + "." + e.getAttribute("class") + " has contrast " + ratio.toFixed(2));
  };
  for (const e of document.querySelectorAll("body *")) {
    const css = getComputedStyle(e);
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (e instanceof SVGElement) {
      if (e.tagName === "text") {
        check(e, css.fill, 4.5);
        const shown = e.getBoundingClientRect().height;
        if (shown < 9) found.push("text of a plot is " + shown + " px high");
      }
      if (e.matches(".line")) check(e, css.stroke, 3);
      if (e.matches(".bar")) check(e, css.fill, 3);
    } else if (own && !["SCRIPT", "STYLE"].includes(e.tagName)) check(e, css.color, 4.5);
    if (e.matches("svg text")) {
      const box = e.getBoundingClientRect(), frame = e.ownerSVGElement.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1)
        found.push("text is cut off: " + e.textContent);
    }
  }
  if (checked < 100) found.push("only " + checked + " elements were checked");
  return found;
})()`

func TestPageIsReadableWideAndNarrowLightAndDark(t *testing.T) {
	_, url := stand(t)
	ctx, console := open(t)
	shots := os.Getenv("SCREENSHOTS")
	kinds := []struct{ name, url string }{{"live", url}, {"report", "file://" + report(t)}}
	for _, kind := range kinds {
		for _, width := range []int64{360, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				})
				require.NoError(t, err)
				require.NoError(
					t,
					chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(kind.url)),
				)
				wait(t, ctx, `document.getElementById("recent-samples") !== null`)
				found := evaluate[[]string](t, ctx, faults)
				name := fmt.Sprintf("%s-%d-%s", kind.name, width, scheme)
				require.Emptyf(t, found, name)
				if shots != "" {
					shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(filepath.Join(shots, name+".png"), shot, 0o600))
				}
			}
		}
	}
	require.Empty(t, console())
}

func TestPageIsLiveAndItsControlsWork(t *testing.T) {
	v, url := stand(t)
	ctx, console := open(t)
	verdict := func(want string) {
		t.Helper()
		wait(t, ctx, fmt.Sprintf(`document.getElementById("verdict").textContent === %q`, want))
	}
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(url)))
	verdict("Healthy")
	wait(t, ctx, isLive)

	v.change(func(s *organic.Stats) { s.LoopBackoff = 32 * time.Second })
	verdict("Unhealthy")
	wait(t, ctx, `document.title.startsWith("Unhealthy")`)
	v.change(func(s *organic.Stats) { s.LoopBackoff = 0 })
	verdict("Healthy")

	press := func(action string) {
		t.Helper()
		evaluate[bool](t, ctx, `document.querySelector("button[data-action=`+action+`]").focus(), true`)
		require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)))
	}
	press("pause")
	verdict("Paused")
	press("resume")
	verdict("Healthy")
	require.Empty(t, console())
}

func TestAFrozenPageChangesWhenItIsReleased(t *testing.T) {
	v, url := stand(t)
	ctx, console := open(t)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(url)))
	wait(t, ctx, isLive)
	press := `document.getElementById("hold").click(), true`
	evaluate[bool](t, ctx, press)
	v.change(func(s *organic.Stats) { s.LoopBackoff = time.Minute })
	evaluate[bool](t, ctx, `window.seen = 0,
		new EventSource("events").addEventListener("page", () => { window.seen++; }), true`)
	wait(t, ctx, `window.seen >= 3`)
	const verdict = `document.getElementById("verdict").textContent`
	require.Equal(t, "Healthy", evaluate[string](t, ctx, verdict))
	evaluate[bool](t, ctx, press)
	wait(t, ctx, verdict+` === "Unhealthy"`) // the two streams are not in step
	require.Empty(t, console())
}

func TestKeyboardReachesEverythingAndFocusStays(t *testing.T) {
	_, url := stand(t)
	ctx, console := open(t)
	const stop = `(() => {
	  const e = document.activeElement;
	  return e === document.body ? "" : e.id || e.textContent.trim();
	})()`
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(url)))
	wait(t, ctx, isLive)
	var reached []string
	for range 60 {
		require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab)))
		at := evaluate[string](t, ctx, stop)
		if at == "" {
			break
		}
		reached = append(reached, at)
	}
	for _, want := range []string{
		"Skip to the numbers", "hold", "Pause the scorer", "Miners", "recent-samples", "standings",
		"setter",
	} {
		require.Contains(t, reached, want)
	}

	// The details are opened by key, and stay open and focused while the page changes.
	evaluate[bool](
		t,
		ctx,
		`document.querySelector("#recent-samples-all-details > summary").focus(), true`,
	)
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)))
	evaluate[bool](t, ctx, `document.getElementById("queue").marked = true`)
	wait(t, ctx, `!document.getElementById("queue").marked`)
	require.True(
		t,
		evaluate[bool](t, ctx, `document.getElementById("recent-samples-all-details").open`),
	)
	require.True(t, evaluate[bool](t, ctx,
		`document.activeElement === document.querySelector("#recent-samples-all-details > summary")`))
	require.Empty(t, console())
}

const isLive = `document.getElementById("connection").textContent === "live"`

// enough is how long wait waits, far longer than any page takes.
const enough = 4 * time.Minute

// wait waits until an expression is true. It asks again and again, and does not leave the waiting
// to chromedp.Poll: that waits for frames to be drawn, which a browser without a screen may put
// off, and in an execution context that may be the one of the page before.
func wait(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	for deadline := time.Now().Add(enough); ; time.Sleep(50 * time.Millisecond) {
		if evaluate[bool](t, ctx, expression) {
			return
		}
		if time.Now().After(deadline) {
			require.Fail(t, "not true in time", "%s\nthe page: %s", expression,
				evaluate[string](t, ctx, `document.title + "; " +
					(document.getElementById("connection")?.textContent ?? "a report")`))
		}
	}
}

func evaluate[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(t, err)
	return value
}
