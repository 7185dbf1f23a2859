// Package subtensortest is a Bittensor node that is not real, for tests of code that uses the
// chain.
//
// A [Node] speaks JSON-RPC over WebSocket, on a loopback socket or in memory, and so in a bubble of
// testing/synctest as well. It has a storage map, makes blocks on demand or by the clock, verifies
// the signature of each extrinsic over the payload that it rebuilds itself, runs the chain's checks
// in the chain's order, writes events, and decrypts and reveals timelocked commits with the pulses
// of a [Beacon] of its own key or with recorded ones. Its metadata is written by the package scale,
// in versions 15 and 16.
//
//	node, err := subtensortest.New(subtensortest.Config{})
//	defer node.Close()
//	err = node.AddSubnet(1, subtensortest.Subnet{Neurons: neurons})
//	client, err := subtensor.Dial(ctx, node.Network(), subtensor.WithDialer(node.Dial))
//	err = node.Mine(1)
//
// It fails on command: see [Fault] and the methods Drop, Stall, Refuse, Reorg, Upgrade, Prune,
// Duplicate, Hold and LoseReveals.
//
// What it is not: there is no consensus and no peer, a block has no state root, and only the parts
// of the runtime that a validator uses exist.
package subtensortest
