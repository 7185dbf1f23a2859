package weights

import (
	"fmt"
	"time"
)

const (
	maxWindow = 1024 // rewards that Window keeps of one origin
	minAlpha  = 1e-6
)

// Average is the rule by which rewards become a score: [Hold], [Decay] or
// [Window]. It is a value and safe for concurrent use.
type Average struct {
	kind  averageKind
	alpha float64       // of Hold and Decay
	size  int           // of Window
	age   time.Duration // of Window; 0 is no limit
}

type averageKind uint8

const (
	hold averageKind = iota + 1
	decay
	window
)

// Hold is an exponential moving average,
//
//	score = alpha·reward + (1-alpha)·score,
//
// that leaves the score of a miner as it is while the miner is not asked. How
// often one is asked then makes no difference. Alpha is from 1e-6 to 1; most
// subnets use 0.1. A score begins at 0, so that a newcomer has to earn it.
func Hold(alpha float64) Average { return Average{kind: hold, alpha: alpha} }

// Decay is the moving average of [Hold], but a miner that was not asked in a round counts as one
// that was rewarded 0. This is what the subnet template does. Where 10 of 256 miners are asked in a
// round, a score then depends on how often one is asked, and not only on how well one answers. Only
// synthetic rounds do that, and only to the synthetic average: if organic rounds did, a user who
// asks one miner would lower all the others.
func Decay(alpha float64) Average { return Average{kind: decay, alpha: alpha} }

// Window is the plain mean of the newest rewards of a miner, as many as said
// and, unless age is 0, none that came in longer than age ago. A reward
// exactly that old still counts. Each miner has a window of its own for each
// origin, which starts empty for a new hotkey; one that is not asked keeps its
// rewards until they are too old. At most 1024 rewards can be kept.
func Window(rewards int, age time.Duration) Average {
	return Average{kind: window, size: rewards, age: age}
}

// String names the rule and its parameters.
func (a Average) String() string {
	switch a.kind {
	case hold:
		return fmt.Sprintf("Hold(%v)", a.alpha)
	case decay:
		return fmt.Sprintf("Decay(%v)", a.alpha)
	case window:
		return fmt.Sprintf("Window(%d, %v)", a.size, a.age)
	}
	return "Average{}"
}

func (a Average) check() error {
	switch {
	case a.kind == 0:
		return invalid(a.String(), "must be Hold, Decay or Window")
	case a.kind == window && (a.size < 1 || a.size > maxWindow):
		return invalid(a.String(), "must keep from 1 to %d rewards", maxWindow)
	case a.age < 0:
		return invalid(a.String(), "age must not be negative")
	case a.kind != window && !(a.alpha >= minAlpha && a.alpha <= 1):
		return invalid(a.String(), "alpha must be from %v to 1", minAlpha)
	}
	return nil
}

// leastWeight is the weight of a requester below which a reward would add a negligible mass.
func (a Average) leastWeight() float64 {
	if a.kind == window {
		return 0
	}
	return 2 * negligible / a.alpha
}

// family is what snapshots call the rule: those of one family can be loaded
// into each other.
func (a Average) family() string {
	if a.kind == window {
		return "window"
	}
	return "exponential"
}
