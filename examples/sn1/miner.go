package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/keys"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/wire"
)

// miner is an HTTP server that plays a role. It answers the validator alone,
// and only what the validator has signed for it.
type miner struct {
	role
	hotkey keys.Hotkey
	server *axon.Server
	url    string
	asked  atomic.Uint64

	stop func() // set while it serves
	done chan struct{}
}

// errBreakdown is why a failing miner breaks off.
var errBreakdown = errors.New("broke down")

// newMiner builds a miner. It has no scorer: what the axon has verified goes to
// answer.
func newMiner(r role, hotkey, validator keys.Hotkey) (*miner, error) {
	m := &miner{role: r, hotkey: hotkey}
	var err error
	m.server, err = axon.New(hotkey,
		axon.WithAllowList(axon.NewAllowList(validator)),
		axon.WithAddressRate(maxRate, maxRate),
		axon.WithHotkeyRate(maxRate, maxRate),
		axon.WithLimits(axon.Limits{Serving: 1024, StopTime: time.Millisecond}),
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

// start serves at an address, until kill.
func (m *miner) start(ctx context.Context, address string) error {
	listener, err := listen(ctx, address)
	if err != nil {
		return err
	}
	m.url = urlOf(listener.Addr().String())
	ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	m.done = make(chan struct{})
	go func() {
		defer close(m.done)
		_ = m.server.Serve(ctx, listener) // tells what was cut off
	}()
	return nil
}

// urlOf returns where the miner at an address is asked.
func urlOf(address string) string { return "http://" + address + wire.ChatPath }

func listen(ctx context.Context, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

// kill cuts off what is being answered, and waits until nothing is. A miner that
// does not serve stays as it is.
func (m *miner) kill() {
	if m.stop == nil {
		return
	}
	m.stop()
	<-m.done
}

// answer streams what the role says.
func (m *miner) answer(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	turn := m.asked.Add(1)
	text, err := wire.ReadChat(synapse.Body)
	if err != nil {
		return err
	}
	words := strings.SplitAfter(m.answers[text], " ")
	_, known := m.answers[text]
	fails := m.kind == failing && turn%3 == 0
	switch {
	case m.kind == hanging:
		if err := program.Sleep(ctx, m.hang); err != nil {
			return err
		}
		return errBreakdown
	case m.kind == empty:
		words = nil
	case !known:
		return organic.Refuse(http.StatusNotFound, "no recording of this prompt")
	case fails && turn%2 == 0:
		return errBreakdown
	case fails:
		words = words[:(len(words)+1)/2]
	}
	stream := wire.NewStream(w)
	if err := m.speak(ctx, stream, words); err != nil {
		return err
	}
	if fails {
		return errBreakdown // the axon breaks the connection
	}
	return stream.Done()
}

// speak sends the words, each in its time.
func (m *miner) speak(ctx context.Context, stream *wire.Stream, words []string) error {
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
