package axon

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
)

var (
	// ErrNoKeypair is the error of a client without a key pair to sign with.
	ErrNoKeypair = errors.New("axon: no key pair to sign with")

	// ErrOneWayBody is the error for a request whose body can be read only once,
	// so that it cannot be both signed and sent.
	ErrOneWayBody = errors.New("axon: body cannot be read twice: the request has no GetBody")
)

// Sign signs a request by btauth/1, the protocol of the Bittensor SDK 11: it
// sets the headers of the protocol, over the method, the path and query, and the
// body as they will be sent. Receiver is the hotkey of the server, on chain that
// of the neuron; a zero one leaves the request unaddressed, which servers refuse
// by default.
//
// A request made by [http.NewRequest] over a bytes.Reader, bytes.Buffer or
// strings.Reader can be signed, any other body needs GetBody: else the error is
// [ErrOneWayBody]. A signed request is good for one use within 10 s. Sign it
// again before it is sent again, or use [Transport], which does. An
// [http.Client] that follows a redirect sends the headers to the new target,
// where the signature does not hold; Transport signs for it.
func Sign(request *http.Request, keypair *keys.Keypair, receiver keys.Hotkey) error {
	if keypair == nil {
		return ErrNoKeypair
	}
	if request.URL == nil {
		return invalid("Sign", "the request has no URL")
	}
	body, err := bodyOf(request)
	if err != nil {
		return err
	}
	p := payload{
		scheme: keypair.Scheme(), method: request.Method, target: pathAndQuery(request.URL.RequestURI()),
		body: body, nonce: nonces.next(mostBack), sender: keypair.Hotkey().String(), receiver: unbound,
	}
	if p.method == "" {
		p.method = http.MethodGet
	}
	if receiver != (keys.Hotkey{}) {
		p.receiver = receiver.String()
	}
	signature, err := keypair.Sign(appendPayload(nil, p))
	if err != nil {
		return err
	}
	if request.Header == nil {
		request.Header = make(http.Header)
	}
	header := request.Header
	header.Set(headerVersion, "1")
	header.Set(headerHotkey, p.sender)
	header.Set(headerNonce, strconv.FormatUint(p.nonce, 10))
	header.Set(headerSignature, hexSignature(signature))
	header.Del(headerReceiver)
	if p.receiver != unbound {
		header.Set(headerReceiver, p.receiver)
	}
	header.Del(headerCrypto)
	if p.scheme != keys.SR25519 {
		header.Set(headerCrypto, p.scheme.String())
	}
	return nil
}

// clock gives each request another nonce.
type clock struct{ last atomic.Uint64 }

// nonces are those of Sign, for all key pairs of the process.
var nonces clock

// next returns the time in Unix nanoseconds, or one more than the last nonce if
// the clock has not moved on, or was set back by so many nanoseconds at most.
func (c *clock) next(back uint64) uint64 {
	for {
		last, next := c.last.Load(), uint64(time.Now().UnixNano())
		if next <= last && last-next <= back {
			next = last + 1
		}
		if c.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

// mostBack is by how much the clock may be set back for the nonces of Sign to go on: what is
// signed further ahead is refused by servers.
const mostBack = 1e9

// SignEpistula signs a request by Epistula version 2, for servers that do not
// speak btauth/1 yet: it sets the protocol's headers, over the body as it will be
// sent. A zero receiver leaves the request unaddressed, which our own servers
// accept only with [WithUnaddressed]. Method, URL and other headers are not
// signed. For the body and its errors see [Sign]. A signed request is good for
// one use within 8 s.
func SignEpistula(request *http.Request, keypair *keys.Keypair, receiver keys.Hotkey) error {
	if keypair == nil {
		return ErrNoKeypair
	}
	body, err := bodyOf(request)
	if err != nil {
		return err
	}
	signedFor := ""
	if receiver != (keys.Hotkey{}) {
		signedFor = receiver.String()
	}
	uuid := newUUID()
	timestamp := uint64(time.Now().UnixMilli())
	signature, err := keypair.Sign(appendEpistulaMessage(nil, body, uuid, timestamp, signedFor))
	if err != nil {
		return err
	}
	if request.Header == nil {
		request.Header = make(http.Header)
	}
	header := request.Header
	header.Set(headerEpistulaVersion, "2")
	header.Set(headerEpistulaTimestamp, strconv.FormatUint(timestamp, 10))
	header.Set(headerEpistulaUUID, uuid)
	header.Set(headerEpistulaSignedBy, keypair.Hotkey().String())
	header.Set(headerEpistulaSignature, hexSignature(signature))
	header.Del(headerEpistulaSignedFor)
	if signedFor != "" {
		header.Set(headerEpistulaSignedFor, signedFor)
	}
	return nil
}

// bodyOf reads a copy of a request's body.
func bodyOf(request *http.Request) ([]byte, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, nil
	}
	if request.GetBody == nil {
		return nil, ErrOneWayBody
	}
	copied, err := request.GetBody()
	if err != nil {
		return nil, fmt.Errorf("axon: reading the body to sign: %w", err)
	}
	defer copied.Close()
	body, err := io.ReadAll(copied)
	if err != nil {
		return nil, fmt.Errorf("axon: reading the body to sign: %w", err)
	}
	return body, nil
}

func hexSignature(signature []byte) string { return "0x" + hex.EncodeToString(signature) }
