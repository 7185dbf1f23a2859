package axon_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestEnvelopes signs every body, so that nothing but its envelope is judged.
func TestEnvelopes(t *testing.T) {
	t.Parallel()
	alice, bob := keypairFromURI(t, "//Alice"), keypairFromURI(t, "//Bob")
	now := time.Unix(1_750_000_000, 0)
	const good = `"nonce": 1750000000000000000, "signed_by": "` + aliceAddress + `", "signed_for": "` + bobAddress + `", "version": 1`
	with := func(old, replaced string) string {
		require.Contains(t, good, old)
		return "{" + strings.Replace(good, old, replaced, 1) + "}"
	}
	for _, tt := range []struct {
		name   string
		body   string
		status int
		reason axon.Reason
	}{
		{"good", "{" + good + "}", 200, ""},
		{"with data", `{"data": {"nonce": 7, "Version": [2]}, ` + good + "}", 200, ""},
		{"no JSON", "nonsense", 400, axon.ReasonBody},
		{"empty", "", 400, axon.ReasonBody},
		{"a list", "[]", 400, axon.ReasonBody},
		{"not UTF-8", "{\"data\": \"\xff\", " + good + "}", 400, axon.ReasonBody},
		{"nonce missing", with(`"nonce": 1750000000000000000, `, ""), 400, axon.ReasonBody},
		{"nonce twice", `{"nonce": 1750000000000000000, ` + good + "}", 400, axon.ReasonBody},
		{"nonce in two cases", `{"NONCE": 1750000000000000000, ` + good + "}", 400, axon.ReasonBody},
		{"nonce a text", with("1750000000000000000", `"1750000000000000000"`), 400, axon.ReasonBody},
		{
			"nonce with a fraction", with("1750000000000000000", "1750000000000000000.0"), 400,
			axon.ReasonBody,
		},
		{"nonce negative", with("1750000000000000000", "-1750000000000000000"), 401, axon.ReasonShape},
		{
			"nonce of 20 digits", with("1750000000000000000", "17500000000000000000"), 401,
			axon.ReasonShape,
		},
		{
			"nonce of 4 000 digits", with("1750000000000000000", strings.Repeat("9", 4000)), 400,
			axon.ReasonBody,
		},
		{"nonce in milliseconds", with("1750000000000000000", "1750000000000"), 401, axon.ReasonStale},
		{"version missing", with(`, "version": 1`, ""), 400, axon.ReasonBody},
		{"version 2", with(`"version": 1`, `"version": 2`), 401, axon.ReasonVersion},
		{
			"version huge", with(`"version": 1`, `"version": 99999999999999999999999`), 401,
			axon.ReasonVersion,
		},
		{"signed_by short", with(aliceAddress, "5Grw"), 401, axon.ReasonShape},
		{"signed_by null", with(`"`+aliceAddress+`"`, "null"), 400, axon.ReasonBody},
		{
			"signed_by of a mebibyte", with(aliceAddress, strings.Repeat("5", 1<<20-400)), 400,
			axon.ReasonBody,
		},
		{"signed_by the identity", with(aliceAddress, identityAddress), 401, axon.ReasonWeakKey},
		{"signed_by another", with(aliceAddress, bobAddress), 401, axon.ReasonForged},
		{"signed_for null", with(`"`+bobAddress+`"`, "null"), 401, axon.ReasonReceiver},
		{"signed_for missing", with(`, "signed_for": "`+bobAddress+`"`, ""), 401, axon.ReasonReceiver},
		{"signed_for another", with(bobAddress, aliceAddress), 401, axon.ReasonReceiver},
		{"signed_for a number", with(`"`+bobAddress+`"`, "7"), 400, axon.ReasonBody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			clock := newTestClock(now.Add(-time.Minute))
			server, err := axon.New(bob.Hotkey(), axon.WithClock(clock.now))
			require.NoError(t, err)
			route, err := server.Route("/old", axon.WithEpistula(), axon.WithEpistulaV1())
			require.NoError(t, err)
			got := &sink{}
			require.NoError(t, attach(route, got.handlers()))
			clock.set(now)
			r := httptest.NewRequest(http.MethodPost, "/old", strings.NewReader(tt.body))
			r.Header.Set("Body-Signature", sign(t, alice, tt.body))
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.reason, onlyReason(server))
			if tt.status != http.StatusOK {
				require.Zero(t, server.Stats().Remembered)
				return
			}
			synapse := got.last.Load()
			require.Equal(t, organic.EpistulaV1, synapse.Protocol)
			require.Equal(t, organic.Dendrite{
				Hotkey: aliceAddress, Nonce: 1_750_000_000_000_000_000,
				Version: 1,
			}, synapse.Dendrite)
			require.Equal(t, tt.body, string(synapse.Body))
		})
	}
}

// TestVersion1IsOnDemand shows that a route speaks version 2 alone unless told.
func TestVersion1IsOnDemand(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.forward(echo)
	request := s.byEpistula(s.alice, "{}")
	for name := range request.Header {
		request.Header.Del(name)
	}
	request.Header.Set("Body-Signature", sign(t, s.alice, "{}"))
	require.Equal(t, http.StatusUnauthorized, s.ask(request).code)
	require.Equal(t, axon.ReasonMissing, onlyReason(s.server))
}

// onlyReason is the reason of the one request that was refused, if one was.
func onlyReason(server *axon.Server) axon.Reason {
	for reason := range server.Stats().Refused {
		return reason
	}
	return ""
}
