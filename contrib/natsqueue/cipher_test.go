package natsqueue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue"
)

// TestAESGCMWithoutKeys: one that was not made as it should be is an error, not
// a panic.
func TestAESGCMWithoutKeys(t *testing.T) {
	t.Parallel()
	var cipher natsqueue.AESGCM
	_, err := cipher.Seal([]byte("plain"), nil)
	require.ErrorContains(t, err, "NewAESGCM")
	_, err = cipher.Open([]byte{1, 0, 1}, nil)
	require.ErrorContains(t, err, "NewAESGCM")
}
