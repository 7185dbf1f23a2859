package scale

import "fmt"

// Call returns a call of a pallet with its arguments: a struct with tags, a map[string]any, or the
// argument itself if there is only one. It returns a [NotFoundError] for a pallet, a call or an
// argument that the runtime lacks.
func (m *Metadata) Call(pallet, call string, args any) ([]byte, error) {
	p, err := m.Pallet(pallet)
	if err != nil {
		return nil, err
	}
	if p.Calls == nil || variantByName(m.typ(*p.Calls).Variants, call) == nil {
		return nil, &NotFoundError{Kind: "call", Name: pallet + "." + call}
	}
	encoded, err := m.Encode(*p.Calls, Variant{Name: call, Value: args})
	if err != nil {
		return nil, fmt.Errorf("%s.%s: %w", pallet, call, err)
	}
	return append([]byte{p.Index}, encoded...), nil
}

// HasCall reports whether the runtime has a call.
func (m *Metadata) HasCall(pallet, call string) bool {
	p, err := m.Pallet(pallet)
	return err == nil && p.Calls != nil && variantByName(m.typ(*p.Calls).Variants, call) != nil
}

// ParseCall takes a call apart: the pallet, and the call with its arguments.
func (m *Metadata) ParseCall(data []byte) (pallet string, call Variant, err error) {
	if len(data) == 0 {
		return "", Variant{}, malformed("a call without content")
	}
	for i := range m.Pallets {
		if p := &m.Pallets[i]; p.Index == data[0] && p.Calls != nil {
			err := m.Decode(*p.Calls, data[1:], &call)
			return p.Name, call, err
		}
	}
	return "", Variant{}, malformed("a call of pallet %d, which the runtime lacks", data[0])
}
