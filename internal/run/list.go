package run

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"alexnet/internal/files"
)

// Found is a run folder as somebody sees it who only looks: nothing is locked, and what is trained in it may have moved
// on the next moment.
type Found struct {
	Path       string
	Last, Best string    // checkpoints; "" where there is none
	Config     string    // the resolved configuration; "" where there is none
	Written    time.Time // the newer checkpoint, or what else there is
	// PID is the process that trains in it; 0: none. The lock names a process of this machine. One of another machine
	// that shares the folder is taken for gone, unless some process here has its number.
	PID int
}

// List finds the runs in dir, "" for runs/, newest first; a folder that is a run itself is the one run of it. Folders
// that hold neither a checkpoint nor a configuration are not runs. Where dir is not there the error is an ErrNoRun.
func List(fsys files.Reader, dir string) ([]Found, error) {
	dir = cmp.Or(dir, root)
	if f, is := look(fsys, dir); is {
		return []Found{f}, nil
	}
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(ErrNoRun, err)
	}
	if err != nil {
		return nil, err
	}
	var all []Found
	for _, e := range entries {
		if f, is := look(fsys, filepath.Join(dir, e.Name())); is {
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b Found) int {
		return cmp.Or(b.Written.Compare(a.Written), cmp.Compare(number(filepath.Base(b.Path)),
			number(filepath.Base(a.Path))))
	})
	return all, nil
}

// look tells whether path is a run folder, and what it holds.
func look(fsys files.Reader, path string) (f Found, is bool) {
	f.Path = filepath.Clean(path)
	d := Dir{path: f.Path}
	f.Last, f.Best = first(fsys, f.Path, Last), first(fsys, f.Path, Best)
	begun := f.Last != "" || f.Best != "" || exists(fsys, filepath.Dir(d.Checkpoint(Last)))
	if info, err := fsys.Stat(d.Config()); begun && err == nil && info.Mode().IsRegular() {
		f.Config = d.Config()
	}
	for _, name := range []string{f.Last, f.Best, f.Config} {
		if info, err := fsys.Stat(name); name != "" && err == nil && info.ModTime().After(f.Written) {
			f.Written = info.ModTime()
		}
		is = is || name != ""
	}
	if pid := holder(fsys, filepath.Join(f.Path, lockName)); is && alive(pid) {
		f.PID = pid
	}
	return f, is
}

// alive tells whether there is such a process here.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, fs.ErrPermission)
}
