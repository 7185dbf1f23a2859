package axon_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

func TestNewRefusesBadOptions(t *testing.T) {
	t.Parallel()
	hotkey := keypairFromURI(t, "//Bob").Hotkey()
	for _, tt := range []struct {
		name   string
		hotkey keys.Hotkey
		option axon.Option
		want   string
	}{
		{"no hotkey", keys.Hotkey{}, axon.WithWrappedBytes(), "New: the hotkey is all zero"},
		{"nil option", hotkey, nil, "New: an option is nil"},
		{"negative limit", hotkey, axon.WithLimits(axon.Limits{Serving: -1}), "WithLimits: Serving is -1"},
		{"negative time", hotkey, axon.WithLimits(axon.Limits{BodyTime: -1}), "WithLimits: BodyTime is -1"},
		{"negative cap", hotkey, axon.WithTimeoutCap(-time.Second), "WithTimeoutCap: -1s"},
		{"cap of hours", hotkey, axon.WithTimeoutCap(time.Hour), "WithTimeoutCap: 1h0m0s"},
		{"no rate", hotkey, axon.WithHotkeyRate(0, 1), "WithHotkeyRate: (0, 1)"},
		{"no burst", hotkey, axon.WithAddressRate(1, 0), "WithAddressRate: (1, 0)"},
		{"rate that is no number", hotkey, axon.WithAddressRate(math.NaN(), 1), "WithAddressRate: (NaN, 1)"},
		{"nil list", hotkey, axon.WithAllowList(nil), "WithAllowList: nil"},
		{"nil logger", hotkey, axon.WithLogger(nil), "WithLogger: nil"},
		{"nil clock", hotkey, axon.WithClock(nil), "WithClock: nil"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, err := axon.New(tt.hotkey, tt.option)
			require.Nil(t, server)
			require.ErrorIs(t, err, axon.ErrInvalidOption)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestNewReportsAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := axon.New(keys.Hotkey{}, axon.WithLogger(nil), axon.WithLimits(axon.Limits{Waiting: -2, Replays: -3}))
	for _, want := range []string{"hotkey", "WithLogger", "Waiting is -2", "Replays is -3"} {
		require.ErrorContains(t, err, want)
	}
}

func TestRoutesRefuseBadOptions(t *testing.T) {
	t.Parallel()
	bittensor := func(class axon.Class, opts ...axon.RouteOption) func(*axon.Server) error {
		return func(s *axon.Server) error { _, err := s.Bittensor(class, opts...); return err }
	}
	epistula := func(path string, opts ...axon.RouteOption) func(*axon.Server) error {
		return func(s *axon.Server) error { _, err := s.Epistula(path, opts...); return err }
	}
	for _, tt := range []struct {
		name string
		add  func(*axon.Server) error
		want error
		text string
	}{
		{"no name", bittensor(axon.Class{Hashed: organicClass.Hashed}), axon.ErrBadClass, ""},
		{"no hashed fields", bittensor(axon.Class{Name: "Ping"}), axon.ErrUnhashedRoute, "Ping"},
		{"path that is taken", epistula("/Organic"), axon.ErrRouteTaken, "/Organic"},
		{"class that is taken", bittensor(organicClass), axon.ErrRouteTaken, "/Organic"},
		{"path without slash", epistula("chat"), axon.ErrInvalidOption, `"chat"`},
		{"no path", epistula(""), axon.ErrInvalidOption, "slash"},
		{"nil option", epistula("/chat", nil), axon.ErrInvalidOption, "nil"},
		{"nil list", epistula("/chat", axon.WithAllowList(nil)), axon.ErrInvalidOption, "WithAllowList"},
		{"unhashed Epistula", epistula("/chat", axon.WithUnhashedBody()), axon.ErrInvalidOption, "WithUnhashedBody"},
		{"unaddressed Bittensor", bittensor(axon.Class{Name: "Other", Hashed: organicClass.Hashed}, axon.WithUnaddressed()), axon.ErrInvalidOption, "Epistula"},
		{"methods of Bittensor", bittensor(axon.Class{Name: "Other", Hashed: organicClass.Hashed}, axon.WithMethods("GET")), axon.ErrInvalidOption, "Epistula"},
		{"no method", epistula("/chat", axon.WithMethods()), axon.ErrInvalidOption, "no method"},
		{"odd method", epistula("/chat", axon.WithMethods(http.MethodGet, "get")), axon.ErrInvalidOption, `"get"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey())
			require.NoError(t, err)
			_, err = server.Bittensor(organicClass)
			require.NoError(t, err)
			err = tt.add(server)
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.text)
		})
	}
}
