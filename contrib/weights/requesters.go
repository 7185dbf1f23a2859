package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
)

// requesterKey stands for a requester. Names of requesters are other people's
// data, of any length, and are neither kept nor saved.
type requesterKey uint64

func keyOf(requester string) requesterKey {
	sum := sha256.Sum256([]byte(requester))
	return requesterKey(binary.BigEndian.Uint64(sum[:8]))
}

// contribution is what one requester brought into a miner's average.
type contribution struct {
	Requester requesterKey `json:"requester"`
	Mass      float64      `json:"mass"`  // its share of all weights
	Value     float64      `json:"value"` // the same shares, each times its reward
}

// contribute adds a reward to what its requester brought in. There are at most
// limit entries: the lightest goes when a new one needs its place. A requester
// that has a large share is not the lightest for long, so what is lost is
// small, and it counts for less against the requester, never for more.
func contribute(
	all []contribution,
	requester requesterKey,
	share, value float64,
	limit int,
) []contribution {
	i := slices.IndexFunc(all, func(c contribution) bool { return c.Requester == requester })
	switch {
	case i >= 0:
	case len(all) < limit:
		all = append(all, contribution{Requester: requester})
		i = len(all) - 1
	default:
		i = lightest(all)
		all[i] = contribution{Requester: requester}
	}
	all[i].Mass += share
	all[i].Value += float64(share * value)
	return all
}

// breakdown adds up contributions in memory that it keeps, for windows, which
// hold rewards and no sums.
type breakdown struct {
	all   []contribution
	index map[requesterKey]int // where each requester is in all
}

func (b *breakdown) reset() {
	if b.index == nil {
		b.index = make(map[requesterKey]int)
	}
	b.all = b.all[:0]
	clear(b.index)
}

func (b *breakdown) add(requester requesterKey, share, value float64) {
	i, ok := b.index[requester]
	if !ok {
		i = len(b.all)
		b.index[requester] = i
		b.all = append(b.all, contribution{Requester: requester})
	}
	b.all[i].Mass += share
	b.all[i].Value += float64(share * value)
}

// lightest returns the index of the smallest mass.
func lightest(all []contribution) (index int) {
	for i, c := range all {
		if c.Mass < all[index].Mass {
			index = i
		}
	}
	return index
}

// fadeAll lets all contributions count less, as a new reward comes in, and
// drops those that have faded to nothing.
func fadeAll(all []contribution, alpha float64) []contribution {
	gone := false
	for i := range all {
		all[i].Mass *= 1 - alpha
		all[i].Value *= 1 - alpha
		gone = gone || all[i].Mass < negligible
	}
	if gone {
		all = slices.DeleteFunc(all, func(c contribution) bool { return c.Mass < negligible })
	}
	return all
}

// MarshalText writes the key in hex, since a JSON number cannot hold it.
func (k requesterKey) MarshalText() ([]byte, error) {
	return hex.AppendEncode(nil, binary.BigEndian.AppendUint64(nil, uint64(k))), nil
}

// UnmarshalText reads what MarshalText wrote.
func (k *requesterKey) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != 8 {
		return fmt.Errorf("requester %q is not 16 hex digits", text)
	}
	*k = requesterKey(binary.BigEndian.Uint64(raw))
	return nil
}
