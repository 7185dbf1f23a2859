package organictest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

// DurableStore is one place where a durable queue keeps its samples: a file,
// or a name on a server.
type DurableStore struct {
	// Open opens a queue on the store, the first time an empty one.
	Open func(t *testing.T, cfg DurableConfig) (durable.Queue[string], error)
	// Crash ends a queue as a kill of its process does: without Close, so that
	// nothing is given back or written that is not written already. When it
	// returns, Open works again.
	Crash func(t *testing.T, queue durable.Queue[string])
}

// DurableConfig is the configuration that the suite needs. A zero value means
// the queue's default. It is a plain value.
type DurableConfig struct {
	Capacity int // 1000 at most
	// DropOldest makes a full queue drop its oldest waiting sample; otherwise
	// it returns organic.ErrFull.
	DropOldest bool
	MaxAge     time.Duration
	MaxLease   time.Duration // set only if DurableTraits.LeasesExpire
	MaxCrashes int
	Codec      durable.Codec[string]
	Cipher     durable.Cipher
}

// DurableTraits is what a durable queue promises beyond [durable.Queue]. It is
// a plain value.
type DurableTraits struct {
	// Shared says that several handles, as those of several processes, may be
	// open on one store at the same time. A store that is not shared refuses
	// the second.
	Shared bool
	// LeasesExpire says that a lease that is not settled in time ends while its
	// process lives. Other leases end with the process only.
	LeasesExpire bool
	// SizeLags allows Size to become exact only within Patience.
	SizeLags bool
	// Patience is how long the queue may take for any one thing, as in
	// [QueueTraits]. It includes the time after which a sample that a dead
	// process held is handed out again. The default is 5 s.
	Patience time.Duration
}

// TestDurableQueue tests a durable queue against the contract of
// [durable.Queue]. Each promise is a subtest with a store of its own. It does
// not repeat what [TestQueue] tests: run both.
//
// NewStore returns a store without samples; it is called with the subtest's t.
// The suite closes the queues that it opens. It takes real time where a delay
// must be seen to be kept, some three seconds, and may run beside other tests.
func TestDurableQueue(
	t *testing.T,
	newStore func(t *testing.T) DurableStore,
	traits DurableTraits,
) {
	t.Helper()
	for _, check := range durableChecks(traits) {
		if check.applies {
			t.Run(check.name, func(t *testing.T) {
				check.run(newDurableProbe(t, newStore(t), traits))
			})
		}
	}
}

// durableCheck is one promise of a durable queue.
type durableCheck struct {
	name    string
	applies bool
	run     func(d *durableProbe)
}

func durableChecks(traits DurableTraits) []durableCheck {
	return []durableCheck{
		{"reopened", true, checkReopened},
		{"crashed", true, checkCrashed},
		{"closed with leases", true, checkClosedWithLeases},
		{"closed", true, checkClosed},
		{"second handle refused", !traits.Shared, checkSecondRefused},
		{"second handle shares", traits.Shared, checkSecondShares},
		{"attempts count failures", true, checkAttempts},
		{"attempts survive", true, checkAttemptsSurvive},
		{"delays survive", true, checkDelaysSurvive},
		{"crashes are bounded", true, checkCrashes},
		{"lease expiry", traits.LeasesExpire, checkLeaseExpiry},
		{"settled twice", true, checkSettledTwice},
		{"duplicates", true, checkDurableDuplicates},
		{"exact bound refuses", true, checkExactRefusal},
		{"exact bound drops", true, checkExactDrops},
		{"dead letters", true, checkDeadLetters},
		{"dead letters put back", true, checkPutBackLetters},
		{"dead letters stay", true, checkLettersStay},
		{"poison", true, checkPoison},
		{"wrong key", true, checkWrongKey},
		{"cipher", true, checkCipher},
		{"expired while closed", true, checkExpiredWhileClosed},
		{"oldest waiting", true, checkOldestWaiting},
		{"bad samples", true, checkBadSamples},
	}
}

// durableProbe is a probe of a queue that can be opened again.
type durableProbe struct {
	*probe
	store  DurableStore
	traits DurableTraits
	cfg    DurableConfig
	queue  durable.Queue[string]
}

func newDurableProbe(t *testing.T, store DurableStore, traits DurableTraits) *durableProbe {
	t.Helper()
	of := QueueTraits{
		Settles:  true,
		SizeLags: traits.SizeLags,
		Patience: traits.Patience,
	}.withDefaults()
	traits.Patience = of.Patience
	start := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	return &durableProbe{
		probe: &probe{
			t:      t,
			traits: of,
			start:  start,
		},
		store:  store,
		traits: traits,
		cfg:    DurableConfig{Capacity: 100},
	}
}

// open opens the store and makes the queue the one that is probed.
func (d *durableProbe) open() {
	d.t.Helper()
	d.queue = d.another()
	d.probe.queue = d.queue
}

// another opens one more handle.
func (d *durableProbe) another() durable.Queue[string] {
	d.t.Helper()
	queue, err := d.store.Open(d.t, d.cfg)
	require.NoError(d.t, err, "Open must work on a new store, after Close and after a crash")
	require.NotNil(d.t, queue, "Open without error must return a queue")
	d.t.Cleanup(
		func() { _ = queue.Close(context.WithoutCancel(d.t.Context())) },
	) // a second Close is fine
	return queue
}

func (d *durableProbe) close() {
	d.t.Helper()
	err := within(d.probe, "Close", func() error { return d.queue.Close(d.t.Context()) })
	require.NoError(d.t, err, "Close must give back what is leased and return nil")
}

func (d *durableProbe) crash() {
	d.t.Helper()
	d.store.Crash(d.t, d.queue)
}

// ends are the two ways in which a queue ends.
func (d *durableProbe) ends() []func() { return []func(){d.close, d.crash} }

// letters returns all dead letters.
func (d *durableProbe) letters() []durable.DeadLetter[string] {
	d.t.Helper()
	var letters []durable.DeadLetter[string]
	for letter, err := range d.queue.DeadLetters(d.t.Context()) {
		require.NoError(d.t, err, "DeadLetters must list what was given up")
		letters = append(letters, letter)
	}
	return letters
}

// awaitLetters waits until there are n dead letters.
func (d *durableProbe) awaitLetters(n int) []durable.DeadLetter[string] {
	d.t.Helper()
	var letters []durable.DeadLetter[string]
	d.eventually(
		d.traits.Patience,
		"a sample that is given up must become a dead letter",
		func() bool {
			letters = d.letters()
			return len(letters) >= n
		},
	)
	require.Len(d.t, letters, n, "each sample that is given up must be one dead letter")
	return letters
}

// retry fails the next sample.
func (d *durableProbe) retry(delay time.Duration) {
	d.t.Helper()
	d.settle(
		d.take(),
		organic.Verdict{Outcome: organic.OutcomeRetry, Delay: delay, Err: errVerdict},
	)
}

// takeAttempt takes a sample that must come with this attempt.
func (d *durableProbe) takeAttempt(want int, promise string) organic.Lease[string] {
	d.t.Helper()
	lease := d.take()
	require.Equal(d.t, want, lease.Sample.Attempt, promise)
	return lease
}
