package boltqueue

// Commits returns a function that commits one record of this number, in batches
// that apply is given the numbers of.
func Commits(apply func(batch []uint64) error) (commit func(number uint64) error) {
	c := &committer{apply: func(writes []*write) error {
		var batch []uint64
		for _, w := range writes {
			batch = append(batch, w.ops[0].key)
		}
		return apply(batch)
	}}
	return func(number uint64) error { return c.commit(op{in: sampleBucket, key: number}) }
}
