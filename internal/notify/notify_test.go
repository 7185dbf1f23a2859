package notify_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/notify"
)

func TestSignalIsKeptAndCountsOnce(t *testing.T) {
	t.Parallel()
	signal := notify.NewSignal()
	signal.Set()
	signal.Set()
	<-signal
	select {
	case <-signal:
		require.Fail(t, "a signal that was set twice is received once")
	default:
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	channel := make(chan struct{})
	require.False(t, notify.Closed(channel))
	close(channel)
	require.True(t, notify.Closed(channel))
}

func TestListKeepsValuesUntilTheyAreRemoved(t *testing.T) {
	t.Parallel()
	var list notify.List[string]
	require.Empty(t, list.All())
	removeFirst := list.Add("same")
	removeSecond := list.Add("same")
	require.Len(t, list.All(), 2)
	removeFirst()
	removeFirst()
	require.Len(t, list.All(), 1, "of equal values only the one that was added")
	removeSecond()
	require.Empty(t, list.All())
}

func TestBroadcastWakesAllThatListen(t *testing.T) {
	t.Parallel()
	var broadcast notify.Broadcast
	var listeners sync.WaitGroup
	var stops []func()
	for range 10 {
		signal, stop := broadcast.Listen()
		stops = append(stops, stop)
		listeners.Go(func() { <-signal })
	}
	broadcast.Send()
	listeners.Wait()
	for _, stop := range stops {
		stop()
	}
	broadcast.Send()
}
