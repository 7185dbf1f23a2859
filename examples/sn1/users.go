package main

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

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/wire"
)

const (
	userCount    = 6
	userPatience = 30 * time.Second       // for a whole answer
	userPause    = 100 * time.Millisecond // before asking again a validator that is away
	maxStale     = 3                      // further tries of a query whose signature is not taken
)

// users ask a validator of which they know the URL and the hotkey. One in three
// signs by btauth/1; the others have not migrated and use Epistula or a dendrite.
type users struct {
	url       string
	validator keys.Hotkey
	keys      []*keys.Keypair
	dendrites []*axon.Dendrite
	client    *http.Client
	counts    struct{ asked, answered, left, broken, refused atomic.Uint64 }
}

// errLeaving is why a user reads no further.
var errLeaving = errors.New("the user hangs up")

// errNoAnswer says that no miner had an answer.
var errNoAnswer = errors.New("no miner gave an answer")

// errAway says that the validator took no request, so that it can be asked
// again.
var errAway = errors.New("the validator is away")

// errStale says that the validator began anew between the signing of a request
// and its coming, if it does not say that the user is refused.
var errStale = fmt.Errorf("%w: it does not take the signature", errAway)

func newUsers(validator keys.Hotkey) (*users, error) {
	u := &users{
		validator: validator,
		client:    &http.Client{Timeout: userPatience, Transport: &http.Transport{DisableKeepAlives: true}},
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

// hotkeys are for the validator's allow-list.
func (u *users) hotkeys() []keys.Hotkey {
	var hotkeys []keys.Hotkey
	for _, key := range u.keys {
		hotkeys = append(hotkeys, key.Hotkey())
	}
	return hotkeys
}

// visit asks all the texts, so many per second, and returns when all are
// answered. A share of the queries is left half way.
func (u *users) visit(ctx context.Context, texts []string, cfg config) error {
	random := rand.New(rand.NewPCG(cfg.seed, 4))
	between := time.Duration(float64(time.Second) / cfg.rate)
	began := time.Now()
	var asking sync.WaitGroup
	defer asking.Wait()
	for i, text := range texts {
		leaves := random.Float64() < cfg.hangup
		if err := program.Sleep(ctx, time.Until(began.Add(time.Duration(i)*between))); err != nil {
			return err
		}
		u.counts.asked.Add(1)
		asking.Go(func() {
			err := u.ask(ctx, i%len(u.keys), text, leaves)
			if err != nil && ctx.Err() != nil {
				err = errLeaving // at our interrupt, and nobody has refused
			}
			u.count(err)
		})
	}
	return nil
}

func (u *users) count(err error) {
	switch {
	case err == nil:
		u.counts.answered.Add(1)
	case errors.Is(err, errLeaving):
		u.counts.left.Add(1)
	case errors.Is(err, errNoAnswer), errors.Is(err, relay.ErrReported), errors.Is(err, io.ErrUnexpectedEOF):
		u.counts.broken.Add(1)
	default:
		u.counts.refused.Add(1)
	}
}

// ask puts one query, again and again while the validator is away. A request is
// good for one use, so each try has one of its own.
func (u *users) ask(ctx context.Context, who int, text string, leaves bool) error {
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

func (u *users) try(ctx context.Context, who int, text string, leaves bool) error {
	const protocols = 3
	byDendrite := who%protocols == 2
	sign := [protocols]func(context.Context, int, string) (*http.Request, error){
		u.byBTAuth, u.byEpistula, u.byDendrite,
	}[who%protocols]
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

func (u *users) byDendrite(ctx context.Context, who int, text string) (*http.Request, error) {
	return u.dendrites[who].NewRequest(ctx, axon.Query{
		URL: u.url, Axon: u.validator, Class: wire.OrganicClass, Fields: wire.Question{Prompt: text}, Timeout: userPatience,
	})
}

func (u *users) byBTAuth(ctx context.Context, who int, text string) (*http.Request, error) {
	request, err := u.chatRequest(ctx, text)
	if err != nil {
		return nil, err
	}
	return request, axon.Sign(request, u.keys[who], u.validator)
}

func (u *users) byEpistula(ctx context.Context, who int, text string) (*http.Request, error) {
	request, err := u.chatRequest(ctx, text)
	if err != nil {
		return nil, err
	}
	return request, axon.SignEpistula(request, u.keys[who], u.validator)
}

// chatRequest is an unsigned request.
func (u *users) chatRequest(ctx context.Context, text string) (*http.Request, error) {
	body, err := json.Marshal(wire.ChatRequest{Stream: true, Messages: []wire.ChatMessage{{Role: "user", Content: text}}})
	if err != nil {
		return nil, err
	}
	return http.NewRequestWithContext(ctx, http.MethodPost, u.url+wire.ChatPath, bytes.NewReader(body))
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
