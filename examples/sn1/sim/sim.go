// Package sim is what stands around a validator in the demo: a chain, miners and users, all on
// loopback, with real HTTP, real signatures and real extrinsics. The miners replay what models
// once answered.
package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"

	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// DefaultData is what is played without a file, relative to the folder of the examples.
const (
	DefaultData    = "../testdata/replay.jsonl"
	DefaultRanking = "../testdata/replay-ranking.json"
)

// DefaultQueries are asked of DefaultData: each prompt four times.
const DefaultQueries = 32

// Config describes a simulation.
type Config struct {
	Data, Ranking string        // files; Ranking may be empty
	Reference     string        // recorded.ByModel or ByHuman
	Queries       int           // of users; 0: each prompt once
	Synthetic     int           // of the validator; 0: each prompt once
	Rate          float64       // users' queries per second
	Hangup        float64       // share of users who hang up half way
	Patience      time.Duration // the validator's, which slow miners use up
	Word          time.Duration // that a word takes a miner
	Block         time.Duration // between two blocks
	Legacy        bool          // every third user asks by a dendrite of an older SDK
	Seed          uint64        // of what users and synthetic queries ask, and when users do
	Frontend      bool          // the validator is a front-end, with a scorer elsewhere
	Scorer        bool          // the validator is a scorer; chain, miners and users are elsewhere
	Join          string        // URL of that chain
	Stay          bool          // go on until an interrupt
}

// Subnet is a simulation. Create it with New; Start and Stop it.
type Subnet struct {
	cfg     Config
	records []recorded.Record
	ranking map[string]float64 // nil without one
	Miners  []*Miner           // by UID
	Users   *Users
	Prompts *Prompts
	LeftOut int // prompts of the data that not all models have answered: missing answers are punished

	queries []string
	node    *subtensortest.Node
	client  *subtensor.Client
	late    sync.WaitGroup
}

// New reads the files and makes the cast. It starts nothing.
func New(cfg Config) (*Subnet, error) {
	records, err := recorded.Read(cfg.Data, cfg.Reference)
	if errors.Is(err, os.ErrNotExist) && cfg.Data == DefaultData {
		return nil, fmt.Errorf("%w: run it in the folder of the examples, or give a file with -data", err)
	}
	if err != nil {
		return nil, err
	}
	models, err := recorded.Models(records)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Data, err)
	}
	whole := slices.DeleteFunc(slices.Clone(records), func(r recorded.Record) bool {
		return len(r.Answers) < len(models)
	})
	if len(whole) == 0 {
		return nil, fmt.Errorf("%s: no prompt has an answer of every model", cfg.Data)
	}
	s := &Subnet{cfg: cfg, records: whole, LeftOut: len(records) - len(whole)}
	records = whole
	if cfg.Ranking != "" {
		if s.ranking, err = recorded.ReadRanking(cfg.Ranking, models); err != nil {
			return nil, err
		}
	}
	texts := make([]string, len(records))
	for i, r := range records {
		texts[i] = r.Text()
	}
	s.queries = arrange(texts, cfg.Queries, rand.New(rand.NewPCG(cfg.Seed, 5)))
	s.Prompts = newPrompts(arrange(texts, cfg.Synthetic, rand.New(rand.NewPCG(cfg.Seed, 6))))
	if s.Users, err = newUsers(cfg); err != nil {
		return nil, err
	}
	validator, err := ValidatorKey()
	if err != nil {
		return nil, err
	}
	for uid, role := range newCast(models, records, cfg.Patience, cfg.Word) {
		m, err := newMiner(organic.UID(uid), role, validator.Hotkey())
		if err != nil {
			return nil, err
		}
		s.Miners = append(s.Miners, m)
	}
	for _, m := range s.Miners {
		isVictim := func(other *Miner) bool { return other.Name == m.victim }
		if i := slices.IndexFunc(s.Miners, isVictim); i >= 0 {
			m.copied = s.Miners[i]
		}
	}
	return s, nil
}

// Queries returns how many queries the users ask.
func (s *Subnet) Queries() int { return len(s.queries) }

// Reference returns what an ideal miner would have answered, out of the data.
func (s *Subnet) Reference(_ context.Context, text string) (string, error) {
	for _, r := range s.records {
		if r.Text() == text {
			return string(r.Reference(s.cfg.Reference)), nil
		}
	}
	return "", organic.Discard(errors.New("no reference in the data"))
}

// Start starts the chain, registers the miners and lets them serve, and shows their axons there.
// The late one follows when users have asked half of their queries.
func (s *Subnet) Start(ctx context.Context) (err error) {
	if err = s.startChain(); err != nil {
		return err
	}
	dialer := subtensor.WithDialer(s.node.Dial)
	if s.client, err = subtensor.Dial(ctx, s.node.Network(), dialer); err != nil {
		return err
	}
	errs := make(chan error, len(s.Miners))
	for _, m := range s.Miners {
		if m.Kind == Late {
			s.late.Go(func() {
				select {
				case <-s.Users.half:
					_ = s.serve(context.WithoutCancel(ctx), m) // without a chain it stays unknown
					close(s.Users.lateServes)
				case <-ctx.Done():
				}
			})
			errs <- nil
			continue
		}
		go func() { errs <- s.serve(ctx, m) }()
	}
	for range s.Miners {
		err = errors.Join(err, <-errs)
	}
	return err
}

// Visit lets the users ask all there is to ask, and returns when all are answered.
func (s *Subnet) Visit(ctx context.Context) error { return s.Users.visit(ctx, s.client, s.queries) }

// Stop ends miners and chain and waits for them. A subnet that was not started stays as it is.
func (s *Subnet) Stop() {
	if s.node == nil {
		return
	}
	s.Users.passHalf()
	if s.client != nil {
		s.late.Wait()
		s.client.Close()
	}
	for _, m := range s.Miners {
		m.Kill()
	}
	s.node.Close()
}

// errAllAsked is the error of a dataset that has no prompt left.
var errAllAsked = errors.New("all synthetic prompts have been asked")

// Prompts are what the validator asks of its own: each once, in an order of their own, before any
// comes again. It is safe for concurrent use.
type Prompts struct {
	AllAsked chan struct{} // closed when the validator wants another one after the last

	mu   sync.Mutex // guards left
	left []string   // nil once AllAsked is closed
}

func newPrompts(texts []string) *Prompts {
	return &Prompts{AllAsked: make(chan struct{}), left: texts}
}

// Sample returns the next prompt.
func (p *Prompts) Sample(context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.left) == 0 {
		if p.left != nil {
			p.left = nil
			close(p.AllAsked)
		}
		return "", errAllAsked
	}
	next := p.left[0]
	p.left = p.left[1:]
	return next, nil
}

// arrange returns n of the texts, each once before any comes again, or for 0 each once.
func arrange(texts []string, n int, random *rand.Rand) []string {
	if n == 0 {
		n = len(texts)
	}
	var arranged []string
	for len(arranged) < n {
		for _, i := range random.Perm(len(texts)) {
			arranged = append(arranged, texts[i])
		}
	}
	return arranged[:n]
}

// keyOf derives a key pair that is the same in every run. Such keys are public: real ones are in
// wallets.
func keyOf(what string, number int) (*keys.Keypair, error) {
	return keys.FromURI(fmt.Sprintf("//sn1//%s//%d", what, number), keys.SR25519)
}

// ValidatorKey returns the key pair of the validator that is registered.
func ValidatorKey() (*keys.Keypair, error) { return keyOf("validator", 0) }
