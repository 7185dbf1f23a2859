package main

// kind is how a miner behaves.
type kind string

// The kinds of miners.
const (
	honest  kind = "honest"  // gives the answers of one model, as fast as it can
	slow    kind = "slow"    // lets users wait for the first word
	failing kind = "failing" // fails every third time, before the first word or half way
	hanging kind = "hanging" // takes a query and never answers
	copying kind = "copying" // sends what an honest miner has answered
	empty   kind = "empty"   // ends each answer before the first word
)
