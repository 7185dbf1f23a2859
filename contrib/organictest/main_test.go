package organictest_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets many tests run at the same time: nearly all of them wait, for a
// queue that hangs or for something that must not happen.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "24"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
