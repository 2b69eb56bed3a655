package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"alexnet/internal/files"
)

// maxDepth bounds the search below a folder: links may lead in circles.
const maxDepth = 16

// folderStore reads pictures from the files of a folder.
type folderStore struct {
	fsys  files.Reader
	root  string
	names []string // by number, slash-separated, from root
}

func (s *folderStore) Read(_ context.Context, i int, buf []byte) ([]byte, error) {
	raw, err := readFile(s.fsys, filepath.Join(s.root, filepath.FromSlash(s.names[i])), buf)
	if err != nil && (!ownFault(err) || s.gone(err)) {
		return nil, &SourceFault{Path: s.root, Err: err}
	}
	return raw, err
}

// gone tells whether a picture cannot be had because the whole folder cannot. A disk that was unmounted leaves an empty
// one.
func (s *folderStore) gone(err error) bool {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return false
	}
	items, err := s.fsys.ReadDir(s.root)
	return err != nil || len(items) == 0
}

func (*folderStore) Close() error { return nil }

// listFolder finds the files below root. Links are followed; what is neither file nor folder is ignored.
func listFolder(ctx context.Context, fsys files.Reader, root string) (*listing, error) {
	store := &folderStore{fsys: fsys, root: root}
	l := &listing{kind: Folder, store: store}
	if err := l.walk(ctx, store, "", 0); err != nil {
		return nil, &SourceError{Path: root, Problem: NotListed, Err: err}
	}
	return l, nil
}

func (l *listing) walk(ctx context.Context, s *folderStore, dir string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: more than %d folders deep: is there a link to a folder above?", dir, maxDepth)
	}
	items, err := s.fsys.ReadDir(filepath.Join(s.root, filepath.FromSlash(dir)))
	if err != nil {
		return err
	}
	for _, item := range items {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := path.Join(dir, item.Name())
		if hidden(name) {
			continue
		}
		mode := s.followed(item.Type(), name)
		switch {
		case mode.IsDir() && name == "runs" && holdsRuns(s.fsys, filepath.Join(s.root, name)):
			// what training on this very folder left there: its curves are no pictures of a class
		case mode.IsDir():
			l.dirs = append(l.dirs, name)
			if err := l.walk(ctx, s, name, depth+1); err != nil {
				return err
			}
		case mode.IsRegular() && !noPicture(name):
			l.files = append(l.files, Record{Name: name, Number: int32(len(s.names))})
			s.names = append(s.names, name)
		}
	}
	return nil
}

// followed is the type of what is found under a name, where a link leads to. A link to nowhere counts as a picture, so
// that it is reported when it is met.
func (s *folderStore) followed(mode fs.FileMode, name string) fs.FileMode {
	if mode&fs.ModeSymlink == 0 {
		return mode
	}
	info, err := s.fsys.Stat(filepath.Join(s.root, filepath.FromSlash(name)))
	if err != nil {
		return 0
	}
	return info.Mode().Type()
}

// holdsRuns tells whether a folder holds runs of this program.
func holdsRuns(fsys files.Reader, dir string) bool {
	items, err := fsys.ReadDir(dir)
	return err == nil && slices.ContainsFunc(items, func(item fs.DirEntry) bool {
		_, err := fsys.Stat(filepath.Join(dir, item.Name(), "metrics.jsonl"))
		return err == nil
	})
}
