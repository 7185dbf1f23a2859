package axon

import (
	"net/http"

	"github.com/organic-scoring/organic"
)

// protocol is one way for a request to prove who sent it.
type protocol struct {
	name  organic.Protocol
	marks []string // a request with one of these headers speaks the protocol
	steps []step
}

// A step is one check. The steps of a protocol run in order, the inexpensive
// ones first. None remembers anything of a request before its sender is proven.
type step func(*check) *refusal

var (
	btauth = &protocol{
		name: organic.BTAuth1,
		marks: []string{
			headerVersion, headerHotkey, headerReceiver, headerNonce, headerCrypto, headerSignature,
		},
		steps: []step{
			(*check).btauthHeaders, (*check).addressed, (*check).fresh, (*check).hotkey, (*check).rates,
			(*check).readBody, (*check).payload, (*check).signature, (*check).unseen,
		},
	}
	epistula2 = &protocol{
		name: organic.EpistulaV2,
		marks: []string{
			headerEpistulaVersion, headerEpistulaSignature, headerEpistulaSignedBy, headerEpistulaTimestamp,
			headerEpistulaUUID, headerEpistulaSignedFor,
		},
		steps: []step{
			(*check).epistulaHeaders, (*check).fresh, (*check).addressed, (*check).hotkey, (*check).rates,
			(*check).readBody, (*check).bodyDigest, (*check).signature, (*check).unseen,
		},
	}
	epistula1 = &protocol{
		name:  organic.EpistulaV1,
		marks: []string{headerBodySignature},
		steps: []step{
			(*check).bodySignature, (*check).addressRate, (*check).readBody, (*check).envelope,
			(*check).fresh, (*check).addressed, (*check).hotkey, (*check).partyRate,
			(*check).signature, (*check).unseen,
		},
	}
	dendrite = &protocol{
		name: organic.Bittensor,
		marks: []string{
			headerDendriteHotkey, headerDendriteSignature, headerDendriteNonce, headerDendriteUUID,
			headerBodyHash,
		},
		steps: []step{
			(*check).dendriteHeaders, (*check).fresh, (*check).hotkey, (*check).rates, (*check).readBody,
			(*check).hashedFields, (*check).signature, (*check).unseen,
		},
	}
	bearer = &protocol{
		name:  organic.Bearer,
		marks: []string{headerAuthorization},
		steps: []step{
			(*check).bearerToken, (*check).addressRate, (*check).bearerKey, (*check).partyRate,
			(*check).readBody, (*check).charge,
		},
	}
)

// spokenBy reports whether a header has one of the protocol's marks.
func (p *protocol) spokenBy(header http.Header) bool {
	for _, mark := range p.marks {
		if _, ok := header[mark]; ok {
			return true
		}
	}
	return false
}

// isLegacy reports whether answers carry the headers of the SDK before
// version 11, which its dendrite looks for.
func (p *protocol) isLegacy() bool { return p != btauth && p != bearer }

// protocol returns the protocol that a request speaks, by its headers alone: the
// first of the route's whose mark it has, or else the route's main one, which
// then refuses. A request that fails under one protocol is not tried under
// another.
func (r *Route) protocol(header http.Header) *protocol {
	for _, p := range r.protocols {
		if p.spokenBy(header) {
			return p
		}
	}
	return r.main
}
