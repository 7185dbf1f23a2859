package subtensor

import "github.com/organic-scoring/organic/contrib/subtensor/scale"

// What the client decodes values of the chain into, for tests against real metadata.
type (
	Selective        = selective
	NeuronLite       = neuronLite
	AxonInfo         = axonInfo
	TimelockedCommit = timelockedCommit
)

// Validity decodes the answer of validate_transaction: the name of what is invalid, and "valid" or
// "unknown".
func Validity(m *scale.Metadata, answer []byte) (string, error) {
	api, err := m.API("TaggedTransactionQueue", "validate_transaction")
	if err != nil {
		return "", err
	}
	var v validity
	if err := api.Decode(answer, &v); err != nil {
		return "", err
	}
	switch {
	case v.Valid != nil:
		return "valid", nil
	case v.Err != nil && v.Err.Invalid != nil && v.Err.Invalid.Custom != nil:
		return customName(*v.Err.Invalid.Custom), nil
	case v.Err != nil && v.Err.Invalid != nil:
		return v.Err.Invalid.Name, nil
	}
	return "unknown", nil
}

// SelectiveFields are the fields that the client asks a selective metagraph for.
func SelectiveFields() []string { return selectiveFields }
