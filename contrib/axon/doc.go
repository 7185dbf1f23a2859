// Package axon takes signed organic queries over HTTP: it is the axon of a
// validator that is written in Go, for clients of the Bittensor SDK (7.2 to 10)
// and of Epistula (version 2, and 1 on demand). It takes the place of the axon
// in the Python SDK, whose clients need no change, and checks what that leaves
// unchecked.
//
// # Serving
//
// A [Server] has routes, and each route takes one scorer:
//
//	self, err := axon.keys.ParseSS58("5F…") // serving needs no secret
//	server, err := axon.New(self, axon.WithAllowList(users))
//	organics, err := server.Bittensor(axon.Class{
//		Name:   "Organic",
//		Hashed: []axon.Field{{Name: "prompt", Type: axon.Str()}},
//	})
//	chat, err := server.Epistula("/v1/chat/completions")
//	v.OrganicScorer, err = organic.New(v, organic.WithAxon(organics), organic.WithAxon(chat))
//	err = server.ListenAndServe(ctx, ":8091")
//
// A [Class] says what the Python class says: the synapse's name, and which
// fields the sender's signature covers, in the order of required_hash_fields
// and with their types. The hook OnOrganicEntry decodes
// [organic.Synapse.Body] by encoding/json, and sees the hashed fields as they
// were signed. Other fields of the body are nobody's word: whoever carries a
// request can change them. Epistula signs the whole body.
//
// A Server is an [http.Handler]: mount it on any mux, behind any TLS. A proxy
// that drops header names with underscores, as nginx does, has to be told not
// to (underscores_in_headers on), and then all requests come from its address:
// see [WithAddressRate], and [Limits] for what one address can have.
//
// # Checks
//
// The checks, cheap before dear; the first that fails ends it:
//
//  1. path, method, whether the scorer runs (404, 405, 503); size of the header
//     and of the body, no content encoding (431, 413, 400)
//  2. form of each header that authentication needs, there once (401)
//  3. time of signing: 4 s plus the client's timeout, that capped at 12 s, for
//     Bittensor; 8 s for Epistula 2, 5 s for version 1; both ways (401)
//  4. for Epistula, the receiver it was signed for: our own hotkey (401); for
//     Bittensor our hotkey goes into the message of step 8
//  5. hotkey: strict SS58, not the all-zero key (401), on the allow-list (403)
//  6. rate of the address and of the hotkey (429)
//  7. the body, read within its time (408; 503 when too many large ones are
//     read), and its hash (400, 401)
//  8. signature (401)
//  9. replay: a request is taken once, by one route (401, 503)
//
// Then come the scorer's hooks: Blacklist, Verify, Priority, and when the
// request's turn has come, highest priority first, OnOrganicEntry. Requesters
// whose turn does not come within their timeout are answered 408; when too many
// wait, the last in the order gets 503. An error made by [organic.Refuse] is
// told to the requester; any other is a plain 500, from Blacklist and Verify
// too.
//
// Nothing is remembered for a hotkey before its signature is verified, and
// everything that is remembered is bounded: see [Limits]. Requesters learn one
// text per status; the reason is in the debug log and in [Server.Stats].
//
// # Answers
//
// Every answer carries the SDK's headers, so that a dendrite understands it.
// What a hook writes is held until it returns, so that its error can still be
// an error; [Reply] writes what a dendrite expects. An answer streams when the
// hook flushes, or sets another content type than JSON: the headers leave
// before the first chunk, and when the hook then fails the connection is broken
// off, which clients can tell from an end. A client that leaves cancels ctx.
//
// # Asking
//
// A [Dendrite] makes requests as the SDK does, and [SignEpistula] signs any
// request; a [Keypair] comes from a seed, a mnemonic, or a hotkey file of
// Bittensor's. Send them by any [http.Client].
//
// # What stays open
//
// Answers are not signed: without TLS they can be read and changed on the way.
// No protocol signs route, method, query, header or unhashed fields, so a
// request that was intercepted and withheld can be delivered once, within its
// window, to another route of the same axon. After a restart a request that was
// signed for a time ahead of the clock can be delivered again; all that was
// signed earlier is refused. Whether a hotkey is on the allow-list anybody can
// find out: it is looked at before the signature, which is dear.
//
// The wire is that of the Bittensor Python SDK 10.2.0 and of Epistula as Targon
// and SN1 speak it.
package axon
