package files

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

// Standing is what is there of a path: that itself or the nearest of the folders that it is to lie in, by its name, or
// a file where a folder should be. The error is that of looking at it.
func Standing(fsys Reader, path string) (at string, info fs.FileInfo, err error) {
	for at = path; ; at = filepath.Dir(at) {
		info, err = fsys.Stat(at)
		missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
		if !missing || at == filepath.Dir(at) {
			return at, info, err
		}
	}
}

// maxLinks is how many links may lead from one to the next, as on Linux.
const maxLinks = 40

// Follow is where a path leads that may be a link, and what is there: nil where there is nothing. What last takes, or
// nothing where it is nil, is not looked into, though it may be a link: info is then of what that leads to, which need
// not have a path, and must be there.
func Follow(fsys Reader, path string, last func(at string) bool) (at string, info fs.FileInfo, err error) {
	at = path
	for range maxLinks {
		if last != nil && last(at) {
			info, err := fsys.Stat(at)
			return at, info, err
		}
		info, err := fsys.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return at, nil, nil
		case err != nil || info.Mode()&fs.ModeSymlink == 0:
			return at, info, err
		}
		to, err := fsys.Readlink(at)
		if err != nil {
			return at, nil, err
		}
		if !filepath.IsAbs(to) {
			dir, _ := filepath.Split(at)
			to = dir + to // not cleaned: dir may be a link, and then .. is not what it looks like
		}
		at = to
	}
	return at, nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
}
