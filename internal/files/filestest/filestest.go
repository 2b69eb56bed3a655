// Package filestest is a file system for tests: it lists what was asked of it, and fails when it is told to. It imports
// files and nothing else of the program.
package filestest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"testing"

	"alexnet/internal/files"
)

// Call is one thing that was asked of a file system or of a file opened through it.
type Call struct {
	Op   string // the method's name in small letters: "open", "write", "sync", ..; "fstat" is Stat of a file
	Name string // of the file or folder; the old name of a rename
}

func (c Call) String() string { return c.Op + " " + c.Name }

// FS hands calls on to another file system. One call may be told to fail, or some to fail or to hang for a while. What
// Stat and Lstat give is of a type of its
// own, as another kind of store's would be. Goroutines may share it.
type FS struct {
	under files.FS

	guard sync.Mutex
	calls []Call
	op    string // that is to fail; "" any
	left  int    // calls of op before that
	err   error  // nil: none is to fail
	ends  bool   // calls after that fail too
	fault *Call  // the one that failed, the first of several

	breakage error // nil: nothing is broken
	broken   func(Call) bool
	hangs    func(Call) bool // nil: nothing hangs
	released chan struct{}   // closed when what hangs goes on
}

// New is a file system that fails nowhere yet.
func New(under files.FS) *FS { return &FS{under: under} }

// Fail makes the n-th call of op from now on fail with err, once; 0 is the next, and op "" counts calls of any kind. A
// write that fails has written half; a close that fails has closed; other calls that fail did nothing. A nil err makes
// none fail.
func (f *FS) Fail(op string, n int, err error) {
	f.guard.Lock()
	defer f.guard.Unlock()
	f.op, f.left, f.err, f.ends, f.fault = op, n, err, false, nil
}

// ErrKilled is the error of all calls from that on at which a process was killed.
var ErrKilled = errors.New("the process was killed")

// errDead is that of the calls after the one in which it was killed, which do nothing.
var errDead = fmt.Errorf("%w before this call", ErrKilled)

// Kill makes the n-th call from now on and all later ones fail with ErrKilled, as if the process had been killed in it:
// nobody cleans up. That call, where it is a write, has written half.
func (f *FS) Kill(n int) {
	f.Fail("", n, ErrKilled)
	f.guard.Lock()
	defer f.guard.Unlock()
	f.ends = true
}

// Break makes all calls that match takes fail with err from now on, whatever Fail says, until Mend: a disk that is gone
// for a while. A nil match takes every call.
func (f *FS) Break(err error, match func(Call) bool) {
	f.guard.Lock()
	defer f.guard.Unlock()
	f.breakage, f.broken = err, match
}

// Mend ends what Break began.
func (f *FS) Mend() { f.Break(nil, nil) }

// Hang makes all calls that match takes wait from now on, until release is called: a server that does not answer. They
// are listed when they begin to wait, and do afterwards what they were asked for. A nil match takes every call. Release
// may be called again, and before another Hang it must be.
func (f *FS) Hang(match func(Call) bool) (release func()) {
	released := make(chan struct{})
	f.guard.Lock()
	defer f.guard.Unlock()
	if match == nil {
		match = func(Call) bool { return true }
	}
	f.hangs, f.released = match, released
	return sync.OnceFunc(func() {
		f.guard.Lock()
		defer f.guard.Unlock()
		f.hangs = nil
		close(released)
	})
}

// Fault is the call that failed since Fail, or nil.
func (f *FS) Fault() *Call {
	f.guard.Lock()
	defer f.guard.Unlock()
	return f.fault
}

// Calls are those made so far, in their order.
func (f *FS) Calls() []Call {
	f.guard.Lock()
	defer f.guard.Unlock()
	return slices.Clone(f.calls)
}

// EachCall tries the same thing again and again. Each time another call fails with err, from the first on, and only
// that one; it ends after a try in which none failed. try makes its own folder: what it is given is the disk.
func EachCall(t *testing.T, err error, try func(t *testing.T, f *FS)) {
	t.Helper()
	for n := 0; ; n++ {
		f := New(files.OS)
		f.Fail("", n, err)
		done := t.Run(fmt.Sprintf("%v at call %d", err, n), func(t *testing.T) { try(t, f) })
		if fault := f.Fault(); fault == nil {
			return
		} else if !done {
			t.Logf("call %d was %v", n, fault)
		}
	}
}

// step notes a call and returns the error that it is to fail with.
func (f *FS) step(op, name string) error {
	c := Call{op, name}
	f.guard.Lock()
	f.calls = append(f.calls, c)
	hangs, released := f.hangs != nil && f.hangs(c), f.released
	f.guard.Unlock()
	if hangs {
		<-released
	}
	f.guard.Lock()
	defer f.guard.Unlock()
	if f.breakage != nil && (f.broken == nil || f.broken(c)) {
		return &fs.PathError{Op: op, Path: name, Err: f.breakage}
	}
	if f.ends && f.fault != nil {
		return &fs.PathError{Op: op, Path: name, Err: errDead}
	}
	if f.err == nil || f.fault != nil || f.op != "" && f.op != op {
		return nil
	}
	if f.left--; f.left >= 0 {
		return nil
	}
	f.fault = &c
	return &fs.PathError{Op: op, Path: name, Err: f.err}
}

// Open opens for reading.
func (f *FS) Open(name string) (files.File, error) {
	if err := f.step("open", name); err != nil {
		return nil, err
	}
	return f.wrap(f.under.Open(name))
}

// OpenFile opens as flag says.
func (f *FS) OpenFile(name string, flag int, perm fs.FileMode) (files.File, error) {
	if err := f.step("openfile", name); err != nil {
		return nil, err
	}
	return f.wrap(f.under.OpenFile(name, flag, perm))
}

func (f *FS) wrap(under files.File, err error) (files.File, error) {
	if err != nil {
		return nil, err
	}
	return &file{under, f}, nil
}

// Stat follows links.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	if err := f.step("stat", name); err != nil {
		return nil, err
	}
	return wrapInfo(f.under.Stat(name))
}

// Lstat does not follow links.
func (f *FS) Lstat(name string) (fs.FileInfo, error) {
	if err := f.step("lstat", name); err != nil {
		return nil, err
	}
	return wrapInfo(f.under.Lstat(name))
}

// Readlink tells where a link leads.
func (f *FS) Readlink(name string) (string, error) {
	if err := f.step("readlink", name); err != nil {
		return "", err
	}
	return f.under.Readlink(name)
}

// SameFile cannot fail and is not listed.
func (f *FS) SameFile(a, b fs.FileInfo) bool { return f.under.SameFile(unwrapInfo(a), unwrapInfo(b)) }

// info is a FileInfo of an FS.
type info struct{ fs.FileInfo }

func wrapInfo(under fs.FileInfo, err error) (fs.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	return info{under}, nil
}

func unwrapInfo(i fs.FileInfo) fs.FileInfo {
	if own, ok := i.(info); ok {
		return own.FileInfo
	}
	return i
}

// ReadDir lists a folder.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.step("readdir", name); err != nil {
		return nil, err
	}
	return f.under.ReadDir(name)
}

// Mkdir makes a folder.
func (f *FS) Mkdir(name string, perm fs.FileMode) error {
	if err := f.step("mkdir", name); err != nil {
		return err
	}
	return f.under.Mkdir(name, perm)
}

// Rename fails as package os does, with both names.
func (f *FS) Rename(old, name string) error {
	if err := f.step("rename", old); err != nil {
		return &os.LinkError{Op: "rename", Old: old, New: name, Err: errors.Unwrap(err)}
	}
	return f.under.Rename(old, name)
}

// Remove removes a file or an empty folder.
func (f *FS) Remove(name string) error {
	if err := f.step("remove", name); err != nil {
		return err
	}
	return f.under.Remove(name)
}

// SyncDir makes a folder's names durable.
func (f *FS) SyncDir(name string) error {
	if err := f.step("syncdir", name); err != nil {
		return err
	}
	return f.under.SyncDir(name)
}

// file is an open file of an FS.
type file struct {
	under files.File
	fsys  *FS
}

func (f *file) step(op string) error { return f.fsys.step(op, f.under.Name()) }

func (f *file) Name() string { return f.under.Name() }

func (f *file) Read(p []byte) (int, error) {
	if err := f.step("read"); err != nil {
		return 0, err
	}
	return f.under.Read(p)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.step("readat"); err != nil {
		return 0, err
	}
	return f.under.ReadAt(p, off)
}

func (f *file) Write(p []byte) (int, error) {
	if err := f.step("write"); err != nil {
		n := 0
		if !errors.Is(err, errDead) {
			n, _ = f.under.Write(p[:len(p)/2])
		}
		return n, err
	}
	return f.under.Write(p)
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if err := f.step("writeat"); err != nil {
		n := 0
		if !errors.Is(err, errDead) {
			n, _ = f.under.WriteAt(p[:len(p)/2], off)
		}
		return n, err
	}
	return f.under.WriteAt(p, off)
}

func (f *file) Seek(off int64, whence int) (int64, error) {
	if err := f.step("seek"); err != nil {
		return 0, err
	}
	return f.under.Seek(off, whence)
}

func (f *file) Close() error {
	err := f.step("close")
	if e := f.under.Close(); err == nil {
		err = e
	}
	return err
}

func (f *file) Stat() (fs.FileInfo, error) {
	if err := f.step("fstat"); err != nil {
		return nil, err
	}
	return wrapInfo(f.under.Stat())
}

func (f *file) Truncate(size int64) error {
	if err := f.step("truncate"); err != nil {
		return err
	}
	return f.under.Truncate(size)
}

func (f *file) Chmod(mode fs.FileMode) error {
	if err := f.step("chmod"); err != nil {
		return err
	}
	return f.under.Chmod(mode)
}

func (f *file) Sync() error {
	if err := f.step("sync"); err != nil {
		return err
	}
	return f.under.Sync()
}

func (f *file) Lock() error {
	if err := f.step("lock"); err != nil {
		return err
	}
	return f.under.Lock()
}
