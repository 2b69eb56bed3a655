// Package run keeps the numbered folders of training runs: which is new, which is the newest, who is writing to it.
//
// A run's folder holds config.yaml, metrics.jsonl, curves.png, TensorBoard's event files and
// checkpoints/{last,best}.safetensors. While a process trains in it, it also holds the file lock with the process's
// number in it, under flock: a second trainer gets a [*LockedError], and the lock of a killed process is no obstacle.
// All that a run writes has the mode 0666, folders 0777, less the process's umask.
//
// Run folders lie in a file system that the caller gives; a [Dir] keeps it for those who write into the folder. The
// package imports files and lockfile and nothing else of the program.
package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/lockfile"
)

// Names of checkpoints.
const (
	Last = "last" // the newest state, to go on from
	Best = "best" // lowest validation error so far
)

const (
	root        = "runs" // in the working folder
	stem        = "train"
	lockName    = "lock"
	checkpoints = "checkpoints"
)

// ErrNoRun says that there is no run to take.
var ErrNoRun = errors.New("no run")

// LockedError says that another process trains in the folder.
type LockedError struct {
	Path string // the run folder
	PID  int    // of the holder; 0: it has not said yet
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("%s: %s is training in this folder", e.Path, who)
}

// NotEmptyError says that a folder that is to hold a new run holds something already.
type NotEmptyError struct {
	Path  string
	Run   bool   // a run that can be gone on with
	Holds string // the name of something in it
}

func (e *NotEmptyError) Error() string {
	if e.Run {
		return e.Path + ": there is a run in this folder"
	}
	return fmt.Sprintf("%s: the folder is not empty (it holds %s)", e.Path, e.Holds)
}

// FolderError says that a run folder cannot be made or, if it is there, not be written to.
type FolderError struct {
	Path  string
	There bool
	Err   error // the system's
}

func (e *FolderError) Error() string {
	if e.There {
		return fmt.Sprintf("cannot write to the run folder: %v", e.Err) // which names the file
	}
	return fmt.Sprintf("cannot make the run folder %s: %v", e.Path, e.Err)
}

func (e *FolderError) Unwrap() error { return e.Err }

// Dir is a run folder, held by this process alone until Close.
type Dir struct {
	fsys  files.FS
	path  string
	lock  files.File
	fresh bool     // Create made it a run folder
	made  []string // the folders that it made for it, outermost first
}

// Create makes a new run folder with a checkpoints folder in it, and locks it. out is the folder itself, new or empty;
// "" takes the next of runs/train, runs/train2, ... On an error nothing is left behind.
func Create(fsys files.FS, out string) (*Dir, error) {
	if out != "" {
		return createAt(fsys, filepath.Clean(out))
	}
	made, err := files.MkdirAll(fsys, root)
	if err != nil {
		return nil, &FolderError{Path: root, Err: err}
	}
	for {
		path, err := nextName(fsys)
		if err == nil {
			err = fsys.Mkdir(path, 0o777)
		}
		switch {
		case errors.Is(err, fs.ErrExist):
			continue // another process was quicker; it has that number now
		case err != nil:
			remove(fsys, made)
			return nil, &FolderError{Path: root, Err: err}
		}
		return hold(&Dir{fsys: fsys, path: path, made: append(made, path)})
	}
}

func createAt(fsys files.FS, out string) (*Dir, error) {
	made, err := files.MkdirAll(fsys, out)
	if err != nil {
		return nil, &FolderError{Path: out, Err: err}
	}
	d := &Dir{fsys: fsys, path: out, made: made}
	// Looking before locking keeps the lock file out of folders that are not ours; one that holds a lock may be in use
	// by a trainer, and that is the better thing to say.
	if err := d.wantEmpty(); err != nil && !exists(fsys, filepath.Join(out, lockName)) {
		remove(fsys, made)
		return nil, err
	}
	return hold(d)
}

// hold locks a new folder, looks again, now that nobody else can begin to write, and makes the checkpoints folder.
func hold(d *Dir) (*Dir, error) {
	if err := d.acquire(); err != nil {
		remove(d.fsys, d.made)
		return nil, err
	}
	err := d.wantEmpty()
	if err == nil {
		err = d.fsys.Mkdir(filepath.Join(d.path, checkpoints), 0o777)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.fresh = true
	return d, nil
}

// wantEmpty refuses a folder with anything but a lock in it.
func (d *Dir) wantEmpty() error {
	entries, err := d.fsys.ReadDir(d.path)
	if err != nil {
		return &FolderError{Path: d.path, There: true, Err: err}
	}
	for _, e := range entries {
		if e.Name() == lockName {
			continue
		}
		return &NotEmptyError{Path: d.path, Run: exists(d.fsys, d.Checkpoint(Last)), Holds: e.Name()}
	}
	return nil
}

// Open locks an existing run to go on with it: its folder, or "last", the run under runs/ whose last checkpoint was
// written last. Where there is none the error is an ErrNoRun.
func Open(fsys files.FS, path string) (*Dir, error) {
	if path == Last {
		checkpoint, err := newest(fsys, Last)
		if err != nil {
			return nil, err
		}
		path = filepath.Dir(filepath.Dir(checkpoint))
	}
	d := &Dir{fsys: fsys, path: filepath.Clean(path)}
	info, err := fsys.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w at %s: there is no such folder", ErrNoRun, path)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%w at %s: a run is a folder, such as runs/train", ErrNoRun, path)
	}
	nothing := fmt.Errorf("%w to go on with at %s: it holds no %s", ErrNoRun, path,
		filepath.Join(checkpoints, Last+".safetensors"))
	if !exists(fsys, d.Checkpoint(Last)) && !exists(fsys, filepath.Join(d.path, lockName)) {
		return nil, nothing // without a lock file in a folder that is not ours
	}
	if err := d.acquire(); err != nil {
		return nil, err
	}
	if !exists(fsys, d.Checkpoint(Last)) {
		return nil, errors.Join(nothing, d.Close())
	}
	return d, nil
}

// Newest is the checkpoint to use of the run that wrote one last: its best or, where it has none because it had no
// pictures to validate on, its last; of two of one moment, that of the higher number. Where there is none the error is
// an ErrNoRun.
func Newest(fsys files.Reader) (checkpoint string, err error) { return newest(fsys, Best, Last) }

// ToUse is the checkpoint that Newest would take of the run at path, or "" where it has none.
func ToUse(fsys files.Reader, path string) string { return first(fsys, path, Best, Last) }

func first(fsys files.Reader, path string, names ...string) string {
	for _, n := range names {
		if c := checkpoint(path, n); exists(fsys, c) {
			return c
		}
	}
	return ""
}

// newest looks in each run for the first of names that it has.
func newest(fsys files.Reader, names ...string) (string, error) {
	entries, err := fsys.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	type found struct {
		path    string
		written time.Time
		number  int
	}
	var all []found
	for _, e := range entries {
		path := first(fsys, filepath.Join(root, e.Name()), names...)
		if info, err := fsys.Stat(path); path != "" && err == nil {
			all = append(all, found{path, info.ModTime(), number(e.Name())})
		}
	}
	if len(all) == 0 {
		return "", fmt.Errorf("%w under %s with a checkpoint %s.safetensors", ErrNoRun, root,
			names[len(names)-1])
	}
	return slices.MaxFunc(all, func(a, b found) int {
		return cmp.Or(a.written.Compare(b.written), cmp.Compare(a.number, b.number))
	}).path, nil
}

// nextName is one number above the highest, so that numbers follow time even where runs were deleted.
func nextName(fsys files.Reader) (string, error) {
	entries, err := fsys.ReadDir(root)
	if err != nil {
		return "", err
	}
	highest := 0
	for _, e := range entries {
		highest = max(highest, number(e.Name()))
	}
	if highest == 0 {
		return filepath.Join(root, stem), nil
	}
	return filepath.Join(root, stem+strconv.Itoa(highest+1)), nil
}

// number is 1 for train, 2 for train2, and 0 for what is not named so.
func number(name string) int {
	rest, ours := strings.CutPrefix(name, stem)
	if ours && rest == "" {
		return 1
	}
	n, err := strconv.Atoi(rest)
	if !ours || err != nil || n < 2 || strconv.Itoa(n) != rest {
		return 0
	}
	return n
}

func (d *Dir) acquire() error {
	path := filepath.Join(d.path, lockName)
	f, err := lockfile.Acquire(d.fsys, path)
	switch {
	case errors.Is(err, files.ErrLocked):
		return &LockedError{Path: d.path, PID: holder(d.fsys, path)}
	case err != nil:
		return &FolderError{Path: d.path, There: true, Err: err}
	}
	d.lock = f
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return errors.Join(&FolderError{Path: d.path, There: true, Err: err}, d.Close())
	}
	return nil
}

// holder reads who holds the lock.
func holder(fsys files.Reader, path string) int {
	text, err := files.ReadFile(fsys, path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

// Close removes the lock. If Create made the folder and nothing was put into it, the folder goes too.
func (d *Dir) Close() error {
	if d.lock == nil {
		return nil
	}
	lock := d.lock
	d.lock = nil
	if d.fresh {
		remove(d.fsys, []string{filepath.Join(d.path, checkpoints)})
	}
	err := d.fsys.Remove(lock.Name()) // while it is held: nobody can have begun to rely on it
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // somebody removed the whole folder
	}
	remove(d.fsys, d.made)
	return errors.Join(err, lock.Close())
}

// FS is where the folder lies.
func (d *Dir) FS() files.FS { return d.fsys }

// Path is the folder.
func (d *Dir) Path() string { return d.path }

// Config is the resolved configuration.
func (d *Dir) Config() string { return filepath.Join(d.path, "config.yaml") }

// Metrics is the file of package report's Writer.
func (d *Dir) Metrics() string { return filepath.Join(d.path, "metrics.jsonl") }

// Curves is the picture of the run.
func (d *Dir) Curves() string { return filepath.Join(d.path, "curves.png") }

// Checkpoint is the file of a checkpoint, Last or Best.
func (d *Dir) Checkpoint(name string) string { return checkpoint(d.path, name) }

func checkpoint(path, name string) string {
	return filepath.Join(path, checkpoints, name+".safetensors")
}

func exists(fsys files.Reader, path string) bool {
	_, err := fsys.Lstat(path)
	return err == nil
}

// remove removes folders, innermost first, as far as they are empty.
func remove(fsys files.FS, made []string) {
	for _, p := range slices.Backward(made) {
		if fsys.Remove(p) != nil {
			return
		}
	}
}
