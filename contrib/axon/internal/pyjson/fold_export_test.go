package pyjson

// Fold returns a name without case.
func Fold(name string) string { return fold(name) }
