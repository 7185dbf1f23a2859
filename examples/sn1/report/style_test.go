package report_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// palette reads the colours of a part of the style sheet.
func palette(t *testing.T, style string) map[string]string {
	t.Helper()
	colours := map[string]string{}
	for _, match := range regexp.MustCompile(`--(\w+): (#[0-9a-f]{6})`).FindAllStringSubmatch(style, -1) {
		colours[match[1]] = match[2]
	}
	require.GreaterOrEqual(t, len(colours), 17)
	return colours
}

// luminance is that of WCAG 2.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var rgb [3]uint8
	_, err := fmt.Sscanf(colour, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2])
	require.NoError(t, err, colour)
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		part := float64(rgb[i]) / 255
		if part <= 0.04045 {
			sum += weight * part / 12.92
		} else {
			sum += weight * math.Pow((part+0.055)/1.055, 2.4)
		}
	}
	return sum
}

func TestContrast(t *testing.T) {
	t.Parallel()
	style, err := os.ReadFile("style.html")
	require.NoError(t, err)
	light, dark, found := strings.Cut(string(style), "prefers-color-scheme: dark")
	require.True(t, found)
	for name, colours := range map[string]map[string]string{"light": palette(t, light), "dark": palette(t, dark)} {
		for _, ground := range []string{"page", "card"} {
			for colour := range colours {
				least := 3.0 // of lines
				switch colour {
				case "ink", "soft":
					least = 4.5 // of text
				case "page", "card", "rule", "grid", "fill": // what carries no meaning alone
					continue
				}
				a, b := luminance(t, colours[ground]), luminance(t, colours[colour])
				require.GreaterOrEqual(t, (max(a, b)+0.05)/(min(a, b)+0.05), least, "%s: %s on %s", name, colour, ground)
			}
		}
	}
}
