package axon

// EmptyValue returns what a header holds in place of a value of type t.
func EmptyValue(t Type) string { return t.emptyValue() }

// Hasher checks a class once and returns its hash function.
func Hasher(c Class) (func(dst, body []byte) ([]byte, error), error) {
	compiled, err := c.compile()
	if err != nil {
		return nil, err
	}
	return compiled.AppendHash, nil
}
