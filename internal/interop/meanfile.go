package interop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
	"alexnet/internal/npy"
)

// writeWithMean puts the weights and the mean image into their places: both, or on an error neither. The mean image
// goes first, when the weights are complete under their temporary name; what fails after that is undone from memory.
func (e *Export) writeWithMean(ctx context.Context, fsys files.FS) error {
	mean, err := keep(fsys, e.MeanImage)
	if err != nil { // it is not replaced either: what fails later could not be undone
		return fmt.Errorf("cannot write %s: %w (nothing was changed)", e.MeanImage, err)
	}
	weights, _ := fsys.Stat(e.Path) // nil where there is none: what else is wrong with it shows below
	var inMean error
	e.Bytes, err = atomicfile.Put(ctx, fsys, e.Path, func(f atomicfile.File) error {
		if err := e.encode(ctx, f); err != nil {
			return err
		}
		_, inMean = atomicfile.Put(ctx, fsys, e.MeanImage, func(f atomicfile.File) error {
			return npy.Encode(f, e.mean, e.meanShape)
		})
		return inMean
	})
	if err == nil || !same(fsys, e.Path, weights) { // written, if perhaps not for good
		return err
	}
	if same(fsys, e.MeanImage, mean.info) {
		return cmp.Or(inMean, err) // of the mean's own error err is only the repetition
	}
	if undo := mean.restore(fsys); undo != nil {
		return errors.Join(err, fmt.Errorf("but %s is the new mean image: %w", e.MeanImage, undo))
	}
	return err
}

// kept is a file as it was before it was replaced.
type kept struct {
	path    string
	info    fs.FileInfo // nil: there was none
	content []byte
}

// keep reads a file that may have to be restored; it may be missing.
func keep(fsys files.Reader, path string) (*kept, error) {
	place, err := atomicfile.Look(fsys, path)
	switch {
	case err != nil:
		return nil, err
	case place.Through:
		return nil, errors.New("it is a pipe or a device")
	case place.Old == nil:
		return &kept{path: place.Path}, nil
	}
	content, err := files.ReadFile(fsys, path)
	return &kept{place.Path, place.Old, content}, err
}

func (s *kept) restore(fsys files.FS) error {
	if s.info == nil {
		return fsys.Remove(s.path)
	}
	_, err := atomicfile.Put(context.Background(), fsys, s.path, func(f atomicfile.File) error {
		_, err := f.Write(s.content)
		return err
	})
	return err
}

// same tells whether a path still names the file that it named; nil: whether there still is none.
func same(fsys files.Reader, path string, before fs.FileInfo) bool {
	now, err := fsys.Stat(path)
	if before == nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return err == nil && fsys.SameFile(before, now)
}
