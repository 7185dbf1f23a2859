package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/internal/wholefile"
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
	readTimeout  = 5 * time.Second // for the header of a request
	idleTimeout  = time.Minute     // of a connection between two requests
	closeTimeout = 2 * time.Second // for responses that are being written
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

// draw makes the sections of the page's main element.
func (d *Dashboard) draw(r *reading, live bool) [][]byte {
	p := d.composed(r, live)
	sections := [][]byte{execute("health", p), execute("contents", p)}
	for i := range p.Sections {
		sections = append(sections, execute("section", p.Sections[i]))
	}
	return sections
}

func execute(name string, data any) []byte {
	var out bytes.Buffer
	_ = pageTemplate.ExecuteTemplate(&out, name, data) // a Buffer takes everything
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

// SaveReport is WriteReport into a file, which it replaces as a whole: at each moment the file has
// the old report or the new one.
func (d *Dashboard) SaveReport(path string) error {
	var out bytes.Buffer
	if err := d.WriteReport(&out); err != nil {
		return err
	}
	return wholefile.Replace(path, out.Bytes(), 0o666)
}

// Serve samples as [Dashboard.Run] does, and serves the page on the listener, until ctx ends; then
// it ends the streams of its viewers, closes the listener and returns nil. It asks for no password:
// listen on loopback, or behind a proxy that does. An error of Run, or of the listener, ends it
// too.
func (d *Dashboard) Serve(ctx context.Context, listener net.Listener) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{
		Handler: d, ReadHeaderTimeout: readTimeout, IdleTimeout: idleTimeout,
	}
	served := make(chan error, 1)
	go func() {
		defer stop()
		served <- server.Serve(listener)
	}()
	err := d.Run(running)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close()
	}
	if broken := <-served; !errors.Is(broken, http.ErrServerClosed) {
		err = errors.Join(err, broken)
	}
	return err
}

// ServeHTTP serves the page at a path that ends in a slash, and below it "events" and, with
// [WithControls], "pause" and "resume", and with [WithMetrics] "metrics".
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
	case d.cfg.metrics != nil && name == "metrics" && isRead(r):
		d.cfg.metrics.ServeHTTP(w, r)
	case strings.HasSuffix(r.URL.Path, "/") || name == "events":
		header.Set("Allow", http.MethodGet)
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
	default:
		http.NotFound(w, r)
	}
}

func isRead(r *http.Request) bool {
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
	for seen := uint64(0); ; {
		update := d.live.after(seen)
		seen = update.number
		switch {
		case update.ended:
			_ = send(relay.Event{Name: "end", Data: []byte("end")})
			return
		case update.content != nil:
			if send(relay.Event{Name: "page", Data: update.content}) != nil {
				return
			}
		}
		select {
		case <-update.next:
		case <-r.Context().Done():
			return
		}
	}
}

// errViewers is returned to a viewer beyond the limit.
var errViewers = errors.New("dashboard: too many viewers")

// feed has the latest page for its viewers. It is safe for concurrent use.
type feed struct {
	mu       sync.Mutex // guards what follows
	count    int
	number   uint64   // of the latest page
	sections [][]byte // of it; nil if there is none
	changes  []byte   // those that differ from the page before
	ended    bool
	next     chan struct{} // closed at the next change
}

// update is what a viewer has to be sent.
type update struct {
	number  uint64
	content []byte // nil: nothing yet
	ended   bool
	next    <-chan struct{} // closed when there is more
}

func newFeed() *feed { return &feed{next: make(chan struct{})} }

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
			f.sections = nil // nothing is drawn until the next one enters
		}
	}, nil
}

func (f *feed) viewers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// after returns what a viewer lacks who has seen the page of a number, 0 for none.
func (f *feed) after(seen uint64) update {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := update{number: f.number, ended: f.ended, next: f.next}
	switch {
	case f.sections == nil || f.number == seen:
	case f.number == seen+1 && seen > 0:
		u.content = f.changes
	default:
		u.content = bytes.Join(f.sections, nil)
	}
	return u
}

func (f *feed) publish(sections [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var changes [][]byte
	for i, section := range sections {
		if len(f.sections) != len(sections) || !bytes.Equal(section, f.sections[i]) {
			changes = append(changes, section)
		}
	}
	f.number++
	f.sections, f.changes = sections, bytes.Join(changes, nil)
	f.wake()
}

// open begins a run, and end ends it.
func (f *feed) open() { f.change(false) }

func (f *feed) end() { f.change(true) }

func (f *feed) change(ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sections, f.ended = nil, ended
	f.wake()
}

func (f *feed) wake() {
	close(f.next)
	f.next = make(chan struct{})
}
