package axon_test

import (
	"math"
	"net/http"
	"net/netip"
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
		{
			"negative limit", hotkey, axon.WithLimits(axon.Limits{Serving: -1}),
			"WithLimits: Serving is -1",
		},
		{
			"negative time", hotkey, axon.WithLimits(axon.Limits{BodyTime: -1}),
			"WithLimits: BodyTime is -1",
		},
		{"negative cap", hotkey, axon.WithTimeoutCap(-time.Second), "WithTimeoutCap: -1s"},
		{"cap of hours", hotkey, axon.WithTimeoutCap(time.Hour), "WithTimeoutCap: 1h0m0s"},
		{"no rate", hotkey, axon.WithHotkeyRate(0, 1), "WithHotkeyRate: (0, 1)"},
		{"no burst", hotkey, axon.WithAddressRate(1, 0), "WithAddressRate: (1, 0)"},
		{
			"rate that is no number", hotkey, axon.WithAddressRate(math.NaN(), 1),
			"WithAddressRate: (NaN, 1)",
		},
		{"nil list", hotkey, axon.WithAllowList(nil), "WithAllowList: nil"},
		{"nil schemes", hotkey, axon.WithSchemes(nil), "WithSchemes: nil"},
		{"nil target", hotkey, axon.WithTarget(nil), "WithTarget: nil"},
		{"no age", hotkey, axon.WithFreshness(0, time.Second), "WithFreshness: (0s, 1s)"},
		{
			"unlimited age", hotkey, axon.WithFreshness(time.Hour, time.Second),
			"WithFreshness: (1h0m0s, 1s)",
		},
		{"negative allowance", hotkey, axon.WithFreshness(time.Second, -1), "WithFreshness: (1s, -1ns)"},
		{
			"unlimited allowance", hotkey, axon.WithFreshness(time.Second, time.Hour),
			"WithFreshness: (1s, 1h0m0s)",
		},
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
	_, err := axon.New(keys.Hotkey{}, axon.WithLogger(nil),
		axon.WithLimits(axon.Limits{Waiting: -2, Replays: -3}))
	for _, want := range []string{"hotkey", "WithLogger", "Waiting is -2", "Replays is -3"} {
		require.ErrorContains(t, err, want)
	}
}

func TestListsReportAllAtOnce(t *testing.T) {
	t.Parallel()
	hotkey := keypairFromURI(t, "//Bob").Hotkey()
	_, err := axon.New(hotkey, axon.WithTrustedProxies(netip.Prefix{}, netip.MustParsePrefix("::/0"),
		netip.MustParsePrefix("10.0.0.0/8")))
	require.ErrorContains(t, err, "invalid Prefix")
	require.ErrorContains(t, err, "::/0")
	require.NotContains(t, err.Error(), "10.0.0.0/8")
}

func TestRoutesReportAllAtOnce(t *testing.T) {
	t.Parallel()
	server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey())
	require.NoError(t, err)
	_, err = server.Route("chat", nil, axon.WithMethods("get", "POST", "LINK"), axon.WithBearer(nil),
		axon.WithUnhashedBody())
	for _, want := range []string{
		`"chat"`, "an option is nil", `"get"`, `"LINK"`, "WithBearer",
		"WithUnhashedBody",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = server.Synapse(axon.Class{Name: "no name"}, axon.WithSchemes(nil), axon.WithEpistula(),
		axon.WithUnaddressed())
	require.ErrorIs(t, err, axon.ErrBadClass)
	require.ErrorIs(t, err, axon.ErrUnhashedRoute)
	for _, want := range []string{"WithSchemes", "only for Route", "WithUnaddressed"} {
		require.ErrorContains(t, err, want)
	}
}

func TestRoutesRefuseBadOptions(t *testing.T) {
	t.Parallel()
	synapse := func(class axon.Class, opts ...axon.RouteOption) func(*axon.Server) error {
		return func(s *axon.Server) error { _, err := s.Synapse(class, opts...); return err }
	}
	route := func(path string, opts ...axon.RouteOption) func(*axon.Server) error {
		return func(s *axon.Server) error { _, err := s.Route(path, opts...); return err }
	}
	other := axon.Class{Name: "Other", Hashed: organicClass.Hashed}
	for _, tt := range []struct {
		name string
		add  func(*axon.Server) error
		want error
		text string
	}{
		{"no name", synapse(axon.Class{Hashed: organicClass.Hashed}), axon.ErrBadClass, ""},
		{"no hashed fields", synapse(axon.Class{Name: "Ping"}), axon.ErrUnhashedRoute, "Ping"},
		{"path that is taken", route("/Organic"), axon.ErrRouteTaken, "/Organic"},
		{"class that is taken", synapse(organicClass), axon.ErrRouteTaken, "/Organic"},
		{"path without slash", route("chat"), axon.ErrInvalidOption, `"chat"`},
		{"no path", route(""), axon.ErrInvalidOption, "slash"},
		{"nil option", route("/chat", nil), axon.ErrInvalidOption, "nil"},
		{"nil list", route("/chat", axon.WithAllowList(nil)), axon.ErrInvalidOption, "WithAllowList"},
		{
			"unhashed body on a path", route("/chat", axon.WithUnhashedBody()), axon.ErrInvalidOption,
			"WithUnhashedBody",
		},
		{
			"unaddressed requests of dendrites", synapse(other, axon.WithUnaddressed()),
			axon.ErrInvalidOption, "WithUnaddressed",
		},
		{
			"methods of a class", synapse(other, axon.WithMethods("GET")), axon.ErrInvalidOption,
			"only for Route",
		},
		{
			"Epistula on a class", synapse(other, axon.WithEpistula()), axon.ErrInvalidOption,
			"only for Route",
		},
		{
			"Epistula 1 on a class", synapse(other, axon.WithEpistulaV1()), axon.ErrInvalidOption,
			"only for Route",
		},
		{"path that is not encoded", route("/é"), axon.ErrInvalidOption, "percent-encoded"},
		{"path with a space", route("/a b"), axon.ErrInvalidOption, "percent-encoded"},
		{"path with a query", route("/chat?x=1"), axon.ErrInvalidOption, "percent-encoded"},
		{"encoded path with a query", route("/a%20b?x=1"), axon.ErrInvalidOption, "percent-encoded"},
		{"encoded path with a space", route("/a%20b c"), axon.ErrInvalidOption, "percent-encoded"},
		{"encoded path with a fragment", route("/a%20b#c"), axon.ErrInvalidOption, "percent-encoded"},
		{"path with a broken escape", route("/a%2"), axon.ErrInvalidOption, "percent-encoded"},
		{
			"nil bearer function", route("/chat", axon.WithBearer(nil)), axon.ErrInvalidOption,
			"WithBearer",
		},
		{"nil schemes", route("/chat", axon.WithSchemes(nil)), axon.ErrInvalidOption, "WithSchemes"},
		{"nil target", route("/chat", axon.WithTarget(nil)), axon.ErrInvalidOption, "WithTarget"},
		{"no method", route("/chat", axon.WithMethods()), axon.ErrInvalidOption, "no method"},
		{
			"odd method", route("/chat", axon.WithMethods(http.MethodGet, "get")), axon.ErrInvalidOption,
			`"get"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey())
			require.NoError(t, err)
			_, err = server.Synapse(organicClass)
			require.NoError(t, err)
			err = tt.add(server)
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.text)
		})
	}
}
