package data

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// maxDepth bounds the search below a folder: links may lead in circles.
const maxDepth = 16

// folderStore reads pictures from the disk.
type folderStore struct{ root string }

func (s folderStore) read(e *entry, buf []byte) ([]byte, error) {
	return readFile(filepath.Join(s.root, filepath.FromSlash(e.name)), buf)
}

func (s folderStore) Close() error { return nil }

// readFile reads a whole file into buf, if it fits.
func readFile(name string, buf []byte) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, reason(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a file")
	}
	return readAt(f, 0, info.Size(), buf)
}

// readAt reads size bytes at off into buf, if they fit.
func readAt(r io.ReaderAt, off, size int64, buf []byte) ([]byte, error) {
	if size > maxFile {
		return nil, errTooLong
	}
	if cap(buf) < int(size) {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if n, err := r.ReadAt(buf, off); n < len(buf) {
		if err == io.EOF {
			return nil, fmt.Errorf("ends after %d of %d bytes", n, len(buf))
		}
		return nil, reason(err)
	}
	return buf, nil
}

// reason strips the path from an operating system's error: the picture's name stands before it anyway.
func reason(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// listFolder finds the files below root. Links are followed; what is neither file nor folder is ignored.
func listFolder(root string) (*listing, error) {
	l := &listing{store: folderStore{root}}
	if err := l.walk(root, "", 0); err != nil {
		return nil, &SourceError{Path: root, Problem: "cannot be listed", Next: "check its permissions", Err: err}
	}
	return l, nil
}

func (l *listing) walk(root, dir string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: more than %d folders deep: is there a link to a folder above?", dir, maxDepth)
	}
	items, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(dir)))
	if err != nil {
		return err
	}
	for _, item := range items {
		name := path.Join(dir, item.Name())
		if hidden(name) {
			continue
		}
		mode := item.Type()
		if mode&os.ModeSymlink != 0 {
			if info, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err == nil {
				mode = info.Mode().Type()
			} else {
				mode = 0 // a link to nowhere counts as a picture, so that it is reported when it is met
			}
		}
		switch {
		case mode.IsDir() && name == "runs" && holdsRuns(filepath.Join(root, name)):
			// what training with --data . left there: its curves are no pictures of a class
		case mode.IsDir():
			l.dirs = append(l.dirs, name)
			if err := l.walk(root, name, depth+1); err != nil {
				return err
			}
		case mode.IsRegular() && !noPicture(name):
			l.files = append(l.files, entry{name: name})
		}
	}
	return nil
}

// enter is the store as seen from a folder inside it.
func enter(s store, dir string) store {
	if f, ok := s.(folderStore); ok {
		return folderStore{filepath.Join(f.root, dir)}
	}
	return s // other stores find pictures by offset
}

// holdsRuns tells whether a folder holds runs of this program.
func holdsRuns(dir string) bool {
	items, err := os.ReadDir(dir)
	return err == nil && slices.ContainsFunc(items, func(item os.DirEntry) bool {
		_, err := os.Stat(filepath.Join(dir, item.Name(), "metrics.jsonl"))
		return err == nil
	})
}
