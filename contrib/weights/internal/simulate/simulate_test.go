package main

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/weights"
)

// full is the table of the documentation: 64 miners, 3,000 rounds, 3 seeds. It is computed once.
var full = sync.OnceValues(func() ([][]float64, error) {
	s, rules, guards := defaults()
	return table(s, rows(s), columns(rules, guards))
})

// skipUnderRace skips what takes too long with the race detector; the numbers are the same without.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceDetector || testing.Short() {
		t.Skip("takes some minutes with the race detector")
	}
}

// TestDefaultGuardsMakeCheatingUnprofitable holds the default guards to their targets, under every
// rule of the table.
func TestDefaultGuardsMakeCheatingUnprofitable(t *testing.T) {
	t.Parallel()
	skipUnderRace(t)
	s, rules, _ := defaults()
	numbers, err := full()
	require.NoError(t, err)
	for i, r := range rows(s) {
		for j, rule := range rules {
			number := numbers[i][2*j+1] // with guards
			switch {
			case strings.HasPrefix(r.name, "sabotage"):
				require.LessOrEqual(t, number, 1.15, "%s under %v", r.name, rule)
			case strings.HasPrefix(r.name, "lowest honest"):
				require.GreaterOrEqual(t, number, 0.9, "%s under %v", r.name, rule)
			case strings.HasPrefix(r.name, "highest honest"):
				require.LessOrEqual(t, number, 1.1, "%s under %v", r.name, rule)
			case !strings.HasPrefix(r.name, "better"):
				require.LessOrEqual(t, number, 1.25, "%s under %v", r.name, rule)
			case rule == weights.Hold(0.01) || rule == weights.Window(256, 0): // the long ones
				require.GreaterOrEqual(t, number, 95.0, "%s under %v", r.name, rule)
			}
		}
	}
}

func TestTheTableInTheDocumentationIsWhatTheProgramPrints(t *testing.T) {
	t.Parallel()
	skipUnderRace(t)
	s, rules, _ := defaults()
	numbers, err := full()
	require.NoError(t, err)
	page, err := os.ReadFile("../../../../docs/weights.md")
	require.NoError(t, err)
	var indented strings.Builder
	for line := range strings.Lines(format(s, rules, numbers)) {
		if line != "\n" {
			line = "    " + line
		}
		indented.WriteString(line)
	}
	require.Contains(t, string(page), indented.String())
}

// TestASmallSubnetIsProtectedToo is a part of the table that is fast under the race detector.
func TestASmallSubnetIsProtectedToo(t *testing.T) {
	t.Parallel()
	s, _, guards := defaults()
	s.miners, s.rounds, s.asked, s.seeds = 16, 600, 8, 2
	for _, c := range cheaters() {
		o, err := simulate(s, column{weights.Window(64, 0), guards}, c)
		require.NoError(t, err)
		require.LessOrEqual(t, o.cheater, 1.15, c.name)
	}
}

func TestRunsAreRepeatable(t *testing.T) {
	t.Parallel()
	s, rules, guards := defaults()
	s.rounds, s.seeds = 300, 1
	for _, c := range cheaters() {
		first, err := simulate(s, column{rules[0], guards}, c)
		require.NoError(t, err)
		second, err := simulate(s, column{rules[0], guards}, c)
		require.NoError(t, err)
		require.Equal(t, first, second, c.name)
	}
}

func TestBadFlagsAreErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "hold", "hold:x", "mean:1", "hold:0.1,"} {
		_, err := parseRules(text)
		require.ErrorContains(t, err, "-rules", text)
	}
	for _, text := range []string{"", "1", "a,b", "1;2"} {
		_, err := parseBand(text)
		require.ErrorContains(t, err, "-band", text)
	}
	s, rules, _ := defaults()
	guard, err := parseBand("2,0")
	require.NoError(t, err)
	_, err = simulate(s, column{rules[0], []weights.Guard{guard}}, cheater{})
	require.ErrorContains(t, err, "AroundSynthetic(2, 0)")
}
