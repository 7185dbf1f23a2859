package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/subtensor"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/wire"
)

const (
	userCount    = 6
	userPatience = 60 * time.Second       // for a whole answer
	userPause    = 100 * time.Millisecond // before asking again a validator that is away
	maxStale     = 3                      // further tries of a query whose signature is not taken
	bursts       = 4                      // one query in so many begins a burst
)

// Users ask the validator that they find on the chain. They sign by btauth/1; in a subnet with
// legacy callers every third one uses a dendrite of an older SDK.
type Users struct {
	cfg       Config
	keys      []*keys.Keypair
	dendrites []*axon.Dendrite
	client    *http.Client
	url       string
	validator keys.Hotkey

	Asked, Answered, Left, Broken, Refused atomic.Uint64

	half       chan struct{} // closed when half of the queries are asked
	lateServes chan struct{} // closed when the late miner is on the chain, which users wait for
	passed     sync.Once
}

var (
	errLeaving  = errors.New("the user hangs up")
	errNoAnswer = errors.New("no miner gave an answer")
	// errAway says that the validator took no request, so that it can be asked again.
	errAway = errors.New("the validator is away")
	// errStale says that the validator has started between the signing of a request and its
	// arrival, or that the user is refused.
	errStale = fmt.Errorf("%w: it does not take the signature", errAway)
)

func newUsers(cfg Config) (*Users, error) {
	u := &Users{
		cfg: cfg, half: make(chan struct{}), lateServes: make(chan struct{}),
		client: &http.Client{
			Timeout: userPatience, Transport: &http.Transport{DisableKeepAlives: true},
		},
	}
	for i := range userCount {
		keypair, err := keyOf("user", i)
		if err != nil {
			return nil, err
		}
		u.keys = append(u.keys, keypair)
		u.dendrites = append(u.dendrites, axon.NewDendrite(keypair))
	}
	return u, nil
}

// Hotkeys are for the validator's allow-list.
func (u *Users) Hotkeys() []keys.Hotkey {
	var hotkeys []keys.Hotkey
	for _, key := range u.keys {
		hotkeys = append(hotkeys, key.Hotkey())
	}
	return hotkeys
}

// find waits until the chain shows a validator with an axon.
func (u *Users) find(ctx context.Context, chain *subtensor.Client) error {
	for {
		metagraph, err := chain.Metagraph(ctx, Netuid)
		if err != nil {
			return err
		}
		for _, neuron := range metagraph.Targets() {
			if neuron.Permit {
				u.url, u.validator = "http://"+neuron.Axon.String(), neuron.Hotkey
				return nil
			}
		}
		if err := program.Sleep(ctx, userPause); err != nil {
			return err
		}
	}
}

// visit asks all the texts, so many per second on average and some of them in bursts, and returns
// when all are answered.
func (u *Users) visit(ctx context.Context, chain *subtensor.Client, texts []string) error {
	defer u.passHalf()
	if err := u.find(ctx, chain); err != nil {
		return fmt.Errorf("find the validator: %w", err)
	}
	random := rand.New(rand.NewPCG(u.cfg.Seed, 4))
	at := time.Now()
	var asking sync.WaitGroup
	defer asking.Wait()
	for i, text := range texts {
		if 2*i >= len(texts) {
			u.passHalf()
			if err := wait(ctx, u.lateServes); err != nil {
				return err
			}
			if now := time.Now(); now.After(at) {
				at = now
			}
		}
		leaves := random.Float64() < u.cfg.Hangup
		if random.IntN(bursts) != 0 { // three of four wait longer, one comes at once
			mean := float64(time.Second) / u.cfg.Rate * bursts / (bursts - 1)
			at = at.Add(time.Duration(random.ExpFloat64() * mean))
		}
		if err := program.Sleep(ctx, time.Until(at)); err != nil {
			return err
		}
		u.Asked.Add(1)
		asking.Go(func() {
			err := u.ask(ctx, i%len(u.keys), text, leaves)
			if err != nil && ctx.Err() != nil {
				err = errLeaving // interrupted
			}
			u.count(err)
		})
	}
	return nil
}

// wait returns when the channel is closed, or why ctx has ended.
func wait(ctx context.Context, closed <-chan struct{}) error {
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (u *Users) passHalf() { u.passed.Do(func() { close(u.half) }) }

func (u *Users) count(err error) {
	switch {
	case err == nil:
		u.Answered.Add(1)
	case errors.Is(err, errLeaving):
		u.Left.Add(1)
	case errors.Is(err, errNoAnswer), errors.Is(err, relay.ErrReported),
		errors.Is(err, io.ErrUnexpectedEOF):
		u.Broken.Add(1)
	default:
		u.Refused.Add(1)
	}
}

// ask puts one query, again and again while the validator is away. A signature is good for one
// use, so each try has its own.
func (u *Users) ask(ctx context.Context, who int, text string, leaves bool) error {
	ctx, cancel := context.WithTimeout(ctx, userPatience)
	defer cancel()
	for stale := 0; ; {
		err := u.try(ctx, who, text, leaves)
		if errors.Is(err, errStale) {
			stale++
		}
		if !errors.Is(err, errAway) || stale > maxStale {
			return err
		}
		if err := program.Sleep(ctx, userPause); err != nil {
			return err
		}
	}
}

func (u *Users) try(ctx context.Context, who int, text string, leaves bool) error {
	byDendrite := u.cfg.Legacy && who%3 == 2
	sign := u.byBTAuth
	if byDendrite {
		sign = u.byDendrite
	}
	request, err := sign(ctx, who, text)
	if err != nil {
		return err
	}
	response, err := u.client.Do(request)
	if err != nil {
		return errors.Join(errAway, err)
	}
	defer response.Body.Close()
	switch status, _ := axon.StatusOf(response); {
	case status == http.StatusServiceUnavailable:
		return errAway
	case status == http.StatusUnauthorized:
		return errStale
	case status == http.StatusBadGateway:
		return errNoAnswer
	case status != http.StatusOK:
		return fmt.Errorf("status %d", status)
	case byDendrite:
		return readText(response.Body, leaves)
	default:
		return readChat(response.Body, leaves)
	}
}

func (u *Users) byDendrite(ctx context.Context, who int, text string) (*http.Request, error) {
	return u.dendrites[who].NewRequest(ctx, axon.Query{
		URL: u.url, Axon: u.validator, Class: wire.OrganicClass,
		Fields: wire.Question{Prompt: text}, Timeout: userPatience,
	})
}

func (u *Users) byBTAuth(ctx context.Context, who int, text string) (*http.Request, error) {
	body, err := json.Marshal(wire.ChatRequest{
		Stream: true, Messages: []wire.ChatMessage{{Role: "user", Content: text}},
	})
	if err != nil {
		return nil, err
	}
	url := u.url + wire.ChatPath
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return request, axon.Sign(request, u.keys[who], u.validator)
}

// readText reads the text that a dendrite is streamed, or its first piece.
func readText(body io.Reader, leaves bool) error {
	piece := make([]byte, 256)
	for {
		switch _, err := body.Read(piece); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case leaves:
			return errLeaving
		}
	}
}

// readChat reads the text of a chat, or its first piece.
func readChat(body io.Reader, leaves bool) error {
	return relay.OpenAI(body, func(chunk relay.Chunk) error {
		if leaves && chunk.HasText() {
			return errLeaving
		}
		return nil
	})
}
