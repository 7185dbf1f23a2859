// Package axon takes the queries of users for a Go validator over HTTP, verifies
// who sent them, and passes them to the scorer. It speaks btauth/1, the signed
// requests of the Bittensor SDK 11, and replaces the axon of the older Python
// SDK: the dendrites of SDK 7.2 to 10 and Epistula are still served, for callers
// that have not migrated, and users without a hotkey can send a bearer key.
//
// # Serving
//
// A [Server] has routes, and each route serves one scorer:
//
//	self, err := keys.ParseSS58("5F…") // serving needs no secret
//	server, err := axon.New(self, axon.WithAllowList(users))
//	route, err := server.Route("/v1/chat/completions")
//	v.OrganicScorer, err = organic.New(v, organic.WithAxon(route))
//	err = server.ListenAndServe(ctx, ":8091")
//
// The hook OnOrganicEntry gets an [organic.Synapse]: who sent the request
// (Requester), by which protocol, and its body.
//
// A Server is an [http.Handler]: mount it on any mux, behind any TLS. Behind a
// proxy, tell it which proxies to trust ([WithTrustedProxies]), and if they
// rewrite paths, how to undo that ([WithTarget]). The headers of dendrites have
// underscores, which nginx drops unless underscores_in_headers is on.
//
// # Protocols
//
// A route accepts a set of protocols. The headers of a request decide which one
// it speaks; a request that fails under it is not tried under another.
//
//	server.Route(path)                  btauth/1
//	  WithEpistula, WithEpistulaV1      Epistula 2 and 1 on the same path
//	  WithBearer                        Authorization: Bearer, for users without a hotkey
//	server.Synapse(class)               the dendrite's route /<Name>
//	  WithBTAuth, WithBearer            btauth/1 and bearer keys on the same path
//
// What each one signs:
//
//	btauth/1     method, path and query, body, receiver
//	Epistula     body, receiver
//	dendrite     the hashed fields of the class, receiver
//	bearer       nothing: it needs TLS
//
// btauth/1 is verified under sr25519, or under the scheme that [WithSchemes]
// gives for the sender. A [Class] describes a synapse class of the older SDK.
//
// # Checks
//
// The checks, the inexpensive ones first; the first that fails ends it:
//
//  1. exact path, method, whether the scorer runs (404, 405, 503); size of
//     header and body, no content encoding (431, 413, 400)
//  2. form of each header that authentication needs, present once (401)
//  3. receiver: our own hotkey (401); a dendrite's signature contains it
//  4. time of signing (401): btauth/1 at most 10 s old and 2 s ahead; Epistula 2
//     within 8 s, version 1 within 5 s; a dendrite within 4 s plus its timeout,
//     which counts up to 12 s
//  5. hotkey: not a weak key (401), on the allow-list (403)
//  6. rate of the address and of the requester (429)
//  7. the body, within its time (408, 503), and its hash
//  8. the signature (401)
//  9. replay: a request is accepted once, by one route (401, 503)
//
// For Epistula the time is checked before the receiver. A bearer key is checked
// after the rate of the address. Then come the hooks of the scorer: Blacklist,
// Verify, Priority and, highest priority first, OnOrganicEntry. An error made by
// [organic.Refuse] is sent to the requester; any other becomes a plain 500.
//
// Nothing is remembered for a hotkey before its signature is verified.
// Everything that is remembered is bounded and shared out, so that one party
// cannot shut out the others: see [Limits]. Requesters get one text per status;
// the reason is in the debug log and in [Server.Stats].
//
// # Answers
//
// What a hook writes is kept until it returns, so that its error can still be
// sent as an error. An answer streams if the hook flushes, sets another content
// type than JSON, or writes more than 1 MiB; if the hook then fails, the connection
// is broken off.
// A client that disconnects cancels ctx. Answers to dendrites and to callers of
// Epistula carry the headers of the older SDK; [Reply] writes what a dendrite
// expects.
//
// # Asking
//
// A [Transport] signs each request of an [http.Client] by btauth/1, and [Sign]
// signs one. For peers that have not migrated there are [Dendrite] and
// [SignEpistula].
//
// # Limits of the protocols
//
// Answers are not signed: without TLS they can be read and modified in transit.
// Epistula and dendrites do not sign the route, so a request that was
// intercepted and held back can be delivered once, within its window, to another
// route of the same axon; btauth/1 prevents that. After a restart, a request
// that was signed ahead of the clock can be delivered again; every one that was
// signed before the start is refused. The allow-list is checked before the
// signature, which is expensive, so that callers can find out which hotkeys are
// on it.
//
// The page docs/axon.md of the repository explains the options one by one.
package axon
