package weights

import "errors"

// SaveStepwise is Save, but before each step on the disk it asks whether that
// is to fail. A step is a word and the file or folder.
func (s *Scores) SaveStepwise(path string, before func(step, path string) error) error {
	return s.saveOn(steps{before}, path)
}

// steps is a disk that asks first.
type steps struct {
	before func(step, path string) error
}

// step does what it is asked to, unless that is to fail.
func (s steps) step(name, path string, do func() error) error {
	if err := s.before(name, path); err != nil {
		return err
	}
	return do()
}

func (s steps) create(path string) (file syncedFile, err error) {
	err = s.step("create", path, func() error {
		file, err = disk{}.create(path)
		return err
	})
	return stepFile{s, path, file}, err
}

func (s steps) rename(from, to string) error {
	return s.step("rename", from, func() error { return disk{}.rename(from, to) })
}

func (s steps) open(path string) (file syncedFile, err error) {
	err = s.step("open", path, func() error {
		file, err = disk{}.open(path)
		return err
	})
	return stepFile{s, path, file}, err
}

func (s steps) remove(path string) error {
	return s.step("remove", path, func() error { return disk{}.remove(path) })
}

type stepFile struct {
	steps

	path string
	file syncedFile
}

func (f stepFile) Write(data []byte) (n int, err error) {
	err = f.step("write", f.path, func() error {
		n, err = f.file.Write(data)
		return err
	})
	return n, err
}

func (f stepFile) Sync() error { return f.step("sync", f.path, f.file.Sync) }

func (f stepFile) Close() error { return errors.Join(f.before("close", f.path), f.file.Close()) }

// Seal makes a snapshot file of what stands in its middle, with a good
// checksum.
var Seal = seal
