package timelock_test

import (
	"encoding/hex"
	"fmt"
	"log"
	"time"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

func ExampleBeacon_Encrypt() {
	schedule := timelock.Schedule{LastEpochBlock: 7_000_000, Tempo: 360, CurrentBlock: 7_000_100}
	block, err := schedule.RevealBlock(1)
	if err != nil {
		log.Fatal(err)
	}
	beacon := timelock.Quicknet()
	now := time.Unix(1_784_806_656, 0)
	round := beacon.RevealRound(schedule.CurrentBlock, block, 12*time.Second, now)
	fmt.Println("revealed in block", block, "with round", round)

	weights := timelock.Weights{UIDs: []uint16{3, 5}, Values: []uint16{65535, 100}}
	plaintext, err := weights.Encode()
	if err != nil {
		log.Fatal(err)
	}
	commit, err := beacon.Encrypt(plaintext, round)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(commit), "bytes")

	// Later, when the beacon has published the signature of the round:
	signature, _ := hex.DecodeString(
		"aab35f9c2dedeb6f5d7b47748be8eb76a5871d18a7368fda06aa1034d83045b52d60a5d6b132329a0e2ff9e20152155c")
	opened, err := timelock.Decrypt(commit, signature)
	if err != nil {
		log.Fatal(err)
	}
	again, err := timelock.DecodeWeights(opened)
	fmt.Println(again.UIDs, again.Values, err)
	// Output:
	// revealed in block 7000360 with round 30668815
	// 295 bytes
	// [3 5] [65535 100] <nil>
}
