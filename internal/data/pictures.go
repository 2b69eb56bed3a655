package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/text"
)

// Pictures are pictures in an order, without classes.
type Pictures struct {
	records []Record // Name is the whole path, of one in a tar with the tar's before it
	store   Store
}

// Files are pictures by their paths, in that order. What cannot be read is found out when it is decoded.
func Files(fsys files.Reader, paths []string) *Pictures {
	l := &Pictures{store: fileList{fsys, paths}, records: make([]Record, len(paths))}
	for i, p := range paths {
		l.records[i] = Record{Name: p, Number: int32(i)}
	}
	return l
}

// Len is how many there are.
func (l *Pictures) Len() int { return len(l.records) }

// Name is the path of picture i: on the disk, or that of a tar and the name in it.
func (l *Pictures) Name(i int) string { return l.records[i].Name }

// Close ends the use of tars.
func (l *Pictures) Close() error { return l.store.Close() }

// SameName is two pictures whose files have one name, where names give the order.
type SameName struct{ First, Second string } // paths

func (e *SameName) Error() string {
	return fmt.Sprintf("%s and %s have the same file name", text.Name(e.First), text.Name(e.Second))
}

// ByFileName finds the pictures in folders and in those below, in tars, in prepared sets and among single files, and
// puts them in the order of their files' names, by bytes, wherever they lie. A folder of tars without pictures counts
// as these. Two of one name are a *SameName; what cannot be listed is a *SourceError. After the end of ctx the error is
// ctx's.
func ByFileName(ctx context.Context, fsys files.Reader, paths []string) (*Pictures, error) {
	all, single := &stores{}, []string(nil)
	l := &Pictures{store: all}
	take := func(inner *listing, root string) {
		first := all.add(inner)
		for _, f := range inner.files {
			name := filepath.Join(root, filepath.FromSlash(cmp.Or(f.File, f.Name)))
			l.records = append(l.records, Record{Name: name, Number: f.Number + first})
		}
	}
	for _, p := range paths {
		inner, err := unlabelled(ctx, fsys, p)
		switch {
		case ctx.Err() != nil:
			if err = ctx.Err(); inner != nil {
				_ = inner.store.Close() // only read
			}
		case err == nil && inner == nil:
			single = append(single, p)
		case err == nil && len(inner.files) == 0:
			err = errors.Join(&SourceError{Path: p, Problem: NoPictures}, inner.store.Close())
		case err == nil:
			take(inner, p)
		}
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
	}
	take(&listing{store: fileList{fsys, single}, files: Files(fsys, single).records}, "")
	slices.SortFunc(l.records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(fileName(a), fileName(b)), cmp.Compare(a.Name, b.Name))
	})
	for i := 1; i < len(l.records); i++ {
		if one, two := l.records[i-1], l.records[i]; fileName(one) == fileName(two) {
			return nil, errors.Join(&SameName{one.Name, two.Name}, all.Close())
		}
	}
	return l, nil
}

func fileName(r Record) string { return path.Base(filepath.ToSlash(r.Name)) }

// unlabelled lists a folder, a tar or a prepared set; nil is a single file.
func unlabelled(ctx context.Context, fsys files.Reader, p string) (*listing, error) {
	info, err := fsys.Stat(p)
	switch {
	case err != nil:
		return nil, nil //nolint:nilerr,nilnil // reading it will say what is wrong
	case info.Mode().IsRegular() && holdsTar(fsys, p):
		return listFile(ctx, fsys, p, false)
	case !info.IsDir():
		return nil, nil //nolint:nilnil // as documented
	case IsPrepared(fsys, p):
		c, store, err := openPrepared(fsys, p)
		if err != nil {
			return nil, err
		}
		return &listing{files: slices.Concat(c.Train, c.Val, c.Test), store: store}, nil
	}
	l, err := walkFolder(ctx, fsys, p)
	if err != nil || len(l.files) > 0 {
		return l, err
	}
	return l.archivesIn(ctx, fsys, p, false)
}

// holdsTar tells whether a file is to be opened up: a tar, by its content or its name, or what is compressed, which is
// refused as that.
func holdsTar(fsys files.Reader, p string) bool {
	if isTar(filepath.Base(p)) {
		return true
	}
	head, err := headOf(fsys, p, tarBlock)
	if err != nil || picture.Format(head) != "" { // what cannot be read is no tar
		return false
	}
	return len(head) == tarBlock && string(head[257:262]) == "ustar" || compressed(head)
}

// InShards says that a folder is a prepared set, whose pictures are no files of their own.
type InShards struct{ Path string }

func (e *InShards) Error() string {
	return text.Name(e.Path) + " is a prepared set: its pictures lie in tars"
}

// piper is a store that reads a pipe to its end, which Read refuses.
type piper interface {
	readPipe(i int, buf []byte) ([]byte, error)
}

// fileList is files as a store.
type fileList struct {
	fsys  files.Reader
	paths []string
}

func (l fileList) Read(_ context.Context, i int, buf []byte) ([]byte, error) {
	raw, err := readFile(l.fsys, l.paths[i], buf)
	if err != nil && !ownFault(err) {
		return nil, &SourceFault{Path: l.paths[i], Err: err}
	}
	return raw, err
}

func (l fileList) readPipe(i int, buf []byte) ([]byte, error) {
	return readPipe(l.fsys, l.paths[i], buf)
}

func (fileList) Close() error { return nil }
