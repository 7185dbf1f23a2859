package organic

import (
	"fmt"
	"log/slog"
	"time"

	"go.uber.org/zap/zapcore"
)

// Result is what one iteration produced. [Hooks].LogResults gets it and may
// keep it: the scorer does not touch it afterwards.
//
// Like a [Sample], it prints through fmt, zap and slog without payload,
// responses and reference. It is not synchronised.
type Result[S, R any] struct {
	Sample    Sample[S]
	Responses map[UID]R
	Reference R
	Rewards   Rewards
	// Started is when sampling began.
	Started time.Time
	// Durations says how long each stage took, all its tries included.
	Durations Durations
	// QueueSize is how many samples waited at the end of the iteration.
	QueueSize int
}

// Durations are the times that an iteration spent, up to the log hook.
type Durations struct {
	Sample    time.Duration // taking the sample
	Query     time.Duration // QueryMiners
	Reference time.Duration // GenerateReference
	Responses time.Duration // both of them together, side by side
	Rewards   time.Duration // GenerateRewards
	Weights   time.Duration // SetWeights, all tries and the waits between them
	Total     time.Duration // from the start of sampling until SetWeights returned
}

// Logs returns the result under the keys of the Python original: times are
// float64 seconds, organic_queue_size and its twin organic_queue_len are int,
// is_organic_sample is bool. Beyond the original, organic_time_query and
// organic_time_reference tell apart what organic_time_responses holds together.
func (r Result[S, R]) Logs() map[string]any {
	return map[string]any{
		"organic_time_sample":    r.Durations.Sample.Seconds(),
		"organic_time_responses": r.Durations.Responses.Seconds(),
		"organic_time_query":     r.Durations.Query.Seconds(),
		"organic_time_reference": r.Durations.Reference.Seconds(),
		"organic_time_rewards":   r.Durations.Rewards.Seconds(),
		"organic_time_weights":   r.Durations.Weights.Seconds(),
		"organic_time_total":     r.Durations.Total.Seconds(),
		"organic_queue_size":     r.QueueSize,
		"organic_queue_len":      r.QueueSize,
		"is_organic_sample":      r.Sample.Origin == Organic,
	}
}

// Format writes the result without payload, responses and reference, whatever
// the verb.
func (r Result[S, R]) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "result of %v: %d responses, %d rewards, %v", r.Sample, len(r.Responses), len(r.Rewards), r.Durations.Total)
}

// LogValue gives slog the result without payload, responses and reference.
func (r Result[S, R]) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Any("sample", r.Sample),
		slog.Int("responses", len(r.Responses)),
		slog.Int("rewards", len(r.Rewards)),
		slog.Duration("total", r.Durations.Total),
		slog.Int("queue_size", r.QueueSize),
	)
}

// MarshalLogObject gives zap the result without payload, responses and
// reference.
func (r Result[S, R]) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddInt("responses", len(r.Responses))
	enc.AddInt("rewards", len(r.Rewards))
	enc.AddDuration("total", r.Durations.Total)
	enc.AddInt("queue_size", r.QueueSize)
	return enc.AddObject("sample", r.Sample)
}
