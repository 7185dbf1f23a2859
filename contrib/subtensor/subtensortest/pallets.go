package subtensortest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// variants are of an enum: names and types of the content in turn; no type is no content.
func (b *builder) variants(namesAndTypes ...string) []scale.VariantType {
	var all []scale.VariantType
	for pair := range slices.Chunk(namesAndTypes, 2) {
		v := scale.VariantType{Name: pair[0], Index: uint8(len(all))} //nolint:gosec // few
		if pair[1] != "" {
			v.Fields = b.Fields("", pair[1])
		}
		all = append(all, v)
	}
	return all
}

// types defines what several pallets use.
func (b *builder) types() {
	b.Enum("MultiAddress", b.variants("Id", "AccountId32", "Index", "()", "Raw", "Vec<u8>",
		"Address32", "[u8; 32]", "Address20", "[u8; 20]")...)
	b.Enum("MultiSignature", b.variants("Ed25519", "[u8; 64]", "Sr25519", "[u8; 64]",
		"Ecdsa", "[u8; 65]")...)
	b.Enum("Mode", b.variants("Disabled", "", "Enabled", "")...)
	eras := []scale.VariantType{{Name: "Immortal"}}
	for i := 1; i < 256; i++ {
		eras = append(eras, scale.VariantType{
			Name: fmt.Sprintf("Mortal%d", i), Index: uint8(i), Fields: b.Fields("", "u8"),
		})
	}
	b.Enum("Era", eras...)
	b.Struct("AccountData", "free", "u64", "reserved", "u64", "frozen", "u64", "flags", "u128")
	b.Struct("AccountInfo", "nonce", "u32", "consumers", "u32", "providers", "u32",
		"sufficients", "u32", "data", "AccountData")
	b.Struct("ModuleError", "index", "u8", "error", "[u8; 4]")
	b.Enum("TokenError", b.variants("FundsUnavailable", "", "OnlyProvider", "", "BelowMinimum", "")...)
	b.Enum("DispatchError", b.variants("Other", "", "CannotLookup", "", "BadOrigin", "",
		"Module", "ModuleError", "ConsumerRemaining", "", "NoProviders", "",
		"TooManyConsumers", "", "Token", "TokenError")...)
	b.Struct("Weight", "ref_time", "Compact<u64>", "proof_size", "Compact<u64>")
	b.Enum("DispatchClass", b.variants("Normal", "", "Operational", "", "Mandatory", "")...)
	b.Enum("Pays", b.variants("Yes", "", "No", "")...)
	b.Struct("DispatchInfo", "weight", "Weight", "class", "DispatchClass", "pays_fee", "Pays")
	b.Struct("AxonInfo", "block", "u64", "version", "u32", "ip", "u128", "port", "u16",
		"ip_type", "u8", "protocol", "u8", "placeholder1", "u8", "placeholder2", "u8")
	b.Struct("PrometheusInfo", "block", "u64", "version", "u32", "ip", "u128", "port", "u16",
		"ip_type", "u8")
	b.Enum("Phase", b.variants("ApplyExtrinsic", "u32", "Finalization", "", "Initialization", "")...)
}

// item is a storage item: its name, the type of its value, the hashers and types of its keys, and
// its default, which makes it one that is never absent.
type item struct {
	name    string
	value   string
	hashers []scale.Hasher
	key     string
	initial []byte // nil: optional
}

func (b *builder) storage(pallet string, items ...item) []scale.StorageType {
	var storage []scale.StorageType
	for _, i := range items {
		if b.lacks(pallet + "." + i.name) {
			continue
		}
		entry := scale.StorageType{
			Name: i.name, Hashers: i.hashers, Value: b.Type(i.value),
			Optional: i.initial == nil, Default: i.initial,
		}
		if i.initial == nil {
			entry.Default = []byte{0}
		}
		if len(i.hashers) > 0 {
			entry.Key = b.Type(i.key)
		}
		storage = append(storage, entry)
	}
	return storage
}

func (b *builder) constants(pallet, name, typ string, value []byte) []scale.ConstantType {
	if b.lacks(pallet + "." + name) {
		return nil
	}
	return []scale.ConstantType{{Name: name, Type: b.Type(typ), Value: value}}
}

func le16(n uint16) []byte { return binary.LittleEndian.AppendUint16(nil, n) }
func le32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
func le64(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

var (
	none     []scale.Hasher
	twox64   = []scale.Hasher{scale.Twox64Concat}
	identity = []scale.Hasher{scale.Identity}
	blake    = []scale.Hasher{scale.Blake2b128Concat}
)

func (b *builder) system() scale.Pallet {
	return scale.Pallet{
		Name: "System", Index: 0,
		Storage: b.storage("System",
			item{"Account", "AccountInfo", blake, "AccountId32", make([]byte, 4*4+3*8+16)},
			item{"Number", "u32", none, "", le32(0)},
		),
		Calls: b.calls("System", b.variant(0, "remark", "remark", "Vec<u8>")),
		Events: b.enum("SystemEvent",
			b.variant(0, "ExtrinsicSuccess", "dispatch_info", "DispatchInfo"),
			b.variant(1, "ExtrinsicFailed", "dispatch_error", "DispatchError",
				"dispatch_info", "DispatchInfo"),
			b.variant(2, "CodeUpdated"),
		),
		Errors: b.enum("SystemError", b.variant(0, "CallFiltered")),
	}
}

// events is System.Events, whose type needs all pallets.
func (b *builder) events(pallets []scale.Pallet) scale.StorageType {
	b.outer("RuntimeEvent", pallets, func(p scale.Pallet) *scale.TypeID { return p.Events })
	b.Struct("EventRecord", "phase", "Phase", "event", "RuntimeEvent", "topics", "Vec<H256>")
	return b.storage("System", item{"Events", "Vec<EventRecord>", none, "", []byte{0}})[0]
}

func (b *builder) timestamp() scale.Pallet {
	return scale.Pallet{
		Name: "Timestamp", Index: 2,
		Storage: b.storage("Timestamp", item{"Now", "u64", none, "", le64(0)}),
		Calls:   b.calls("Timestamp", b.variant(0, "set", "now", "Compact<u64>")),
	}
}

// aura's constant is the block time in milliseconds.
func (b *builder) aura() scale.Pallet {
	slot := le64(uint64(b.cfg.BlockTime.Milliseconds())) //nolint:gosec // positive
	return scale.Pallet{
		Name: "Aura", Index: 3, Constants: b.constants("Aura", "SlotDuration", "u64", slot),
	}
}

func (b *builder) drand() scale.Pallet {
	return scale.Pallet{
		Name: "Drand", Index: 26,
		Storage: b.storage("Drand", item{"LastStoredRound", "u64", none, "", le64(0)}),
	}
}

func (b *builder) subtensor() scale.Pallet {
	const name = "SubtensorModule"
	return scale.Pallet{
		Name: name, Index: 7,
		Storage: append(b.subnetStorage(name), b.neuronStorage(name)...),
		Calls: b.calls(name,
			b.variant(0, "set_weights", "netuid", "u16", "dests", "Vec<u16>", "weights", "Vec<u16>",
				"version_key", "u64"),
			b.variant(4, "serve_axon", "netuid", "u16", "version", "u32", "ip", "u128", "port", "u16",
				"ip_type", "u8", "protocol", "u8", "placeholder1", "u8", "placeholder2", "u8"),
			b.variant(113, "commit_timelocked_weights", "netuid", "u16", "commit", "BoundedVec",
				"reveal_round", "u64", "commit_reveal_version", "u16"),
			b.variant(118, "commit_timelocked_mechanism_weights", "netuid", "u16", "mecid", "u8",
				"commit", "BoundedVec", "reveal_round", "u64", "commit_reveal_version", "u16"),
			b.variant(119, "set_mechanism_weights", "netuid", "u16", "mecid", "u8", "dests", "Vec<u16>",
				"weights", "Vec<u16>", "version_key", "u64"),
		),
		Events: b.enum(name+"Event",
			b.variant(5, "WeightsSet", "", "u16", "", "u16"),
			b.variant(28, "AxonServed", "", "u16", "", "AccountId32"),
			b.variant(107, "TimelockedWeightsCommitted", "", "AccountId32", "", "u16", "", "H256",
				"", "u64"),
			b.variant(108, "TimelockedWeightsRevealed", "", "u16", "", "AccountId32"),
		),
		Errors: b.moduleErrors(name),
	}
}

func (b *builder) subnetStorage(pallet string) []scale.StorageType {
	b.Struct("BoundedVec", "", "Vec<u8>")
	return b.storage(pallet,
		item{"NetworksAdded", "bool", identity, "u16", []byte{0}},
		item{"SubnetworkN", "u16", identity, "u16", le16(0)},
		item{"Tempo", "u16", identity, "u16", le16(360)},
		item{"LastEpochBlock", "u64", identity, "u16", le64(0)},
		item{"PendingEpochAt", "u64", identity, "u16", le64(0)},
		item{"SubnetEpochIndex", "u64", identity, "u16", le64(0)},
		item{"BlocksSinceLastStep", "u64", identity, "u16", le64(0)},
		item{"ActivityCutoffFactorMilli", "u32", identity, "u16", le32(13889)},
		item{"WeightsSetRateLimit", "u64", identity, "u16", le64(100)},
		item{"MinAllowedWeights", "u16", identity, "u16", le16(1)},
		item{"MaxWeightsLimit", "u16", identity, "u16", le16(65535)},
		item{"WeightsVersionKey", "u64", identity, "u16", le64(0)},
		item{"CommitRevealWeightsEnabled", "bool", identity, "u16", []byte{1}},
		item{"CommitRevealWeightsVersion", "u16", none, "", le16(4)},
		item{"RevealPeriodEpochs", "u64", twox64, "u16", le64(1)},
		item{"MechanismCountCurrent", "u8", twox64, "u16", []byte{1}},
		item{"StakeThreshold", "u64", none, "", le64(0)},
		item{"ServingRateLimit", "u64", identity, "u16", le64(50)},
		item{"SubnetOwner", "AccountId32", identity, "u16", make([]byte, 32)},
		item{"SubnetOwnerHotkey", "AccountId32", identity, "u16", make([]byte, 32)},
		item{
			"TimelockedWeightCommits", "Vec<(AccountId32, u64, BoundedVec, u64)>",
			[]scale.Hasher{scale.Twox64Concat, scale.Twox64Concat},
			"(u16, u64)",
			[]byte{0},
		},
	)
}

func (b *builder) neuronStorage(pallet string) []scale.StorageType {
	both := []scale.Hasher{scale.Identity, scale.Identity}
	account := []scale.Hasher{scale.Identity, scale.Blake2b128Concat}
	return b.storage(pallet,
		item{"Uids", "u16", account, "(u16, AccountId32)", nil},
		item{"Keys", "AccountId32", both, "(u16, u16)", make([]byte, 32)},
		item{"Owner", "AccountId32", blake, "AccountId32", make([]byte, 32)},
		item{
			"IsNetworkMember", "bool",
			[]scale.Hasher{scale.Blake2b128Concat, scale.Identity},
			"(AccountId32, u16)",
			[]byte{0},
		},
		item{"Axons", "AxonInfo", account, "(u16, AccountId32)", nil},
		item{"LastUpdate", "Vec<u64>", identity, "u16", []byte{0}},
		item{"ValidatorPermit", "Vec<bool>", identity, "u16", []byte{0}},
		item{"Active", "Vec<bool>", identity, "u16", []byte{0}},
		item{"Weights", "Vec<(u16, u16)>", both, "(u16, u16)", []byte{0}},
	)
}

// moduleErrors defines the errors that the node returns, and all others that a client gives a
// meaning.
func (b *builder) moduleErrors(pallet string) *scale.TypeID {
	var variants []scale.VariantType
	for i, name := range []string{
		"SubnetNotExists", "InvalidIpType", "InvalidIpAddress", "InvalidPort",
		"HotKeyNotRegisteredInSubNet", "HotKeyNotRegisteredInNetwork", "NotEnoughStakeToSetWeights",
		"NeuronNoValidatorPermit", "WeightVecNotEqualSize", "DuplicateUids", "UidVecContainInvalidOne",
		"WeightVecLengthIsLow", "MaxWeightExceeded", "SettingWeightsTooFast",
		"IncorrectWeightVersionKey", "ServingRateLimitExceeded", "UidsLengthExceedUidsInSubNet",
		"NetworkTxRateLimitExceeded", "CanNotSetRootNetworkWeights", "CommitRevealEnabled",
		"CommitRevealDisabled", "MechanismDoesNotExist", "TooManyUnrevealedCommits",
		"CommittingWeightsTooFast", "IncorrectCommitRevealVersion", "InvalidRevealRound",
		"ColdkeySwapAnnounced", "ColdkeySwapDisputed", "Deprecated", "DisabledTemporarily",
	} {
		v := b.variant(i, name)
		v.Docs = []string{"The chain refuses: " + name + "."}
		variants = append(variants, v)
	}
	return b.enum(pallet+"Error", variants...)
}

func (b *builder) apis() []scale.APIType {
	b.Struct("NeuronInfoLite", "hotkey", "AccountId32", "coldkey", "AccountId32",
		"uid", "Compact<u16>", "netuid", "Compact<u16>", "active", "bool",
		"axon_info", "AxonInfo", "prometheus_info", "PrometheusInfo",
		"stake", "Vec<(AccountId32, Compact<u64>)>", "rank", "Compact<u16>",
		"emission", "Compact<u64>", "incentive", "Compact<u16>", "consensus", "Compact<u16>",
		"trust", "Compact<u16>", "validator_trust", "Compact<u16>", "dividends", "Compact<u16>",
		"last_update", "Compact<u64>", "validator_permit", "bool", "pruning_score", "Compact<u16>")
	b.Struct("SelectiveMetagraph", "netuid", "Compact<u16>", "name", "Option<Vec<Compact<u8>>>",
		"owner_hotkey", "Option<AccountId32>", "owner_coldkey", "Option<AccountId32>",
		"block", "Option<Compact<u64>>", "tempo", "Option<Compact<u16>>",
		"num_uids", "Option<Compact<u16>>",
		"hotkeys", "Option<Vec<AccountId32>>", "coldkeys", "Option<Vec<AccountId32>>",
		"axons", "Option<Vec<AxonInfo>>", "active", "Option<Vec<bool>>",
		"validator_permit", "Option<Vec<bool>>", "last_update", "Option<Vec<Compact<u64>>>",
		"emission", "Option<Vec<Compact<u64>>>", "alpha_stake", "Option<Vec<Compact<u64>>>",
		"tao_stake", "Option<Vec<Compact<u64>>>", "total_stake", "Option<Vec<Compact<u64>>>")
	b.Enum("HyperparamValue",
		scale.VariantType{Name: "Bool", Index: 0, Fields: b.Fields("", "bool")},
		scale.VariantType{Name: "U16", Index: 1, Fields: b.Fields("", "Compact<u16>")},
		scale.VariantType{Name: "U32", Index: 2, Fields: b.Fields("", "Compact<u32>")},
		scale.VariantType{Name: "U64", Index: 3, Fields: b.Fields("", "Compact<u64>")})
	b.Struct("HyperparamEntry", "name", "Vec<u8>", "value", "HyperparamValue")
	b.validity()
	const (
		queue   = "TaggedTransactionQueue"
		neurons = "NeuronInfoRuntimeApi"
		subnets = "SubnetInfoRuntimeApi"
	)
	return []scale.APIType{
		{Name: queue, Methods: b.methods(queue,
			"validate_transaction(source TransactionSource, tx UncheckedExtrinsic, "+
				"block_hash H256) Result")},
		{Name: neurons, Methods: b.methods(neurons,
			"get_neurons_lite(netuid u16) Vec<NeuronInfoLite>")},
		{Name: subnets, Methods: b.methods(subnets,
			"get_selective_metagraph(netuid u16, metagraph_indexes Vec<u16>) Option<SelectiveMetagraph>",
			"get_selective_mechagraph(netuid u16, subid u8, metagraph_indexes Vec<u16>) "+
				"Option<SelectiveMetagraph>",
			"get_subnet_hyperparams_v3(netuid u16) Option<Vec<HyperparamEntry>>",
			"get_next_epoch_start_block(netuid u16) Option<u64>")},
	}
}

// validity defines the types of TaggedTransactionQueue_validate_transaction.
func (b *builder) validity() {
	b.Struct("UncheckedExtrinsic", "", "Vec<u8>")
	b.Enum("TransactionSource", b.variants("InBlock", "", "Local", "", "External", "")...)
	b.Struct("ValidTransaction", "priority", "u64", "requires", "Vec<Vec<u8>>",
		"provides", "Vec<Vec<u8>>", "longevity", "u64", "propagate", "bool")
	b.Enum("InvalidTransaction", b.variants("Call", "", "Payment", "", "Future", "", "Stale", "",
		"BadProof", "", "AncientBirthBlock", "", "ExhaustsResources", "", "Custom", "u8",
		"BadMandatory", "", "MandatoryValidation", "", "BadSigner", "")...)
	b.Enum("UnknownTransaction",
		b.variants("CannotLookup", "", "NoUnsignedValidator", "", "Custom", "u8")...)
	b.Enum("TransactionValidityError",
		b.variants("Invalid", "InvalidTransaction", "Unknown", "UnknownTransaction")...)
	b.Enum("Result", b.variants("Ok", "ValidTransaction", "Err", "TransactionValidityError")...)
}

// methods reads signatures: name(input type, …) output.
func (b *builder) methods(trait string, signatures ...string) []scale.MethodType {
	var methods []scale.MethodType
	for _, signature := range signatures {
		name, rest, _ := strings.Cut(signature, "(")
		inputs, output, _ := strings.Cut(rest, ") ")
		if b.lacks(trait + "_" + name) {
			continue
		}
		method := scale.MethodType{Name: name, Output: b.Type(output)}
		for input := range strings.SplitSeq(inputs, ", ") {
			field, typ, _ := strings.Cut(input, " ")
			method.Inputs = append(method.Inputs, scale.Field{Name: field, Type: b.Type(typ)})
		}
		methods = append(methods, method)
	}
	return methods
}
