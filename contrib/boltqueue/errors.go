package boltqueue

import "errors"

// Errors that a caller can act on, besides those of package durable; compare
// with errors.Is.
var (
	// ErrInUse is returned by Open for a file that is open already. Its text
	// names the process, unless that has opened it without this package.
	ErrInUse = errors.New("boltqueue: file is in use")
	// ErrCorrupt is returned by Open, and wrapped by errors of Sample, for a
	// file that does not contain what was written to it.
	ErrCorrupt = errors.New("boltqueue: file is damaged")
	// ErrFailed is returned after an error of the file system that leaves open
	// whether the last samples are stored. Close the queue and open it again.
	ErrFailed = errors.New("boltqueue: file could not be written")
)
