// Package subtensor is a client of the Bittensor chain for validators: it reads the metagraph,
// counts blocks, publishes the axon, and sets weights, plain or timelocked, with evidence from the
// chain. It replaces the Python side-car of a validator in Go.
//
// # Overview
//
// [Dial] connects to a [Network] and returns a [Client], which keeps itself connected. A
// [Validator] is a hotkey on a subnet that sends extrinsics; it is the chain of a weights.Setter:
//
//	client, err := subtensor.Dial(ctx, subtensor.Finney())
//	defer client.Close()
//	metagraph, err := client.Metagraph(ctx, netuid)
//	err = scores.SetMetagraph(metagraph.Weights())
//
//	validator, err := client.Validator(keypair, netuid)
//	_, err = validator.ServeAxon(ctx, netip.MustParseAddrPort("203.0.113.7:8091"))
//	setter, err := weights.NewSetter(validator, source, weights.Epoch{Before: 20})
//	go setter.Run(ctx)
//	go client.EachBlock(ctx, func(height uint64) {
//		scorer.IncrementStep()
//		setter.Block(height)
//	})
//
// # Reads
//
// What one call returns was read at one block, the best one of the node. [Client.Heads] returns
// each height once, whatever the connection does. [Client.EachMetagraph] keeps current what depends
// on who is registered: scores, the allow list of an axon, the miners to query.
//
// # Weights
//
// [Validator.SetWeights] checks everything that the chain will check, for a timelocked commit also
// what the chain checks at its reveal, where it drops a commit without an error. It signs a mortal
// extrinsic, submits it once, and looks for it in the blocks until its era ends, over lost
// connections and reorganizations. The result says what a block shows: included, committed, or
// lost. [Validator.Follow] tells later, and in another process, whether a commit was revealed.
// [Validator.DryRun] does all of it but the sending.
//
// Whether weights are plain or timelocked, and which mechanism, version key and limits hold, is
// read from the chain each time.
//
// # Errors
//
// A refusal of the chain is a *weights.ChainError with the chain's own name and one of the kinds
// that a caller can act on, such as [weights.ErrTooSoon] with the blocks to wait. Before sending
// and in a block it is the same error. An item that a runtime lacks is a *scale.NotFoundError,
// never a zero. Errors of the connection are [ErrClosed], [ErrDisconnected], [ErrPruned] and
// [ErrBadReply].
//
// # Runtime upgrades
//
// No number of a pallet, call, event or error is known here: everything is found by name in the
// metadata of the runtime that is in force at the block, see the package scale. A signed extension
// that is unknown and has content is refused. The client reads metadata of versions 15 and 16.
//
// # Concurrency
//
// [Client] and [Validator] are safe for concurrent use. Of one hotkey one extrinsic is on its way
// at a time. A client has one goroutine that owns the connection; Close waits for it. All calls end
// with their ctx.
//
// # Tests
//
// The package subtensortest has a node that is not real, in memory or on a loopback socket, which
// checks signatures, runs the chain's checks, reveals commits, and fails on command.
package subtensor
