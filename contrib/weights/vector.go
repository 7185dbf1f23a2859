package weights

import (
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic"
)

// Vector is what the chain takes, two lists of the same length, and how they
// came about. It is a plain value: it may be read from any goroutine while
// none writes it.
type Vector struct {
	// UIDs and Weights have an entry for each UID whose weight is not 0, and
	// then those that WithZeroPadding has added. The largest weight is 65535;
	// the chain divides by their sum.
	UIDs    []organic.UID
	Weights []uint16
	// Path is how the scores became shares. Pay on a uniform path is by no
	// score at all.
	Path Path
	// TooFew says that fewer UIDs than the required minimum are left, so that
	// the chain would refuse the vector. A Setter does not send it. Where
	// scores or options make it so and not their moment, it stays until they are
	// changed: see WithZeroPadding.
	TooFew bool
	// Rows has all UIDs that were not excluded, those of weight 0 too, but none
	// for what WithZeroPadding has added.
	Rows []Row
}

// Row is how one UID came to its weight. It is what miners ask for, so log it.
type Row struct {
	UID    organic.UID
	Score  float64 // as given
	Share  float64 // after exclusion, cap and burn; together 1
	Weight uint16
}

// MarshalLogObject gives zap the vector with its rows.
func (v Vector) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("path", v.Path.String())
	enc.AddInt("entries", len(v.UIDs))
	enc.AddBool("too_few", v.TooFew)
	return enc.AddArray("rows", zapcore.ArrayMarshalerFunc(func(rows zapcore.ArrayEncoder) error {
		for _, row := range v.Rows {
			if err := rows.AppendObject(row); err != nil {
				return err
			}
		}
		return nil
	}))
}

// MarshalLogObject gives zap the row.
func (r Row) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddUint16("uid", uint16(r.UID))
	enc.AddFloat64("score", r.Score)
	enc.AddFloat64("share", r.Share)
	enc.AddUint16("weight", r.Weight)
	return nil
}

// newVector lists what is not 0. Scores is indexed by UID.
func newVector(path Path, uids []organic.UID, shares, scores []float64, cfg *conversion) Vector {
	quantized, whole := quantize(shares), 1.0
	if cfg.float64s { // without a cap, SDK 11 leaves the scores as they are
		whole = added(shares)
	}
	vector := Vector{Path: path, Rows: make([]Row, len(uids))}
	for i, uid := range uids {
		vector.Rows[i] = Row{UID: uid, Score: scores[uid], Share: shares[i] / whole, Weight: quantized[i]}
	}
	vector.UIDs, vector.Weights = nonZero(uids, quantized)
	required := cfg.required(len(scores))
	if cfg.zeros {
		vector.UIDs, vector.Weights = withZeros(vector.UIDs, vector.Weights, required, len(scores))
	}
	vector.TooFew = len(vector.UIDs) < required
	return vector
}

// withZeros fills lists up to so many entries with the lowest UIDs that are not
// in them and a weight of 0.
func withZeros(
	uids []organic.UID,
	weights []uint16,
	entries, neurons int,
) ([]organic.UID, []uint16) {
	if len(uids) >= entries {
		return uids, weights
	}
	there := make([]bool, neurons)
	for _, uid := range uids {
		there[uid] = true
	}
	for _, uid := range allUIDs(neurons) {
		if len(uids) < entries && !there[uid] {
			uids, weights = append(uids, uid), append(weights, 0)
		}
	}
	return uids, weights
}
