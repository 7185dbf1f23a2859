package scale

// check refuses metadata that refers to types that are not there, so that later code need not ask.
func (m *Metadata) check() error {
	ids := []TypeID{m.Runtime, m.Outer.Call, m.Outer.Event, m.Outer.Error}
	ids = append(ids, m.Extrinsic.Address, m.Extrinsic.Call, m.Extrinsic.Signature, m.Extrinsic.Extra)
	for _, extension := range m.Extrinsic.Extensions {
		ids = append(ids, extension.Extra, extension.Implicit)
	}
	for _, api := range m.APIs {
		for _, method := range api.Methods {
			ids = append(ids, method.Output)
			ids = appendFields(ids, method.Inputs)
		}
	}
	for i := range m.Pallets {
		ids = appendPallet(ids, &m.Pallets[i])
	}
	for i := range m.Types {
		ids = appendType(ids, &m.Types[i])
	}
	for _, id := range ids {
		if int(id) >= len(m.Types) {
			return malformed("type %d of %d", id, len(m.Types))
		}
	}
	return nil
}

func appendFields(ids []TypeID, fields []Field) []TypeID {
	for _, field := range fields {
		ids = append(ids, field.Type)
	}
	return ids
}

func appendPallet(ids []TypeID, pallet *Pallet) []TypeID {
	for _, id := range []*TypeID{pallet.Calls, pallet.Events, pallet.Errors} {
		if id != nil {
			ids = append(ids, *id)
		}
	}
	for _, item := range pallet.Storage {
		ids = append(ids, item.Key, item.Value)
	}
	for _, constant := range pallet.Constants {
		ids = append(ids, constant.Type)
	}
	return ids
}

func appendType(ids []TypeID, typ *Type) []TypeID {
	ids = append(ids, typ.Elem, typ.Order)
	ids = append(ids, typ.Elems...)
	ids = appendFields(ids, typ.Fields)
	for _, variant := range typ.Variants {
		ids = appendFields(ids, variant.Fields)
	}
	return ids
}
