package subtensortest

import (
	"encoding/binary"
	"encoding/json"
	"slices"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// stateCall runs a runtime API.
func (n *Node) stateCall(params []json.RawMessage) (any, *rpcError) {
	var name string
	if len(params) == 0 || json.Unmarshal(params[0], &name) != nil {
		return nil, badParams("the name of a function is needed")
	}
	args, failure := bytesParam(params, 1)
	if failure != nil {
		return nil, failure
	}
	b, failure := n.stateParam(params, 2)
	if failure != nil {
		return nil, failure
	}
	a := &api{store: store{metadata: b.runtime.Metadata, values: b.values}, node: n, block: b}
	result, found := a.run(name, args)
	switch {
	case !found:
		return nil, executionFailed("Other: Exported method " + name + " is not found")
	case a.err != nil:
		return nil, executionFailed(a.err.Error())
	}
	return hexText(result), nil
}

func executionFailed(why string) *rpcError {
	return &rpcError{Code: codeUnknownBlock, Message: "Client error: Execution failed: " + why}
}

// api is one call of a runtime API.
type api struct {
	store
	node  *Node
	block *block
}

// run returns false for an API that the runtime lacks.
func (a *api) run(name string, args []byte) (result []byte, found bool) {
	if name == "Metadata_metadata_at_version" {
		return a.metadataAt(args), true
	}
	for _, trait := range a.metadata.APIs {
		for _, method := range trait.Methods {
			switch {
			case trait.Name+"_"+method.Name != name:
			case method.Name == "validate_transaction":
				return a.validateTransaction(args), true
			default:
				return a.call(method, args), true
			}
		}
	}
	return nil, false
}

// metadataAt returns an Option<Vec<u8>>.
func (a *api) metadataAt(args []byte) []byte {
	if len(args) != 4 {
		return []byte{0}
	}
	data, ok := a.block.runtime.offered[binary.LittleEndian.Uint32(args)]
	if !ok {
		return []byte{0}
	}
	return scale.AppendBytes([]byte{1}, data)
}

// validateTransaction takes a source, an extrinsic and a block hash.
func (a *api) validateTransaction(args []byte) []byte {
	if len(args) < 1+32 {
		return []byte{1, 0, 0}
	}
	_, v, err := a.node.validate(&a.store, args[1:len(args)-32])
	switch {
	case err != nil:
		return []byte{1, 0, 0} // InvalidTransaction::Call
	case v.validity == customInvalid:
		return []byte{1, 0, byte(customInvalid), v.custom}
	case v.validity != valid && v.validity != future:
		return []byte{1, 0, byte(v.validity)}
	}
	ok := append([]byte{0}, le64(1)...)       // priority
	ok = append(ok, 0, 0)                     // requires, provides
	return append(append(ok, le64(64)...), 1) // longevity, propagate
}

func (a *api) call(method scale.MethodType, args []byte) []byte {
	if len(args) < 2 {
		a.fail(scale.ErrMalformed)
		return nil
	}
	netuid := binary.LittleEndian.Uint16(args)
	mechanism, indexes := uint8(0), args[2:]
	if method.Name == "get_selective_mechagraph" && len(indexes) > 0 {
		mechanism, indexes = indexes[0], indexes[1:]
	}
	exists := a.flag(module+"NetworksAdded", netuid)
	var value any
	switch method.Name {
	case "get_neurons_lite":
		value = a.neuronsLite(netuid)
	case "get_selective_metagraph", "get_selective_mechagraph":
		if exists {
			value = a.selective(method, netuid, mechanism, indexes)
		}
	case "get_subnet_hyperparams_v3":
		if exists {
			value = a.hyperparams(netuid)
		}
	case "get_next_epoch_start_block":
		if next, err := a.schedule(netuid).NextEpochBlock(); exists && err == nil {
			value = next
		}
	}
	data, err := a.metadata.Encode(method.Output, value)
	a.fail(err)
	return data
}

func (a *api) schedule(netuid uint16) timelock.Schedule {
	e := &execution{store: a.store, block: &block{number: a.block.number + 1}}
	return e.schedule(netuid)
}

// neuron is what the node knows of a neuron.
type neuron struct {
	hotkey, coldkey [32]byte
	axon            axonInfo
	active, permit  bool
	updated, stake  uint64
}

func (a *api) neurons(netuid uint16, mechanism uint8) []neuron {
	var permits []bool
	var updates []uint64
	a.get(&permits, module+"ValidatorPermit", netuid)
	a.get(&updates, module+"LastUpdate", storageIndex(netuid, mechanism))
	factor := a.number(module+"ActivityCutoffFactorMilli", netuid)
	cutoff := factor * a.number(module+"Tempo", netuid) / 1000
	all := make([]neuron, a.number(module+"SubnetworkN", netuid))
	for uid := range all {
		v := &all[uid]
		v.hotkey = a.account(module+"Keys", netuid, uid)
		v.coldkey = a.account(module+"Owner", v.hotkey)
		a.get(&v.axon, module+"Axons", netuid, v.hotkey)
		v.permit = uid < len(permits) && permits[uid]
		if uid < len(updates) {
			v.updated = updates[uid]
		}
		v.active = v.updated+cutoff >= a.block.number
		v.stake = a.stake(netuid, uint16(uid))
	}
	return all
}

func (a *api) neuronsLite(netuid uint16) []map[string]any {
	neurons := a.neurons(netuid, 0)
	all := make([]map[string]any, len(neurons))
	type nominator struct {
		Who   [32]byte
		Stake uint64
	}
	prometheus := map[string]any{"block": 0, "version": 0, "ip": 0, "port": 0, "ip_type": 0}
	for uid, v := range neurons {
		all[uid] = map[string]any{
			"hotkey": v.hotkey, "coldkey": v.coldkey, "uid": uid, "netuid": netuid, "active": v.active,
			"axon_info": v.axon, "prometheus_info": prometheus,
			"stake": []nominator{{v.coldkey, v.stake}},
			"rank":  0, "emission": 0, "incentive": 0, "consensus": 0, "trust": 0, "validator_trust": 0,
			"dividends": 0, "last_update": v.updated, "validator_permit": v.permit, "pruning_score": 0,
		}
	}
	return all
}

// selective fills the fields that were asked for by position.
func (a *api) selective(
	method scale.MethodType, netuid uint16, mechanism uint8, indexes []byte,
) map[string]any {
	list := method.Inputs[len(method.Inputs)-1]
	var wanted []int
	a.fail(a.metadata.Decode(list.Type, indexes, &wanted))
	neurons := a.neurons(netuid, mechanism)
	var hotkeys, coldkeys [][32]byte
	var axons []axonInfo
	var active, permits []bool
	var updates, stakes []uint64
	for _, v := range neurons {
		hotkeys, coldkeys = append(hotkeys, v.hotkey), append(coldkeys, v.coldkey)
		axons, active = append(axons, v.axon), append(active, v.active)
		permits = append(permits, v.permit)
		updates, stakes = append(updates, v.updated), append(stakes, v.stake)
	}
	values := map[string]any{
		"owner_hotkey": a.account(module+"SubnetOwnerHotkey", netuid),
		"block":        a.block.number, "tempo": a.number(module+"Tempo", netuid),
		"num_uids": len(neurons),
		"hotkeys":  hotkeys, "coldkeys": coldkeys, "axons": axons, "active": active,
		"validator_permit": permits, "last_update": updates, "alpha_stake": stakes,
		"tao_stake": make([]uint64, len(stakes)), "total_stake": stakes,
	}
	record := map[string]any{"netuid": netuid}
	for name, value := range values {
		index, err := a.metadata.FieldIndex(method.Output, name)
		if err == nil && slices.Contains(wanted, index) {
			record[name] = value
		}
	}
	return record
}

func (a *api) hyperparams(netuid uint16) []map[string]any {
	var all []map[string]any
	add := func(name, kind string, value any) {
		all = append(all, map[string]any{
			"name": []byte(name), "value": scale.Variant{Name: kind, Value: []any{value}},
		})
	}
	add("tempo", "U16", a.number(module+"Tempo", netuid))
	add("weights_rate_limit", "U64", a.number(module+"WeightsSetRateLimit", netuid))
	add("min_allowed_weights", "U16", a.number(module+"MinAllowedWeights", netuid))
	add("max_weights_limit", "U16", a.number(module+"MaxWeightsLimit", netuid))
	add("weights_version", "U64", a.number(module+"WeightsVersionKey", netuid))
	add("commit_reveal_weights_enabled", "Bool", a.flag(module+"CommitRevealWeightsEnabled", netuid))
	add("commit_reveal_period", "U64", a.number(module+"RevealPeriodEpochs", netuid))
	add("serving_rate_limit", "U64", a.number(module+"ServingRateLimit", netuid))
	add("activity_cutoff_factor", "U32", a.number(module+"ActivityCutoffFactorMilli", netuid))
	return all
}
