package axon_test

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// sizedBodies are bodies that can be made as large as one likes. All but the
// first ask for as much work or memory as they can.
var sizedBodies = []struct {
	name string
	typ  axon.Type
	body func(size int) []byte
}{
	{"a prompt", axon.Str(), repeated(`"`, "What is two plus two? ", `"`)},
	{"escapes", axon.Str(), repeated(`"`, `\n\u00e9\ud83d\ude80`, `"`)},
	{"unprintable text", axon.Any(), repeated(`["`, "\u200b\x7f", `"]`)},
	{"many strings", axon.List(axon.Str()), repeated(`[`, `"\n'\"",`, `""]`)},
	{"messages", messagesType, repeated(`[`, `{"content": "it's \"x\"", "role": "user"},`,
		`{"role": "", "content": ""}]`)},
	{
		"defaults", axon.List(axon.Model(withDefault("n", axon.Int(), "1"))),
		repeated(`[`, `{},`, `{}]`),
	},
	{"nests", axon.Any(), repeated(`[`, strings.Repeat("[", 60)+strings.Repeat("]", 60)+",", `[]]`)},
	{
		"floats", axon.List(axon.Float()),
		repeated(`[`, `1e15,0.123456789012345678901234567890123456789,`, `1]`),
	},
	{"many keys", axon.Dict(axon.Int()), numbered(`{`, `"%d":1,`, `"z":1}`)},
	{"many escaped keys", axon.Any(), numbered(`{`, `"\u0041%d":1,`, `"z":1}`)},
	{"many unknown keys", axon.Model(), numbered(`{`, `"%d":1,`, `"z":1}`)},
	{"many keys at the top", axon.Str(), numbered(`"x"`, `,"\u0047%d":1`, ``)},
	{"a long key", axon.Dict(axon.Int()), repeated(`{"`, `\u00e9`, `":1}`)},
	{"refused: a key twice at the end", axon.Any(), numbered(`{`, `"%d":1,`, `"0":1}`)},
	{"refused: a string without end", axon.Str(), repeated(`"`, `\"`, ``)},
	{"refused: brackets", axon.Any(), repeated(``, `[`, ``)},
	{"refused: objects", axon.Any(), repeated(``, `{"a":`, ``)},
	{"refused: half a pair at the end", axon.Str(), repeated(`"`, `\\`, `\ud800"`)},
	{"refused: a number beyond double", axon.Float(), repeated(``, `9`, `e999`)},
}

var messagesType = axon.List(axon.Model(field("role", axon.Str()), field("content", axon.Str())))

func repeated(before, part, behind string) func(size int) []byte {
	return func(size int) []byte {
		return bodyOf(before + strings.Repeat(part, size/len(part)) + behind)
	}
}

func numbered(before, part, behind string) func(size int) []byte {
	return func(size int) []byte {
		var b strings.Builder
		b.WriteString(before)
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, part, i)
		}
		b.WriteString(behind)
		return bodyOf(b.String())
	}
}

// TestBodyHashAllocatesNoMoreForALargeBody runs alone: it counts what the whole
// process allocates. A pool may lose what it holds, under the race detector it
// does so on purpose, so that each gets more than one try.
func TestBodyHashAllocatesNoMoreForALargeBody(t *testing.T) {
	const enough = 2048
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, tt := range sizedBodies {
		t.Run(tt.name, func(t *testing.T) {
			hash, err := axon.Hasher(classOf(tt.typ))
			require.NoError(t, err)
			for _, size := range []int{1 << 10, 1 << 20} {
				body := tt.body(size)
				_, err := hash(nil, body)
				require.Equal(t, strings.HasPrefix(tt.name, "refused"), err != nil, "%v", err)
				least := ^uint64(0)
				for try := 0; try < 30 && least > enough; try++ {
					least = min(least, allocated(func() { _, _ = hash(nil, body) }))
				}
				require.LessOrEqual(t, least, uint64(enough), "%d bytes", size)
			}
		})
	}
}

func allocated(run func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestBodyHashOfALargeBodyIsRight(t *testing.T) {
	t.Parallel()
	body := repeated(`["`, `'\"\u200b`, `"]`)(1 << 20)
	got, err := classOf(axon.List(axon.Str())).BodyHash(body)
	require.NoError(t, err)
	require.Equal(t, bodyHash(`['`+strings.Repeat(`\'"\u200b`, (1<<20)/9)+`']`), got)
}
