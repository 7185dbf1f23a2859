package weights

// Capped32 and Capped64 are the step that the golden cases call
// normalize_max_weight; users reach it through Convert alone.
var (
	Capped32 = capped[float32]
	Capped64 = capped[float64]
)
