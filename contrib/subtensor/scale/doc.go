// Package scale reads and writes what a Substrate chain speaks, by the chain's own description of
// itself: the runtime metadata, versions 15 and 16. It has no table of pallets, calls, errors or
// events. Everything is found by name, since the numbers move with each runtime upgrade.
//
// # Values
//
// [Metadata.Decode] and [Metadata.Encode] convert between SCALE and Go values by the type that the
// metadata declares, as encoding/json does by the text:
//
//	bool, str                     bool, string
//	u8 … u64, i8 … i64, compact   integer kinds; a number that does not fit is an error
//	u128, u256, i128, i256        [16]byte or [32]byte, little-endian, or an integer if it fits
//	Vec<u8>, [u8; n]              []byte, [n]byte
//	Vec<T>, [T; n]                []T, [n]T
//	struct with named fields      struct; the tag `scale:"name"` names the field of the chain
//	tuple, unnamed fields         struct; exported fields in order
//	struct of one unnamed field   what the field is
//	Option<T>                     *T; nil is none
//	enum                          string, the variant's name; a struct of pointers, tagged with the
//	                              names of variants; or [Variant]
//	anything                      [Raw], to be decoded later
//
// Fields of the chain that the Go struct does not name are skipped. A field that the Go struct
// names and the chain lacks is an error, never a zero, unless its tag ends in ",optional". So is an
// exported field without a tag where the chain's fields have names, and one with a tag where they
// have none. In a struct of pointers the tag `scale:",name"` marks a string that receives the
// variant's name.
//
// # Hostile input
//
// Metadata and values come from a node that may lie. Nothing here allocates by an announced length,
// recursion is limited to a depth of 64, and the number of steps of a decoding is limited by the
// length of the input. What is left over after a value is an error.
package scale
