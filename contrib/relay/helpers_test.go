package relay_test

import (
	"errors"
	"strings"
)

var errMishap = errors.New("mishap")

// events is an SSE stream in which each event is one data line.
func events(data ...string) string {
	var stream strings.Builder
	for _, line := range data {
		stream.WriteString("data: " + line + "\n\n")
	}
	return stream.String()
}
