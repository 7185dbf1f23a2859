// Package weights turns the rewards of an organic-scoring loop into what the chain takes: scores
// that survive restarts, guards against gamed organic queries, u16 weights with the digits of the
// Python SDK, and a setter that sends them in time and counts them when the chain shows them. It
// replaces what validators of subnets write by hand behind their SetWeights hook.
//
// # Overview
//
// [Scores] keeps a moving average for each miner, by hotkey. The SetWeights hook feeds it with each
// round of rewards. A [Saver] keeps a snapshot of it, and a [Setter] makes a [Vector] of it by a
// schedule and gives that to the [Chain]:
//
//	func (v *Validator) SetWeights(
//		_ context.Context, sample organic.Sample[Prompt], rewards organic.Rewards,
//	) error {
//		round := weights.RoundOf(sample)
//		round.Asked = v.asked(sample) // leaving out an answer does not pay then
//		_, err := v.scores.Update(round, rewards) // counts each sample once
//		return err
//	}
//
//	v.scores, err = weights.NewScores(weights.Hold(0.02), weights.Between(0, 1))
//	v.saver, err = weights.OpenSaver("scores.json", v.scores, weights.SaverConfig{})
//	err = v.scores.SetMetagraph(metagraph) // now, and whenever it was read
//
//	source := v.scores.Source(weights.WithMinAllowed(8))
//	setter, err := weights.NewSetter(chain, source, weights.Epoch{Before: 20},
//		weights.WithSaver(v.saver), weights.WithWarmUp(v.scores, 0.9, 10, 6*time.Hour))
//
//	go v.saver.Run(ctx)   // both block until ctx ends
//	err = setter.Run(ctx)
//
// The chain is a client of contrib/subtensor, or [HTTP] for a side-car.
//
// # Scores
//
// The rule is the validator's choice, without a default: [Hold] leaves miners that were not asked
// as they are, [Decay] lowers them in synthetic rounds, [Window] is a plain mean of the newest
// rewards. So is the range of the rewards: one outside is clamped, counted and logged. Organic and
// synthetic rewards have separate averages, and the score is made of both when it is asked for: see
// [Standing]. A changed weight or guard counts at once, for the past too.
//
// A reward belongs to the hotkey that was asked. If the UID has changed hands since, the reward is
// not counted.
//
// # Guards
//
// Anyone who may send queries can send them to its own miner, or send what only its own miner can
// answer. [DefaultGuards] are set unless [WithGuards] is given: organic averages count only inside
// a band around the synthetic ones ([AroundSynthetic]), with a limited share ([MaxOrganicShare]);
// one requester has a limited share of those ([MaxRequesterShare]); owners do not count for their
// own miners ([NoSelfDealing]); newcomers ramp up ([RampUp]). docs/weights.md shows what cheating
// pays with and without them, as measured by internal/simulate. [Scores.Status] shows what each
// guard does, and which has nothing to compare with.
//
// # Conversion
//
// [Scores.Convert] normalizes the scores and gives them to [Convert], which returns the same u16 as
// bittensor 10.2.0 under numpy 2 on every platform, or as SDK 11 ([WithFloat64]), and an error
// where Python would send wrong values. See [Vector] for what to look at.
//
// # Setting
//
// A set counts when the chain shows it: the validator's last update has moved, or a timelocked
// commit was revealed. [Submission] is the evidence. Schedules count from the chain's last update,
// so restarts neither skip a set nor add one. What a refusal of the chain leads to is written at
// [ErrTooSoon] to [ErrRetry].
//
// # State
//
// A [Saver] locks its file, loads it, and replaces it as a whole. It holds hotkeys, averages, the
// state of the setter, and hashes of requesters and sample IDs; no name of a requester and no
// payload.
//
// # Lifecycle
//
// Nothing here starts a goroutine. [Setter.Run] and [Saver.Run] take that of their caller until ctx
// ends, and have then waited for the call under way.
//
// # Concurrency
//
// The methods of Scores, Saver, Setter and [HTTP] are safe for concurrent use; everything else is a
// plain value, which may be read from any goroutine while none writes it.
//
// # Errors
//
// Bad configuration is an error that wraps [ErrInvalidOption] and lists all that is wrong; nothing
// panics. A call that fails has changed nothing. What can be acted on is a sentinel, a
// [*ChainError] or an [*HTTPError].
//
// # Cost
//
// An update of all of 256 miners takes about 10 µs and of 4096 about 0.2 ms, and allocates nothing
// once the scores have their size; under the default guards twice that. A conversion takes 25 µs
// and 0.5 ms, with about 20 allocations, most of them in the size of the result; with a cap and a
// quantile up to three times that. A [Window] is read whole for each score: where 256 miners have
// 1024 rewards each, all of different requesters, MaxRequesterShare makes it 10 ms, during which
// updates wait. A snapshot of 256 miners takes 3 ms, of which half is the disk.
package weights
