// Package run keeps the numbered folders of training runs: which is new, which is the newest, who is writing to it.
//
// A run's folder holds config.yaml, metrics.jsonl, curves.png, TensorBoard's event files and
// checkpoints/{last,best}.safetensors; what was found out about its nets since, such as neighbors-best.index, lies
// there too, and concerns no trainer. While a process trains in it, it also holds the file lock with the process's
// number in it, under flock: a second trainer gets a [*LockedError], and the lock of a killed process is no obstacle.
// Where the file system has no locks there is no such file, and [Dir.Weaknesses] tells of it. All that a run writes has
// the mode 0666, folders 0777, less the process's umask; files that are replaced keep theirs.
//
// runs, a run's folder and its checkpoints may be links to folders. The files may not: what stands in the place of one
// that the run would write is a [*files.InTheWay].
//
// Run folders lie in a file system that the caller gives; a [Dir] keeps it for those who write into the folder. The
// package imports atomicfile, files and lockfile and nothing else of the program.
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
	"sync"
	"time"

	"alexnet/internal/atomicfile"
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
	Begun bool   // nothing but a run that ended before its first checkpoint
	Holds string // the name of something in it
}

func (e *NotEmptyError) Error() string {
	if e.Run {
		return e.Path + ": there is a run in this folder"
	}
	if e.Begun {
		return e.Path + ": there is a run in this folder, which ended before its first checkpoint"
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

// ReplacedError says that another folder was put in the place of a run's while the run wrote to it.
type ReplacedError struct {
	Path  string
	Holds string // the name of something in the other
}

func (e *ReplacedError) Error() string {
	return fmt.Sprintf("%s: another folder has taken the place of this run's (it holds %s): nothing is written there",
		e.Path, e.Holds)
}

// Dir is a run folder, held by this process alone until Close.
type Dir struct {
	fsys   files.FS
	path   string
	held   bool
	folder files.File // open while it is held, so that its number in the file system is no other folder's
	lock   files.File // nil while it is held: there are no locks
	fresh  bool       // Create made it a run folder
	made   []string   // the folders that it made for it, outermost first

	guard sync.Mutex
	weak  []files.Weakness // that nobody asked for yet
}

func newDir(fsys files.FS, path string, made []string) *Dir {
	d := &Dir{path: path, made: made}
	d.fsys = files.Tolerant(fsys, d.tell)
	return d
}

func (d *Dir) tell(w files.Weakness) {
	d.guard.Lock()
	defer d.guard.Unlock()
	d.weak = append(d.weak, w)
}

// Weaknesses are what the file system turned out not to be able to do since the last call. Each is told once.
func (d *Dir) Weaknesses() []files.Weakness {
	d.guard.Lock()
	defer d.guard.Unlock()
	weak := d.weak
	d.weak = nil
	return weak
}

// Create makes a new run folder with a checkpoints folder in it, and locks it. out is the folder itself, new or empty
// but for what killed writers left; "" takes the next of runs/train, runs/train2, ... On an error nothing is left
// behind.
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
		return hold(newDir(fsys, path, append(made, path)))
	}
}

func createAt(fsys files.FS, out string) (*Dir, error) {
	made, err := files.MkdirAll(fsys, out)
	if err != nil {
		return nil, &FolderError{Path: out, Err: err}
	}
	d := newDir(fsys, out, made)
	// Looking before locking keeps the lock file out of folders that are not ours; one that holds a lock may be in use
	// by a trainer, and that is the better thing to say.
	if _, err := d.wantEmpty(); err != nil && !exists(fsys, filepath.Join(out, lockName)) {
		remove(fsys, made)
		return nil, err
	}
	return hold(d)
}

// WouldCreate is the Dir that Create would make, of which nothing is made or locked: to be asked for names and room.
// Errors are those of Create, as far as they can be told without trying.
func WouldCreate(fsys files.FS, out string) (*Dir, error) {
	if out == "" {
		path, err := nextName(fsys)
		if errors.Is(err, fs.ErrNotExist) {
			path, err = filepath.Join(root, stem), nil
		}
		if err != nil {
			return nil, &FolderError{Path: root, Err: err}
		}
		out = path
	}
	d := newDir(fsys, filepath.Clean(out), nil)
	info, err := fsys.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d, d.mayMake()
	case err != nil:
		return nil, &FolderError{Path: d.path, Err: err}
	case !info.IsDir():
		return nil, &FolderError{
			Path: d.path, Err: &fs.PathError{Op: "mkdir", Path: d.path, Err: errors.New("a file is in the way")},
		}
	}
	if err := d.askLock(); err != nil {
		return nil, err
	}
	if _, err := d.wantEmpty(); err != nil {
		return nil, err
	}
	return d, d.mayWrite(d.path)
}

// mayMake tells what speaks against making the folder: the nearest one above it that is there is a file, or may not be
// written to.
func (d *Dir) mayMake() error {
	above, info, err := files.Standing(d.fsys, filepath.Dir(d.path))
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "mkdir", Path: above, Err: errors.New("a file is in the way")}
	}
	if asker, ok := d.fsys.(files.Asker); ok && err == nil {
		err = asker.CanWrite(above)
	}
	if err != nil {
		return &FolderError{Path: d.path, Err: err}
	}
	return nil
}

// mayWrite tells what speaks against writing to folders of the run that are there.
func (d *Dir) mayWrite(folders ...string) error {
	asker, ok := d.fsys.(files.Asker)
	if !ok {
		return nil
	}
	for _, folder := range folders {
		if err := asker.CanWrite(folder); err != nil {
			return &FolderError{Path: d.path, There: true, Err: err}
		}
	}
	return nil
}

// askLock tells whether somebody holds the lock: it is taken for a moment, where the file is there, and nothing is
// written.
func (d *Dir) askLock() error {
	path := filepath.Join(d.path, lockName)
	if there, err := files.Own(d.fsys, path); err != nil || there == nil {
		return err
	}
	f, err := d.fsys.Open(path)
	if err != nil {
		return nil //nolint:nilerr // what may not be read may still be written to
	}
	defer f.Close() //nolint:errcheck // only read
	if errors.Is(f.Lock(), files.ErrLocked) {
		return &LockedError{Path: d.path, PID: holder(d.fsys, path)}
	}
	return nil
}

// hold locks a new folder, looks again, now that nobody else can begin to write, and makes the checkpoints folder.
func hold(d *Dir) (*Dir, error) {
	if err := d.acquire(); err != nil {
		remove(d.fsys, d.made)
		return nil, err
	}
	left, err := d.wantEmpty()
	if err == nil && left {
		err = d.prepare()
	}
	if err == nil {
		err = files.SyncParents(d.fsys, d.made)
	}
	if err == nil {
		err = d.fsys.Mkdir(filepath.Join(d.path, checkpoints), 0o777)
		if errors.Is(err, fs.ErrExist) { // with nothing in it
			err = nil
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.fresh = true
	return d, nil
}

// wantEmpty refuses a folder with anything in it but a lock and what killed writers left; left tells whether they did.
func (d *Dir) wantEmpty() (left bool, err error) {
	entries, err := d.fsys.ReadDir(d.path)
	if err != nil {
		return false, &FolderError{Path: d.path, There: true, Err: err}
	}
	holds, begun := "", exists(d.fsys, d.Config())
	for _, e := range entries {
		inside := filepath.Join(d.path, e.Name())
		switch {
		case e.Name() == lockName:
			continue
		case d.left(d.path, e), e.Name() == checkpoints && d.onlyLeft(inside):
			left = true
			continue
		case holds == "":
			holds = e.Name()
		}
		ours := slices.Contains([]string{d.Config(), d.Metrics(), d.Curves()}, inside) ||
			strings.HasPrefix(e.Name(), "events.out.tfevents.")
		begun = begun && ours && e.Type().IsRegular()
	}
	if holds == "" {
		return left, nil
	}
	return left, &NotEmptyError{Path: d.path, Run: exists(d.fsys, d.Checkpoint(Last)), Begun: begun, Holds: holds}
}

// left tells whether e, in a folder of the run, is what a killed writer left.
func (d *Dir) left(dir string, e fs.DirEntry) bool {
	return slices.ContainsFunc(d.own(), func(path string) bool {
		return filepath.Dir(path) == dir && atomicfile.Left(path, e)
	})
}

// onlyLeft tells whether a folder of the run holds nothing else than that.
func (d *Dir) onlyLeft(dir string) bool {
	entries, err := d.fsys.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !d.left(dir, e) })
}

// own are the files that a run replaces, and the metrics.
func (d *Dir) own() []string {
	return []string{d.Metrics(), d.Config(), d.Curves(), d.Checkpoint(Last), d.Checkpoint(Best)}
}

// Open locks an existing run to go on with it: its folder, or "last", the run under runs/ whose last checkpoint was
// written last. Where there is none the error is an ErrNoRun.
func Open(fsys files.FS, path string) (*Dir, error) {
	d, err := find(fsys, path)
	if err != nil {
		return nil, err
	}
	if err := d.acquire(); err != nil {
		return nil, err
	}
	err = d.wantLast(path)
	if err == nil {
		err = d.prepare()
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// WouldOpen is the Dir that Open would lock, without locking it or changing anything in it. Errors are those of Open,
// as far as they can be told without trying.
func WouldOpen(fsys files.FS, path string) (*Dir, error) {
	d, err := find(fsys, path)
	if err == nil {
		err = d.askLock()
	}
	if err == nil {
		err = d.wantLast(path)
	}
	if err == nil {
		err = d.wantOwn()
	}
	if err != nil {
		return nil, err
	}
	return d, d.mayWrite(d.path, filepath.Dir(d.Checkpoint(Last)))
}

// find is the run at path, or the newest, as Open takes it: a folder with a last checkpoint or a lock in it.
func find(fsys files.FS, path string) (*Dir, error) {
	if path == Last {
		all, err := newestFirst(fsys, Last)
		if err != nil {
			return nil, err
		}
		path = filepath.Dir(filepath.Dir(all[0]))
	}
	d := newDir(fsys, filepath.Clean(path), nil)
	info, err := fsys.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w at %s: there is no such folder", ErrNoRun, path)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%w at %s: a run is a folder, such as runs/train", ErrNoRun, path)
	}
	err = d.wantLast(path)
	if errors.Is(err, ErrNoRun) && exists(fsys, filepath.Join(d.path, lockName)) {
		return d, nil // one may be training there; elsewhere no lock file is left in a folder that is not ours
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// wantLast refuses a run without a last checkpoint; path is how it was named.
func (d *Dir) wantLast(path string) error {
	_, err := d.fsys.Lstat(d.Checkpoint(Last))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w to go on with at %s: it holds no %s", ErrNoRun, path,
			filepath.Join(checkpoints, Last+".safetensors"))
	}
	return err
}

// prepare refuses what stands in the place of a file that the run will write, so that this does not show hours later,
// and removes what killed writers of these files left: some of them the run may not write again.
func (d *Dir) prepare() error {
	if err := d.wantOwn(); err != nil {
		return err
	}
	for _, path := range d.own() {
		atomicfile.Clear(d.fsys, path)
	}
	return nil
}

func (d *Dir) wantOwn() error {
	for _, path := range d.own() {
		for _, name := range []string{path, atomicfile.Temp(path)} {
			var other *files.InTheWay
			if _, err := files.Own(d.fsys, name); errors.As(err, &other) { // what else is wrong shows later
				return other
			}
		}
	}
	return nil
}

// Around is the run folder that a checkpoint lies in, or "" where it lies in none.
func Around(checkpoint string) string {
	dir := filepath.Dir(checkpoint)
	if filepath.Base(dir) != checkpoints {
		return ""
	}
	return filepath.Dir(dir)
}

// NewestFirst are the checkpoints to use of all runs, that of the run that wrote one last first; of two of one moment,
// that of the higher number. A run's is its best or, where it has none because it had no pictures to validate on, its
// last. Where there is none the error is an ErrNoRun.
func NewestFirst(fsys files.Reader) (checkpoints []string, err error) {
	return newestFirst(fsys, Best, Last)
}

// ToUse is the checkpoint that NewestFirst has of the run at path, or "" where it has none.
func ToUse(fsys files.Reader, path string) string { return first(fsys, path, Best, Last) }

func first(fsys files.Reader, path string, names ...string) string {
	for _, n := range names {
		if c := checkpoint(path, n); exists(fsys, c) {
			return c
		}
	}
	return ""
}

// newestFirst looks in each run for the first of names that it has.
func newestFirst(fsys files.Reader, names ...string) ([]string, error) {
	entries, err := fsys.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
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
		return nil, fmt.Errorf("%w under %s with a checkpoint %s.safetensors", ErrNoRun, root, names[len(names)-1])
	}
	slices.SortStableFunc(all, func(a, b found) int {
		return cmp.Or(b.written.Compare(a.written), cmp.Compare(b.number, a.number))
	})
	paths := make([]string, len(all))
	for i, f := range all {
		paths[i] = f.path
	}
	return paths, nil
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

func (d *Dir) acquire() (err error) {
	d.lock, d.folder, err = d.take()
	d.held = err == nil
	return err
}

// take locks the folder that is at the path now, and opens it. Where there are no locks it is nil.
func (d *Dir) take() (lock, folder files.File, err error) {
	path := filepath.Join(d.path, lockName)
	lock, err = lockfile.Acquire(d.fsys, path)
	switch {
	case errors.Is(err, files.ErrLocked):
		return nil, nil, &LockedError{Path: d.path, PID: holder(d.fsys, path)}
	case errors.Is(err, lockfile.ErrNoLocks):
		d.tell(files.Weakness{Path: d.path, Lock: true, Err: err})
		lock, err = nil, nil
	case errors.As(err, new(*files.InTheWay)):
		return nil, nil, err
	case err != nil:
		return nil, nil, &FolderError{Path: d.path, There: true, Err: err}
	}
	if lock != nil {
		if err = lock.Truncate(0); err == nil {
			_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		}
	}
	if err == nil {
		folder, err = d.fsys.Open(d.path)
	}
	if err != nil {
		return nil, nil, errors.Join(&FolderError{Path: d.path, There: true, Err: err}, d.drop(lock))
	}
	return lock, folder, nil
}

// drop removes a lock that is held; nil is none.
func (d *Dir) drop(lock files.File) error {
	if lock == nil {
		return nil
	}
	err := d.fsys.Remove(lock.Name()) // while it is held: nobody can have begun to rely on it
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // somebody removed the whole folder
	}
	return errors.Join(err, lock.Close())
}

// holder reads who holds the lock.
func holder(fsys files.Reader, path string) int {
	text, err := files.ReadOwn(fsys, path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

// Keep sees that the folder is still there for this run to write to, and makes again what somebody removed of it: the
// folder, the lock, the folder of the checkpoints. Made are those. Where another process has begun to train there the
// error is a *LockedError, where another folder with something in it has taken its place a *ReplacedError.
func (d *Dir) Keep() (made []string, err error) {
	folder, err := d.still(d.folder, d.path)
	if err != nil {
		return nil, err
	}
	lock := true
	if d.lock != nil {
		if lock, err = d.still(d.lock, d.lock.Name()); err != nil {
			return nil, err
		}
	}
	if !folder {
		again, err := files.MkdirAll(d.fsys, d.path)
		if err == nil {
			err = files.SyncParents(d.fsys, again)
		}
		if err != nil {
			return nil, &FolderError{Path: d.path, Err: err}
		}
		made = append(made, d.path)
	}
	if !folder || !lock {
		if err := d.takeAgain(folder); err != nil {
			return nil, err
		}
		if d.lock != nil {
			made = append(made, d.lock.Name())
		}
	}
	inside := filepath.Join(d.path, checkpoints)
	_, err = d.fsys.Stat(inside)
	if errors.Is(err, fs.ErrNotExist) {
		err = d.fsys.Mkdir(inside, 0o777)
		made = append(made, inside)
	}
	if err != nil {
		return nil, &FolderError{Path: d.path, There: true, Err: err}
	}
	return made, nil
}

// still tells whether a name is that of an open file or folder.
func (d *Dir) still(f files.File, name string) (bool, error) {
	own, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := d.fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && d.fsys.SameFile(own, there), err
}

// takeAgain locks the folder that is at the path now: this run's own, or another, which must be empty then.
func (d *Dir) takeAgain(own bool) error {
	lock, folder, err := d.take()
	if err != nil {
		return err
	}
	if !own {
		_, err = d.wantEmpty()
		if other := (*NotEmptyError)(nil); errors.As(err, &other) {
			err = &ReplacedError{Path: d.path, Holds: other.Holds}
		}
	}
	if err != nil {
		return errors.Join(err, d.drop(lock), folder.Close())
	}
	if d.lock != nil {
		err = d.lock.Close()
	}
	err = errors.Join(err, d.folder.Close())
	d.lock, d.folder = lock, folder
	return err
}

// Close removes the lock. If Create made the folder and nothing was put into it, the folder goes too. What another
// process has made in its place by now stays.
func (d *Dir) Close() error {
	if !d.held {
		return nil
	}
	lock, folder := d.lock, d.folder
	d.held, d.lock, d.folder = false, nil, nil
	name, own := d.path, folder
	if lock != nil {
		name, own = lock.Name(), lock
	}
	still, err := d.still(own, name)
	if err != nil { // once more: a share that failed for a moment need not leave a lock behind
		still, err = d.still(own, name)
	}
	switch {
	case still:
		if d.fresh {
			remove(d.fsys, []string{filepath.Join(d.path, checkpoints)})
		}
		err = d.drop(lock)
		remove(d.fsys, d.made)
	case lock != nil:
		err = errors.Join(err, lock.Close())
	}
	return errors.Join(err, folder.Close())
}

// Named is the folder of a run with a name of its own, among the numbered ones.
func Named(name string) string { return filepath.Join(root, name) }

// FS is where the folder lies. That a folder in it cannot be synced is a weakness, and no error.
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
