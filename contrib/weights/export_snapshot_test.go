package weights

import "errors"

// SaveStepwise is Save, but before each step on the disk it asks whether that is to fail. A step is
// a word.
func (s *Saver) SaveStepwise(before func(step string) error) error {
	s.files = steps{before}
	defer func() { s.files = disk{} }()
	return s.Save()
}

// Decodable returns why data are no snapshot file, or nil.
func Decodable(data []byte) error {
	_, err := decode(data)
	return err
}

// Seal makes a snapshot file of what is in its middle, with a good checksum.
var Seal = seal

// steps is a disk that asks first.
type steps struct{ before func(step string) error }

// step does what it is asked to, unless that is to fail.
func (s steps) step(name string, do func() error) error {
	if err := s.before(name); err != nil {
		return err
	}
	return do()
}

func (s steps) create(folder, pattern string) (file syncedFile, err error) {
	err = s.step("create", func() error {
		file, err = disk{}.create(folder, pattern)
		return err
	})
	return stepFile{s, file}, err
}

func (s steps) open(path string) (file syncedFile, err error) {
	err = s.step("open", func() error {
		file, err = disk{}.open(path)
		return err
	})
	return stepFile{s, file}, err
}

func (s steps) link(from, to string) error {
	return s.step("link", func() error { return disk{}.link(from, to) })
}

func (s steps) rename(from, to string) error {
	return s.step("rename", func() error { return disk{}.rename(from, to) })
}

func (s steps) remove(path string) error {
	return s.step("remove", func() error { return disk{}.remove(path) })
}

type stepFile struct {
	steps

	file syncedFile
}

func (f stepFile) Name() string { return f.file.Name() }

func (f stepFile) Write(data []byte) (n int, err error) {
	err = f.step("write", func() error {
		n, err = f.file.Write(data)
		return err
	})
	return n, err
}

func (f stepFile) Sync() error { return f.step("sync", f.file.Sync) }

func (f stepFile) Close() error { return errors.Join(f.before("close"), f.file.Close()) }
