package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/parquet"
)

// rows is a store of a Parquet file. Rows lie in compressed pages, so they are read in order. The spans are rows, each
// with its share of the file for a size.
type rows struct{ packed }

// through passes every row; raw is nil where there is no file in it, of which Read gives the reason.
func (s *rows) through(r *reader, each func(number int, raw []byte) error) error {
	ctx := r.crew.ctx
	from := s.watch(ctx)
	from.by = r
	if fault := from.check(); fault != nil {
		return fault
	}
	file, err := parquet.Open(from, from.size)
	var own error // of each
	if err == nil {
		err = file.Each(ctx, func(row int64, _ string, _ int64, raw []byte) error {
			var bad flaw
			switch {
			case len(raw) == 0:
				bad = "the row has no picture in it"
			case len(raw) > maxFile:
				bad = errTooLong
			}
			if bad != "" {
				raw = nil
				s.blame(int(row), bad)
			}
			own = each(int(row), raw)
			return own
		})
	}
	switch {
	case own != nil:
		return own
	case err != nil:
		err = s.fault(from, err)
		if fault := (*SourceFault)(nil); errors.As(err, &fault) && errors.As(err, new(*parquet.Error)) {
			fault.Damaged = from.failed == nil // of pages nothing is known before they are read
		}
		return err
	}
	if fault := from.check(); fault != nil {
		return fault
	}
	return ctx.Err()
}

// listParquet lists the rows of a Parquet file as if each were a picture in the folder of its class; those without a
// label are loose. through says that their paths and labels may be read for that.
func listParquet(ctx context.Context, fsys files.Reader, name string, through bool) (*listing, error) {
	store := &rows{}
	if err := store.open(fsys, name); err != nil {
		return nil, err
	}
	from := store.watch(ctx)
	table, err := parquet.Open(from, from.size)
	if err == nil && !through {
		err = &SourceError{Path: name, Problem: OnlyThrough}
	}
	found := &labelled{room: freeRoom + 2*from.size}
	if err == nil {
		err = table.Labels(ctx, found.add)
	}
	var keys []string
	if err == nil {
		keys, err = found.classes(table.Names())
	}
	if err != nil {
		return nil, errors.Join(parquetError(name, cmp.Or(store.trouble(from), err)), store.Close())
	}
	l := &listing{kind: Tar, store: store, form: "a Parquet file"}
	l.aside = func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	own, _ := stem(filepath.Base(name))
	classOf := func(i int) string {
		if label := found.labels[i]; label >= 0 {
			return keys[label]
		}
		return ""
	}
	l.apart = func(i int) string { return path.Join(classOf(i), fmt.Sprintf("%s_%06d", own, i)) }
	for i, base := range found.bases {
		class := classOf(i)
		if rest, _, is := endsInWNID(base); is && found.wnids && class != "" {
			base = rest
		} else if is && !found.wnids && class == "" {
			base = "" // or it would be of a class of that name
		}
		name := path.Join(class, base)
		if base == "" {
			name = l.apart(i)
		}
		l.files = append(l.files, Record{Name: name, File: fmt.Sprintf("row %d", i), Number: int32(i)})
		store.spans = append(store.spans, extent{int64(i), from.size / int64(len(found.bases))})
	}
	if l.twice() {
		l.setApart(l.files, "")
	}
	return l, nil
}

// setApart gives files, which are the listing's, other names that keep them apart: by the number of a row of a table,
// by the shard of a sample, by the whole path of a listed picture.
func (l *listing) setApart(files []Record, prefix string) {
	if l.apart == nil {
		return
	}
	for i := range l.files {
		files[i].Name = prefix + l.apart(i)
	}
}

// parquetError says what is wrong with the file in the user's words.
func parquetError(name string, err error) error {
	e, bad := (*parquet.Error)(nil), (*SourceError)(nil)
	switch {
	case errors.As(err, &bad) && bad.Problem == BadLabel:
		bad.Path = name
		return bad
	case errors.Is(err, errManyEntries):
		return &SourceError{Path: name, Problem: NotRead, Err: err}
	case !errors.As(err, &e):
		return err
	}
	problem := OtherParquet
	switch e.Problem { //nolint:exhaustive // the others are as above
	case parquet.Damaged, parquet.NotParquet, parquet.TooLarge:
		problem = Damaged
	case parquet.NotRead:
		problem = NotRead
	}
	return &SourceError{Path: name, Problem: problem, Err: err}
}

// labelled are the rows of a Parquet file.
type labelled struct {
	bases  []string // the last parts of their paths
	labels []int    // -1: none
	top    int      // the highest
	room   int64    // bytes that these may still take
	wnids  bool     // every row with a label has its WNID in its path; after classes
}

// badLabel says what is wrong with the label of a row.
func badLabel(row int64, format string, args ...any) error {
	return &SourceError{Problem: BadLabel, Detail: fmt.Sprintf("row %d", row), Err: fmt.Errorf(format, args...)}
}

func (f *labelled) add(row int64, name string, label int64) error {
	base := path.Base(inTar(strings.ReplaceAll(name, `\`, "/")))
	if base == "." || base == "/" || len(base) > maxTarName {
		base = ""
	}
	if f.room -= entryRoom/2 + int64(len(base)); f.room < 0 {
		return errManyEntries
	}
	if label < -1 || label > maxLabel {
		return badLabel(row, "it is %d", label)
	}
	f.top = max(f.top, int(label))
	f.bases, f.labels = append(f.bases, strings.Clone(base)), append(f.labels, int(label))
	return nil
}

// maxLabel is the highest label there may be: ImageNet's whole has 22 thousand classes.
const maxLabel = 99_999

// classes are the keys of the classes by label: WNIDs where every path ends in one, or where the names are ImageNet's;
// else the names; else numbers.
func (f *labelled) classes(names []string) ([]string, error) {
	if len(names) > 0 && f.top >= len(names) {
		return nil, badLabel(int64(slices.Index(f.labels, f.top)), "it is %d, of %d classes", f.top, len(names))
	}
	keys, of := make([]string, max(f.top+1, len(names))), map[string]int{}
	f.wnids = true
	for i, label := range f.labels {
		_, wnid, is := endsInWNID(f.bases[i])
		if label < 0 {
			continue
		}
		if f.wnids = f.wnids && is; !f.wnids {
			break
		}
		if other, known := of[wnid]; keys[label] != "" && keys[label] != wnid || known && other != label {
			return nil, badLabel(int64(i), "it is %d, and its path says %s; before, that label had %s", label, wnid,
				cmp.Or(keys[label], "none, and that class another"))
		}
		if place, known := imagenet.Place(wnid); len(names) == imagenet.Classes && known && place != label {
			return nil, badLabel(int64(i), "it is %d, and its path says %s, which is class %d", label, wnid, place)
		}
		keys[label], of[wnid] = wnid, label
	}
	switch {
	case f.wnids && len(of) > 0:
	case areILSVRC(names):
		copy(keys, wnidsOf(names))
	case !asFolders(keys, names):
		for i := range keys {
			keys[i] = fmt.Sprintf("class-%04d", i)
		}
	}
	return keys, nil
}

// noFolder are names that no folder of a class could have.
var noFolder = regexp.MustCompile(`^\.|^$|[/\x00]`)

// asFolders gives keys the names, where they could be those of folders; a slash in them becomes a dash.
func asFolders(keys, names []string) bool {
	seen := map[string]bool{}
	for i, name := range names {
		name = strings.ReplaceAll(name, "/", "-")
		if noFolder.MatchString(name) || len(name) > maxClassName || seen[name] {
			return false
		}
		keys[i], seen[name] = name, true
	}
	return len(names) > 0
}

// maxClassName is how long a class's name may be: no file system takes longer ones.
const maxClassName = 255
