package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/sn1/report"
)

// sizeLimit is how large a page may be.
const sizeLimit = 300_000

// newRun returns a run with so many miners, and points of each kind.
func newRun(miners, points int, name string) report.Run {
	random := rand.New(rand.NewPCG(3, 4))
	started := time.Date(2026, time.September, 3, 14, 2, 11, 0, time.UTC)
	run := report.Run{Title: "Run of " + name, Started: started, Ended: started.Add(10 * time.Minute)}
	kinds := []string{"honest", "slow", "failing", "hanging", "copying", "empty", name}
	at := func(i int) time.Duration { return time.Duration(i) * 10 * time.Minute / time.Duration(points) }
	for uid := range uint16(miners) {
		run.Miners = append(run.Miners, report.Miner{
			UID: uid, Name: name, Kind: kinds[int(uid)%len(kinds)], Answers: 999,
			Organic: random.Float64(), Synthetic: math.NaN(), Average: 0.5, Weight: uid * 255, HumanRank: int(uid),
		})
		for i := range points {
			run.Weights = append(run.Weights, report.WeightPoint{At: at(i), UID: uid, Weight: random.Float64()})
		}
	}
	for i := range points {
		run.Queue = append(run.Queue, report.QueuePoint{At: at(i), Queued: random.IntN(5000), InFlight: random.IntN(9)})
		for _, stage := range []string{"QueryMiners", "SetWeights", name} {
			run.Stages = append(run.Stages, report.StagePoint{At: at(i), Stage: stage, Took: time.Duration(random.Int64N(1e10))})
		}
	}
	run.Fates = []report.Fate{{Name: "scored", Count: 1987}, {Name: "dropped"}, {Name: name, Count: 12}}
	return run
}

// write returns the page, after a look at what holds for every page.
func write(t *testing.T, run report.Run) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, report.Write(&out, run))
	requireWellFormed(t, out.String())
	require.Less(t, out.Len(), sizeLimit)
	return out.String()
}

// requireWellFormed parses the plots as XML and checks all numbers in them.
func requireWellFormed(t *testing.T, page string) {
	t.Helper()
	_, body, found := strings.Cut(page, "<body>")
	require.True(t, found)
	body, _, found = strings.Cut(body, "</html>")
	require.True(t, found)
	decoder := xml.NewDecoder(strings.NewReader("<body>" + body))
	ids := map[string]bool{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		require.NotContains(t, []string{"script", "b", "img", "link", "iframe"}, element.Name.Local)
		for _, attr := range element.Attr {
			require.NotRegexp(t, `^(src|href|on.*)$`, attr.Name.Local)
			requireCoordinate(t, attr)
			if attr.Name.Local == "id" {
				require.False(t, ids[attr.Value], "%s twice", attr.Value)
				ids[attr.Value] = true
			}
		}
	}
	require.NotContains(t, page, "NaN")
	require.NotContains(t, page, "Inf")
	require.NotContains(t, page, "ZgotmplZ", "the template refused a value")
	require.NotRegexp(t, `https?://|url\(|@import`, page, "the page needs nothing beside itself")
}

var coordinates = map[string]*regexp.Regexp{
	"d":      regexp.MustCompile(`^M\d+ \d+([HV]\d+)*$`),
	"points": regexp.MustCompile(`^(\d+,\d+(\.\d+)? ?)+$`),
}

// requireCoordinate checks what places something in a plot.
func requireCoordinate(t *testing.T, attr xml.Attr) {
	t.Helper()
	switch name := attr.Name.Local; name {
	case "d", "points":
		require.Regexp(t, coordinates[name], attr.Value)
	case "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height":
		require.Regexp(t, `^-?\d{1,5}(\.\d{1,2})?%?$`, attr.Value, name)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	page := write(t, newRun(10, 50, "alder"))
	for _, want := range []string{
		"<title>Run of alder</title>", "3 September 2026, 14:02:11 to 14:12:11 UTC", "10 min", "9,990",
		`datetime="2026-09-03T14:02:11Z"`, "Weights over time", "Queued", "In flight", "Stage times", "QueryMiners",
		"What became of every sample", "1,987", `<th scope="col" class="number">Human rank</th>`, `<th scope="row" class="who">`,
		"prefers-color-scheme: dark", "@media print",
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "No data")
	require.Equal(t, 10, strings.Count(page, `<path class="line `)-2, "a line for each miner, beside those of the queue")
	for _, plot := range []string{"weights", "queued", "flight", "stages", "fates"} {
		require.Contains(t, page, fmt.Sprintf(`aria-labelledby="%s-title %s-desc"`, plot, plot))
		require.Contains(t, page, fmt.Sprintf(`<title id="%s-title">`, plot))
		require.Contains(t, page, fmt.Sprintf(`<desc id="%s-desc">`, plot))
	}
}

func TestWriteNothing(t *testing.T) {
	t.Parallel()
	page := write(t, report.Run{})
	require.Equal(t, 5, strings.Count(page, "No data"))
	require.Equal(t, 2, strings.Count(page, "not recorded"))
	require.NotContains(t, page, "<svg")
}

func TestWriteOfEachAlone(t *testing.T) {
	t.Parallel()
	full := newRun(1, 1, "alder")
	for name, run := range map[string]report.Run{
		"weights": {Weights: full.Weights}, "queue": {Queue: full.Queue}, "stages": {Stages: full.Stages},
		"fates": {Fates: full.Fates}, "miners": {Miners: full.Miners},
	} {
		require.Equal(t, 4, strings.Count(write(t, run), "No data"), name)
	}
}

func TestWriteOfHostileValues(t *testing.T) {
	t.Parallel()
	started := time.Date(2026, time.September, 3, 0, 0, 0, 0, time.UTC)
	run := report.Run{Started: started, Ended: started.Add(-time.Hour), Fates: []report.Fate{{Count: math.MaxUint64}, {Count: 1}}}
	for i, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		at := []time.Duration{math.MinInt64, -1, 0, 1, time.Hour, math.MaxInt64}[i]
		run.Weights = append(run.Weights, report.WeightPoint{At: at, UID: uint16(i), Weight: value})
		run.Stages = append(run.Stages, report.StagePoint{At: at, Stage: fmt.Sprint(i), Took: at})
		run.Queue = append(run.Queue, report.QueuePoint{At: at, Queued: int(at), InFlight: math.MaxInt})
		run.Miners = append(run.Miners, report.Miner{Answers: math.MinInt, Organic: value, Synthetic: value, Average: value, HumanRank: -1})
	}
	page := write(t, run)
	require.Contains(t, page, "18,446,744,073,709,551,615")
	require.Equal(t, 3, strings.Count(page, `<path class="line `)-2, "weights that are no numbers have no line")
}

func TestWriteOnlyOfWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	page := write(t, report.Run{
		Weights: []report.WeightPoint{{Weight: math.NaN()}},
		Stages:  []report.StagePoint{{Stage: "QueryMiners", Took: -1}},
	})
	require.Equal(t, 5, strings.Count(page, "No data"))
}

func TestWriteEscapesNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		`</title><script>alert(1)</script>`, `"><img src=x>`, `'onload='`, `{{.Title}}`, "a\x00\x01\u202e\xff\ufffe",
		`</svg></style>-->]]>`, `&lt;b&gt;&amp;`, strings.Repeat("<", 100_000),
	} {
		page := write(t, newRun(7, 3, name))
		require.NotContains(t, page, "<script")
		require.NotContains(t, page, "<img")
		require.NotContains(t, page, "onload='")
		require.Equal(t, 1, strings.Count(page, "</style>"))
	}
	require.Contains(t, write(t, newRun(1, 1, "{{.Title}}")), "{{.Title}}", "a name is no template")
	require.Contains(t, write(t, newRun(1, 1, "&lt;")), "&amp;lt;", "nor is it markup")
}

func TestWriteManyPoints(t *testing.T) {
	t.Parallel()
	write(t, newRun(10, 5000, "alder"))
	page := write(t, newRun(256, 100, strings.Repeat(`"`, 1000)))
	require.Contains(t, page, "192 more are not")
}

func TestWriteManyRows(t *testing.T) {
	t.Parallel()
	var run report.Run
	for i := range 1000 {
		run.Fates = append(run.Fates, report.Fate{Name: fmt.Sprint("fate ", i), Count: uint64(i)})
		run.Stages = append(run.Stages, report.StagePoint{Stage: fmt.Sprint("stage ", i), Took: time.Duration(i)})
	}
	page := write(t, run)
	require.Contains(t, page, "968 more are not shown")
	require.Contains(t, page, "968 more stages are not shown")
}

func TestWriteTakesPointsInAnyOrder(t *testing.T) {
	t.Parallel()
	run := newRun(3, 20, "alder")
	want := write(t, run)
	slices.Reverse(run.Weights)
	slices.Reverse(run.Queue)
	before := slices.Clone(run.Weights)
	require.Equal(t, want, write(t, run))
	require.Equal(t, before, run.Weights, "and leaves them in theirs")
}

func TestTableOrder(t *testing.T) {
	t.Parallel()
	page := write(t, report.Run{Miners: []report.Miner{
		{UID: 7, Name: "birch", Weight: 5}, {UID: 1, Name: "cedar", Weight: 5}, {UID: 9, Name: "alder", Weight: 65_535, HumanRank: 2},
	}})
	require.Regexp(t, `(?s)alder.*65,535</td><td class="number">2<.*cedar.*birch.*>–<`, page)
}

// fullDisk is a writer that fails.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriteReturnsTheWritersError(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, report.Write(fullDisk{}, report.Run{}), io.ErrShortWrite)
}
