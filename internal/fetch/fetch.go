// Package fetch brings data sets from the network: it downloads an archive, going on where an earlier attempt was cut
// off, holds it to the checksum that others publish, and unpacks it into a folder that appears whole or not at all.
//
// [Sets] are those that are known by name. Nothing that comes from the network is believed: names in archives stay
// inside the folder, links and devices are refused, and an archive may not grow without bound.
//
// While it works, everything lies in a folder beside the one to be made, with ".partial" after its name. The package
// imports atomicfile, files, lockfile and text and nothing else of the program.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
	"alexnet/internal/lockfile"
	"alexnet/internal/text"
)

// Set is a data set in one archive.
type Set struct {
	Name   string
	URL    string
	Size   int64  // bytes; 0: not known
	SHA256 string // hexadecimal; empty: nobody published one
	Source string // who published the checksum
}

// Options say where a set goes.
type Options struct {
	Files    files.FS
	Client   *http.Client
	Dir      string                                      // new or empty
	Progress func(p Phase, done, all int64)              // bytes; all is 0 where nobody knows; may be nil
	Retry    func(err *Unreachable, pause time.Duration) // before each pause; may be nil

	// For tests, which do not wait.
	pauses []time.Duration // before new attempts; nil: usualPauses
	stall  time.Duration   // how long a server may send nothing; 0: usualStall
}

// Phase is what is being done.
type Phase int

// The phases.
const (
	Downloading Phase = iota // counted in bytes
	Checking                 // the same
	Unpacking                // in bytes of the archive
)

// Result is what was fetched.
type Result struct {
	Dir      string
	URL      string
	Bytes    int64  // of the archive
	SHA256   string // of the archive
	Verified bool   // the checksum is the published one
	Files    int    // unpacked
}

// Names inside the .partial folder.
const (
	archiveName = "archive"
	stateName   = "archive.json"
	lockName    = "lock"
	treeName    = "tree"
)

// Fetch downloads the set and unpacks it. A Dir that has something in it is a *NotEmpty, one that is not a folder, or
// would lie in what is not one, a *NotFolder, one that nothing can replace a *Fixed: these are told before anything is
// downloaded. Errors of the network are *Unreachable, what the server answers instead of the archive *Refused, a disk
// on which it does not fit *files.NoRoom, other bytes than published a *Mismatch, an archive that is not one, or is not
// to be trusted, a *BadArchive. When ctx ends, the error is an *Interrupted around its cause.
//
// Of a Mismatch and a BadArchive nothing is kept. After any other error what was downloaded stays for the next call. An
// empty Dir is removed at the beginning. The archive goes when all that was unpacked is synced, its name too.
func Fetch(ctx context.Context, set Set, o Options) (r *Result, err error) {
	if err := vacant(o.Files, o.Dir); err != nil {
		return nil, err
	}
	dir := files.Partial(o.Dir)
	made, err := files.MkdirAll(o.Files, dir)
	if err != nil {
		return nil, err
	}
	release, err := lockfile.Hold(o.Files, filepath.Join(dir, lockName))
	switch {
	case errors.Is(err, files.ErrLocked):
		return nil, &Busy{o.Dir}
	case err != nil:
		return nil, err
	}
	defer release()
	d := &download{set: set, o: o, path: filepath.Join(dir, archiveName), state: filepath.Join(dir, stateName)}
	defer func() {
		if err == nil {
			return
		}
		kept := d.kept()
		if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
			err = &Interrupted{Have: kept, Err: err}
		}
		if kept == 0 || errors.As(err, new(*Mismatch)) || errors.As(err, new(*BadArchive)) {
			err = errors.Join(err, tidy(o.Files, dir))
			for _, m := range slices.Backward(made) {
				_ = o.Files.Remove(m) // if nothing else is in it
			}
		}
	}()
	if err := files.SyncParents(o.Files, slices.Compact(append(made, dir))); err != nil {
		return nil, err
	}
	// An empty folder gives way now: one that cannot, as a mount point, is not to be found out after the download.
	if err := o.Files.Remove(o.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &Fixed{Dir: o.Dir, Err: err}
	}
	if err := d.run(ctx); err != nil {
		return nil, err
	}
	r = &Result{Dir: o.Dir, URL: set.URL}
	if err := r.check(ctx, set, d); err != nil {
		return nil, err
	}
	tree := filepath.Join(dir, treeName)
	if err := removeAll(o.Files, tree); err != nil { // of an attempt that was killed
		return nil, err
	}
	r.Files, err = unpack(ctx, d.path, tree, o)
	if err == nil {
		err = syncTree(ctx, o.Files, tree)
	}
	if err != nil {
		return nil, errors.Join(err, removeAll(o.Files, tree))
	}
	return r, finish(o.Files, tree, o.Dir)
}

// vacant tells whether a folder can be made, or is there and empty.
func vacant(fsys files.FS, dir string) error {
	info, err := fsys.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return inFolder(fsys, dir)
	case err != nil:
		return err
	case !info.IsDir():
		return &NotFolder{Path: dir, Mode: info.Mode()}
	}
	if here, err := fsys.Stat("."); err == nil && fsys.SameFile(here, info) {
		return &Fixed{Dir: dir, Err: errors.New("it is the current folder")}
	}
	switch items, err := fsys.ReadDir(dir); {
	case err != nil:
		return err
	case len(items) > 0:
		return &NotEmpty{dir}
	}
	return nil
}

// inFolder tells whether what is there of the way to path are folders.
func inFolder(fsys files.FS, path string) error {
	above, info, err := files.Standing(fsys, filepath.Dir(path))
	if err == nil && !info.IsDir() {
		return &NotFolder{Path: above, Mode: info.Mode()}
	}
	return err
}

// check takes the checksum of the archive and compares it with the published one.
func (r *Result) check(ctx context.Context, set Set, d *download) error {
	f, err := d.o.Files.Open(d.path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h, buf := sha256.New(), make([]byte, 1<<20)
	for {
		n, err := f.Read(buf)
		h.Write(buf[:n])
		r.Bytes += int64(n)
		d.o.progress(Checking, r.Bytes, info.Size())
		if errors.Is(err, io.EOF) {
			break
		}
		if err := errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
	}
	r.SHA256 = hex.EncodeToString(h.Sum(nil))
	r.Verified = set.SHA256 != ""
	if r.Verified && r.SHA256 != set.SHA256 {
		return &Mismatch{URL: set.URL, Want: set.SHA256, Got: r.SHA256, Source: set.Source}
	}
	return nil
}

func (o *Options) progress(p Phase, done, all int64) {
	if o.Progress != nil {
		o.Progress(p, done, all)
	}
}

// finish puts the tree in dir's place and removes what it was made from.
func finish(fsys files.FS, tree, dir string) error {
	if err := fsys.Rename(tree, dir); err != nil {
		return err
	}
	if err := fsys.SyncDir(filepath.Dir(filepath.Clean(dir))); err != nil {
		return &atomicfile.Failed{Path: dir, Now: atomicfile.Written, Err: err}
	}
	return tidy(fsys, files.Partial(dir))
}

// tidy removes what Fetch put into its folder, and the folder if nothing else is in it.
func tidy(fsys files.FS, dir string) error {
	atomicfile.Clear(fsys, filepath.Join(dir, stateName))
	for _, name := range []string{treeName, archiveName, stateName, lockName} {
		if err := removeAll(fsys, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	items, err := fsys.ReadDir(dir)
	if err != nil || len(items) > 0 {
		return err
	}
	return fsys.Remove(dir)
}

// removeAll removes a folder with all that is in it, or nothing where there is nothing. Links are removed and not
// followed.
func removeAll(fsys files.FS, path string) error {
	info, err := fsys.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		items, err := fsys.ReadDir(path)
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := removeAll(fsys, filepath.Join(path, item.Name())); err != nil {
				return err
			}
		}
	}
	return fsys.Remove(path)
}

// create opens a new file.
func create(fsys files.FS, name string) (files.File, error) {
	return files.OpenOwn(fsys, name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// NotEmpty says that there is something in the folder that is to be made.
type NotEmpty struct{ Dir string }

func (e *NotEmpty) Error() string { return fmt.Sprintf("%s is not empty", text.Name(e.Dir)) }

// NotFolder says that there is something else where a folder is to be made, or in which it is to be made.
type NotFolder struct {
	Path string
	Mode fs.FileMode
}

func (e *NotFolder) Error() string {
	what := "a file"
	if !e.Mode.IsRegular() {
		what = files.Kind(e.Mode)
	}
	return fmt.Sprintf("%s is %s, not a folder", text.Name(e.Path), what)
}

// Fixed says that an empty folder cannot be replaced: it is the current one, or a file system is mounted there.
type Fixed struct {
	Dir string
	Err error
}

func (e *Fixed) Error() string {
	err := e.Err
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err // the name is said already
	}
	return fmt.Sprintf("the folder %s cannot be replaced: %v", text.Name(e.Dir), err)
}

func (e *Fixed) Unwrap() error { return e.Err }

// Interrupted says that the context ended. Have bytes are there for the next attempt.
type Interrupted struct {
	Have int64
	Err  error
}

func (e *Interrupted) Error() string { return e.Err.Error() }
func (e *Interrupted) Unwrap() error { return e.Err }

// Busy says that another process fetches into the same folder.
type Busy struct{ Dir string }

func (e *Busy) Error() string {
	return fmt.Sprintf("another process is fetching into %s", text.Name(e.Dir))
}

// Mismatch says that an archive is not the one that was published.
type Mismatch struct {
	URL, Want, Got string
	Source         string // who published it
}

func (e *Mismatch) Error() string {
	return fmt.Sprintf("%s is not what %s publishes: its SHA-256 is %s, not %s", e.URL, e.Source, e.Got, e.Want)
}
