package axon

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
)

// ErrOneWayBody says that a request's body can be read only once, so that it
// cannot be both signed and sent.
var ErrOneWayBody = errors.New("axon: body cannot be read twice: the request has no GetBody")

// SignEpistula signs a request by Epistula version 2: it sets the protocol's
// headers, over the body as it will be sent. The receiver is the hotkey of who
// serves the request; a zero one addresses it to nobody, which our own servers
// take only by [WithUnaddressed]. Method, URL and other headers are not signed.
//
// Requests made by [http.NewRequest] over a bytes.Reader, bytes.Buffer or
// strings.Reader can be signed, others need a GetBody: else the error is
// [ErrOneWayBody]. A signed request is good for 8 s and for one use.
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
	uuid, timestamp := newUUID(), uint64(time.Now().UnixMilli())
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
