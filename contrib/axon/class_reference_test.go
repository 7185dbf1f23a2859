package axon_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// pythonOf is the plain way to the Python text of a JSON value: decode, walk,
// concatenate.
func pythonOf(t *testing.T, text string, top bool) string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return pythonNext(t, decoder, top)
}

func pythonNext(t *testing.T, decoder *json.Decoder, top bool) string {
	t.Helper()
	token, err := decoder.Token()
	require.NoError(t, err)
	switch v := token.(type) {
	case nil:
		return "None"
	case bool:
		return map[bool]string{true: "True", false: "False"}[v]
	case json.Number:
		return pythonNumber(t, v.String())
	case string:
		if top {
			return v
		}
		return pythonRepr(v)
	}
	var parts []string
	for decoder.More() {
		part := pythonNext(t, decoder, false)
		if token == json.Delim('{') {
			part += ": " + pythonNext(t, decoder, false)
		}
		parts = append(parts, part)
	}
	end, err := decoder.Token()
	require.NoError(t, err)
	return fmt.Sprint(token) + strings.Join(parts, ", ") + fmt.Sprint(end)
}

// pythonNumber lays the digits of a number out by hand.
func pythonNumber(t *testing.T, text string) string {
	t.Helper()
	if !strings.ContainsAny(text, ".eE") {
		if text == "-0" {
			return "0"
		}
		return text
	}
	f, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	power, err := strconv.Atoi(exponent)
	require.NoError(t, err)
	digits := strings.Replace(mantissa, ".", "", 1)
	switch {
	case power < -4 || power >= 16:
		return fmt.Sprintf("%s%se%+03d", sign, mantissa, power)
	case power < 0:
		return sign + "0." + strings.Repeat("0", -power-1) + digits
	case power+1 >= len(digits):
		return sign + digits + strings.Repeat("0", power+1-len(digits)) + ".0"
	default:
		return sign + digits[:power+1] + "." + digits[power+1:]
	}
}

func pythonRepr(text string) string {
	quote := "'"
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		quote = `"`
	}
	var b strings.Builder
	for _, r := range text {
		short, isShort := map[rune]string{'\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`}[r]
		switch {
		case isShort:
			b.WriteString(short)
		case string(r) == quote:
			b.WriteString(`\` + quote)
		case r == ' ' || unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return quote + b.String() + quote
}

// generator writes random JSON.
type generator struct {
	*rand.Rand
	out bytes.Buffer
}

func (g *generator) space() { g.out.WriteString([]string{"", "", "", " ", "\n\t\r "}[g.IntN(5)]) }

func (g *generator) value(depth int) {
	g.space()
	kind := g.IntN(9)
	if depth == 0 {
		kind = g.IntN(7)
	}
	switch kind {
	case 0:
		g.out.WriteString([]string{"null", "true", "false"}[g.IntN(3)])
	case 1, 2, 3:
		g.number()
	case 4, 5, 6:
		g.text("")
	case 7:
		g.container('[', ']', depth, func(int) {})
	default:
		g.container('{', '}', depth, func(i int) {
			g.space()
			g.text(strconv.Itoa(i))
			g.space()
			g.out.WriteByte(':')
		})
	}
	g.space()
}

func (g *generator) container(open, end byte, depth int, before func(i int)) {
	g.out.WriteByte(open)
	g.space()
	for i := range g.IntN(5) {
		if i > 0 {
			g.out.WriteByte(',')
		}
		before(i)
		g.value(depth - 1)
	}
	g.out.WriteByte(end)
}

func (g *generator) number() {
	var f float64
	switch g.IntN(6) {
	case 0:
		g.out.WriteString(strconv.FormatInt(g.Int64()>>g.IntN(64)*int64(1-2*g.IntN(2)), 10))
		return
	case 1:
		g.out.WriteString([]string{
			"-0", "-0.0", "0e5", "1E+22", "123456789012345678901234567890",
			"5e-324", "1e23", "0.1000000000000000055511151231257827",
		}[g.IntN(8)])
		return
	case 2:
		f = g.NormFloat64()
	case 3:
		f = float64(g.IntN(2000)-1000) / 8
	case 4:
		f = g.Float64() * []float64{1e-5, 1e-4, 1e-3, 1e15, 1e16, 1e17}[g.IntN(6)]
	default:
		f = g.ExpFloat64() * []float64{1e-300, 1e300, 1e-30, 1e30}[g.IntN(4)]
	}
	g.out.WriteString(strconv.FormatFloat(f, "eEfg"[g.IntN(4)], g.IntN(25)-1, 64))
}

// text writes a string that begins with prefix.
func (g *generator) text(prefix string) {
	runes := []rune(prefix)
	for range g.IntN(12) {
		runes = append(runes, g.rune())
	}
	g.out.WriteByte('"')
	for _, r := range runes {
		switch {
		case g.IntN(4) == 0:
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&g.out, []string{`\u%04x`, `\u%04X`}[g.IntN(2)], unit)
			}
		case r < ' ' || r == '"' || r == '\\':
			quoted, _ := json.Marshal(string(r))
			g.out.Write(quoted[1 : len(quoted)-1])
		default:
			g.out.WriteRune(r)
		}
	}
	g.out.WriteByte('"')
}

func (g *generator) rune() rune {
	common := []rune("abc xyz'\"\\/\n\t\r\x00\x7f\u0085\u00a0éß\u200b\u2028—漢🚀\U000e0001\U0010ffff")
	for g.IntN(3) == 0 {
		if r := g.Int32N(unicode.MaxRune + 1); !utf16.IsSurrogate(r) {
			return r
		}
	}
	return common[g.IntN(len(common))]
}

func TestBodyHashAgreesWithAPlainReading(t *testing.T) {
	t.Parallel()
	g := &generator{Rand: rand.New(rand.NewPCG(1, 2))}
	hash, err := axon.Hasher(classOf(axon.Any()))
	require.NoError(t, err)
	for range 5000 {
		g.out.Reset()
		g.value(4)
		value := g.out.String()
		want := pythonOf(t, value, true)
		got, err := hash(nil, bodyOf(value))
		require.NoError(t, err, value)
		require.Equal(t, bodyHash(want), string(got), "%s is %s", value, want)
	}
}
