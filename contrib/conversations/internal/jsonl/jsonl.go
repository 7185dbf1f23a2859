// Package jsonl reads a text file line by line, plain or compressed with gzip,
// without holding more of it than one line.
package jsonl

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrTooLong is returned for a line that is longer than the limit. The line
// has been skipped.
var ErrTooLong = errors.New("line is too long")

const bufferSize = 64 << 10

var (
	gzipMagic = []byte{0x1f, 0x8b}
	bom       = []byte("\ufeff")
)

// Reader reads one file once, from the top. It is not safe for concurrent use.
type Reader struct {
	file    *os.File
	input   *bufio.Reader
	limit   int
	line    int    // number of the line that is or was read last
	partial bool   // that line has not been read to its end
	text    []byte // what has been read of it
	long    bool   // it is too long; text is not kept
}

// Open opens a regular file whose lines have up to limit bytes, without the
// line's end and after decompression. Whether it is compressed is seen from
// its first bytes. The path is not part of the errors.
func Open(path string, limit int) (*Reader, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	input, err := decompressed(bufio.NewReaderSize(file, bufferSize))
	if err != nil {
		_ = file.Close()
		return nil, withoutPath(err)
	}
	return &Reader{file: file, input: input, limit: limit}, nil
}

// openRegular refuses what could block or never end: pipes and devices.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("is a directory")
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	}
	return os.Open(path) //nolint:gosec // the path is the caller's to choose
}

func decompressed(input *bufio.Reader) (*bufio.Reader, error) {
	magic, err := input.Peek(len(gzipMagic))
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case !bytes.Equal(magic, gzipMagic):
		return input, nil
	}
	unzip, err := gzip.NewReader(input)
	if err != nil {
		return nil, broken(err)
	}
	return bufio.NewReaderSize(unzip, bufferSize), nil
}

// Next returns the next line without its end, and without a byte order mark.
// The line is valid until the next call. At the end of the file the error is
// io.EOF. Interrupted is asked before each block that is read; its error ends
// the call, and the next call goes on where this one left off. After any other
// error but [ErrTooLong] there is nothing more to read.
func (r *Reader) Next(interrupted func() error) ([]byte, error) {
	if !r.partial {
		r.line++
		r.partial, r.long, r.text = true, false, r.text[:0]
	}
	for {
		if err := interrupted(); err != nil {
			return nil, err
		}
		block, err := r.input.ReadSlice('\n')
		r.add(block)
		switch {
		case err == nil, errors.Is(err, io.EOF) && (len(r.text) > 0 || r.long):
			return r.end()
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, broken(err)
		}
	}
}

// Line returns the number, from 1, of the line that Next read last, or in
// which it failed.
func (r *Reader) Line() int { return r.line }

// Close closes the file.
func (r *Reader) Close() error { return withoutPath(r.file.Close()) }

// add keeps a block of the current line, unless that makes it too long. What
// does not count for the limit is a byte order mark and the line's end.
func (r *Reader) add(block []byte) {
	const uncounted = len("\ufeff\r\n")
	if r.long || len(r.text)+len(block)-uncounted > r.limit {
		r.long, r.text = true, r.text[:0]
		return
	}
	r.text = append(r.text, block...)
}

func (r *Reader) end() ([]byte, error) {
	r.partial = false
	text := bytes.TrimSuffix(bytes.TrimSuffix(r.text, []byte("\n")), []byte("\r"))
	if r.line == 1 {
		text = bytes.TrimPrefix(text, bom)
	}
	if r.long || len(text) > r.limit {
		return nil, ErrTooLong
	}
	return text, nil
}

// broken says in words what is wrong with a compressed file.
func broken(err error) error {
	err = withoutPath(err)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("compressed file is truncated: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("not readable: %w", err)
}

// withoutPath takes the path out of an error, for callers that add it.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
