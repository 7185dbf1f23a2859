package axon

import (
	"strconv"

	"github.com/organic-scoring/organic/contrib/axon/internal/pyjson"
)

// envelope is what a body of Epistula version 1 says beside its data.
type envelope struct {
	version   int
	signedBy  string
	signedFor string // empty without a receiver
	nonce     uint64
}

// envelopeClass reads an envelope with the same care as a synapse: each field
// once, whatever the case, and of its type.
var envelopeClass = func() *pyjson.Class {
	class, err := Class{Name: "envelope", Hashed: []Field{
		{Name: "version", Type: Int()},
		{Name: "signed_by", Type: Str()},
		{Name: "signed_for", Type: Optional(Str()), Default: "null"},
		{Name: "nonce", Type: Int()},
	}}.compile()
	if err != nil {
		panic(err) // the class stands right here, and a test compiles it
	}
	return class
}()

// readEnvelope reads the envelope of a body. What it leaves out is the data,
// which the signature over the whole body covers.
func readEnvelope(body []byte) (envelope, *refusal) {
	texts, err := envelopeClass.Texts(body)
	if err != nil {
		return envelope{}, badBody
	}
	read := envelope{signedBy: texts[1], signedFor: texts[2]}
	if read.signedFor == "None" {
		read.signedFor = ""
	}
	if read.version, err = strconv.Atoi(texts[0]); err != nil || read.version != 1 {
		return envelope{}, badVersion
	}
	nonce, ok := decimal(texts[3])
	if !ok || len(texts[3]) > nonceDigits || len(read.signedBy) != ss58Chars {
		return envelope{}, malformed
	}
	read.nonce = nonce
	return read, nil
}
