package subtensortest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/organic-scoring/organic/contrib/keys"
	"golang.org/x/crypto/blake2b"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// pooled is an extrinsic that waits for a block.
type pooled struct {
	raw  []byte
	hash subtensor.Hash
	scale.Parsed
}

// validity is the chain's InvalidTransaction, by its numbers.
type validity uint8

const (
	valid         validity = 255
	future        validity = 2
	stale         validity = 3
	badProof      validity = 4
	ancient       validity = 5
	customInvalid validity = 7
)

// verdict is what the chain says of an extrinsic before it is in a block.
type verdict struct {
	validity validity
	custom   uint8 // of customInvalid
}

// String is what a node writes into the error's data.
func (v verdict) String() string {
	switch v.validity {
	case future:
		return "Transaction will be valid in the future"
	case stale:
		return "Transaction is outdated"
	case badProof:
		return "Transaction has a bad signature"
	case ancient:
		return "Transaction has an ancient birth block"
	case customInvalid:
		return fmt.Sprintf("Custom error: %d", v.custom)
	default:
		return "valid"
	}
}

// validate checks an extrinsic as if it were in the block after the best one.
func (n *Node) validate(s *store, raw []byte) (scale.Parsed, verdict, error) {
	parsed, err := s.metadata.ParseExtrinsic(raw)
	if err != nil {
		return scale.Parsed{}, verdict{}, err
	}
	birth := parsed.Era.Birth(n.head().number + 1)
	if birth > n.head().number {
		return parsed, verdict{validity: ancient}, nil
	}
	version := n.head().runtime.Version
	payload, err := s.metadata.Payload(scale.Transaction{
		Call: parsed.Call, Era: parsed.Era, Nonce: parsed.Nonce,
		SpecVersion: version.Spec, TransactionVersion: version.Transaction,
		Genesis: n.chain[0].hash, BirthHash: n.chain[birth].hash,
	})
	if err != nil {
		return scale.Parsed{}, verdict{}, err
	}
	if !keys.Verify(keys.SR25519, parsed.Key, payload, parsed.Signature[:]) {
		return parsed, verdict{validity: badProof}, nil
	}
	nonce := s.nonce(parsed.Key)
	if parsed.Nonce < nonce {
		return parsed, verdict{validity: stale}, nil
	}
	if custom := n.poolCheck(s, parsed); custom != nil && !n.cfg.PoolChecksOff {
		return parsed, verdict{customInvalid, *custom}, nil
	}
	if parsed.Nonce > nonce {
		return parsed, verdict{validity: future}, nil
	}
	return parsed, verdict{validity: valid}, nil
}

// submit takes an extrinsic into the pool, or returns a node's error.
func (n *Node) submit(raw []byte) (subtensor.Hash, *rpcError) {
	hash := subtensor.Hash(blake2b.Sum256(raw))
	s := n.headStore()
	parsed, v, err := n.validate(s, raw)
	switch {
	case err != nil:
		return hash, &rpcError{Code: 1001, Message: "Extrinsic has invalid format: " + err.Error()}
	case slices.ContainsFunc(n.pool, func(p pooled) bool { return p.hash == hash }):
		return hash, &rpcError{Code: 1013, Message: "Transaction is already imported"}
	case v.validity != valid && v.validity != future:
		return hash, n.invalidError(v)
	}
	for _, p := range n.pool {
		if p.Key == parsed.Key && p.Nonce == parsed.Nonce {
			return hash, &rpcError{
				Code: 1014, Message: "Priority is too low: (1 vs 1)",
				Data: "The transaction has too low priority to replace another transaction " +
					"already in the pool.",
			}
		}
	}
	n.pool = append(n.pool, pooled{raw: bytes.Clone(raw), hash: hash, Parsed: parsed})
	return hash, nil
}

func (n *Node) invalidError(v verdict) *rpcError {
	if !n.faults.withoutCodes {
		return &rpcError{Code: 1010, Message: "Invalid Transaction", Data: v.String()}
	}
	names := map[validity]string{
		future: "future", stale: "stale", badProof: "badProof", ancient: "ancientBirthBlock",
	}
	text := fmt.Sprintf(`{"invalid":{"%s":null}}`, names[v.validity])
	if v.validity == customInvalid {
		text = fmt.Sprintf(`{"invalid":{"custom":%d}}`, v.custom)
	}
	return &rpcError{raw: []byte(text)}
}

// nextIndex is the account's nonce with the pool counted.
func (n *Node) nextIndex(account [32]byte) uint64 {
	nonce := n.headStore().nonce(account)
	taken := func(p pooled) bool { return p.Key == account && p.Nonce == nonce }
	for slices.ContainsFunc(n.pool, taken) {
		nonce++
	}
	return nonce
}

// apply moves what is valid from the pool into the block and drops what will never be valid.
func (n *Node) apply(e *execution) {
	if n.faults.hold {
		return
	}
	for progress := true; progress; {
		progress = false
		var left []pooled
		for _, p := range n.pool {
			parsed, v, err := n.validate(&e.store, p.raw)
			switch {
			case err == nil && v.validity == valid:
				progress = true
				e.begin(p.raw)
				e.addNonce(parsed.Key)
				e.end(e.dispatch(parsed.Key, parsed.Call))
			case err == nil && v.validity == future:
				left = append(left, p)
			}
		}
		n.pool = left
	}
}
