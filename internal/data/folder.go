package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"alexnet/internal/files"
	"alexnet/internal/shards"
	"alexnet/internal/text"
)

// maxDepth bounds the search below a folder: where a link leads in a circle is not known on every file system.
const maxDepth = 16

// folderStore reads pictures from the files of a folder.
type folderStore struct {
	fsys  files.Reader
	root  string
	names []string // by number, slash-separated, from root

	mu      sync.Mutex
	folders map[string]fs.FileInfo // as they were when they were listed, by their names from root, that of which is ""
	failed  atomic.Bool            // since the last reading that went through
}

// Read blames a picture only where that fails, its folders are there, and it fails again: the source may have come back
// in between.
func (s *folderStore) Read(_ context.Context, i int, buf []byte) ([]byte, error) {
	var err error
	for range 2 {
		var raw []byte
		if raw, err = readFile(s.fsys, s.path(s.names[i]), buf); err == nil {
			s.back()
			return raw, nil
		}
		if cause := s.cause(s.names[i], err); cause != nil {
			s.failed.Store(true)
			return nil, &SourceFault{Path: s.root, Err: cause}
		}
		if errors.As(err, new(flaw)) {
			break
		}
	}
	return nil, err
}

// back takes the folders that are there now for the source's after it had failed.
func (s *folderStore) back() {
	if s.failed.Load() && s.failed.CompareAndSwap(true, false) {
		s.adopt()
	}
}

// place is the folder.
func (s *folderStore) place() string { return absolute(s.root) }

// stamp is size and time of file i; of one that is not there or must not be read, while the source is there, nothing.
func (s *folderStore) stamp(i int) (stamp, error) {
	info, err := uncut(func() (fs.FileInfo, error) { return s.fsys.Stat(s.path(s.names[i])) })
	if err == nil {
		s.back()
		return stamp{info.Size(), info.ModTime().UnixNano()}, nil
	}
	if cause := s.cause(s.names[i], err); cause != nil {
		s.failed.Store(true)
		return stamp{}, cause
	}
	return stamp{-1, 0}, nil
}

// path is where a file or a folder is, by its name from root.
func (s *folderStore) path(name string) string {
	if path.IsAbs(name) { // of a list
		return filepath.FromSlash(name)
	}
	return filepath.Join(s.root, filepath.FromSlash(name))
}

// cause is what of the source made a reading fail, or nil where it is the picture's own failure. What a system says of
// one missing file it says of all when a share was unmounted: then a folder is gone, or another one, most often an
// empty one, lies in its place.
func (s *folderStore) cause(name string, err error) error {
	var own flaw
	switch {
	case errors.As(err, &own):
		return nil
	case !ownFault(err):
		return err
	}
	for _, dir := range []string{"", folderOf(name)} {
		now, failed := s.fsys.Stat(s.path(dir))
		if failed != nil {
			return fmt.Errorf("cannot get at %s: %w", text.Name(s.path(dir)), reason(failed))
		}
		s.mu.Lock()
		was := s.folders[dir]
		s.mu.Unlock()
		if was != nil && !s.fsys.SameFile(was, now) {
			return fmt.Errorf("%s is gone, something else is in its place", text.Name(s.path(dir)))
		}
	}
	if !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	// to look at a file nothing is needed but the permission to search its folder
	if _, failed := s.fsys.Lstat(s.path(name)); errors.Is(failed, fs.ErrPermission) {
		return err
	}
	return nil
}

// adopt takes the folders that are there after a failure for the right ones, for pictures can be read in them: a share
// that was mounted again may have another number.
func (s *folderStore) adopt() {
	now, err := s.fsys.Stat(s.root)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if was := s.folders[""]; was == nil || !s.fsys.SameFile(was, now) {
		s.folders = map[string]fs.FileInfo{"": now}
	}
}

// folderOf is the folder of a file; "" is root.
func folderOf(name string) string {
	dir := path.Dir(name)
	if dir == "." {
		return ""
	}
	return dir
}

func (*folderStore) Close() error { return nil }

// PicturesIn finds the files in a folder and in those below it that may be pictures, as [Open] finds them: nothing
// hidden, and no file whose name says that it is something else. They come by name, as paths that begin with root. A
// folder that cannot be listed is a *SourceError, a prepared set is an *InShards; after the end of ctx the error is
// ctx's.
func PicturesIn(ctx context.Context, fsys files.Reader, root string) ([]string, error) {
	if IsPrepared(fsys, root) {
		return nil, &InShards{root}
	}
	l, err := walkFolder(ctx, fsys, root)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	}
	paths := make([]string, len(l.files))
	for i, f := range l.files {
		paths[i] = filepath.Join(root, filepath.FromSlash(f.Name))
	}
	return paths, nil
}

// listFolder finds the pictures below root, those in archives and in CIFAR's files included. through says that archives
// may be read through for that.
func listFolder(ctx context.Context, fsys files.Reader, root string, through bool) (*listing, error) {
	if unfinished(fsys, root) {
		return nil, &SourceError{Path: root, Problem: Unfinished}
	}
	l, err := walkFolder(ctx, fsys, root)
	if err != nil {
		return nil, err
	}
	place := func(name string) string { return filepath.Join(root, filepath.FromSlash(name)) }
	if len(l.sets) > 0 {
		return nil, &SourceError{Path: root, Problem: HoldsSets, Detail: l.sets[0]}
	}
	whole := func(name string) cifarPlace { return cifarPlace{path: place(name)} }
	if of, err := l.cifar(root, fsys, whole); of != nil || err != nil {
		return of, err
	}
	return l.archivesIn(ctx, fsys, root, through)
}

// archivesIn adds what is in the archives of a folder.
func (l *listing) archivesIn(ctx context.Context, fsys files.Reader, root string, through bool) (*listing, error) {
	return l.withArchives(root, func(name string) (*listing, error) {
		return listFile(ctx, fsys, filepath.Join(root, filepath.FromSlash(name)), through)
	})
}

// walkFolder finds the files below root. Links are followed wherever they lead, but not to a folder that they lie in;
// what is neither file nor folder is ignored.
func walkFolder(ctx context.Context, fsys files.Reader, root string) (*listing, error) {
	store := &folderStore{fsys: fsys, root: root, folders: map[string]fs.FileInfo{}}
	l := &listing{kind: Folder, store: store}
	l.aside = func(name string) ([]byte, error) { return readFile(fsys, store.path(name), nil) }
	if err := l.walk(ctx, store, "", 0); err != nil {
		return nil, &SourceError{Path: root, Problem: NotListed, Err: err}
	}
	return l, nil
}

func (l *listing) walk(ctx context.Context, s *folderStore, dir string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: more than %d folders deep", text.Name(dir), maxDepth)
	}
	info, err := s.fsys.Stat(s.path(dir))
	if err != nil {
		return err
	}
	if s.above(dir, info) {
		l.circles = append(l.circles, dir)
		return nil
	}
	if s.folders[dir] = info; dir != "" {
		l.dirs = append(l.dirs, dir)
	}
	items, err := s.fsys.ReadDir(s.path(dir))
	if err != nil {
		return err
	}
	if s.set(dir, items) {
		l.sets = append(l.sets, dir)
		return nil
	}
	var gone []string // links to nowhere
	pictures, folders := 0, 0
	for _, item := range items {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := path.Join(dir, item.Name())
		l.leftovers.left(name)
		if hidden(name) {
			continue
		}
		mode, found := s.followed(item.Type(), name)
		switch {
		case !found:
			gone = append(gone, name)
		case mode.IsDir() && name == runsFolder && holdsRuns(s.fsys, s.path(name)):
			// what training on this very folder left there: its curves are no pictures of a class
		case mode.IsDir():
			folders++
			if err := l.walk(ctx, s, name, depth+1); err != nil {
				return err
			}
		case mode.IsRegular() && noPicture(name):
			if noteworthy(name) {
				l.notes = append(l.notes, name)
			} else if foreignName(item.Name()) && len(l.odd) < foreignLooks {
				l.odd = append(l.odd, name)
			}
		case mode.IsRegular():
			pictures++
			l.add(s, name)
		}
	}
	for _, name := range gone {
		switch {
		case folderGone(name, pictures, folders):
			l.dirs = append(l.dirs, name)
		case !noPicture(name):
			l.add(s, name) // it is reported when it is met
		}
	}
	return nil
}

// set tells whether a folder is a prepared set by what lies in it: that which is opened is known before.
func (s *folderStore) set(dir string, items []fs.DirEntry) bool {
	beside := 0
	for _, item := range items {
		switch name := item.Name(); name {
		case shards.IndexName:
			mode, found := s.followed(item.Type(), path.Join(dir, name))
			if found && mode.IsRegular() && isIndex(s.fsys, s.path(path.Join(dir, name))) {
				return true
			}
		case shards.InfoName, shards.ClassesName, shards.ReportName:
			beside++
		}
	}
	return dir != "" && beside > 1 // its index may be missing
}

// add adds a file.
func (l *listing) add(s *folderStore, name string) {
	l.files = append(l.files, Record{Name: name, Number: int32(len(s.names))})
	s.names = append(s.names, name)
}

// folderGone tells whether a link to nowhere is taken for one to a folder, by its name and by what lies beside it: for
// a class that is not there, and not for a picture.
func folderGone(name string, pictures, folders int) bool {
	return path.Ext(name) == "" && pictures == 0 && folders > 0
}

// followed is the type of what is found under a name, where a link leads to; a link may lead nowhere.
func (s *folderStore) followed(mode fs.FileMode, name string) (to fs.FileMode, found bool) {
	if mode&fs.ModeSymlink == 0 {
		return mode, true
	}
	info, err := s.fsys.Stat(s.path(name))
	if err != nil {
		return 0, false
	}
	return info.Mode().Type(), true
}

// above tells whether a folder is one of those that it lies in, where a link led back to it.
func (s *folderStore) above(dir string, info fs.FileInfo) bool {
	for dir != "" {
		if dir = folderOf(dir); s.fsys.SameFile(s.folders[dir], info) {
			return true
		}
	}
	return false
}

// A folder of runs of this program, known by a file in each.
const runsFolder, runsFile = "runs", "metrics.jsonl"

// holdsRuns tells whether a folder holds runs of this program.
func holdsRuns(fsys files.Reader, dir string) bool {
	items, err := fsys.ReadDir(dir)
	return err == nil && slices.ContainsFunc(items, func(item fs.DirEntry) bool {
		_, err := fsys.Stat(filepath.Join(dir, item.Name(), runsFile))
		return err == nil
	})
}
