package subtensor_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// A result that lacks what was asked for is an error with a name, never a zero or a default.
func TestAResultWithoutContentIsNamed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ method, result string }{
		"no values":         {"state_queryStorageAt", `null`},
		"no set of changes": {"state_queryStorageAt", `[]`},
		"no changes":        {"state_queryStorageAt", `[{"block":"0x00","changes":[]}]`},
		"no runtime":        {versionMethod, `null`},
		"no spec version":   {versionMethod, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node := newNode(t, subtensortest.Config{})
				require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 5)))
				client := dialMeddled(t, node, func(method string, params, _ json.RawMessage) json.RawMessage {
					if method == tt.method && string(params) != "[]" {
						return json.RawMessage(tt.result)
					}
					return nil
				})
				_, err := client.Hyperparameters(t.Context(), netuid)
				require.ErrorIs(t, err, subtensor.ErrBadReply)
				_, err = client.Weights(t.Context(), netuid, 0)
				require.ErrorIs(t, err, subtensor.ErrBadReply)
			})
		})
	}
}

func TestANonceThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 5)))
		require.NoError(t, node.Mine(200))
		client := dialMeddled(t, node, func(method string, _, _ json.RawMessage) json.RawMessage {
			if method == "system_accountNextIndex" {
				return json.RawMessage("null")
			}
			return nil
		})
		_, err := set(t.Context(), alice(t, client), good).wait(t)
		require.ErrorIs(t, err, subtensor.ErrBadReply)
		require.Zero(t, count(node.Requests(), submitMethod))
	})
}

// A node that does not know old heights, as one that has synchronized by a snapshot, does not
// prove that an extrinsic was lost.
func TestAHeightThatTheNodeLacksIsNotALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		s := set(t.Context(), alice(t, client), good)
		synctest.Wait()
		require.NoError(t, node.Mine(1))
		included, err := s.wait(t)
		require.NoError(t, err)
		require.Equal(t, weights.Included, included.State)
		require.NoError(t, node.Mine(100))
		other := dialMeddled(t, node, func(method string, params, _ json.RawMessage) json.RawMessage {
			if method == "chain_getBlockHash" && string(params) != "[]" && string(params) != "[0]" {
				return json.RawMessage("null")
			}
			return nil
		})
		_, err = alice(t, other).Follow(t.Context(), s.reports[0])
		require.ErrorIs(t, err, subtensor.ErrBadReply)
	})
}

func TestDialRefusesAGreetingOfZeros(t *testing.T) {
	t.Parallel()
	zero := fmt.Sprintf("%q", subtensor.Hash{})
	for method, result := range map[string]string{"chain_getBlockHash": zero, versionMethod: "{}"} {
		synctest.Test(t, func(t *testing.T) {
			h := newHostile(t, func(connection int, asked string, id uint64) []string {
				if asked == method {
					return []string{fmt.Sprintf(`{"id":%d,"result":%s}`, id, result)}
				}
				return greeting(connection, asked, id)
			})
			network := subtensor.Network{Endpoints: []string{"ws://hostile"}}
			_, err := subtensor.Dial(t.Context(), network, subtensor.WithDialer(h.dial))
			require.ErrorIs(t, err, subtensor.ErrBadReply)
		})
	}
}

// Limits of the chain go up to the highest number.
func TestTheHighestRateLimitsAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		v := alice(t, client)
		s := serve(t.Context(), v, "1.2.3.4:8091")
		require.NoError(t, node.Mine(1))
		_, err := s.wait(t)
		require.NoError(t, err)
		storage("LastUpdate", []uint64{150}, netuid)(t, node)
		storage("WeightsSetRateLimit", uint64(math.MaxUint64), netuid)(t, node)
		storage("ServingRateLimit", uint64(math.MaxUint64), netuid)(t, node)
		_, err = set(t.Context(), v, good).wait(t)
		requireRefusal(t, refusal{
			name: "SettingWeightsTooFast", kind: weights.ErrTooSoon, blocks: math.MaxUint64 - 52,
		}, err)
		_, err = serve(t.Context(), v, "1.2.3.4:8092").wait(t)
		requireRefusal(t, refusal{
			name: "ServingRateLimitExceeded", kind: weights.ErrTooSoon, blocks: math.MaxUint64 - 1,
		}, err)
		require.Equal(t, 1, count(node.Requests(), submitMethod))
	})
}

// What a node says of the events of a reveal can be missing, or in words that this code does not
// know. Neither proves that a commit was lost.
func TestAbsentEventsAreNoProofOfALostReveal(t *testing.T) {
	t.Parallel()
	renamed := []byte(hex.EncodeToString([]byte("TimelockedWeightsRevealed")))
	other := []byte(hex.EncodeToString([]byte("TimelockedWeightsUnsealed")))
	for _, rename := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			node, v := timelocked(t, subnetOf(t, 5))
			blocks(25)
			s := set(t.Context(), v, good)
			blocks(1)
			committed, err := s.wait(t)
			require.NoError(t, err)
			blocks(20)
			item, err := testRuntime(t).Metadata.Storage("System", "Events")
			require.NoError(t, err)
			events := hex.EncodeToString(item.Prefix())
			client := dialMeddled(t, node, func(method string, params, result json.RawMessage) json.RawMessage {
				switch {
				case rename && method == "state_call":
					return bytes.Replace(result, renamed, other, 1)
				case !rename && bytes.Contains(params, []byte(events)):
					return json.RawMessage(fmt.Sprintf(`[{"changes":[["0x%s",null]]}]`, events))
				}
				return nil
			})
			followed, err := alice(t, client).Follow(t.Context(), committed)
			if !rename {
				require.ErrorIs(t, err, subtensor.ErrBadReply)
				return
			}
			require.NoError(t, err)
			require.Equal(t, weights.Revealed, followed.State, followed.Reason)
			require.Contains(t, followed.Evidence, "the weights in block")
		})
	}
}

// After an outage all blocks that were missed are announced at once. The metagraph is read once for them.
func TestEachMetagraphReadsOnceForManyMissedBlocks(t *testing.T) {
	t.Parallel()
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			node, client := withSubnet(t, subnetOf(t, 5))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			var readings []uint64
			go func() {
				done <- client.EachMetagraph(ctx, netuid, 25, func(m subtensor.Metagraph, err error) {
					require.Equal(t, fails, err != nil)
					readings = append(readings, m.Block)
				})
			}()
			if fails {
				require.NoError(t, node.Set("SubtensorModule.NetworksAdded", false, netuid))
			}
			synctest.Wait()
			node.Refuse(503)
			node.Drop()
			synctest.Wait()
			require.NoError(t, node.Mine(500))
			node.Refuse(0)
			time.Sleep(2 * time.Minute)
			cancel()
			require.NoError(t, <-done)
			require.Len(t, readings, 2)
		})
	}
}

// A node that answers pings and no requests is given up, also when no caller waits for a minute.
func TestANodeThatAnswersNoImpatientCallerIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := dialHostile(t, newHostile(t, func(connection int, method string, id uint64) []string {
			switch {
			case method == "state_subscribeRuntimeVersion":
				return []string{fmt.Sprintf(`{"id":%d,"result":"name"}`, id)}
			case method != "question":
				return greeting(connection, method, id)
			case connection == 1:
				return nil
			}
			return []string{fmt.Sprintf(`{"id":%d,"result":"right"}`, id)}
		}))
		var err error
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			var result string
			err = client.Call(ctx, &result, "question")
			cancel()
		}
		require.NoError(t, err)
		require.EqualValues(t, 2, client.Stats().Connections)
		require.LessOrEqual(t, client.Stats().Resent, uint64(1), "not those without a caller")
	})
}

// A node that refuses to announce upgrades, or gives a subscription no name, is not the last one.
func TestASubscriptionThatANodeRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		node.Inject(subtensortest.Fault{
			Method: "state_subscribeRuntimeVersion", Action: subtensortest.Fail, Error: `"no"`,
		})
		client := dial(t, node)
		synctest.Wait()
		node.Drop()
		time.Sleep(time.Minute)
		runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{Spec: 999})
		require.NoError(t, err)
		node.Upgrade(runtime)
		require.NoError(t, node.Mine(2))
		synctest.Wait()
		require.EqualValues(t, 999, client.Stats().Version.Spec)
	})
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dialMeddled(t, node, func(method string, _, _ json.RawMessage) json.RawMessage {
			if method == "chain_subscribeNewHeads" {
				return json.RawMessage("null")
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorIs(t, client.EachBlock(ctx, func(uint64) {}), subtensor.ErrBadReply)
	})
}

// An error that is not of the pool can come from a proxy that has passed the extrinsic on: the
// extrinsic is looked for in the blocks.
func TestAnErrorThatIsNotOfThePoolLeavesTheFateOpen(t *testing.T) {
	t.Parallel()
	for _, failure := range []string{
		`{"code":-32603,"message":"Internal error: upstream timed out"}`,
		`{"code":-32000,"message":"Server error"}`,
		`{"message":"bad gateway"}`, `"oops"`,
	} {
		synctest.Test(t, func(t *testing.T) {
			node, _ := withSubnet(t, subnetOf(t, 5))
			taken := false
			client := dialMeddled(t, node, func(method string, _, _ json.RawMessage) json.RawMessage {
				if method == submitMethod {
					taken = true
					return json.RawMessage("error:" + failure)
				}
				return nil
			})
			s := set(t.Context(), alice(t, client), good)
			synctest.Wait()
			require.True(t, taken)
			require.NoError(t, node.Mine(1))
			submission, err := s.wait(t)
			require.NoError(t, err)
			require.Equal(t, weights.Included, submission.State)
		})
	}
}

// The storage index of a mechanism or subnet that cannot be is that of another one.
func TestWeightsOfWhatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		s := set(t.Context(), alice(t, client), good)
		synctest.Wait()
		require.NoError(t, node.Mine(1))
		_, err := s.wait(t)
		require.NoError(t, err)
		rows, err := client.Weights(t.Context(), netuid, 0)
		require.NoError(t, err)
		require.NotEmpty(t, rows)
		_, err = client.Weights(t.Context(), netuid, 16)
		require.ErrorIs(t, err, organic.ErrInvalidOption)
		_, err = client.Weights(t.Context(), 1<<12+netuid, 0)
		require.ErrorIs(t, err, organic.ErrInvalidOption)
		_, err = client.Weights(t.Context(), netuid+1, 0)
		require.ErrorIs(t, err, subtensor.ErrNoSubnet)
	})
}

func TestABeaconWithoutAKeyIsRefused(t *testing.T) {
	t.Parallel()
	_, client := withSubnet(t, subnetOf(t, 5))
	_, err := client.Validator(keypair(t, "//Alice"), netuid, subtensor.WithBeacon(new(timelock.Beacon)))
	require.ErrorIs(t, err, organic.ErrInvalidOption)
}

// A node can end a subscription while its connection goes on, with a notification that has an error
// in place of a result. The next node has the heads.
func TestASubscriptionThatTheNodeEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := dialHostile(t, newHostile(t, func(connection int, method string, id uint64) []string {
			const notification = `{"method":"chain_newHead","params":{"subscription":"a",%s}}`
			head := fmt.Sprintf(`"result":{"parentHash":"%s","number":"0x%x"}`, genesisOfHostile, connection)
			switch {
			case method == "state_subscribeRuntimeVersion":
				return []string{fmt.Sprintf(`{"id":%d,"result":"b"}`, id)}
			case method != "chain_subscribeNewHeads":
				return greeting(connection, method, id)
			case connection > 3:
				return []string{fmt.Sprintf(`{"id":%d,"result":"a"}`, id), fmt.Sprintf(notification, head)}
			}
			return []string{
				fmt.Sprintf(`{"id":%d,"result":"a"}`, id), fmt.Sprintf(notification, head),
				fmt.Sprintf(notification, `"error":{"code":-32003,"message":"too slow"}`),
			}
		}))
		var heights []uint64
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, client.EachBlock(ctx, func(height uint64) { heights = append(heights, height) }))
		require.Equal(t, uint64(4), heights[len(heights)-1])
		require.EqualValues(t, 4, client.Stats().Connections)
		require.ErrorContains(t, client.Stats().LastError, "too slow")
	})
}

// Each block has an extrinsic, that of its time: one without a body does not prove a loss.
func TestABlockWithoutABodyIsNotALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		s := set(t.Context(), alice(t, client), good)
		synctest.Wait()
		require.NoError(t, node.Mine(100))
		_, err := s.wait(t)
		require.NoError(t, err)
		for _, result := range []string{`{}`, `{"block":{}}`, `{"block":{"extrinsics":[]}}`} {
			other := dialMeddled(t, node, func(method string, _, _ json.RawMessage) json.RawMessage {
				if method == "chain_getBlock" {
					return json.RawMessage(result)
				}
				return nil
			})
			_, err = alice(t, other).Follow(t.Context(), s.reports[0])
			require.ErrorIs(t, err, subtensor.ErrBadReply)
		}
	})
}

func TestABlockWithoutATimeIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		require.NoError(t, node.Remove("Timestamp.Now"))
		_, err := alice(t, client).DryRun(t.Context(), good)
		require.ErrorIs(t, err, subtensor.ErrBadReply)
	})
}

// A node that is alive and announces no blocks, because it is stuck or has forgotten the
// subscription, is given up for the next one.
func TestANodeWhoseBlocksStopIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := dialHostile(t, newHostile(t, func(connection int, method string, id uint64) []string {
			switch method {
			case "state_subscribeRuntimeVersion":
				return []string{fmt.Sprintf(`{"id":%d,"result":"version"}`, id)}
			case "chain_subscribeNewHeads":
				return []string{
					fmt.Sprintf(`{"id":%d,"result":"heads"}`, id),
					fmt.Sprintf(`{"method":"chain_newHead","params":{"subscription":"heads",`+
						`"result":{"number":"0x%x","parentHash":"0x`+strings.Repeat("00", 32)+`"}}}`, connection),
				}
			case "chain_unsubscribeNewHeads":
				return []string{fmt.Sprintf(`{"id":%d,"result":true}`, id)}
			default:
				return greeting(connection, method, id)
			}
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var heights []uint64
		require.NoError(t, client.EachBlock(ctx, func(height uint64) { heights = append(heights, height) }))
		require.Equal(t, []uint64{1, 2, 3, 4}, heights, "one of each connection")
		require.ErrorContains(t, client.Stats().LastError, "announced no block")

		time.Sleep(time.Hour)
		require.EqualValues(t, 4, client.Stats().Connections, "no caller waits for blocks any more")
	})
}
