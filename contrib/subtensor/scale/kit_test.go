package scale_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// hexText is bytes as the vectors write them.
type hexText []byte

func (h *hexText) UnmarshalText(text []byte) error {
	data, err := parseHex(string(text))
	*h = data
	return err
}

func parseHex(text string) ([]byte, error) {
	data := make([]byte, 0, len(text)/2)
	for i := 2; i+1 < len(text); i += 2 {
		b, err := strconv.ParseUint(text[i:i+2], 16, 8)
		if err != nil {
			return nil, err
		}
		data = append(data, byte(b))
	}
	return data, nil
}

func readVectors[T any](tb testing.TB, name string) T {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(tb, err)
	var vectors T
	require.NoError(tb, json.Unmarshal(data, &vectors))
	return vectors
}

type keyVectors struct {
	Items []struct {
		Pallet, Item string
		Hashers      []string
		Modifier     string
		Value        string
		Fallback     hexText
		Args         []any
		Key          hexText
	}
}

// alice is the public key of the vectors' account.
var alice = [32]byte(must(parseHex("0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d")))

const aliceSS58 = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// kit is metadata with what the vectors name, built from the vectors, so that the tests need no
// file that is not in the repository.
func kit(tb testing.TB, version uint8) *scale.Metadata {
	tb.Helper()
	r := scale.NewRegistry()
	r.Define("NetUid", scale.Type{Kind: scale.KindComposite, Fields: r.Fields("", "u16")})
	r.Define("MechId", scale.Type{Kind: scale.KindComposite, Fields: r.Fields("", "u8")})
	r.Struct("BoundedVec", "", "Vec<u8>")
	r.Struct("AxonInfo", "block", "u64", "version", "u32", "ip", "u128", "port", "u16", "ip_type",
		"u8", "protocol", "u8", "placeholder1", "u8", "placeholder2", "u8")
	m := &scale.Metadata{Version: version}
	subtensor := scale.Pallet{Name: "SubtensorModule", Index: 7, Prefix: "SubtensorModule"}
	subtensor.Storage = kitStorage(tb, r)
	kitEnums(tb, r, &subtensor)
	m.Pallets = []scale.Pallet{kitSystem(r, &subtensor), subtensor}
	kitExtrinsic(r, m)
	kitAPIs(tb, r, m)
	require.NoError(tb, r.Err())
	m.Types = r.Types()
	parsed, err := scale.Parse(m.Marshal())
	require.NoError(tb, err)
	return parsed
}

var hashers = map[string]scale.Hasher{
	"Identity":         scale.Identity,
	"Blake2_128Concat": scale.Blake2b128Concat,
	"Twox64Concat":     scale.Twox64Concat,
}

func kitStorage(tb testing.TB, r *scale.Registry) []scale.StorageType {
	tb.Helper()
	var items []scale.StorageType
	for _, item := range readVectors[keyVectors](tb, "storage_keys_spec424.json").Items {
		if item.Pallet != "SubtensorModule" {
			continue
		}
		if strings.HasPrefix(item.Value, "{") {
			item.Value = "AxonInfo"
		}
		entry := scale.StorageType{
			Name: item.Item, Optional: item.Modifier == "Optional",
			Value: r.Type(strings.ReplaceAll(item.Value, "Bytes", "BoundedVec")), Default: item.Fallback,
		}
		var keys []string
		for i, arg := range item.Args {
			entry.Hashers = append(entry.Hashers, hashers[item.Hashers[i]])
			keys = append(keys, keyType(item.Item, arg))
		}
		entry.Key = r.Type(keys[0])
		if len(keys) > 1 {
			entry.Key = r.Type("(" + strings.Join(keys, ",") + ")")
		}
		items = append(items, entry)
	}
	return items
}

func keyType(item string, arg any) string {
	switch {
	case arg == aliceSS58:
		return "AccountId32"
	case item == "TimelockedWeightCommits" && arg == float64(5):
		return "u64"
	default:
		return "u16"
	}
}

type enumVectors struct {
	PalletIndex uint8            `json:"pallet_index"`
	Errors      map[uint8]string `json:"errors"`
	Events      map[uint8]string `json:"events"`
	Calls       map[uint8]string `json:"calls"`
}

var signature = regexp.MustCompile(`^(\w+)\((.*)\)$`)

// kitEnums adds the errors, the events that are read, and the calls that are made.
func kitEnums(tb testing.TB, r *scale.Registry, pallet *scale.Pallet) {
	tb.Helper()
	vectors := readVectors[enumVectors](tb, "subtensor_spec424.json")
	var failures, calls, events []scale.VariantType
	for i := range uint8(255) {
		if name, ok := vectors.Errors[i]; ok {
			failures = append(failures, scale.VariantType{
				Name: name, Index: i,
				Docs: []string{" What", " it says."},
			})
		}
		if text, ok := vectors.Calls[i]; ok && !strings.Contains(text, "batch") {
			parts := signature.FindStringSubmatch(text)
			calls = append(calls, scale.VariantType{
				Name: parts[1], Index: i,
				Fields: callFields(r, parts[2]),
			})
		}
		parts := signature.FindStringSubmatch(vectors.Events[i])
		if parts != nil && parts[1] == "WeightsSet" {
			events = append(events, scale.VariantType{
				Name: parts[1], Index: i,
				Fields: r.Fields("", "u16", "", "u16"),
			})
		}
	}
	pallet.Errors = new(r.Enum("pallet_subtensor::Error", failures...))
	pallet.Calls = new(r.Enum("pallet_subtensor::Call", calls...))
	pallet.Events = new(r.Enum("pallet_subtensor::Event", events...))
}

func callFields(r *scale.Registry, list string) []scale.Field {
	var namesAndTypes []string
	for argument := range strings.SplitSeq(strings.ReplaceAll(list,
		"<u8, ConstU32<MAX_CRV3_COMMIT_SIZE_BYTES>>", ""), ", ") {
		name, typ, _ := strings.Cut(argument, ": ")
		namesAndTypes = append(namesAndTypes, name, typ)
	}
	return r.Fields(namesAndTypes...)
}

func kitSystem(r *scale.Registry, subtensor *scale.Pallet) scale.Pallet {
	r.Struct("AccountData", "free", "u64", "reserved", "u64", "frozen", "u64", "flags", "u128")
	r.Struct("AccountInfo", "nonce", "u32", "consumers", "u32", "providers", "u32", "sufficients",
		"u32", "data", "AccountData")
	r.Struct("DispatchInfo", "weight", "(Compact<u64>, Compact<u64>)", "class", "u8", "pays_fee", "u8")
	r.Struct("ModuleError", "index", "u8", "error", "[u8; 4]")
	r.Enum("TokenError", scale.VariantType{Name: "FundsUnavailable", Index: 0})
	r.Enum("DispatchError", scale.VariantType{Name: "BadOrigin", Index: 2},
		scale.VariantType{Name: "Module", Index: 3, Fields: r.Fields("", "ModuleError")},
		scale.VariantType{Name: "Token", Index: 7, Fields: r.Fields("", "TokenError")})
	events := r.Enum("frame_system::Event",
		scale.VariantType{
			Name: "ExtrinsicSuccess", Index: 0,
			Fields: r.Fields("dispatch_info", "DispatchInfo"),
		},
		scale.VariantType{
			Name: "ExtrinsicFailed", Index: 1,
			Fields: r.Fields("dispatch_error", "DispatchError", "dispatch_info", "DispatchInfo"),
		})
	r.Enum("RuntimeEvent", scale.VariantType{
		Name: "System", Index: 0,
		Fields: []scale.Field{{Type: events}},
	},
		scale.VariantType{
			Name: "SubtensorModule", Index: 7,
			Fields: []scale.Field{{Type: *subtensor.Events}},
		})
	r.Enum("Phase", scale.VariantType{Name: "ApplyExtrinsic", Index: 0, Fields: r.Fields("", "u32")},
		scale.VariantType{Name: "Finalization", Index: 1},
		scale.VariantType{Name: "Initialization", Index: 2})
	r.Struct("EventRecord", "phase", "Phase", "event", "RuntimeEvent", "topics", "Vec<H256>")
	return scale.Pallet{
		Name: "System", Index: 0, Prefix: "System", Events: new(events),
		Storage: []scale.StorageType{
			{
				Name: "Account", Hashers: []scale.Hasher{scale.Blake2b128Concat},
				Key: r.Type("AccountId32"), Value: r.Type("AccountInfo"), Default: make([]byte, 56),
			},
			{Name: "Events", Value: r.Type("Vec<EventRecord>"), Default: []byte{0}},
		},
		Constants: []scale.ConstantType{{Name: "SS58Prefix", Type: r.Type("u16"), Value: []byte{42, 0}}},
	}
}

func kitExtrinsic(r *scale.Registry, m *scale.Metadata) {
	r.Enum("MultiAddress", scale.VariantType{
		Name: "Id", Index: 0,
		Fields: r.Fields("", "AccountId32"),
	},
		scale.VariantType{Name: "Index", Index: 1, Fields: r.Fields("", "Compact<()>")})
	r.Enum("MultiSignature", scale.VariantType{
		Name: "Ed25519", Index: 0,
		Fields: r.Fields("", "[u8; 64]"),
	},
		scale.VariantType{Name: "Sr25519", Index: 1, Fields: r.Fields("", "[u8; 64]")})
	var mortal []scale.VariantType
	for i := range 256 {
		variant := scale.VariantType{Name: "Mortal" + strconv.Itoa(i), Index: uint8(i)}
		if i > 0 {
			variant.Fields = r.Fields("", "u8")
		}
		mortal = append(mortal, variant)
	}
	r.Enum("Era", mortal...)
	r.Enum("Mode", scale.VariantType{Name: "Disabled", Index: 0},
		scale.VariantType{Name: "Enabled", Index: 1})
	m.Extrinsic = scale.Extrinsic{
		Versions: []uint8{4}, Address: r.Type("MultiAddress"), Call: r.Type("()"),
		Signature: r.Type("MultiSignature"), Extra: r.Type("()"),
	}
	for _, e := range [][3]string{
		{"CheckNonZeroSender", "()", "()"},
		{"CheckSpecVersion", "()", "u32"},
		{"CheckTxVersion", "()", "u32"},
		{"CheckGenesis", "()", "H256"},
		{"CheckMortality", "Era", "H256"},
		{"CheckNonce", "Compact<u32>", "()"},
		{"CheckWeight", "()", "()"},
		{"ChargeTransactionPayment", "Compact<u64>", "()"},
		{"DrandPriority", "()", "()"},
		{"CheckMetadataHash", "Mode", "Option<[u8; 32]>"},
	} {
		m.Extrinsic.Extensions = append(m.Extrinsic.Extensions,
			scale.ExtensionType{Name: e[0], Extra: r.Type(e[1]), Implicit: r.Type(e[2])})
	}
}

func kitAPIs(tb testing.TB, r *scale.Registry, m *scale.Metadata) {
	tb.Helper()
	r.Struct("PrometheusInfo", "block", "u64", "version", "u32", "ip", "u128", "port", "u16",
		"ip_type", "u8")
	r.Struct("NeuronInfoLite", "hotkey", "AccountId32", "coldkey", "AccountId32",
		"uid", "Compact<u16>",
		"netuid", "Compact<NetUid>", "active", "bool", "axon_info", "AxonInfo",
		"prometheus_info", "PrometheusInfo",
		"stake", "Vec<(AccountId32, Compact<u64>)>", "rank", "Compact<u16>", "emission", "Compact<u64>",
		"incentive", "Compact<u16>", "consensus", "Compact<u16>", "trust", "Compact<u16>",
		"validator_trust", "Compact<u16>", "dividends", "Compact<u16>", "last_update", "Compact<u64>",
		"validator_permit", "bool", "pruning_score", "Compact<u16>")
	var values []scale.VariantType
	for i, typ := range []string{
		"bool", "Compact<u16>", "Compact<u32>", "Compact<u64>",
		"Compact<u128>", "Compact<u64>",
	} {
		name := []string{"Bool", "U16", "U32", "U64", "U128", "TaoBalance"}[i]
		values = append(values, scale.VariantType{Name: name, Index: uint8(i), Fields: r.Fields("", typ)})
	}
	r.Enum("HyperparamValue", values...)
	r.Struct("Hyperparam", "name", "Vec<u8>", "value", "HyperparamValue")
	r.Struct("SelectiveMetagraph", selectiveFields(tb)...)
	netuid := r.Fields("netuid", "NetUid")
	m.APIs = []scale.APIType{
		{Name: "NeuronInfoRuntimeApi", Methods: []scale.MethodType{
			{Name: "get_neurons_lite", Inputs: netuid, Output: r.Type("Vec<NeuronInfoLite>")},
		}},
		{Name: "SubnetInfoRuntimeApi", Methods: []scale.MethodType{
			{Name: "get_subnet_hyperparams_v3", Inputs: netuid, Output: r.Type("Option<Vec<Hyperparam>>")},
			{Name: "get_next_epoch_start_block", Inputs: netuid, Output: r.Type("Option<u64>")},
			{
				Name: "get_selective_metagraph", Inputs: r.Fields("netuid", "NetUid", "metagraph_indexes",
					"Vec<u16>"),
				Output: r.Type("Option<SelectiveMetagraph>"),
			},
		}},
	}
}

type apiVectors struct {
	Cases []struct {
		API  string
		Raw  hexText
		JSON json.RawMessage
	}
}

func apiVector(tb testing.TB, api string) (raw []byte, want json.RawMessage) {
	tb.Helper()
	for _, vector := range readVectors[apiVectors](tb, "runtime_apis_spec424.json").Cases {
		if vector.API == api {
			return vector.Raw, vector.JSON
		}
	}
	require.Fail(tb, "no such vector", api)
	return nil, nil
}

// selectiveFields takes the fields of the selective metagraph and their order from the vector: the
// types of those that are set, and any type for those that are not.
func selectiveFields(tb testing.TB) []string {
	tb.Helper()
	_, record := apiVector(tb, "SubnetInfoRuntimeApi_get_selective_metagraph")
	types := map[string]string{
		"netuid": "Compact<u16>", "block": "Option<Compact<u64>>", "tempo": "Option<Compact<u16>>",
		"hotkeys": "Option<Vec<AccountId32>>", "coldkeys": "Option<Vec<AccountId32>>",
		"axons": "Option<Vec<AxonInfo>>", "active": "Option<Vec<bool>>",
		"validator_permit": "Option<Vec<bool>>",
		"last_update":      "Option<Vec<Compact<u64>>>", "alpha_stake": "Option<Vec<Compact<u64>>>",
		"tao_stake": "Option<Vec<Compact<u64>>>", "total_stake": "Option<Vec<Compact<u64>>>",
	}
	decoder := json.NewDecoder(bytes.NewReader(record))
	must(decoder.Token()) // {
	var fields []string
	for decoder.More() {
		name := snake(must(decoder.Token()).(string))
		var value json.RawMessage
		require.NoError(tb, decoder.Decode(&value))
		typ, set := types[name]
		require.Equal(tb, set, string(value) != "null", name)
		if !set {
			typ = "Option<u8>"
		}
		fields = append(fields, name, typ)
	}
	return fields
}

var upper = regexp.MustCompile(`[A-Z]`)

func snake(name string) string {
	return strings.ToLower(upper.ReplaceAllString(name, "_$0"))
}

type runtime218Vectors struct {
	NeuronsLite struct{ Raw, Inner hexText } `json:"neurons_lite"`
	Axon        storedVector
	LastUpdate  storedVector `json:"last_update"`
	Weights     storedVector
	Account     storedVector
	Events      storedVector
}

type storedVector struct {
	Key, Raw hexText
	Decoded  json.RawMessage
}

func runtime218(tb testing.TB) runtime218Vectors {
	tb.Helper()
	return readVectors[runtime218Vectors](tb, "runtime218.json")
}
