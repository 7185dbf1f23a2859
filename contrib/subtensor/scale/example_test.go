package scale_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// exampleMetadata is that of a runtime with one pallet. A client gets it from its node.
func exampleMetadata() *scale.Metadata {
	types := scale.NewRegistry()
	types.Struct("AxonInfo", "block", "u64", "ip", "u128", "port", "u16")
	calls := types.Enum("Call", scale.VariantType{
		Name: "serve_axon", Index: 4, Fields: types.Fields("netuid", "u16", "port", "u16"),
	})
	m := &scale.Metadata{Version: 15, Pallets: []scale.Pallet{{
		Name: "SubtensorModule", Index: 7, Prefix: "SubtensorModule", Calls: &calls,
		Storage: []scale.StorageType{{
			Name: "Axons", Hashers: []scale.Hasher{scale.Identity}, Optional: true,
			Key: types.Type("u16"), Value: types.Type("AxonInfo"),
		}},
	}}}
	if err := types.Err(); err != nil {
		log.Panic(err)
	}
	m.Types = types.Types()
	return m
}

// A call is made by its names. What the runtime lacks is an error with the name.
func ExampleMetadata_Call() {
	m := exampleMetadata()
	call, err := m.Call("SubtensorModule", "serve_axon", map[string]any{"netuid": 1, "port": 8091})
	fmt.Printf("%x %v\n", call, err)

	_, err = m.Call("SubtensorModule", "serve_prometheus", nil)
	fmt.Println(errors.Is(err, scale.ErrNotFound), err)
	// Output:
	// 070401009b1f <nil>
	// true scale: not in the metadata: call SubtensorModule.serve_prometheus
}

// A stored value is decoded into a struct of the fields that are of interest.
func ExampleMetadata_Storage() {
	axons, err := exampleMetadata().Storage("SubtensorModule", "Axons")
	if err != nil {
		log.Panic(err)
	}
	key, err := axons.Key(1)
	if err != nil {
		log.Panic(err)
	}
	fmt.Printf("%x…\n", key[:4])

	value, err := axons.Encode(map[string]any{"block": 100, "ip": 3405803783, "port": 8091})
	if err != nil {
		log.Panic(err)
	}
	var axon struct {
		Port uint16 `scale:"port"`
	}
	present, err := axons.Decode(value, &axon)
	fmt.Println(present, axon.Port, err)
	present, err = axons.Decode(nil, &axon)
	fmt.Println(present, err)
	// Output:
	// 658faa38…
	// true 8091 <nil>
	// false <nil>
}

// An era bounds how long a signed extrinsic is valid.
func ExampleMortalEra() {
	era := scale.MortalEra(1000, 64)
	fmt.Println(era.Birth(1000), era.Death(1000))
	// Output:
	// 1000 1064
}
