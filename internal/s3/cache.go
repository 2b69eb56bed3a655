package s3

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
)

// cache is blocks on a disk, a file each: the block and its CRC32C. Several processes may share it. Files come whole or
// not at all, and whatever is gone or damaged is fetched again.
type cache struct {
	fsys  files.FS
	dir   string
	bytes int64
	warn  func(error)

	mu    sync.Mutex
	sound map[string]bool // blocks that were read whole, or written, by this process
	begun bool            // the folder was looked at
	since int64           // bytes written since
	ended bool            // it cannot be written to
}

// ending is that of a block's file.
const ending = ".block"

const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// off tells whether nothing is kept any more.
func (c *cache) off() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// has tells whether this process has seen a block.
func (c *cache) has(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sound[name]
}

// on tells whether a block of so many bytes is there, seen or not.
func (c *cache) on(name string, size int64) bool { return c.read(name, size, nil, 0) }

// read reads part of a block of so many bytes, if it is there and sound. It is read whole the first time.
func (c *cache) read(name string, size int64, dst []byte, off int64) bool {
	f, err := c.fsys.Open(filepath.Join(c.dir, name))
	if err != nil {
		c.lost(name)
		return false
	}
	defer f.Close() //nolint:errcheck // only read
	if c.has(name) {
		_, err = f.ReadAt(dst, off)
		return err == nil
	}
	raw := make([]byte, size+sumSize)
	if info, err := f.Stat(); err != nil || info.Size() != int64(len(raw)) {
		return false
	}
	if _, err := f.ReadAt(raw, 0); err != nil {
		return false
	}
	if crc32.Checksum(raw[:size], castagnoli) != binary.LittleEndian.Uint32(raw[size:]) {
		return false
	}
	copy(dst, raw[off:])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sound[name] = true
	return true
}

// lost forgets a block that another process has removed.
func (c *cache) lost(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sound, name)
}

// write keeps a block, and removes others where there are too many. That another process is just keeping the same is
// fine; where nothing can be written no more is tried.
func (c *cache) write(name string, raw []byte) {
	if c.off() {
		return
	}
	_, err := files.MkdirAll(c.fsys, c.dir)
	if err == nil {
		err = c.makeRoom(int64(len(raw)) + sumSize)
	}
	if err != nil {
		c.end(err)
		return
	}
	err = atomicfile.Write(c.fsys, filepath.Join(c.dir, name), func(f atomicfile.File) error {
		_, err := f.Write(raw)
		if err == nil {
			_, err = f.Write(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(raw, castagnoli)))
		}
		return err
	})
	switch {
	case errors.Is(err, files.ErrLocked):
	case err != nil:
		c.end(err)
	default:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sound[name] = true
	}
}

// end gives up writing.
func (c *cache) end(err error) {
	c.mu.Lock()
	before := c.ended
	c.ended = true
	c.mu.Unlock()
	if !before && c.warn != nil {
		c.warn(err)
	}
}

// looks is how often the folder is looked at while what it may hold is written anew: other processes write there too.
const looks = 64

// makeRoom removes the oldest files until so many bytes fit.
func (c *cache) makeRoom(size int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since += size; c.begun && c.since <= c.bytes/looks {
		return nil
	}
	entries, err := c.fsys.ReadDir(c.dir)
	if err != nil {
		return err
	}
	var all []fs.FileInfo
	total := size
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && ours(info.Name()) {
			all, total = append(all, info), total+info.Size()
		}
	}
	// room for what is written until the next look
	if room := c.bytes - c.bytes/looks; total > room {
		slices.SortFunc(all, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
		for _, info := range all {
			if total <= max(room, size) {
				break
			}
			if c.fsys.Remove(filepath.Join(c.dir, info.Name())) == nil {
				delete(c.sound, info.Name())
			}
			total -= info.Size()
		}
	}
	c.begun, c.since = true, 0
	return nil
}

// ours tells a block's file, or what was to become one.
func ours(name string) bool { return strings.HasSuffix(atomicfile.Final(name), ending) }
