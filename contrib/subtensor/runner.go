package subtensor

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Runner is all that a validator does on the chain while it runs: it saves the scores, sets the
// weights that they make, follows blocks and metagraph, and publishes the axon. It is a
// [weights.Saver], a [weights.Setter], [Client.EachBlock], [Client.EachMetagraph] and
// [Validator.ServeAxon], connected as their comments ask for. Create it with
// [Validator.OpenRunner], call Run, and Close it after that.
//
// All methods are safe for concurrent use.
type Runner struct {
	validator *Validator
	scores    *weights.Scores
	cfg       RunnerConfig
	saver     *weights.Saver
	setter    *weights.Setter

	running atomic.Bool
	height  uint64        // the last one that Block was called with
	known   chan struct{} // closed when the scores have a metagraph
	first   sync.Once     // closes known
	hidden  chan struct{} // one slot: the metagraph does not show the axon
}

// RunnerConfig configures [Validator.OpenRunner]. The zero value stands for the defaults.
type RunnerConfig struct {
	// Schedule says when weights are set: weights.Epoch{Before: 20} by default.
	Schedule weights.Schedule
	// Convert are the options by which scores become weights.
	Convert []weights.ConvertOption
	// Setter are further options of the setter, such as weights.WithWarmUp. WithSaver and
	// WithRefresh are set.
	Setter []weights.SetterOption
	// Saver configures the saver.
	Saver weights.SaverConfig
	// MetagraphEvery is after how many blocks the metagraph is read again, 25 by default.
	MetagraphEvery uint64
	// Block, if not nil, is called for each block, once and in order, from when the scores have a
	// metagraph: it calls IncrementStep of a scorer whose trigger counts blocks, which can set no
	// weights before that. Calls are one at a time.
	Block func(height uint64)
	// Metagraph, if not nil, is called each MetagraphEvery blocks with the metagraph, after the
	// scores have it: for the allow list of an axon, and for the miners to query. Calls are one at a
	// time.
	Metagraph func(metagraph Metagraph)
	// Axon, if it is valid, is published when a metagraph does not show it: at the first start, and
	// after the hotkey was registered again. A publication that fails is repeated at the next
	// metagraph. The address must be reachable from the internet, unless ServeOptions allow others.
	Axon netip.AddrPort
	// ServeOptions are those of its publication.
	ServeOptions []ServeOption
	// Logger logs what the setter does, and readings and publications that fail. Saver.Logger and
	// weights.WithLogger among Setter go before it. The default logs nothing.
	Logger *zap.Logger
}

// OpenRunner opens the file of the scores, loads it into them, and makes the setter. It needs
// everything that [weights.OpenSaver] needs: call it at the start, before the first update of the
// scores. The errors are those of OpenSaver and [weights.NewSetter], and that of ServeAxon for an
// address that others cannot reach. The caller must call Close.
func (v *Validator) OpenRunner(
	path string, scores *weights.Scores, cfg RunnerConfig,
) (*Runner, error) {
	r := &Runner{
		validator: v, scores: scores, cfg: cfg,
		known: make(chan struct{}), hidden: make(chan struct{}, 1),
	}
	if cfg.Axon.IsValid() {
		var err error
		if r.cfg.Axon, err = publishable(cfg.Axon, cfg.ServeOptions); err != nil {
			return nil, err
		}
	}
	if r.cfg.Schedule == nil {
		r.cfg.Schedule = weights.Epoch{Before: 20}
	}
	if r.cfg.MetagraphEvery == 0 {
		r.cfg.MetagraphEvery = 25
	}
	if r.cfg.Logger == nil {
		r.cfg.Logger = zap.NewNop()
	}
	if r.cfg.Saver.Logger == nil {
		r.cfg.Saver.Logger = r.cfg.Logger
	}
	var err error
	if r.saver, err = weights.OpenSaver(path, scores, r.cfg.Saver); err != nil {
		return nil, err
	}
	options := append([]weights.SetterOption{
		weights.WithSaver(r.saver), weights.WithRefresh(r.refresh), weights.WithLogger(r.cfg.Logger),
	}, r.cfg.Setter...)
	r.setter, err = weights.NewSetter(
		v, v.Source(scores, r.cfg.Convert...), r.cfg.Schedule, options...,
	)
	if err != nil {
		return nil, errors.Join(err, r.saver.Close())
	}
	return r, nil
}

// Setter returns the setter, for its Status and for metrics.
func (r *Runner) Setter() *weights.Setter { return r.setter }

// Saver returns the saver, to save before a durable queue settles a sample.
func (r *Runner) Saver() *weights.Saver { return r.saver }

// Run does all of it until ctx ends, or until the client is closed. The setter begins when the
// first metagraph was read. At the end Run waits for the call under way, saves the scores, and
// returns the first error; nil if there was none. End ctx when the scorer has stopped, so that the
// scores of its last samples are saved. It returns [weights.ErrRunning] at once while another Run
// has not returned.
func (r *Runner) Run(ctx context.Context) error {
	if !r.running.CompareAndSwap(false, true) {
		return weights.ErrRunning
	}
	defer r.running.Store(false)
	lasting, stopSaving := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSaving()
	saved := make(chan error, 1)
	go func() { saved <- r.saver.Run(lasting) }()

	client, netuid := r.validator.client, r.validator.netuid
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case <-r.known: // before that there is nothing to set
			return r.setter.Run(ctx)
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() error {
		return r.repeat(ctx, func() error { return client.EachBlock(ctx, r.block) })
	})
	group.Go(func() error {
		return r.repeat(ctx, func() error {
			return client.EachMetagraph(ctx, netuid, r.cfg.MetagraphEvery, r.metagraph)
		})
	})
	group.Go(func() error { r.publish(ctx); return nil })
	err := group.Wait()
	stopSaving() // the state of the setter is saved too
	if saveErr := <-saved; !errors.Is(saveErr, weights.ErrNoMetagraph) {
		err = errors.Join(err, saveErr)
	}
	return err
}

// Close saves the scores and lets another process have their file. Call it when Run has returned
// and the scorer has stopped. It does not close the client. Further calls do nothing.
func (r *Runner) Close() error { return r.saver.Close() }

// repeatAfter is the wait before blocks are followed again after an error of a node.
const repeatAfter = 10 * time.Second

// repeat calls follow again after an error, until ctx ends or the client is closed.
func (r *Runner) repeat(ctx context.Context, follow func() error) error {
	for {
		err := follow()
		if err == nil || errors.Is(err, ErrClosed) {
			return err
		}
		r.cfg.Logger.Warn("blocks not followed, will be tried again", zap.Error(err))
		select {
		case <-time.After(repeatAfter):
		case <-ctx.Done():
			return nil
		}
	}
}

// block passes on the heights after the last one, up to this one. EachBlock, when repeat calls it
// again, begins with the best block, which may be known or come after others that are not.
func (r *Runner) block(height uint64) {
	next := r.height + 1
	if r.height == 0 || height > r.height && height-r.height > maxGap {
		next = height
	}
	for ; next <= height; next++ {
		r.height = next
		r.setter.Block(next)
		if r.cfg.Block != nil && isClosed(r.known) {
			r.cfg.Block(next)
		}
	}
}

func isClosed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

// metagraph takes in a reading. After one that failed, what was read before stays in force.
func (r *Runner) metagraph(metagraph Metagraph, err error) {
	if err != nil {
		r.cfg.Logger.Warn("metagraph not read, will be tried again", zap.Error(err))
		return
	}
	if err := r.setMetagraph(metagraph); err != nil {
		r.cfg.Logger.Warn("metagraph refused by the scores", zap.Error(err))
		return
	}
	r.first.Do(func() { close(r.known) })
	r.setter.Recheck()
	if r.cfg.Metagraph != nil {
		r.cfg.Metagraph(metagraph)
	}
	uid, registered := metagraph.UID(r.validator.hotkey)
	if r.cfg.Axon.IsValid() && registered && metagraph.Neurons[uid].Axon != r.cfg.Axon {
		select {
		case r.hidden <- struct{}{}:
		default:
		}
	}
}

// setMetagraph gives the scores a metagraph, unless they have a later one: the setter reads it too.
func (r *Runner) setMetagraph(metagraph Metagraph) error {
	err := r.scores.SetMetagraph(metagraph.Weights())
	if errors.Is(err, weights.ErrOldMetagraph) {
		return nil
	}
	return err
}

// refresh reads the metagraph before the setter makes another vector.
func (r *Runner) refresh(ctx context.Context) error {
	metagraph, err := r.validator.client.Metagraph(ctx, r.validator.netuid)
	if err != nil {
		return err
	}
	return r.setMetagraph(metagraph)
}

// publish publishes the axon each time the metagraph does not show it, until ctx ends. It has a
// goroutine of its own, since a publication can wait for minutes until a block has it.
func (r *Runner) publish(ctx context.Context) {
	for {
		select {
		case <-r.hidden:
		case <-ctx.Done():
			return
		}
		_, err := r.validator.ServeAxon(ctx, r.cfg.Axon, r.cfg.ServeOptions...)
		if err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn("axon not published, will be tried again", zap.Error(err))
		}
	}
}
