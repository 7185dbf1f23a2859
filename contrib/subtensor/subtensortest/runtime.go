package subtensortest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// Runtime is a version of the chain's code, as far as clients see it. It does not change and is
// safe for concurrent use.
type Runtime struct {
	Version  subtensor.RuntimeVersion
	Metadata *scale.Metadata
	// BlockTime is the time between two blocks.
	BlockTime time.Duration
	// offered has the encoded metadata by its version.
	offered map[uint32][]byte
}

// RuntimeConfig describes a [Runtime].
type RuntimeConfig struct {
	// Spec is the spec version; 0 means 425.
	Spec uint32
	// Shift is added to the index of every pallet, call, event and error, as an upgrade can do it.
	// It must be at most 64.
	Shift uint8
	// BlockTime is the time between two blocks; 0 means 12 s. It must be whole milliseconds.
	BlockTime time.Duration
	// Without names what the runtime lacks: storage items, calls and constants as "Pallet.name",
	// runtime API calls as "Trait_method", signed extensions by their name.
	Without []string
	// Offers are the metadata versions that the node hands out, 15 and 16 by default. A client that
	// asks for another one gets none.
	Offers []uint8
	// Extension adds a signed extension of this name with content that no client knows.
	Extension string
}

// NewRuntime builds a runtime with the pallets System, Timestamp, Aura, SubtensorModule and Drand.
func NewRuntime(cfg RuntimeConfig) (*Runtime, error) {
	if cfg.Spec == 0 {
		cfg.Spec = 425
	}
	if cfg.BlockTime == 0 {
		cfg.BlockTime = 12 * time.Second
	}
	if cfg.BlockTime < time.Millisecond {
		return nil, fmt.Errorf("subtensortest: RuntimeConfig.BlockTime is %v: must be at least 1 ms",
			cfg.BlockTime)
	}
	if cfg.Shift > 64 {
		return nil, fmt.Errorf("subtensortest: RuntimeConfig.Shift is %d: must be at most 64", cfg.Shift)
	}
	if cfg.Offers == nil {
		cfg.Offers = []uint8{15, 16}
	}
	b := &builder{Registry: scale.NewRegistry(), cfg: cfg}
	m := b.metadata()
	if err := errors.Join(b.Err(), b.unknown()); err != nil {
		return nil, fmt.Errorf("subtensortest: runtime: %w", err)
	}
	version := subtensor.RuntimeVersion{Spec: cfg.Spec, Transaction: 1}
	runtime := &Runtime{
		Version: version, Metadata: m, BlockTime: cfg.BlockTime, offered: make(map[uint32][]byte),
	}
	for _, offered := range cfg.Offers {
		m.Version = offered
		runtime.offered[uint32(offered)] = m.Marshal()
	}
	for _, data := range runtime.offered {
		if _, err := scale.Parse(data); err != nil {
			return nil, fmt.Errorf("subtensortest: runtime: %w", err)
		}
	}
	return runtime, nil
}

// RuntimeFrom returns a runtime with the metadata of a real chain, in version 15 or 16, as the node
// gives it: only what [NewRuntime] has is executed, by the names and types of that chain.
func RuntimeFrom(metadata []byte, version subtensor.RuntimeVersion) (*Runtime, error) {
	m, err := scale.Parse(metadata)
	if err != nil {
		return nil, fmt.Errorf("subtensortest: runtime: %w", err)
	}
	var slot int64
	if err := m.Constant("Aura", "SlotDuration", &slot); err != nil {
		return nil, fmt.Errorf("subtensortest: runtime: %w", err)
	}
	if slot <= 0 {
		return nil, fmt.Errorf("subtensortest: runtime: Aura.SlotDuration is %d ms: must be positive",
			slot)
	}
	return &Runtime{
		Version: version, Metadata: m, BlockTime: time.Duration(slot) * time.Millisecond,
		offered: map[uint32][]byte{uint32(m.Version): metadata},
	}, nil
}

// defaultRuntime is the one of a Config without a Runtime.
var defaultRuntime = sync.OnceValues(func() (*Runtime, error) {
	return NewRuntime(RuntimeConfig{})
})

// builder builds the metadata.
type builder struct {
	*scale.Registry
	cfg     RuntimeConfig
	removed []string // of cfg.Without, what has been left out
}

// lacks reports whether the runtime is to be without something.
func (b *builder) lacks(name string) bool {
	if !slices.Contains(b.cfg.Without, name) {
		return false
	}
	b.removed = append(b.removed, name)
	return true
}

// unknown returns an error for what cannot be left out because it does not exist.
func (b *builder) unknown() error {
	var problems []error
	for _, name := range b.cfg.Without {
		if !slices.Contains(b.removed, name) {
			problems = append(problems, fmt.Errorf("RuntimeConfig.Without: there is no %q", name))
		}
	}
	return errors.Join(problems...)
}

func (b *builder) metadata() *scale.Metadata {
	b.types()
	pallets := []scale.Pallet{b.system(), b.timestamp(), b.aura(), b.subtensor(), b.drand()}
	for i := range pallets {
		pallets[i].Index += b.cfg.Shift
		pallets[i].Prefix = pallets[i].Name
	}
	pallets[0].Storage = append(pallets[0].Storage, b.events(pallets))
	call := b.outer("RuntimeCall", pallets, func(p scale.Pallet) *scale.TypeID { return p.Calls })
	m := &scale.Metadata{
		Version: 15,
		Pallets: pallets,
		Extrinsic: scale.Extrinsic{
			Versions: []uint8{4, 5}, Call: call,
			Address: b.Type("MultiAddress"), Signature: b.Type("MultiSignature"),
			Extra: b.Type("()"), Extensions: b.extensions(),
		},
		Runtime: b.Type("()"),
		APIs:    b.apis(),
		Outer: scale.OuterEnums{
			Call:  call,
			Event: b.Type("RuntimeEvent"),
			Error: b.outer("RuntimeError", pallets, func(p scale.Pallet) *scale.TypeID { return p.Errors }),
		},
	}
	m.Types = b.Types()
	return m
}

// outer is the enum over the pallets' calls, events or errors.
func (b *builder) outer(
	name string, pallets []scale.Pallet, of func(scale.Pallet) *scale.TypeID,
) scale.TypeID {
	var variants []scale.VariantType
	for _, p := range pallets {
		if inner := of(p); inner != nil {
			variants = append(variants, scale.VariantType{
				Name: p.Name, Index: p.Index, Fields: []scale.Field{{Type: *inner}},
			})
		}
	}
	return b.Enum(name, variants...)
}

// variant is a call, event or error; fields are names and types in turn.
func (b *builder) variant(index int, name string, fields ...string) scale.VariantType {
	shifted := uint8(index) + b.cfg.Shift //nolint:gosec // both are small
	return scale.VariantType{Name: name, Index: shifted, Fields: b.Fields(fields...)}
}

// enum defines the calls, events or errors of a pallet.
func (b *builder) enum(name string, variants ...scale.VariantType) *scale.TypeID {
	id := b.Enum(name, variants...)
	return &id
}

// calls defines the calls of a pallet but those that are to be left out.
func (b *builder) calls(pallet string, variants ...scale.VariantType) *scale.TypeID {
	kept := slices.DeleteFunc(variants, func(v scale.VariantType) bool {
		return b.lacks(pallet + "." + v.Name)
	})
	return b.enum(pallet+"Call", kept...)
}

func (b *builder) extensions() []scale.ExtensionType {
	known := []struct{ name, extra, implicit string }{
		{"CheckNonZeroSender", "()", "()"},
		{"CheckSpecVersion", "()", "u32"},
		{"CheckTxVersion", "()", "u32"},
		{"CheckGenesis", "()", "H256"},
		{"CheckMortality", "Era", "H256"},
		{"CheckNonce", "Compact<u32>", "()"},
		{"CheckWeight", "()", "()"},
		{"ChargeTransactionPayment", "Compact<u64>", "()"},
		{"SudoTransactionExtension", "()", "()"},
		{"SubtensorTransactionExtension", "()", "()"},
		{"DrandPriority", "()", "()"},
		{"CheckMetadataHash", "Mode", "Option<[u8; 32]>"},
	}
	var extensions []scale.ExtensionType
	for _, e := range known {
		if !b.lacks(e.name) {
			extensions = append(extensions, scale.ExtensionType{
				Name: e.name, Extra: b.Type(e.extra), Implicit: b.Type(e.implicit),
			})
		}
	}
	if b.cfg.Extension != "" {
		extensions = append(extensions, scale.ExtensionType{
			Name: b.cfg.Extension, Extra: b.Type("u32"), Implicit: b.Type("()"),
		})
	}
	return extensions
}
