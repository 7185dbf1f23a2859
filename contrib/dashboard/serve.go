package dashboard

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/organic-scoring/organic/contrib/relay"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var style string

//go:embed page.js
var script string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

const (
	maxViewers   = 64
	writeTimeout = 10 * time.Second
)

// securityPolicy allows what the page contains, and nothing else.
var securityPolicy = "default-src 'none'; img-src data:; connect-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; " +
	"style-src " + hash(style) + "; script-src " + hash(script)

func hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// document is what the whole template shows.
type document struct {
	Page   page
	Style  template.CSS
	Script template.JS
}

// draw makes the content of the page's main element.
func (d *Dashboard) draw(r *reading, live bool) []byte {
	var out bytes.Buffer
	_ = pageTemplate.ExecuteTemplate(&out, "main", d.composed(r, live)) // a Buffer takes everything
	return out.Bytes()
}

func (d *Dashboard) composed(r *reading, live bool) page {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.compose(r, live)
}

func (d *Dashboard) write(w io.Writer, r *reading, live bool) error {
	return pageTemplate.Execute(w, document{
		Page:   d.composed(r, live),
		Style:  template.CSS(style), //nolint:gosec // is our own
		Script: template.JS(script), //nolint:gosec // is our own
	})
}

// WriteReport writes the page of this moment as one HTML file, which needs nothing
// else to be read. It takes no further sample of the history.
func (d *Dashboard) WriteReport(w io.Writer) error {
	return d.write(w, d.read(time.Now(), nil), false)
}

// ServeHTTP serves the page at a path that ends in a slash, and below it "events"
// and, with [WithControls], "pause" and "resume".
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", securityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	name := path.Base(r.URL.Path)
	switch {
	case strings.HasSuffix(r.URL.Path, "/") && isRead(r):
		d.servePage(w)
	case name == "events" && r.Method == http.MethodGet:
		d.serveEvents(w, r)
	case d.cfg.controls != nil && (name == "pause" || name == "resume") && r.Method == http.MethodPost:
		d.serveControl(w, r, name)
	case strings.HasSuffix(r.URL.Path, "/") || name == "events":
		header.Set("Allow", http.MethodGet)
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
	default:
		http.NotFound(w, r)
	}
}

func isRead(
	r *http.Request,
) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

func (d *Dashboard) servePage(w http.ResponseWriter) {
	r := d.latest() // so that a viewer costs the parts nothing
	if r == nil {
		r = d.read(time.Now(), nil)
	}
	var out bytes.Buffer
	if err := d.write(&out, r, true); err != nil {
		http.Error(w, "Internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes())
}

// serveControl pauses or resumes the scorer for a request of the page itself.
func (d *Dashboard) serveControl(w http.ResponseWriter, r *http.Request, name string) {
	named := r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != ""
	if err := http.NewCrossOriginProtection().Check(r); err != nil || !named {
		http.Error(w, "Forbidden: the request must come from the page", http.StatusForbidden)
		return
	}
	if name == "pause" {
		d.cfg.controls.Pause()
	} else {
		d.cfg.controls.Resume()
	}
	w.WriteHeader(http.StatusNoContent)
}

// serveEvents sends the page whenever it is drawn, until the viewer leaves or Run
// ends.
func (d *Dashboard) serveEvents(w http.ResponseWriter, r *http.Request) {
	leave, err := d.live.enter()
	if err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "Too many viewers", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	send := func(event relay.Event) error {
		if err := control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil &&
			!errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if _, err := w.Write(relay.AppendEvent(nil, event)); err != nil {
			return err
		}
		return control.Flush()
	}
	_ = control.Flush()
	for {
		changed, content, ended := d.live.latest()
		switch {
		case ended:
			_ = send(relay.Event{Name: "end", Data: []byte("end")})
			return
		case content != nil:
			if send(relay.Event{Name: "page", Data: content}) != nil {
				return
			}
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// errViewers is returned to a viewer beyond the limit.
var errViewers = errors.New("dashboard: too many viewers")

// feed has the latest page for its viewers. It is safe for concurrent use.
type feed struct {
	mu      sync.Mutex // guards what follows
	count   int
	content []byte
	ended   bool
	changed chan struct{} // closed at the next change
}

func newFeed() *feed { return &feed{changed: make(chan struct{})} }

func (f *feed) enter() (leave func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == maxViewers {
		return nil, errViewers
	}
	f.count++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.count--
		if f.count == 0 {
			f.content = nil // nothing is drawn until the next one enters
		}
	}, nil
}

func (f *feed) viewers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

func (f *feed) latest() (changed <-chan struct{}, content []byte, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed, f.content, f.ended
}

func (f *feed) publish(content []byte) { f.change(content, false) }

func (f *feed) open() { f.change(nil, false) }

func (f *feed) end() { f.change(nil, true) }

func (f *feed) change(content []byte, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.content, f.ended = content, ended
	close(f.changed)
	f.changed = make(chan struct{})
}
