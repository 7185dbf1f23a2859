package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/organic-scoring/organic"
)

// Range is the range of the rewards of a subnet. It is a plain value.
type Range struct{ Min, Max float64 }

// Between returns a range; Between(0, 1) is the usual one.
func Between(lowest, highest float64) Range { return Range{Min: lowest, Max: highest} }

func (r Range) check() error {
	if !(r.Min < r.Max) || math.Abs(r.Min) > math.MaxFloat32 || math.Abs(r.Max) > math.MaxFloat32 {
		return invalid(fmt.Sprintf("NewScores: range from %v to %v", r.Min, r.Max),
			"must be two finite float32, the lower one first")
	}
	return nil
}

// clamp returns the nearest reward in the range, and whether it is another one. NaN becomes what 0
// becomes.
func (r Range) clamp(reward float64) (clamped float64, outside bool) {
	if math.IsNaN(reward) {
		return min(max(0, r.Min), r.Max), true
	}
	clamped = min(max(reward, r.Min), r.Max)
	return clamped, clamped != reward
}

// Round is what [Scores.Update] needs to know of the iteration that rewards come from; [RoundOf]
// makes it from a sample. It is a plain value.
type Round struct {
	// ID is the sample's. A round whose ID was counted already changes nothing, since samples are
	// delivered at least once. The last 4096 IDs are remembered, and saved in snapshots. An empty
	// ID is never a repetition.
	ID string
	// Origin decides which average of a miner is updated.
	Origin organic.Origin
	// Requester is who sent the query, for guards.
	Requester string
	// Asked are the miners that were asked. One of them without a reward is counted with a reward
	// of 0 (or the nearest one in the range), so that leaving out a bad answer does not pay. A
	// miner with a reward counts as asked. Leave it nil only if the rewards name every miner that
	// was asked.
	Asked []organic.UID
	// Metagraph is the one by which the miners were asked: a reward goes to the hotkey that held
	// the UID then, and is not counted if that hotkey no longer holds it.
	Metagraph Metagraph
	// Received takes the place of Metagraph if that has no neurons: a reward for a UID that has
	// changed hands after this time is not counted. Any time before the miners were asked is right.
	// Who held a UID before the first metagraph is known from a snapshot only: without one, answers
	// recorded before the start are paid to the present holder, unless Metagraph is given.
	Received time.Time
}

// RoundOf returns the round of a sample, received when the sample was, which is before any miner
// was asked. Set Asked if a miner that does not answer gets no reward, and Metagraph if samples
// wait for long in the queue.
func RoundOf[S any](sample organic.Sample[S]) Round {
	return Round{
		ID:        sample.ID,
		Origin:    sample.Origin,
		Requester: sample.Requester,
		Received:  sample.Received,
	}
}

// Tally counts what was done with the rewards of one update, those of miners that were asked and
// got none included. Counted, SelfDealt, Stranded and Unweighted add up to all of them, unless the
// round was Repeated.
type Tally struct {
	Counted    int  // entered the average of a miner
	Missing    int  // of those, were not given: the miner was asked, and there was no reward
	Clamped    int  // of those, were outside the range
	SelfDealt  int  // were asked for by the miner's owner, see NoSelfDealing
	Stranded   int  // belong to a UID that has changed hands since, or is gone
	Unweighted int  // come from a requester of weight 0, see WithRequesterWeight
	Repeated   bool // the round was counted before, and nothing was done
}

// checkRange refuses UIDs that the subnet does not have, naming the lowest one.
func (r *Round) checkRange(rewards organic.Rewards, uids int) error {
	outside := math.MaxInt
	for uid := range rewards {
		if int(uid) >= uids {
			outside = min(outside, int(uid))
		}
	}
	for _, uid := range r.Asked {
		if int(uid) >= uids {
			outside = min(outside, int(uid))
		}
	}
	if outside < math.MaxInt {
		return fmt.Errorf("%w: UID %d of %d", ErrUIDRange, outside, uids)
	}
	return nil
}

// rememberedRounds is how many IDs are remembered.
const rememberedRounds = 4096

// roundKey stands for the ID of a round. IDs may be of any length, so hashes are kept.
type roundKey [16]byte

// MarshalText writes the key in hex.
func (k roundKey) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *roundKey) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(k) {
		return fmt.Errorf("round %q is not %d hex digits", text, 2*len(k))
	}
	copy(k[:], raw)
	return nil
}

// rounds remembers the newest IDs. The zero value remembers none.
type rounds struct {
	known map[roundKey]struct{}
	ring  []roundKey
	next  int // where in the ring the oldest is, once it is full
}

func roundKeyOf(id string) (key roundKey) {
	sum := sha256.Sum256([]byte(id))
	copy(key[:], sum[:])
	return key
}

func (r *rounds) has(id string) bool {
	if id == "" {
		return false
	}
	_, ok := r.known[roundKeyOf(id)]
	return ok
}

func (r *rounds) add(id string) {
	if id != "" {
		r.addKey(roundKeyOf(id))
	}
}

func (r *rounds) addKey(key roundKey) {
	if r.known == nil {
		r.known = make(map[roundKey]struct{})
	}
	if _, ok := r.known[key]; ok {
		return
	}
	r.known[key] = struct{}{}
	if len(r.ring) < rememberedRounds {
		r.ring = append(r.ring, key)
		return
	}
	delete(r.known, r.ring[r.next])
	r.ring[r.next] = key
	r.next = (r.next + 1) % rememberedRounds
}

// oldestFirst returns a copy of all keys.
func (r *rounds) oldestFirst() []roundKey {
	return append(append(make([]roundKey, 0, len(r.ring)), r.ring[r.next:]...), r.ring[:r.next]...)
}
