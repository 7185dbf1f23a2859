package organictest_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic/contrib/organictest"
)

func TestRightDurableQueuesPass(t *testing.T) {
	t.Parallel()
	for name, shared := range map[string]bool{"of one process": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			organictest.TestDurableQueue(t, func(*testing.T) organictest.DurableStore {
				return newDisk(shared, "")
			}, organictest.DurableTraits{Shared: shared, LeasesExpire: true})
		})
	}
}

func TestBrokenDurableQueuesFail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault          fault
		check, message string
	}{
		{"second handle opens", "second_handle_refused", "must be refused"},
		{"works after Close", "closed", "Add after Close"},
		{"Close counts as a crash", "closed_with_leases", "lost or late"},
		{"loses what is leased", "crashed", "lost or late"},
		{"crash counts as an attempt", "attempts_survive", "do not count themselves"},
		{"returns count", "attempts_count_failures", "1 plus the number of OutcomeRetry"},
		{"delays end with the process", "delays_survive", "a delay must be kept"},
		{"crashes are not bounded", "crashes_are_bounded", "must not be in the queue"},
		{"expired lease counts", "lease_expiry", "must not count as an attempt"},
		{"second verdict stands", "settled_twice", "second verdict"},
		{"leased ID is accepted", "duplicates", "is leased"},
		{"bound by check and act", "exact_bound_refuses", "as many samples as its capacity"},
		{"drops what is leased", "exact_bound_drops", "must not be dropped"},
		{"no dead letters", "dead_letters", "must become a dead letter"},
		{"put back keeps attempts", "dead_letters_put_back", "no failed attempts"},
		{"put back drops", "dead_letters_stay", "must not drop a sample"},
		{"wrong key is poison", "wrong_key", "ErrUnknownKey"},
	}
	implementation, child := os.LookupEnv(brokenVariable)
	for _, tt := range tests {
		if child && string(tt.fault) == implementation {
			organictest.TestDurableQueue(t, func(*testing.T) organictest.DurableStore {
				return newDisk(false, tt.fault)
			}, organictest.DurableTraits{LeasesExpire: true, Patience: time.Second})
		}
		if !child {
			t.Run(strings.ReplaceAll(string(tt.fault), " ", "_"), func(t *testing.T) {
				t.Parallel()
				requireCaught(
					t,
					"TestBrokenDurableQueuesFail",
					string(tt.fault),
					tt.check,
					tt.message,
				)
			})
		}
	}
}
