package scale

import (
	"fmt"
	"strings"
)

// Event is an event of a block.
type Event struct {
	// Phase is "ApplyExtrinsic", "Initialization" or "Finalization"; Extrinsic is the index of the
	// extrinsic in the block, in the first of these.
	Phase     string
	Extrinsic uint32
	Pallet    string
	Name      string

	inner Variant
}

// Is reports whether it is the event of a name.
func (e Event) Is(pallet, name string) bool { return e.Pallet == pallet && e.Name == name }

// Decode decodes the content into what target points to: a struct with tags, or with fields in
// order if those of the event have no names.
func (e Event) Decode(target any) error {
	if err := e.inner.Decode(target); err != nil {
		return fmt.Errorf("event %s.%s: %w", e.Pallet, e.Name, err)
	}
	return nil
}

// HasEvent reports whether the runtime has an event.
func (m *Metadata) HasEvent(pallet, event string) bool {
	p, err := m.Pallet(pallet)
	return err == nil && p.Events != nil && variantByName(m.typ(*p.Events).Variants, event) != nil
}

// maxEvents is the size of events that Events reads. A full block of mainnet has less than 1 MB.
const maxEvents = 4 << 20

// Events decodes the events of a block: the value of the storage item System.Events.
func (m *Metadata) Events(value []byte) ([]Event, error) {
	if len(value) > maxEvents {
		return nil, malformed("events of %d bytes, at most %d are read", len(value), maxEvents)
	}
	item, err := m.Storage("System", "Events")
	if err != nil {
		return nil, err
	}
	var records []struct {
		Phase struct {
			Name           string  `scale:",name"`
			ApplyExtrinsic *uint32 `scale:"ApplyExtrinsic"`
		} `scale:"phase"`
		Event Variant `scale:"event"`
	}
	if _, err := item.Decode(value, &records); err != nil {
		return nil, err
	}
	events := make([]Event, len(records))
	for i, record := range records {
		event := Event{Phase: record.Phase.Name, Pallet: record.Event.Name}
		if record.Phase.ApplyExtrinsic != nil {
			event.Extrinsic = *record.Phase.ApplyExtrinsic
		}
		if err := record.Event.Decode(&event.inner); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		event.Name = event.inner.Name
		events[i] = event
	}
	return events, nil
}

// DispatchError names the error of an ExtrinsicFailed event: that of a pallet, or, without Pallet,
// one of the runtime itself, such as "BadOrigin" or "Token.FundsUnavailable".
func (m *Metadata) DispatchError(failed Event) (ModuleError, error) {
	var content struct {
		Error Variant `scale:"dispatch_error"`
	}
	if err := failed.Decode(&content); err != nil {
		return ModuleError{}, err
	}
	if content.Error.Name == "Module" {
		var module struct {
			Index uint8   `scale:"index"`
			Error [4]byte `scale:"error"`
		}
		if err := content.Error.Decode(&module); err != nil {
			return ModuleError{}, fmt.Errorf("module error: %w", err)
		}
		return m.ModuleError(module.Index, module.Error[0])
	}
	var inner string
	if content.Error.Decode(&inner) != nil {
		inner = "" // most have no content
	}
	return ModuleError{Name: strings.TrimSuffix(content.Error.Name+"."+inner, ".")}, nil
}
