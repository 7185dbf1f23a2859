package weights

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/organic-scoring/organic"
)

// ConvertOption configures [Convert] and [Scores.Convert], which list what is
// wrong with all of them at once. Of two of the same kind the last one wins.
type ConvertOption interface {
	apply(cfg *conversion)
}

type convertOptionFunc func(cfg *conversion)

func (f convertOptionFunc) apply(cfg *conversion) { f(cfg) }

// conversion is what the options configure.
type conversion struct {
	minAllowed int
	limit      float64 // a fraction
	quantile   uint16  // in units of 1/65535
	burn       float64 // a fraction
	burnUIDs   []organic.UID
	burnKeys   []string
	zeros      bool // whether they fill up to minAllowed
	float64s   bool
	own        int // the validator's UID, or -1
	topK       int
	power      float64
	floor      float64
	floored    bool // whether floor was given
}

// WithMinAllowed sets how many weights the subnet requires, 0 by default. The chain asks for that
// many entries, or for as many as there are neurons, and counts entries of weight 0.
//
// [Scores.Convert] fills a vector that is too short with such entries. [Convert] does what the
// Python SDK 10 does, unless WithZeroPadding is given: if fewer miners have a positive score, all
// neurons get a little ([Padded]); if there are fewer neurons, all get the same
// ([UniformSmallSubnet]); and [Vector].TooFew is set if rounding has left fewer after all.
func WithMinAllowed(weights int) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.minAllowed = weights })
}

// WithZeroPadding fills a vector that has fewer entries than WithMinAllowed requires up to that
// number, or that of the neurons, with UIDs that get nothing: the lowest ones that are not in it,
// at its end, with a weight of 0. It takes the place of the padded path and of the uniform one for
// small subnets: no pay changes. [Scores.Convert] always does it.
func WithZeroPadding() ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.zeros = true })
}

// WithFloat64 converts as the Python SDK 11 does, in float64 throughout: the cap, and then u16. All
// scores 0 are ErrNoScores. The cap counts all entries that are given, those of score 0 too; if it
// times their number is 1 or less, or if the scores below it add up to less than about 1e-7 of all,
// all get the same, on the path UniformCap. It excludes WithExcludeQuantile, which that SDK does
// not have. [Vector].TooFew is set if fewer entries than WithMinAllowed are not 0, however few
// neurons there are, unless WithZeroPadding is given.
func WithFloat64() ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.float64s = true })
}

// WithOwnUID names the validator's own UID: a vector that was given for this one alone needs no
// minimum, as on the chain.
func WithOwnUID(uid organic.UID) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.own = int(uid) })
}

// WithTopK keeps the k highest scores, and those that equal the last of them. The others count as
// 0. It comes before WithPower and WithFloor.
func WithTopK(k int) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.topK = k })
}

// WithPower raises each score, divided by the highest one, to a power above 0: more than 1 favors
// the best, less than 1 evens out.
func WithPower(power float64) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.power = power })
}

// WithFloor lifts each positive score to at least this share of the highest one, above 0 and at
// most 1. It comes after WithPower.
func WithFloor(share float64) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.floor, cfg.floored = share, true })
}

// WithMaxWeight caps the share that one miner can have, above 0 and at most 1, the default, which
// is no cap. A u16 of the chain is in 65535th parts. What is cut off goes to the others in
// proportion. Where the cap times the number of miners left is 1 or less, all get the same.
func WithMaxWeight(share float64) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.limit = share })
}

// WithExcludeQuantile excludes the lowest of the positive scores, in u16 units as on the chain:
// 6553 is about the lowest tenth, 65535 all but the highest, and 0, the default, none. What equals
// the threshold stays.
func WithExcludeQuantile(quantile uint16) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.quantile = quantile })
}

// WithBurn pays exactly a share from 0 to 1 of all weights to UIDs, the same to each, and the rest
// to the other miners by their scores; scores of these UIDs do not count. If no other miner has a
// score, they get all. It comes after the cap, which would cut it. A large burn costs resolution:
// at 99 % each of 255 equal miners has 2.6 units of 65535, which are sent as 3. Look the UIDs up
// each time ([Metagraph.UID]), or use WithBurnTo; one that the subnet does not have is an error.
func WithBurn(share float64, uids ...organic.UID) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) {
		cfg.burn, cfg.burnUIDs, cfg.burnKeys = share, slices.Clone(uids), nil
	})
}

// WithBurnTo is WithBurn for hotkeys, for [Scores.Convert], which finds their UIDs. One that is not
// registered is an error.
func WithBurnTo(share float64, hotkeys ...string) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) {
		cfg.burn, cfg.burnUIDs, cfg.burnKeys = share, nil, slices.Clone(hotkeys)
	})
}

// newConversion applies and checks options. Metagraph is the subnet's if that is known.
func newConversion(opts []ConvertOption, neurons int, metagraph Metagraph) (*conversion, error) {
	cfg := &conversion{limit: 1, own: -1, topK: maxNeurons, power: 1}
	var errs []error
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, invalid("Convert", "option %d must not be nil", i+1))
			continue
		}
		opt.apply(cfg)
	}
	if cfg.minAllowed < 0 {
		errs = append(
			errs,
			invalid(fmt.Sprintf("WithMinAllowed(%d)", cfg.minAllowed), "must not be negative"),
		)
	}
	if !(cfg.limit > 0 && cfg.limit <= 1) {
		errs = append(errs, invalid(fmt.Sprintf("WithMaxWeight(%v)", cfg.limit),
			"must be above 0 and at most 1; divide the chain's u16 by 65535"))
	}
	if cfg.float64s && cfg.quantile > 0 {
		errs = append(errs, invalid("WithExcludeQuantile", "must not be given with WithFloat64"))
	}
	errs = append(errs, cfg.checkShape(), cfg.findBurn(metagraph), cfg.checkBurn(neurons))
	return cfg, errors.Join(errs...)
}

func (c *conversion) checkShape() error {
	var errs []error
	if c.topK < 1 {
		errs = append(errs, invalid(fmt.Sprintf("WithTopK(%d)", c.topK), "must be at least 1"))
	}
	if !(c.power > 0) || math.IsInf(c.power, 1) {
		errs = append(
			errs,
			invalid(fmt.Sprintf("WithPower(%v)", c.power), "must be finite and above 0"),
		)
	}
	if c.floored && !(c.floor > 0 && c.floor <= 1) {
		errs = append(
			errs,
			invalid(fmt.Sprintf("WithFloor(%v)", c.floor), "must be above 0 and at most 1"),
		)
	}
	return errors.Join(errs...)
}

// findBurn finds the UIDs of hotkeys to burn to.
func (c *conversion) findBurn(metagraph Metagraph) error {
	var errs []error
	for _, hotkey := range c.burnKeys {
		uid, ok := metagraph.UID(hotkey)
		if !ok {
			errs = append(errs, invalid("WithBurnTo", "hotkey %q is not registered", hotkey))
			continue
		}
		c.burnUIDs = append(c.burnUIDs, uid)
	}
	return errors.Join(errs...)
}

func (c *conversion) checkBurn(neurons int) error {
	option := fmt.Sprintf("WithBurn(%v, %v)", c.burn, c.burnUIDs)
	if !(c.burn >= 0 && c.burn <= 1) {
		return invalid(option, "share must be from 0 to 1")
	}
	if c.burn > 0 && len(c.burnUIDs) == 0 && len(c.burnKeys) == 0 {
		return invalid(option, "must have a UID to burn to")
	}
	for i, uid := range c.burnUIDs {
		if int(uid) >= neurons || slices.Contains(c.burnUIDs[:i], uid) {
			return invalid(
				option,
				"UID %d must be one of the %d neurons, and there once",
				uid,
				neurons,
			)
		}
	}
	return nil
}

// required is how many entries the vector must have.
func (c *conversion) required(neurons int) int {
	if c.zeros || !c.float64s {
		return min(c.minAllowed, neurons)
	}
	return c.minAllowed
}

// burnt takes the share that is burnt from the miners and gives it to its UIDs.
func (c *conversion) burnt(uids []organic.UID, shares []float64) ([]organic.UID, []float64) {
	if c.burn == 0 {
		return uids, shares
	}
	rest := 0.0 // of the miners
	for i, uid := range uids {
		if slices.Contains(c.burnUIDs, uid) {
			shares[i] = 0
		}
		rest += shares[i]
	}
	burn := c.burn
	if rest == 0 {
		burn, rest = 1, 1
	}
	for i := range shares {
		shares[i] = float64(shares[i] / rest * (1 - burn))
	}
	for _, uid := range c.burnUIDs {
		i := slices.Index(uids, uid)
		if i < 0 {
			uids, shares = append(uids, uid), append(shares, 0)
			i = len(uids) - 1
		}
		shares[i] = burn / float64(len(c.burnUIDs))
	}
	return uids, shares
}

// burnShares is what the UIDs get if all is burnt.
func (c *conversion) burnShares() []float64 {
	return slices.Repeat([]float64{1 / float64(len(c.burnUIDs))}, len(c.burnUIDs))
}
