// Package weights turns the rewards of an organic-scoring loop into what the
// chain takes: scores that survive restarts, guards against gamed organic
// queries, u16 weights with the digits of the Python SDK, and a setter that
// sends them in time. It replaces what validators of subnets write by hand
// behind their SetWeights hook.
//
// # Overview
//
// [Scores] keeps a moving average for each miner, by hotkey. The SetWeights
// hook feeds it with each round of rewards, and a [Setter] beside the scorer
// makes a [Vector] of it now and then and sends that to the [Chain]:
//
//	func (v *Validator) SetWeights(ctx context.Context, sample organic.Sample[Prompt], rewards organic.Rewards) error {
//		if _, err := v.scores.Update(weights.RoundOf(sample), rewards); err != nil {
//			return err
//		}
//		return v.scores.Save("scores.json") // Update counts each sample once, so a repeated call is harmless
//	}
//
//	v.scores, err = weights.NewScores(weights.Hold(0.1), weights.WithGuards(weights.AboveSynthetic(0.5), weights.NoSelfDealing()))
//	err = v.scores.Load("scores.json")      // fs.ErrNotExist the first time
//	err = v.scores.SetMetagraph(metagraph)  // now, and whenever it was fetched
//
//	chain, err := weights.NewHTTP("http://localhost:8080/api/v1/set-weights", versionKey)
//	setter, err := weights.NewSetter(chain, func(context.Context) (weights.Vector, error) {
//		return v.scores.Convert(weights.WithMinAllowed(8))
//	}, weights.Blocks{Every: 100, RateLimit: 100})
//	err = setter.Run(ctx) // blocks until ctx ends
//
// # Scores
//
// The rule is the validator's choice, and no default: [Hold] leaves miners
// that were not asked as they are, [Decay] lets them sink, [Window] is a plain
// mean of the newest rewards. Organic and synthetic rewards are averaged
// apart, weighed by [WithOriginWeights], and put together when the score is
// asked for. So a changed weight, and a guard that no longer trusts a miner's
// organic rewards, count at once and for the past too.
//
// A reward belongs to the hotkey that was asked. When the UID has changed hands
// since, it goes to nobody.
//
// # Guards
//
// Whoever may send queries can send them to its own miner. [AboveSynthetic]
// trusts organic rewards only while synthetic ones bear them out,
// [PenaltyOnly] lets them only do harm, [MinSamples] wants enough of them,
// [MaxRequesterShare] limits what one requester can do, and [NoSelfDealing]
// leaves out what owners ask their own miners. They can be combined.
//
// # Conversion
//
// [Scores.Convert] clamps and normalizes the scores and hands them to [Convert],
// which gives the same u16 as bittensor 10.2.0 under numpy 2 on every platform,
// and an error where Python would send rubbish. See [Vector] for what to look
// at.
//
// # State
//
// [Scores.Save] writes a versioned snapshot that is either whole or not there.
// It holds no requester's name and no payload.
//
// # Lifecycle
//
// Nothing here starts a goroutine. [Setter.Run] takes that of its caller until
// ctx ends, and has then waited for the try in progress.
//
// # Concurrency
//
// The methods of Scores, Setter and [HTTP] are safe for concurrent use;
// everything else is a plain value, which may be read from any goroutine while
// nobody writes it.
//
// # Errors
//
// Bad configuration is an error that wraps [ErrInvalidOption] and lists all
// that is wrong; nothing panics. A call that fails has changed nothing. What
// can be acted on is a sentinel, or an [*HTTPError].
//
// # Cost
//
// An update of all of 256 miners takes about 10 µs and of 4096 about 0.2 ms, and
// allocates nothing once the scores have their size; under a guard that caps
// requesters two or three times that. A conversion takes 20 µs and 0.3 ms, with
// 16 allocations, most of them in the size of the result; with a cap, a
// quantile and all guards up to four times that.
package weights
