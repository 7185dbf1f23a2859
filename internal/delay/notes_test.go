package delay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/delay"
)

func TestNotesGoWhenTheirTimeHasCome(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	notes := delay.Notes{Limit: 3}
	notes.Remove("none")
	require.Zero(t, notes.Len(now))
	notes.Add("a", now, now.Add(time.Second))
	notes.Add("b", now, now.Add(2*time.Second))
	notes.Add("b", now, now.Add(3*time.Second)) // once
	notes.Add("c", now, now.Add(4*time.Second))
	notes.Add("beyond the limit", now, now.Add(time.Hour))
	require.Equal(t, 3, notes.Len(now))
	require.Equal(t, 2, notes.Len(now.Add(time.Second)))
	require.Equal(t, 2, notes.Len(now.Add(2*time.Second)))
	notes.Remove("c")
	require.Equal(t, 1, notes.Len(now.Add(2*time.Second)))
	require.Zero(t, notes.Len(now.Add(3*time.Second)))
}

func TestNotesThatAreFullForgetThePastFirst(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	notes := delay.Notes{Limit: 2}
	notes.Add("a", now, now.Add(time.Second))
	notes.Add("b", now, now.Add(time.Minute))
	notes.Add("c", now, now.Add(time.Hour))
	notes.Add("b", now, now.Add(2*time.Hour))
	require.Equal(t, 1, notes.Len(now.Add(time.Hour)), "b goes on, c was not noted")

	notes.Add("d", now, now.Add(3*time.Hour))
	notes.Add("e", now.Add(2*time.Hour), now.Add(4*time.Hour))
	require.Equal(t, 1, notes.Len(now.Add(3*time.Hour)), "e takes the place of b")
}
