package weights

import (
	"errors"
	"fmt"
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

// conversion is what the options leave behind.
type conversion struct {
	minAllowed int
	limit      float64 // a fraction
	quantile   uint16  // in units of 1/65535
	burn       float64 // a fraction
	burnUIDs   []organic.UID
}

// WithMinAllowed sets how many weights the subnet requires, 0 by default. So
// many are never excluded; when fewer miners have a positive score, all get a
// little (see [Padded]); and [Vector].TooFew says when rounding has left fewer
// after all.
func WithMinAllowed(weights int) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.minAllowed = weights })
}

// WithMaxWeight caps the share that one miner can have, above 0 and at most 1,
// the default, which is no cap. Of what the chain tells as a u16 it is 65535th
// parts. What is cut off goes to the others in proportion. Where the cap times
// the number of miners left is 1 or less, all get the same.
func WithMaxWeight(share float64) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.limit = share })
}

// WithExcludeQuantile excludes the lowest of the positive scores, in u16 units
// as on the chain: 6553 is about the lowest tenth, 65535 all but the highest,
// and 0, the default, none. What equals the threshold stays.
func WithExcludeQuantile(quantile uint16) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.quantile = quantile })
}

// WithBurn pays a share from 0 to 1 of all weights to UIDs, the same to each,
// and the rest to the miners by their scores. It comes after the cap, which
// would cut it. A large burn costs resolution: at 99 % each of 255 equal miners
// has 2.6 units of 65535, which are sent as 3. Look the UIDs up each time
// ([Metagraph.UID]); one that the subnet does not have is an error.
func WithBurn(share float64, uids ...organic.UID) ConvertOption {
	return convertOptionFunc(func(cfg *conversion) { cfg.burn, cfg.burnUIDs = share, slices.Clone(uids) })
}

func newConversion(opts []ConvertOption, neurons int) (*conversion, error) {
	cfg := &conversion{limit: 1}
	var errs []error
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, invalid("Convert", "option %d must not be nil", i+1))
			continue
		}
		opt.apply(cfg)
	}
	if cfg.minAllowed < 0 {
		errs = append(errs, invalid(fmt.Sprintf("WithMinAllowed(%d)", cfg.minAllowed), "must not be negative"))
	}
	if !(cfg.limit > 0 && cfg.limit <= 1) {
		errs = append(errs, invalid(fmt.Sprintf("WithMaxWeight(%v)", cfg.limit),
			"must be above 0 and at most 1; divide the chain's u16 by 65535"))
	}
	return cfg, errors.Join(append(errs, cfg.checkBurn(neurons))...)
}

func (c *conversion) checkBurn(neurons int) error {
	option := fmt.Sprintf("WithBurn(%v, %v)", c.burn, c.burnUIDs)
	if !(c.burn >= 0 && c.burn <= 1) {
		return invalid(option, "share must be from 0 to 1")
	}
	if c.burn > 0 && len(c.burnUIDs) == 0 {
		return invalid(option, "must have a UID to burn to")
	}
	for i, uid := range c.burnUIDs {
		if int(uid) >= neurons || slices.Contains(c.burnUIDs[:i], uid) {
			return invalid(option, "UID %d must be one of the %d neurons, and there once", uid, neurons)
		}
	}
	return nil
}

// burnt takes the burnt share from all and gives it to its UIDs, whether they
// have a share of their own or not.
func (c *conversion) burnt(uids []organic.UID, shares []float64) ([]organic.UID, []float64) {
	if c.burn == 0 {
		return uids, shares
	}
	for i := range shares {
		shares[i] = float64(shares[i] * (1 - c.burn))
	}
	for _, uid := range c.burnUIDs {
		i := slices.Index(uids, uid)
		if i < 0 {
			uids, shares = append(uids, uid), append(shares, 0)
			i = len(uids) - 1
		}
		shares[i] += c.burn / float64(len(c.burnUIDs))
	}
	return uids, shares
}
