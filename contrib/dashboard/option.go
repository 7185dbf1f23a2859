package dashboard

import (
	"errors"
	"net/http"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/organic-scoring/organic/internal/option"
)

// ErrInvalidOption is what all errors of New wrap.
var ErrInvalidOption = errors.New("dashboard: invalid option")

// Scorer is an [organic.OrganicScorer], or the validator that embeds it. Run and
// the handler call Stats, from any goroutine.
type Scorer interface {
	Stats() organic.Stats
}

// Scores is [weights.Scores]. Run calls the methods.
type Scores interface {
	Standings() []weights.Standing
	Convert(opts ...weights.ConvertOption) (weights.Vector, error)
}

// Setter is a [weights.Setter]. Run calls Status.
type Setter interface {
	Status() weights.Status
}

// Relay is a [relay.Relay]. Run calls Stats.
type Relay interface {
	Stats() relay.Stats
}

// Controls is an [organic.OrganicScorer], or the validator that embeds it.
type Controls interface {
	Pause()
	Resume()
}

// Queue is how to ask a queue. Run calls the functions, which must be quick; what
// is nil or 0 is not shown. It is a plain value.
type Queue struct {
	Capacity      int                  // how many samples it holds at most
	OldestWaiting func() time.Duration // age of the oldest sample that waits
	Leased        func() int           // samples that wait for a verdict
	DeadLetters   func() int           // dead letters that it keeps
}

// Axon is what an axon has counted and holds. It converts to promaxon.Stats[string], for the same
// numbers as metrics. It is a plain value.
type Axon struct {
	Verified uint64            // requests that passed all checks
	Served   uint64            // verified requests that were answered without an error
	Refused  map[string]uint64 // all others, by reason; the reasons are a fixed list
	Reading  int               // bodies that are being read
	Serving  int               // requests that are being served
	Waiting  int               // verified requests that wait for their turn
}

// Chain is how the connection to the chain is. It is a plain value.
type Chain struct {
	Endpoint    string // the node in use, empty while there is none
	Connections uint64 // connections made
	Failures    uint64 // attempts that failed
	Spec        uint32 // spec version of the runtime
	Block       uint64 // height of the best block; 0: not known
}

// Option configures a [Dashboard]; [New] lists what is wrong with all of them at
// once. Of two options of the same kind the last one wins.
type Option interface {
	apply(cfg *config) error
}

type config struct {
	title    string
	queue    Queue
	scores   Scores
	convert  []weights.ConvertOption
	setter   Setter
	relay    Relay
	axon     func() Axon
	chain    func() Chain
	controls Controls
	metrics  http.Handler
}

type optionFunc func(cfg *config) error

func (f optionFunc) apply(cfg *config) error { return f(cfg) }

func invalid(name, format string, args ...any) error {
	return option.Invalid(ErrInvalidOption, name, format, args...)
}

// given returns an option that stores a value, unless it is nil.
func given(name string, value any, store func(cfg *config)) Option {
	return optionFunc(func(cfg *config) error {
		if option.IsNil(value) {
			return invalid(name+"(nil)", "must not be nil")
		}
		store(cfg)
		return nil
	})
}

// WithTitle sets the heading of the page, "Validator" by default.
func WithTitle(title string) Option {
	return optionFunc(func(cfg *config) error {
		if title == "" {
			return invalid(`WithTitle("")`, "must not be empty")
		}
		cfg.title = title
		return nil
	})
}

// WithQueue shows more of the queue than how many samples wait, which Stats has.
func WithQueue(queue Queue) Option {
	return optionFunc(func(cfg *config) error {
		if queue.Capacity < 0 {
			return invalid("WithQueue", "Capacity is %d, must not be negative", queue.Capacity)
		}
		cfg.queue = queue
		return nil
	})
}

// WithScores shows the standings of the miners, and the weights that a conversion
// by these options gives now.
func WithScores(scores Scores, opts ...weights.ConvertOption) Option {
	return given("WithScores", scores, func(cfg *config) { cfg.scores, cfg.convert = scores, opts })
}

// WithSetter shows where the last weights stand and when the next are due.
func WithSetter(setter Setter) Option {
	return given("WithSetter", setter, func(cfg *config) { cfg.setter = setter })
}

// WithRelay shows the streams to requesters.
func WithRelay(r Relay) Option {
	return given("WithRelay", r, func(cfg *config) { cfg.relay = r })
}

// WithAxon shows requests and refusals. The function must be quick.
func WithAxon(axon func() Axon) Option {
	return given("WithAxon", axon, func(cfg *config) { cfg.axon = axon })
}

// WithChain shows the connection to the chain. The function must be quick.
func WithChain(chain func() Chain) Option {
	return given("WithChain", chain, func(cfg *config) { cfg.chain = chain })
}

// WithMetrics serves the handler beside the page, at "metrics", such as promhttp.HandlerFor of a
// registry with the collectors of contrib/prometheus.
func WithMetrics(handler http.Handler) Option {
	return given("WithMetrics", handler, func(cfg *config) { cfg.metrics = handler })
}

// WithControls adds buttons that pause and resume the scorer. Their requests must
// come from the page itself: a request of another site, or without the headers by
// which a browser says where it comes from, is refused. Anyone who can open the
// page can press them.
func WithControls(controls Controls) Option {
	return given("WithControls", controls, func(cfg *config) { cfg.controls = controls })
}

// configured applies the options to the defaults.
func configured(scorer Scorer, opts []Option) (config, error) {
	cfg := config{title: "Validator"}
	var errs []error
	if option.IsNil(scorer) {
		errs = append(errs, invalid("New(nil)", "scorer must not be nil"))
	}
	for i, opt := range opts {
		if option.IsNil(opt) {
			errs = append(errs, invalid("New", "option %d is nil", i+1))
			continue
		}
		errs = append(errs, opt.apply(&cfg))
	}
	return cfg, errors.Join(errs...)
}
