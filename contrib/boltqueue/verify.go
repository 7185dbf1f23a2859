package boltqueue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The format of a bbolt file, version 2: pages of one size, numbered from 0.
// Pages 0 and 1 are meta pages, written in turn, of which the valid one with
// the higher transaction counts. Numbers are in the machine's byte order.
const (
	pageHeader  = 16 // number 8, flags 2, count 2, overflow 4
	elementSize = 16 // leaf: flags 4, position 4, key 4, value 4; branch: position 4, key 4, page 8
	// Magic 4, version 4, page size 4, flags 4, root 8, sequence 8, freelist 8, end 8,
	// transaction 8. A checksum of 8 follows.
	metaSize = 56

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketFlag   = 0x01

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	minPage     = 1 << 10
	maxPage     = 1 << 16
)

// bytes in the machine's order.
var order = binary.NativeEndian

// meta is a valid meta page.
type meta struct {
	pageSize                         int64
	root, freelist, end, transaction uint64
}

// verify checks the structure of a file before bbolt maps and trusts it: bbolt
// itself takes damage for data, or dies of it. The records have checksums of
// their own. Transaction is one that the file must contain, 0 if that is not
// known; verify returns the last one.
func verify(path string, transaction uint64) (last uint64, err error) {
	file, err := os.Open(path) //nolint:gosec // the caller's file
	if err != nil {
		return 0, err
	}
	locked, err := lock(file) // as bbolt does: another program may be writing
	if err == nil && !locked {
		err = fmt.Errorf("%w by another program", ErrInUse)
	}
	var newest meta
	if err == nil {
		newest, err = newestMeta(file, transaction)
	}
	if err == nil {
		err = verifyPages(file, newest)
	}
	return newest.transaction, errors.Join(err, file.Close())
}

func verifyPages(file *os.File, newest meta) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	pages := uint64(info.Size() / newest.pageSize) //nolint:gosec // not negative
	if newest.end > pages {
		return corrupt("it is cut off: it has %d pages of %d", pages, newest.end)
	}
	v := verifier{file: file, meta: newest, seen: make([]bool, newest.end)}
	v.seen[0], v.seen[1] = true, true
	if err := v.tree(newest.root, nil, nil); err != nil {
		return err
	}
	if err := v.freelist(); err != nil {
		return err
	}
	for id, seen := range v.seen {
		if !seen {
			return corrupt("page %d is neither used nor free", id)
		}
	}
	return nil
}

// newestMeta returns the meta page that counts.
func newestMeta(file io.ReaderAt, transaction uint64) (meta, error) {
	size := int64(minPage)
	for ; size <= maxPage; size *= 2 {
		if m, err := readMeta(file, size); err == nil && m.pageSize == size {
			break
		}
	}
	first, firstErr := readMeta(file, 0)
	if firstErr == nil {
		size = first.pageSize
	}
	second, secondErr := readMeta(file, size)
	newest := first
	if firstErr != nil || secondErr == nil && second.transaction > first.transaction {
		newest = second
	}
	switch damage := errors.Join(firstErr, secondErr); {
	case firstErr != nil && secondErr != nil:
		return meta{}, corrupt("it has no valid meta page: %w", damage)
	case newest.transaction < transaction:
		return meta{}, corrupt("its last transaction is %d, and %d was stored "+
			"(if it is a backup, remove its journal)", newest.transaction, transaction)
	case damage != nil && transaction == 0:
		return meta{}, corrupt("a meta page is not valid, and without the journal it is not known "+
			"whether it was the newest: %w", damage)
	case newest.root < 2 || newest.end < 3:
		return meta{}, corrupt("its meta page points outside")
	}
	return newest, nil
}

func readMeta(file io.ReaderAt, at int64) (meta, error) {
	page := make([]byte, pageHeader+metaSize+8)
	if _, err := file.ReadAt(page, at); err != nil {
		return meta{}, err
	}
	data := page[pageHeader:]
	sum := fnv.New64a()
	_, _ = sum.Write(data[:metaSize])
	size := order.Uint32(data[8:])
	if order.Uint32(data) != boltMagic || order.Uint32(data[4:]) != boltVersion ||
		order.Uint64(data[metaSize:]) != sum.Sum64() ||
		size < minPage ||
		size > maxPage {
		return meta{}, errChecksum
	}
	return meta{
		pageSize: int64(size), root: order.Uint64(data[16:]), freelist: order.Uint64(data[32:]),
		end: order.Uint64(data[40:]), transaction: order.Uint64(data[48:]),
	}, nil
}

// verifier walks through the pages of a file.
type verifier struct {
	file io.ReaderAt
	meta meta
	seen []bool // by page number
}

// page reads a page with its overflow, which must not have been seen.
func (v *verifier) page(id uint64) (data []byte, flags, count uint16, err error) {
	head := make([]byte, pageHeader)
	if id < 2 || id >= v.meta.end {
		return nil, 0, 0, corrupt("page %d does not exist", id)
	}
	if err := v.read(id, head); err != nil {
		return nil, 0, 0, err
	}
	pages := uint64(order.Uint32(head[12:])) + 1
	if order.Uint64(head) != id || pages > v.meta.end-id {
		return nil, 0, 0, corrupt("page %d has a wrong header", id)
	}
	for used := id; used < id+pages; used++ {
		if v.seen[used] {
			return nil, 0, 0, corrupt("page %d is used twice", used)
		}
		v.seen[used] = true
	}
	data = make([]byte, pages*uint64(v.meta.pageSize)) //nolint:gosec // within the file
	return data, order.Uint16(head[8:]), order.Uint16(head[10:]), v.read(id, data)
}

func (v *verifier) read(id uint64, data []byte) error {
	at := int64(id) * v.meta.pageSize //nolint:gosec // within the file
	if _, err := v.file.ReadAt(data, at); err != nil {
		return corrupt("page %d: %w", id, err)
	}
	return nil
}

// tree verifies a page and all below it, whose keys must be from least to below
// most. Nil is no bound.
func (v *verifier) tree(id uint64, least, most []byte) error {
	data, flags, count, err := v.page(id)
	if err != nil {
		return err
	}
	switch flags {
	case leafPage:
		err = v.leaf(data, int(count), least, most)
	case branchPage:
		err = v.branch(data, int(count), least, most)
	default:
		return corrupt("page %d has the flags %#x", id, flags)
	}
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return corrupt("page %d: %w", id, err)
	}
	return err
}

var (
	errElement = errors.New("an element points outside of its page")
	errKeys    = errors.New("its keys are not in order")
)

// span returns bytes of a page, size of them at a position relative to base.
func span(data []byte, base int, position, size uint32) ([]byte, error) {
	from := uint64(base) + uint64(position) //nolint:gosec // not negative
	if from+uint64(size) > uint64(len(data)) {
		return nil, errElement
	}
	return data[from : from+uint64(size)], nil
}

func (v *verifier) branch(data []byte, count int, least, most []byte) error {
	if count == 0 || pageHeader+count*elementSize > len(data) {
		return errElement
	}
	keys, pages := make([][]byte, count), make([]uint64, count)
	for i := range count {
		base := pageHeader + i*elementSize
		key, err := span(data, base, order.Uint32(data[base:]), order.Uint32(data[base+4:]))
		if err != nil {
			return err
		}
		keys[i], pages[i] = key, order.Uint64(data[base+8:])
	}
	if err := inOrder(keys, least, most); err != nil {
		return err
	}
	for i, id := range pages {
		end := most
		if i+1 < count {
			end = keys[i+1]
		}
		if err := v.tree(id, keys[i], end); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) leaf(data []byte, count int, least, most []byte) error {
	if pageHeader+count*elementSize > len(data) {
		return errElement
	}
	keys := make([][]byte, count)
	for i := range count {
		base := pageHeader + i*elementSize
		position, size := order.Uint32(data[base+4:]), order.Uint32(data[base+8:])
		key, err := span(data, base, position, size)
		if err != nil {
			return err
		}
		value, err := span(data, base+int(position), size, order.Uint32(data[base+12:]))
		if err != nil {
			return err
		}
		keys[i] = key
		if order.Uint32(data[base:])&bucketFlag != 0 {
			if err := v.bucket(value); err != nil {
				return err
			}
		}
	}
	return inOrder(keys, least, most)
}

// bucket verifies the value of a bucket: its root page, or 0 and then its only
// page itself.
func (v *verifier) bucket(value []byte) error {
	if len(value) < pageHeader {
		return errElement
	}
	if root := order.Uint64(value); root != 0 {
		return v.tree(root, nil, nil)
	}
	page := value[pageHeader:]
	if len(page) < pageHeader || order.Uint16(page[8:]) != leafPage {
		return errElement
	}
	return v.leaf(page, int(order.Uint16(page[10:])), nil, nil)
}

func inOrder(keys [][]byte, least, most []byte) error {
	for i, key := range keys {
		if len(key) == 0 || i > 0 && bytes.Compare(keys[i-1], key) >= 0 ||
			bytes.Compare(key, least) < 0 || most != nil && bytes.Compare(key, most) >= 0 {
			return errKeys
		}
	}
	return nil
}

// freelist marks the free pages as seen.
func (v *verifier) freelist() error {
	data, flags, small, err := v.page(v.meta.freelist)
	if err != nil {
		return err
	}
	count, ids := uint64(small), data[pageHeader:]
	if small == 0xFFFF { // too many for the header
		count, ids = order.Uint64(ids), ids[8:]
	}
	if flags != freelistPage || count > uint64(len(ids)/8) {
		return corrupt("its list of free pages has a wrong header")
	}
	for i := range count {
		id := order.Uint64(ids[8*i:])
		if id < 2 || id >= v.meta.end || v.seen[id] {
			return corrupt("page %d is free and used, or does not exist", id)
		}
		v.seen[id] = true
	}
	return nil
}
