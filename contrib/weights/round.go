package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/organic-scoring/organic"
)

// Round is what [Scores.Update] wants to know of the iteration that rewards
// come from; [RoundOf] makes it from a sample. It is a plain value.
type Round struct {
	// ID is the sample's. A round whose ID was counted already changes
	// nothing, since samples are delivered at least once. The last 4096 IDs are
	// remembered, and saved in snapshots. An empty ID is never a repetition.
	ID string
	// Origin decides which average of a miner is updated.
	Origin organic.Origin
	// Requester is who asked, for guards.
	Requester string
	// Asked is the metagraph by which the miners were asked: a reward goes to
	// the hotkey that held the UID then, and to nobody when it no longer does.
	Asked Metagraph
	// Received takes the place of Asked when that is nil: a reward for a UID
	// that has changed hands after this time goes to nobody. Any time before
	// the miners were asked is right. One much earlier costs newcomers some of
	// their first rewards, and one too late pays strangers.
	Received time.Time
}

// RoundOf returns the round of a sample. It has the time at which the sample
// was received, which is before anybody was asked, so no reward goes to a
// stranger; set Asked where samples wait long in the queue, or where their
// times come from clocks that cannot be trusted.
func RoundOf[S any](sample organic.Sample[S]) Round {
	return Round{ID: sample.ID, Origin: sample.Origin, Requester: sample.Requester, Received: sample.Received}
}

// Tally says what became of the rewards of one update. Counted, Neutral,
// SelfDealt and Stranded add up to the number of rewards, unless the round was
// Repeated.
type Tally struct {
	Counted   int  // entered the average of a miner
	Neutral   int  // were no penalty, see PenaltyOnly
	SelfDealt int  // were asked for by the miner's owner, see NoSelfDealing
	Stranded  int  // belong to a UID that has changed hands since, or is gone
	Repeated  bool // the round was counted before, and nothing was done
}

// checkRewards refuses what would stay in an average for ever, naming the
// lowest UID concerned. NaN is not refused, it counts as 0.
func checkRewards(rewards organic.Rewards, uids int) error {
	outside, endless := math.MaxInt, math.MaxInt
	for uid, reward := range rewards {
		if int(uid) >= uids {
			outside = min(outside, int(uid))
		}
		if math.Abs(reward) > math.MaxFloat32 {
			endless = min(endless, int(uid))
		}
	}
	switch {
	case outside < math.MaxInt:
		return fmt.Errorf("%w: reward for UID %d of %d", ErrUIDRange, outside, uids)
	case endless < math.MaxInt:
		return fmt.Errorf("%w: reward for UID %d", ErrNotFinite, endless)
	}
	return nil
}

// rememberedRounds is how many IDs are remembered.
const rememberedRounds = 4096

// roundKey stands for the ID of a round. IDs may be of any length, so that
// hashes are kept.
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
