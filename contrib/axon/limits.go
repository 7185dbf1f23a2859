package axon

import (
	"errors"
	"runtime"
	"time"
)

// Limits bound what requests may cost. A field that is zero has its default.
//
// Connections, Reading, Waiting, Serving and Replays are shared out, so that no
// party can use them up. One party may have all while no other wants any. At the
// limit, the party that has most loses: the connection that has been idle for
// longest, the slowest body, the request that has made no progress for longest, the
// last one that waits, the oldest one that is remembered. Before verification a
// party is an address: an IPv4 address, an IPv6 /64, and all of a /48 together.
// After verification it is a requester, and the requests of one address count
// together as well.
type Limits struct {
	HeaderBytes int   // names and values of a request's header together; 32 KiB
	HeaderLines int   // lines of a request's header; 100
	BodyBytes   int64 // a request's body; 1 MiB

	Connections int           // open at once, for [Server.Serve]; 4 096
	HeaderTime  time.Duration // for a header to arrive, for [Server.Serve]; 5 s
	BodyRate    int           // bytes per second at which a body must arrive, measured over 2 s; 8 KiB
	BodyTime    time.Duration // for a whole body to arrive; 10 s
	// WriteTime is how long a client may take for one piece of a streamed answer, where the
	// hook sets no write deadline; 30 s.
	WriteTime time.Duration
	IdleTime  time.Duration // a connection between two requests, for [Server.Serve]; 2 min
	StopTime  time.Duration // for requests to end after [Server.Serve]'s ctx has; 30 s

	Reading   int // bodies above 64 KiB, and all over HTTP/2, being read and checked at once; 256
	Verifying int // signatures being verified at once; GOMAXPROCS
	Serving   int // requests in the scorer's Forward at once, their answers included; 64
	// Waiting is how many verified requests wait for their turn to be served; as many more may
	// be in the hooks that come before; 256.
	Waiting int

	Wait       time.Duration // the longest wait, also of requesters who would wait longer; 12 s
	ServeTime  time.Duration // from the arrival of a request to the end of its hooks' ctx; 60 s
	StreamTime time.Duration // the same for an answer that streams; 10 min

	ReplaysPerHotkey int // requests of one hotkey that are remembered; 10 000
	// Replays is how many requests are remembered in all; 100 000. Each takes about 80 bytes
	// of memory, or 800 if each is of another hotkey: 8 MB in all, or 80 MB.
	Replays int
	Tracked int // addresses, and proven hotkeys, whose keys and rates are remembered; 10 000
}

// largestNumber of bytes is a limit that can be calculated with; a larger one means none.
const largestNumber = 1 << 30

func (l Limits) withDefaults() Limits {
	fill(&l.HeaderBytes, 32<<10)
	fill(&l.HeaderLines, 100)
	fill(&l.BodyBytes, 1<<20)
	fill(&l.Connections, 4096)
	fill(&l.HeaderTime, 5*time.Second)
	fill(&l.BodyRate, 8<<10)
	fill(&l.BodyTime, 10*time.Second)
	fill(&l.WriteTime, 30*time.Second)
	fill(&l.IdleTime, 2*time.Minute)
	fill(&l.StopTime, 30*time.Second)
	fill(&l.Reading, 256)
	fill(&l.Verifying, runtime.GOMAXPROCS(0))
	fill(&l.Serving, 64)
	fill(&l.Waiting, 256)
	fill(&l.Wait, 12*time.Second)
	fill(&l.ServeTime, time.Minute)
	fill(&l.StreamTime, 10*time.Minute)
	fill(&l.ReplaysPerHotkey, 10_000)
	fill(&l.Replays, 100_000)
	fill(&l.Tracked, 10_000)
	return l
}

func fill[N int | int64 | time.Duration](field *N, value N) {
	if *field == 0 {
		*field = value
	}
}

func (l Limits) check() error {
	var errs []error
	positive := func(name string, value int64) {
		if value < 0 {
			errs = append(errs, invalid(
				"WithLimits", "%s is %d, must be positive or zero for the default", name, value))
		}
	}
	positive("HeaderBytes", int64(l.HeaderBytes))
	positive("HeaderLines", int64(l.HeaderLines))
	positive("BodyBytes", l.BodyBytes)
	positive("Connections", int64(l.Connections))
	positive("HeaderTime", int64(l.HeaderTime))
	positive("BodyRate", int64(l.BodyRate))
	positive("BodyTime", int64(l.BodyTime))
	positive("WriteTime", int64(l.WriteTime))
	positive("IdleTime", int64(l.IdleTime))
	positive("StopTime", int64(l.StopTime))
	positive("Reading", int64(l.Reading))
	positive("Verifying", int64(l.Verifying))
	positive("Serving", int64(l.Serving))
	positive("Waiting", int64(l.Waiting))
	positive("Wait", int64(l.Wait))
	positive("ServeTime", int64(l.ServeTime))
	positive("StreamTime", int64(l.StreamTime))
	positive("ReplaysPerHotkey", int64(l.ReplaysPerHotkey))
	positive("Replays", int64(l.Replays))
	positive("Tracked", int64(l.Tracked))
	return errors.Join(errs...)
}

// WithLimits sets the limits.
func WithLimits(limits Limits) Option {
	return serverOption(func(cfg *config) error {
		cfg.limits = limits.withDefaults()
		return limits.check()
	})
}
