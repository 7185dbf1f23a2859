package sim

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/keys"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/recorded"
	"github.com/organic-scoring/organic/examples/internal/wire"
)

// Kind is how a miner behaves.
type Kind string

// The kinds of miners.
const (
	Honest  Kind = "honest"  // gives the answers of one model, as fast as it can
	Slow    Kind = "slow"    // lets users wait for the first word
	Failing Kind = "failing" // fails every third time, before the first word or half way
	Hanging Kind = "hanging" // takes a query and never answers
	Copying Kind = "copying" // sends what an honest miner has answered, after a blank at once
	Late    Kind = "late"    // copies too, and serves only when half of the queries are asked
	Picking Kind = "picking" // answers 404 where its answer would be short
	Empty   Kind = "empty"   // ends each answer before the first word
)

// Role is what one miner plays.
type Role struct {
	Name    string
	Kind    Kind
	latency time.Duration     // before the first word
	word    time.Duration     // for each further one
	answers map[string]string // by the prompt's text
	victim  string            // the name of the miner that it copies; empty for none
}

// Miner is an HTTP server that plays a role. It answers the validator alone.
type Miner struct {
	Role
	UID     organic.UID
	Hang    time.Duration // before a hanging one breaks down
	keypair *keys.Keypair
	server  *axon.Server
	address string
	asked   atomic.Uint64
	copied  *Miner // its victim; nil for none

	mu       sync.Mutex               // guards answered
	answered map[string]chan struct{} // by the body of a request; closed when it was answered

	stop func() // set while it serves
	done chan struct{}
}

// errBreakdown is why a failing miner breaks off.
var errBreakdown = errors.New("broke down")

// newCast returns the roles of a subnet, by UID: an honest miner for each model and one miner of
// each other kind. Slow and failing ones have no model of their own and serve each in turn.
func newCast(models []string, records []recorded.Record, patience, word time.Duration) []Role {
	var cast []Role
	for i, model := range models {
		cast = append(cast, Role{
			Name: model, Kind: Honest, word: word, answers: answersOf(model, records),
			latency: patience / 50 * time.Duration(i%5+1), // up to a tenth
		})
	}
	first, last := cast[0], cast[len(cast)-1]
	mix := func(place int) map[string]string { return mixed(place, models, records) }
	return append(cast,
		Role{Name: "slow", Kind: Slow, latency: patience * 9 / 10, word: word, answers: mix(0)},
		Role{Name: "failing", Kind: Failing, latency: patience / 5, word: word, answers: mix(1)},
		Role{Name: "hanging", Kind: Hanging},
		Role{
			Name: "copying", Kind: Copying, victim: first.Name, latency: patience / 10,
			answers: first.answers,
		},
		Role{
			Name: "late", Kind: Late, victim: last.Name, latency: patience / 10,
			answers: last.answers,
		},
		Role{
			Name: "picking", Kind: Picking, latency: patience / 20, word: word,
			answers: picked(models, records),
		},
		Role{Name: "empty", Kind: Empty},
	)
}

// answersOf returns what a model answered. Where the data has no answer of it, it has not found
// one, and admits that in words.
func answersOf(model string, records []recorded.Record) map[string]string {
	answers := make(map[string]string)
	for _, r := range records {
		text := r.Text()
		if answer := r.Answers[model]; answer != nil {
			answers[text] = string(*answer)
		}
	}
	return answers
}

// mixed takes one answer from each model in turn, the first from the model at a place.
func mixed(place int, models []string, records []recorded.Record) map[string]string {
	answers := make(map[string]string)
	for i, r := range records {
		having := slices.DeleteFunc(slices.Clone(models), func(model string) bool {
			return r.Answers[model] == nil
		})
		answers[r.Text()] = string(*r.Answers[having[(place+i)%len(having)]])
	}
	return answers
}

// picked leaves out all but each third.
func picked(models []string, records []recorded.Record) map[string]string {
	answers := mixed(2, models, records)
	for i, r := range records {
		if i%3 != 0 {
			delete(answers, r.Text())
		}
	}
	return answers
}

// newMiner builds a miner. It has no scorer: what the axon has verified goes to answer.
func newMiner(uid organic.UID, role Role, validator keys.Hotkey) (*Miner, error) {
	keypair, err := keyOf("miner", int(uid))
	if err != nil {
		return nil, err
	}
	m := &Miner{
		Role: role, UID: uid, keypair: keypair, Hang: time.Hour,
		answered: make(map[string]chan struct{}),
	}
	m.server, err = axon.New(keypair.Hotkey(),
		axon.WithAllowList(axon.NewAllowList(validator)),
		axon.WithLimits(axon.Limits{Serving: 1024, StopTime: time.Millisecond}),
		axon.WithAddressRate(1e4, 1e4), axon.WithHotkeyRate(1e4, 1e4),
	)
	if err != nil {
		return nil, err
	}
	route, err := m.server.Route(wire.ChatPath)
	if err != nil {
		return nil, err
	}
	_, err = route.Attach(organic.Handlers{Forward: m.answer})
	return m, err
}

// start serves until Kill.
func (m *Miner) start(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", Host+":0")
	if err != nil {
		return err
	}
	m.address = listener.Addr().String()
	ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	m.done = make(chan struct{})
	go func() {
		defer close(m.done)
		_ = m.server.Serve(ctx, listener) // says what was cut off
	}()
	return nil
}

// Kill cuts off what is being answered, and waits until nothing is.
func (m *Miner) Kill() {
	if m.stop == nil {
		return
	}
	m.stop()
	<-m.done
}

// answer streams what the role says.
func (m *Miner) answer(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	turn := m.asked.Add(1)
	defer close(m.answering(synapse.Body))
	text, err := wire.ReadChat(synapse.Body)
	if err != nil {
		return err
	}
	words := strings.SplitAfter(m.answers[text], " ")
	_, known := m.answers[text]
	fails := m.Kind == Failing && turn%3 == 0
	switch {
	case m.Kind == Hanging:
		return errors.Join(program.Sleep(ctx, m.Hang), errBreakdown)
	case m.Kind == Empty:
		words = nil
	case !known:
		return organic.Refuse(http.StatusNotFound, "no answer to this prompt")
	case fails && turn%2 == 0:
		return errBreakdown
	case fails:
		words = words[:(len(words)+1)/2]
	}
	stream := wire.NewStream(w)
	if m.copied != nil {
		if err := stream.Say(" "); err != nil { // to look early
			return err
		}
		m.copied.await(ctx, synapse.Body)
	}
	if err := m.speak(ctx, stream, words); err != nil {
		return err
	}
	if fails {
		return errBreakdown // the axon breaks the connection
	}
	return stream.Done()
}

// answering returns a channel that is closed when the request with this body was answered. All
// miners get the same body, and each gets it once.
func (m *Miner) answering(body []byte) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	answered := m.answered[string(body)]
	if answered == nil {
		answered = make(chan struct{})
		m.answered[string(body)] = answered
	}
	return answered
}

// await waits until the miner has answered the request that another one copies, or was killed.
func (m *Miner) await(ctx context.Context, body []byte) {
	select {
	case <-m.answering(body):
	case <-m.done:
	case <-ctx.Done():
	}
}

// speak sends the words, each in its time.
func (m *Miner) speak(ctx context.Context, stream *wire.Stream, words []string) error {
	wait := m.latency
	for _, word := range words {
		if err := program.Sleep(ctx, wait); err != nil {
			return err
		}
		wait = m.word
		if err := stream.Say(word); err != nil {
			return err
		}
	}
	return nil
}
