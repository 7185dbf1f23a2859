package weights

// SaveBy is Save with another way to rename, to fail in between.
func (s *Scores) SaveBy(path string, rename func(from, to string) error) error {
	return s.saveBy(path, rename)
}

// Seal makes a snapshot file of what stands in its middle, with a good
// checksum.
var Seal = seal
