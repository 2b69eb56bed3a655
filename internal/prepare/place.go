package prepare

import (
	"errors"
	"io/fs"
	"path/filepath"

	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/lockfile"
)

// Check refuses what Run would refuse whatever is in the sources: to list these may take hours. Its errors are Run's.
// sources are the paths that they are opened by.
func Check(o Options, sources []string) error {
	place, _, err := files.Follow(o.Files, filepath.Clean(o.Out), nil)
	if err != nil {
		return err
	}
	partial := files.Partial(place)
	m := &maker{o: o, out: place, dir: partial, set: filepath.Join(partial, setName)}
	there, err := occupied(o.Files, place)
	switch {
	case err != nil:
		return err
	case there && m.left() == nil: // or Run tells whether it is done
		return &Exists{o.Out}
	}
	if err := apart(o.Files, sources, o.Out, place); err != nil || there {
		return err
	}
	if err := idle(o.Files, partial, o.Out); err != nil {
		return err
	}
	begun, _, err := readState(o.Files, filepath.Join(partial, stateName), m.pixels())
	switch {
	case errors.Is(err, fs.ErrNotExist): // how large the set will be is not known; there must be room for some files
		at, _, _ := files.Standing(o.Files, filepath.Dir(place)) // an error of it comes back in the making
		return files.Room(o.Files, at, o.Out, "the prepared set needs", 0, newFiles)
	case errors.Is(err, errState):
		return &Differs{Partial: partial}
	case err != nil:
		return err
	}
	m.now.Source, m.now.Decoder = begun.Source, picture.JPEGDecoder()
	if err := m.compare(begun); err != nil {
		return err
	}
	bytes := int64(0)
	for _, n := range begun.Lengths {
		bytes += n
	}
	more := float64(begun.Pictures-begun.Done) / float64(max(begun.Done, 1))
	return files.Room(o.Files, partial, o.Out, "the rest of the prepared set needs some", int64(more*float64(bytes)),
		newFiles)
}

// idle refuses a folder in which another process makes a set.
func idle(fsys files.FS, partial, out string) error {
	name := filepath.Join(partial, lockName)
	if _, err := fsys.Stat(name); err != nil {
		return nil //nolint:nilerr // nobody is there, or Run says why it cannot be used
	}
	release, err := lockfile.Hold(fsys, name)
	switch {
	case errors.Is(err, files.ErrLocked):
		return &Busy{out}
	case err != nil:
		return err
	}
	release()
	return nil
}

// occupied tells whether anything is in the place of a set but an empty folder, which is replaced.
func occupied(fsys files.FS, place string) (bool, error) {
	items, err := fsys.ReadDir(place)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return len(items) > 0, err
}

// apart refuses a set inside its own source: the next look at that would find the set's tars.
func apart(fsys files.FS, sources []string, out, place string) error {
	for _, source := range sources {
		from, err := fsys.Stat(source)
		if err != nil || !from.IsDir() {
			continue // a single file, or what is elsewhere: there is nothing to be inside of
		}
		if at, _, _ := files.Standing(fsys, place); inside(fsys, at, from) {
			return &Inside{Out: out, Source: source}
		}
	}
	return nil
}

// inside tells whether a folder is one in another, or that itself. It goes up by "..", which leads out of a folder and
// not out of a link to it.
func inside(fsys files.FS, at string, from fs.FileInfo) bool {
	const deep = 1000
	var before fs.FileInfo
	for range deep {
		info, err := fsys.Stat(at)
		switch {
		case err != nil || before != nil && fsys.SameFile(before, info): // the root
			return false
		case fsys.SameFile(info, from):
			return true
		}
		before, at = info, at+string(filepath.Separator)+".."
	}
	return false
}
