package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"alexnet/internal/files"
	"alexnet/internal/lockfile"
	"alexnet/internal/text"
)

// Folder is a new folder that is being filled, under another name (files.Partial) until all of it is there.
type Folder struct {
	fsys    files.FS
	path    string
	dir     string   // files.Partial
	made    []string // to make that, outermost first
	release func()   // of the lock in it; nil: Finish or Drop was called
	parts   []*part
}

// Exists says that something is where a new folder was to be.
type Exists struct{ Path string }

func (e *Exists) Error() string { return fmt.Sprintf("%s is there already", text.Name(e.Path)) }

// Names inside the partial folder.
const (
	folderLock = "lock"
	folderTree = "tree" // becomes the folder
)

// NewFolder begins the folder of a path, and makes what leads to it. Where anything is but an empty folder it is an
// *Exists; other errors are *Failed. What a killed writer left is removed.
func NewFolder(fsys files.FS, path string) (*Folder, error) {
	path = filepath.Clean(path)
	if err := vacant(fsys, path); err != nil {
		return nil, err
	}
	f := &Folder{fsys: fsys, path: path, dir: files.Partial(path)}
	var err error
	if f.made, err = files.MkdirAll(fsys, f.dir); err != nil {
		return nil, failed(path, Unchanged, err)
	}
	f.release, err = lockfile.Hold(fsys, filepath.Join(f.dir, folderLock))
	if err != nil {
		f.unmake()
		return nil, failed(path, Unchanged, err)
	}
	if err = f.clear(); err == nil {
		err = fsys.Mkdir(filepath.Join(f.dir, folderTree), 0o777)
	}
	if err != nil {
		f.Drop()
		return nil, failed(path, Unchanged, err)
	}
	return f, nil
}

// vacant tells whether nothing is at a path, or an empty folder that can give way.
func vacant(fsys files.FS, path string) error {
	items, err := fsys.ReadDir(path)
	switch base := filepath.Base(path); {
	case base == "." || base == ".." || base == string(filepath.Separator), err == nil && len(items) > 0:
		return &Exists{path}
	case err == nil || errors.Is(err, fs.ErrNotExist):
		if info, err := fsys.Lstat(path); err == nil && !info.IsDir() { // a link, to a folder or to nothing
			return &Exists{path}
		}
		return nil
	}
	if _, there := fsys.Lstat(path); there == nil {
		return &Exists{path}
	}
	return failed(path, Unchanged, err)
}

// part is a file of the folder.
type part struct {
	path   string // that it will have
	file   files.File
	buffer *bufio.Writer
}

// Write appends.
func (p *part) Write(b []byte) (n int, err error) {
	if n, err = p.buffer.Write(b); err != nil {
		err = failed(p.path, Unchanged, err)
	}
	return n, err
}

// finish makes the file durable and closes it.
func (p *part) finish() error {
	err := p.buffer.Flush()
	if err == nil {
		err = p.file.Sync()
	}
	if closed := p.file.Close(); err == nil {
		err = closed
	}
	p.file = nil
	return err
}

// Create begins a file in the folder, which stays open until Finish. Errors, of its Write too, are *Failed.
func (f *Folder) Create(name string) (io.Writer, error) {
	p, here := &part{path: filepath.Join(f.path, name)}, filepath.Join(f.dir, folderTree, name)
	file, err := files.OpenOwn(f.fsys, here, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, failed(p.path, Unchanged, err)
	}
	p.file, p.buffer = file, bufio.NewWriterSize(file, 1<<16)
	f.parts = append(f.parts, p)
	return p, nil
}

// Finish gives the folder its name, durably. Errors are *Failed; unless that says Written nothing of it is left.
func (f *Folder) Finish() error {
	for _, p := range f.parts {
		if err := p.finish(); err != nil {
			f.Drop()
			return failed(p.path, Unchanged, err)
		}
	}
	tree := filepath.Join(f.dir, folderTree)
	err := f.fsys.SyncDir(tree)
	if err == nil {
		if err = f.fsys.Remove(f.path); errors.Is(err, fs.ErrNotExist) { // else it was an empty folder
			err = nil
		}
	}
	if err == nil {
		err = f.fsys.Rename(tree, f.path)
	}
	if err != nil {
		f.Drop()
		return failed(f.path, Unchanged, err)
	}
	f.parts = nil
	f.close()
	_ = f.fsys.Remove(f.dir) // what holds it is not ours
	if err := files.SyncParents(f.fsys, append(f.made, f.path)); err != nil {
		return failed(f.path, Written, err)
	}
	return nil
}

// Drop removes what was written, unless it was finished. Calling it again does nothing.
func (f *Folder) Drop() {
	if f.release == nil {
		return
	}
	for _, p := range f.parts {
		if p.file != nil {
			_ = p.file.Close() // it only tidies
		}
	}
	_ = f.clear()
	f.close()
	f.unmake()
}

// close gives the lock back.
func (f *Folder) close() {
	_ = f.fsys.Remove(filepath.Join(f.dir, folderLock)) // before it goes
	f.release()
	f.release = nil
}

// clear removes the folder's files and itself.
func (f *Folder) clear() error {
	tree := filepath.Join(f.dir, folderTree)
	items, err := f.fsys.ReadDir(tree)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	for _, item := range items {
		if err := f.fsys.Remove(filepath.Join(tree, item.Name())); err != nil {
			return err
		}
	}
	return f.fsys.Remove(tree)
}

// unmake removes what was made to begin, where nothing else is in it.
func (f *Folder) unmake() {
	_ = f.fsys.Remove(f.dir)
	for _, m := range slices.Backward(f.made) {
		_ = f.fsys.Remove(m)
	}
}
