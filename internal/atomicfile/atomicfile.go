// Package atomicfile writes files whole or not at all: under a temporary name in the same folder, synced, renamed, the
// folder synced. Whatever happens, a full disk and kill -9 included, the name holds the old file or the new one.
//
// [Write] is for the files that the program keeps for itself: anything but a regular file is refused. [Put] is for
// those that somebody named, who may name a link, a pipe or a device as well. A [Folder] is several files that are
// there together or not at all. The package imports files, lockfile and text and nothing else of the program.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/lockfile"
	"alexnet/internal/text"
)

// File is what a writer of content gets: Write appends, WriteAt writes anywhere. The two may be mixed; neither moves
// the other.
type File interface {
	io.Writer
	io.WriterAt
}

// Failed says that a file could not be written.
type Failed struct {
	Path string
	Now  State // of what is at the path
	Err  error // the system's, or the callback's
}

// State is what is at a path after a write that failed.
type State int

// The states of a path.
const (
	Unchanged State = iota // what was there, or nothing
	Written                // the new file, which a power failure may take again
	Unknown                // a pipe or a device, which may have got a part
)

func (e *Failed) Error() string {
	path := text.Name(e.Path)
	switch {
	case errors.Is(e.Err, files.ErrLocked):
		return fmt.Sprintf("cannot write %s: another process is writing it", path)
	case e.Now == Written:
		return fmt.Sprintf("%s is written, but may be lost in a power failure: %v", path, e.Err)
	case e.Now == Unknown:
		return fmt.Sprintf("cannot write %s: %v", path, e.Err)
	}
	return fmt.Sprintf("cannot write %s: %v (nothing was changed)", path, e.Err)
}

func (e *Failed) Unwrap() error { return e.Err }

// failed is the error of path: what the system says names the temporary file.
func failed(path string, now State, err error) error {
	switch e := err.(type) { //nolint:errorlint // only where it is the outermost: what wraps it says more
	case *os.PathError:
		err = e.Err
	case *os.LinkError:
		err = e.Err
	}
	return &Failed{Path: path, Now: now, Err: err}
}

// Write puts what the callback writes in path's place, with the mode of the file that was there or, where there was
// none, 0666 less the umask. Anything else there, a link above all, is a *files.InTheWay; other errors are *Failed. On
// an error, the callback's included, path is as it was and the temporary file is removed. There is one temporary name
// for each path ([Temp]), locked while it is written: what a killed writer left is overwritten by the next one, and two
// writers at once are an error. Where files cannot be locked each write has a name of its own.
func Write(fsys files.FS, path string, content func(File) error) error {
	old, err := files.Own(fsys, path)
	var other *files.InTheWay
	switch {
	case errors.As(err, &other):
		return err
	case err != nil:
		return failed(path, Unchanged, err)
	}
	_, err = replace(fsys, path, old, content)
	return err
}

// Temp is the name under which the file of a path is written.
func Temp(path string) string {
	dir, base := filepath.Split(path)
	return filepath.Join(dir, "."+base+".tmp")
}

// replace puts a new file in the place of old, nil where there is none, and tells its size.
func replace(fsys files.FS, path string, old fs.FileInfo, content func(File) error) (size int64, err error) {
	f, err := create(fsys, path)
	var other *files.InTheWay
	switch {
	case errors.As(err, &other):
		return 0, err
	case err != nil:
		return 0, failed(path, Unchanged, err)
	}
	size, err = fill(f, old, content)
	if err == nil {
		err = fsys.Rename(f.Name(), path)
	}
	if err != nil {
		_, _ = fsys.Remove(f.Name()), f.Close() // before the lock goes; the first error is the one to tell
		return 0, failed(path, Unchanged, err)
	}
	if old != nil && old.Mode().Perm()&ours != ours {
		err = f.Chmod(old.Mode().Perm())
	}
	if err := errors.Join(err, f.Close(), fsys.SyncDir(filepath.Dir(path))); err != nil {
		return 0, &Failed{Path: path, Now: Written, Err: err}
	}
	return size, nil
}

// create makes the temporary file.
func create(fsys files.FS, path string) (files.File, error) {
	f, err := lockfile.Acquire(fsys, Temp(path))
	if !errors.Is(err, lockfile.ErrNoLocks) {
		return f, err
	}
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s%d.%d.tmp", ownTemps(path), os.Getpid(), n)
		f, err := files.OpenOwn(fsys, name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// ownTemps is what the names of temporary files begin with that are one writer's own. They end as Temp does.
func ownTemps(path string) string { return strings.TrimSuffix(Temp(path), "tmp") }

// temporary matches Temp's names, and writers' own.
var temporary = regexp.MustCompile(`^\.(.+?)(?:\.[0-9]+\.[0-9]+)?\.tmp$`)

// Final is the name that a file gets of which this is a temporary name, without its folder: f of .f.tmp and, where
// files cannot be locked, of .f.77.0.tmp. That of any other file is its own. It is for folders in which no name ends in
// two numbers: .f.77.0.tmp may as well be of f.77.0.
func Final(name string) string {
	if m := temporary.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return name
}

// Clear removes what killed writers of path left, under the one temporary name and, where files cannot be locked, under
// names of their own. It is for whoever is, as far as anybody can tell, the only writer; one that writes at that moment
// fails.
func Clear(fsys files.FS, path string) {
	dir := filepath.Dir(path)
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return // it only tidies
	}
	for _, e := range entries {
		if Left(path, e) {
			_ = fsys.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Left tells whether e, in the folder of path, is what a killed writer of path left, or what one writes now.
func Left(path string, e fs.DirEntry) bool {
	rest, is := strings.CutPrefix(e.Name(), filepath.Base(ownTemps(path)))
	return is && (rest == "tmp" || strings.HasSuffix(rest, ".tmp")) && e.Type().IsRegular()
}

// ours are the rights without which the owner's next write could not take over what this one left when it was killed.
const ours = fs.FileMode(0o600)

// fill writes the content. The mode is that of the old file from before the first byte: who could not read that one
// does not read this one either.
func fill(f files.File, old fs.FileInfo, content func(File) error) (size int64, err error) {
	info, err := f.Stat()
	if err == nil && info.Size() > 0 { // a killed writer's leftovers
		err = f.Truncate(0)
	}
	if old != nil && err == nil && info.Mode().Perm() != old.Mode().Perm()|ours { // not all file systems have modes
		err = f.Chmod(old.Mode().Perm() | ours)
	}
	if err == nil {
		err = content(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return 0, err
	}
	info, err = f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
