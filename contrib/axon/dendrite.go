package axon

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
)

const (
	sdkVersion     = 10_002_000 // the SDK that is spoken here: 10.2.0
	defaultTimeout = 12 * time.Second
)

// Dendrite makes signed requests to axons of the SDK from 7.2 to 10, as its
// dendrite does, for peers that do not speak btauth/1 yet (see [Transport]). Send
// them by any [http.Client], and read the status of the answers with [StatusOf].
// It is safe for concurrent use.
type Dendrite struct {
	keypair *keys.Keypair
	uuid    string
	nonces  clock
}

// NewDendrite returns a dendrite that signs by this key pair, with a UUID of
// its own.
func NewDendrite(keypair *keys.Keypair) *Dendrite {
	return &Dendrite{keypair: keypair, uuid: newUUID()}
}

// Query is one request of a [Dendrite].
type Query struct {
	URL     string        // of the axon, without the synapse's name: http://203.0.113.7:8091
	Axon    keys.Hotkey   // the receiver
	Class   Class         // the synapse class, as the axon knows it
	Fields  any           // its fields: anything that is a JSON object, such as a struct or a map
	Timeout time.Duration // how long the answer is waited for, as the request states; zero: 12 s
}

// NewRequest returns the signed request for a query. It is good for as long as
// its timeout and 4 s more, and for one use: send it at once, and make another
// to ask again. The nonces of a dendrite only grow, since axons of the SDK
// refuse lower ones. Ctx is the request's; the timeout is not put into effect.
func (d *Dendrite) NewRequest(ctx context.Context, query Query) (*http.Request, error) {
	if d.keypair == nil {
		return nil, ErrNoKeypair
	}
	if query.Axon == (keys.Hotkey{}) {
		return nil, invalid("NewRequest", "Query.Axon is all zero, must be the hotkey of the axon")
	}
	class, err := query.Class.compile()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(query.Fields)
	if err != nil {
		return nil, fmt.Errorf("axon: encoding the fields of %s: %w", query.Class.Name, err)
	}
	bodyHash, err := class.AppendHash(nil, body)
	if err != nil {
		return nil, err
	}
	target, err := url.JoinPath(query.URL, query.Class.Name)
	if err != nil {
		return nil, fmt.Errorf("axon: URL of the axon: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("axon: %w", err)
	}
	if query.Timeout <= 0 {
		query.Timeout = defaultTimeout
	}
	request.Header, err = d.header(query, request.URL, string(bodyHash))
	return request, err
}

// header is what a dendrite sends. Its names are spelt as net/http does; those
// who read them do not mind the case.
func (d *Dendrite) header(query Query, target *url.URL, bodyHash string) (http.Header, error) {
	nonce := d.nonces.next(math.MaxUint64)
	hotkey, receiver := d.keypair.Hotkey().String(), query.Axon.String()
	message := appendDendriteMessage(nil, nonce, hotkey, receiver, d.uuid, bodyHash)
	signature, err := d.keypair.Sign(message)
	if err != nil {
		return nil, err
	}
	header := http.Header{
		contentType:             {typeJSON},
		"Name":                  {query.Class.Name},
		headerTimeout:           {strconv.FormatFloat(query.Timeout.Seconds(), 'f', -1, 64)},
		"Bt_header_axon_hotkey": {receiver},
		headerDendriteVersion:   {strconv.Itoa(sdkVersion)},
		headerDendriteNonce:     {strconv.FormatUint(nonce, 10)},
		headerDendriteUUID:      {d.uuid},
		headerDendriteHotkey:    {hotkey},
		headerDendriteSignature: {hexSignature(signature)},
		headerBodyHash:          {bodyHash},
	}
	if host, port, err := net.SplitHostPort(target.Host); err == nil {
		header.Set("bt_header_axon_ip", host)
		header.Set("bt_header_axon_port", port)
	}
	for _, fields := range [...][]Field{query.Class.Hashed, query.Class.Other} {
		for _, field := range fields {
			if field.Default == "" {
				header.Set("bt_header_input_obj_"+field.Name, field.Type.emptyValue())
			}
		}
	}
	return header, nil
}

// StatusOf returns how an axon answered, as a dendrite reads it: the status in
// the protocol's own header, which an axon of the SDK may set to another value
// than HTTP's, or HTTP's if there is none. Only 200 is success.
func StatusOf(response *http.Response) (status int, message string) {
	status, err := strconv.Atoi(response.Header.Get(answerStatus))
	if err != nil {
		return response.StatusCode, http.StatusText(response.StatusCode)
	}
	return status, response.Header.Get(answerMessage)
}

// newUUID returns a random UUID, version 4 of RFC 9562.
func newUUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
