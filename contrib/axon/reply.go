package axon

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/organic-scoring/organic"
)

// baseFields are what the SDK puts into every body beside the class's own
// fields. An answer needs none of them: what counts is in its header.
var baseFields = [...]string{
	"name", "timeout", "total_size", "header_size", "dendrite", "axon", "computed_body_hash",
	"required_hash_fields",
}

// Reply answers a request on the route of a synapse class. A dendrite gets the
// fields that its request had and those of fields, which win: it accepts an
// answer only if that has every field of the class without a default, those it
// has sent itself included. Other callers get fields alone. Fields is anything
// that is a JSON object, such as a map or a struct; nil has none.
//
// It is for answers in one piece, written by a hook once. For a stream write
// the chunks and flush each.
func Reply(w http.ResponseWriter, synapse *organic.Synapse, fields any) error {
	answer, own := make(map[string]json.RawMessage), make(map[string]json.RawMessage)
	if synapse.Protocol == organic.Bittensor {
		if json.Unmarshal(synapse.Body, &answer) != nil || answer == nil {
			return errors.New("axon: the request to reply to has no JSON object as its body")
		}
		for _, name := range baseFields {
			delete(answer, name)
		}
	}
	encoded, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("axon: encoding the fields of a reply: %w", err)
	}
	if json.Unmarshal(encoded, &own) != nil {
		return errors.New("axon: the fields of a reply are no JSON object")
	}
	maps.Copy(answer, own)
	data, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("axon: encoding a reply: %w", err)
	}
	_, err = w.Write(data)
	return err
}
