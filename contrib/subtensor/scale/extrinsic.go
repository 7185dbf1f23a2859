package scale

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"reflect"
	"slices"

	"golang.org/x/crypto/blake2b"
)

// extrinsicVersion is the version of the signed extrinsics that are built here, and signedBit marks
// it as signed.
const (
	extrinsicVersion = 4
	signedBit        = 0x80
)

// Era is how long an extrinsic is valid: for ever (the zero Era), or for a number of blocks.
type Era struct {
	period uint64 // a power of two in 4…65536; 0 for ever
	phase  uint64
}

// MortalEra returns the era of so many blocks, rounded up to a power of two in 4…65536, that begins
// at the block current.
func MortalEra(current, period uint64) Era {
	period = min(max(period, 4), 1<<16)
	period = 1 << bits.Len64(period-1)
	quantum := max(period>>12, 1)
	return Era{period: period, phase: current % period / quantum * quantum}
}

// Birth returns the first block of the era that is in force at the block current. The hash of that
// block is signed.
func (e Era) Birth(current uint64) uint64 {
	if e.period == 0 {
		return 0
	}
	return (max(current, e.phase)-e.phase)/e.period*e.period + e.phase
}

// Death returns the first block in which an extrinsic of the era is not valid any more. It is the
// highest number for the immortal era.
func (e Era) Death(current uint64) uint64 {
	if e.period == 0 {
		return 1<<64 - 1
	}
	return e.Birth(current) + e.period
}

// Immortal reports whether the era has no end.
func (e Era) Immortal() bool { return e.period == 0 }

// Bytes returns the era as an extrinsic carries it.
func (e Era) Bytes() []byte {
	if e.period == 0 {
		return []byte{0}
	}
	quantum := max(e.period>>12, 1)
	length := min(15, max(1, bits.TrailingZeros64(e.period)-1))
	return appendLittle(nil, uint64(length)|e.phase/quantum<<4, 2)
}

func (r *reader) era() Era {
	first := r.byte()
	if first == 0 {
		return Era{}
	}
	both := uint64(first) | uint64(r.byte())<<8
	period := uint64(2) << (both & 15)
	phase := both >> 4 * max(period>>12, 1)
	if period < 4 || phase >= period {
		r.fail("an era of %d blocks at %d", period, phase)
	}
	return Era{period: period, phase: phase}
}

// Transaction is what a signed extrinsic is built of. The tip is always zero.
type Transaction struct {
	Call               []byte
	Era                Era
	Nonce              uint64
	SpecVersion        uint32
	TransactionVersion uint32
	Genesis            [32]byte
	BirthHash          [32]byte // hash of the era's first block; not used for the immortal era
}

// extensionContent is what the known signed extensions write to the extrinsic and, beyond that, to
// what is signed. All others must be without content.
func (t Transaction) extensionContent(name string) (extra, implicit []byte, known bool) {
	switch name {
	case "CheckMortality", "CheckEra":
		hash := t.BirthHash
		if t.Era.Immortal() {
			hash = t.Genesis
		}
		return t.Era.Bytes(), hash[:], true
	case "CheckNonce":
		return AppendCompact(nil, t.Nonce), nil, true
	case "ChargeTransactionPayment":
		return AppendCompact(nil, 0), nil, true
	case "CheckMetadataHash":
		return []byte{0}, []byte{0}, true // off, no hash
	case "CheckSpecVersion":
		return nil, binary.LittleEndian.AppendUint32(nil, t.SpecVersion), true
	case "CheckTxVersion":
		return nil, binary.LittleEndian.AppendUint32(nil, t.TransactionVersion), true
	case "CheckGenesis":
		return nil, t.Genesis[:], true
	}
	return nil, nil, false
}

// extensions returns what all extensions write, in the order of the metadata. It returns
// [ErrExtension] for one that is unknown and has content, for a known one whose content has
// changed, and if there are none, as in metadata that has those of other versions than 0 only.
func (m *Metadata) extensions(t Transaction) (extra, implicit []byte, err error) {
	if len(m.Extrinsic.Extensions) == 0 {
		return nil, nil, fmt.Errorf("%w: the runtime has none of version 0", ErrExtension)
	}
	for _, extension := range m.Extrinsic.Extensions {
		more, signed, known := t.extensionContent(extension.Name)
		if !m.isOf(extension.Extra, more) || !m.isOf(extension.Implicit, signed) {
			what := "has content that is not as known"
			if !known {
				what = "is unknown and has content"
			}
			return nil, nil, fmt.Errorf("%w: %s %s", ErrExtension, extension.Name, what)
		}
		extra, implicit = append(extra, more...), append(implicit, signed...)
	}
	return extra, implicit, nil
}

// isOf reports whether data is a value of a type: without data, whether the type has no content.
func (m *Metadata) isOf(id TypeID, data []byte) bool {
	var raw Raw
	return m.Decode(id, data, &raw) == nil
}

// Payload returns what is signed for a transaction: the payload itself, or its hash if it is longer
// than 256 bytes.
func (m *Metadata) Payload(t Transaction) ([]byte, error) {
	extra, implicit, err := m.extensions(t)
	if err != nil {
		return nil, err
	}
	payload := slices.Concat(t.Call, extra, implicit)
	if len(payload) > 256 {
		return blake2(payload, 32), nil
	}
	return payload, nil
}

// SignedExtrinsic returns the extrinsic of a transaction, signed with an sr25519 key.
func (m *Metadata) SignedExtrinsic(
	t Transaction, key [32]byte, signature [64]byte,
) ([]byte, error) {
	if !slices.Contains(m.Extrinsic.Versions, extrinsicVersion) {
		return nil, fmt.Errorf("%w: extrinsics of version 4, the runtime takes %d",
			ErrVersion, m.Extrinsic.Versions)
	}
	extra, _, err := m.extensions(t)
	if err != nil {
		return nil, err
	}
	address, err := m.Encode(m.Extrinsic.Address, Variant{Name: "Id", Value: key})
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	sealed, err := m.Encode(m.Extrinsic.Signature, Variant{Name: "Sr25519", Value: signature})
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	body := slices.Concat([]byte{signedBit | extrinsicVersion}, address, sealed, extra, t.Call)
	return AppendBytes(nil, body), nil
}

// Hash returns the hash by which the chain knows an extrinsic.
func Hash(extrinsic []byte) [32]byte { return blake2b.Sum256(extrinsic) }

// Parsed is a signed extrinsic that was taken apart.
type Parsed struct {
	Key       [32]byte
	Signature [64]byte
	Era       Era
	Nonce     uint64
	Call      []byte
}

// ParseExtrinsic takes a signed extrinsic apart, as a node does. It returns ErrMalformed for one
// that is damaged or not signed with sr25519.
func (m *Metadata) ParseExtrinsic(data []byte) (Parsed, error) {
	outer := reader{data: data}
	body := outer.bytes()
	if err := outer.end(); err != nil {
		return Parsed{}, err
	}
	d := newDecoder(m, body)
	if version := d.byte(); d.err == nil && version != signedBit|extrinsicVersion {
		return Parsed{}, malformed("an extrinsic of version %#x", version)
	}
	var address struct {
		ID *[32]byte `scale:"Id"`
	}
	var signature struct {
		Sr25519 *[64]byte `scale:"Sr25519"`
	}
	if err := d.into(m.Extrinsic.Address, &address); err != nil {
		return Parsed{}, fmt.Errorf("address: %w", err)
	}
	if err := d.into(m.Extrinsic.Signature, &signature); err != nil {
		return Parsed{}, fmt.Errorf("signature: %w", err)
	}
	if address.ID == nil || signature.Sr25519 == nil {
		return Parsed{}, malformed("an extrinsic that no sr25519 account has signed")
	}
	parsed := Parsed{Key: *address.ID, Signature: *signature.Sr25519}
	for _, extension := range m.Extrinsic.Extensions {
		if err := d.extension(extension, &parsed); err != nil {
			return Parsed{}, fmt.Errorf("%s: %w", extension.Name, err)
		}
	}
	parsed.Call = d.take(len(d.data))
	return parsed, d.end()
}

func (d *decoder) extension(extension ExtensionType, parsed *Parsed) error {
	switch extension.Name {
	case "CheckMortality", "CheckEra":
		parsed.Era = d.era()
	case "CheckNonce":
		parsed.Nonce = d.compact()
	default:
		return d.value(extension.Extra, reflect.Value{})
	}
	return d.err
}
