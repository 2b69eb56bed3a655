package data

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"alexnet/internal/files"
)

// cifarFile is one of the files of CIFAR's binary form: records of labels and a picture's three planes, row by row.
type cifarFile struct {
	name string
	part Part
}

// cifarForm is CIFAR-10's or CIFAR-100's (https://www.cs.toronto.edu/~kriz/cifar.html).
type cifarForm struct {
	files  []cifarFile
	labels int    // bytes before the picture; the last is the class
	names  string // the file of the classes' names
}

var cifarForms = []cifarForm{
	{
		[]cifarFile{
			{"data_batch_1.bin", TrainPart},
			{"data_batch_2.bin", TrainPart},
			{"data_batch_3.bin", TrainPart},
			{"data_batch_4.bin", TrainPart},
			{"data_batch_5.bin", TrainPart},
			{"test_batch.bin", TestPart},
		},
		1, "batches.meta.txt",
	},
	{[]cifarFile{{"train.bin", TrainPart}, {"test.bin", TestPart}}, 2, "fine_label_names.txt"},
}

// A picture of CIFAR, and the BMP that the store gives for it: 54 bytes of headers, then rows of blue, green, red. 96
// bytes a row are whole words, so nothing is filled up.
const (
	cifarSide   = 32
	cifarPlane  = cifarSide * cifarSide
	cifarPixels = 3 * cifarPlane
	bmpHeaders  = 14 + 40
)

// cifar makes a listing of CIFAR's binary form out of a folder of its files, or says that there is no such form. Files
// of a folder or a tar count however they lie below it; the test's pictures are the test part. place tells where a file
// lies.
func (l *listing) cifar(root string, fsys files.Reader, place func(name string) cifarPlace) (*listing, error) {
	for _, form := range cifarForms {
		i := slices.IndexFunc(l.files, func(f Record) bool { return path.Base(f.Name) == form.files[0].name })
		if i < 0 {
			continue
		}
		first := l.files[i].Name
		names := path.Join(path.Dir(first), form.names)
		if !slices.Contains(l.notes, names) {
			if slices.ContainsFunc(l.files, func(f Record) bool { return path.Ext(f.Name) != ".bin" }) {
				continue // a picture of that name
			}
			return nil, &SourceError{Path: root, Problem: BadNotes, Detail: names, Err: fs.ErrNotExist}
		}
		return form.list(root, path.Dir(first), names, l, fsys, place)
	}
	return nil, nil //nolint:nilnil // as documented
}

// packedCIFAR is a file of CIFAR's binary form in an archive, or "".
func (l *listing) packedCIFAR() string {
	for _, form := range cifarForms {
		i := slices.IndexFunc(l.files, func(f Record) bool { return path.Base(f.Name) == form.files[0].name })
		if i >= 0 && len(l.files) <= len(form.files) {
			return l.files[i].Name
		}
	}
	return ""
}

// cifarPlace is where a file lies: at a path, or in the span of a tar that is there.
type cifarPlace struct {
	path string
	span *extent
}

func (form *cifarForm) list(root, dir, names string, l *listing, fsys files.Reader, place func(string) cifarPlace) (
	*listing, error,
) {
	raw, err := l.aside(names)
	if err != nil {
		return nil, &SourceError{Path: root, Problem: BadNotes, Detail: names, Err: err}
	}
	classes := strings.Fields(string(raw))
	store := &cifarStore{labels: form.labels}
	out := &listing{kind: l.kind, store: store, form: "CIFAR's binary files", leftovers: l.leftovers}
	there := map[string]bool{}
	for _, f := range l.files {
		there[f.Name] = true
	}
	for _, f := range form.files {
		name := path.Join(dir, f.name)
		if !there[name] {
			if f.part == TrainPart {
				return nil, errors.Join(
					&SourceError{Path: root, Problem: BadNotes, Detail: name, Err: fs.ErrNotExist}, store.Close())
			}
			continue
		}
		if err := store.index(out, fsys, place(name), f, classes); err != nil {
			return nil, errors.Join(&SourceError{Path: root, Problem: BadNotes, Detail: name, Err: err}, store.Close())
		}
	}
	return out, nil
}

// cifarStore reads pictures out of CIFAR's binary files.
type cifarStore struct {
	labels int
	tars   stores // each file is read as a tar's: by places in it
}

// index adds the pictures of a file.
func (s *cifarStore) index(l *listing, fsys files.Reader, at cifarPlace, file cifarFile, classes []string) error {
	f, err := fsys.Open(at.path)
	if err != nil {
		return reason(err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(reason(err), f.Close())
	}
	record, span := int64(s.labels+cifarPixels), extent{0, info.Size()}
	if at.span != nil {
		span = *at.span
	}
	if span.size == 0 || span.size%record != 0 || span.size/record > maxCIFAR {
		return errors.Join(fmt.Errorf("%d bytes are not whole pictures of %d bytes", span.size, record), f.Close())
	}
	n := int(span.size / record)
	all, err := readAt(f, span.off, span.size, nil)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	store := &tarStore{fsys: fsys, path: at.path, f: f, was: info, spans: make([]extent, n)}
	part := &listing{store: store, files: make([]Record, n)}
	base := strings.TrimSuffix(file.name, ".bin")
	for i := range n {
		label := int(all[int64(i)*record+int64(s.labels)-1])
		if label >= len(classes) {
			return errors.Join(fmt.Errorf("picture %d has label %d of %d classes", i, label, len(classes)), f.Close())
		}
		store.spans[i] = extent{span.off + int64(i)*record + int64(s.labels), cifarPixels}
		part.files[i] = Record{
			Name:   fmt.Sprintf("%s/%s/%s_%05d.bmp", file.part, classes[label], base, i),
			File:   fmt.Sprintf("%s, picture %d", file.name, i),
			Number: int32(i),
		}
	}
	first := s.tars.add(part)
	for _, r := range part.files {
		r.Number += first
		l.files = append(l.files, r)
	}
	return nil
}

// maxCIFAR is the most pictures of a file: a hundred times as many as CIFAR-100's has. The file is read whole once.
const maxCIFAR = maxFile / (2 + cifarPixels)

func (s *cifarStore) Read(ctx context.Context, i int, buf []byte) ([]byte, error) {
	planes, err := s.tars.Read(ctx, i, nil)
	if err != nil {
		return nil, err
	}
	return bitmap(planes, buf), nil
}

// bitmap writes planes as a BMP of 24 bits, from the upper row on, into buf where it fits.
func bitmap(planes, buf []byte) []byte {
	const size = bmpHeaders + cifarPixels
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	clear(buf[:bmpHeaders])
	up := int32(-cifarSide) // a negative height: the rows go down
	copy(buf, "BM")
	le := binary.LittleEndian
	le.PutUint32(buf[2:], size)
	le.PutUint32(buf[10:], bmpHeaders)
	le.PutUint32(buf[14:], bmpHeaders-14)
	le.PutUint32(buf[18:], cifarSide)
	le.PutUint32(buf[22:], uint32(up))
	le.PutUint16(buf[26:], 1)
	le.PutUint16(buf[28:], 24)
	for i, pixel := range planes[:cifarPlane] {
		p := buf[bmpHeaders+3*i:]
		p[0], p[1], p[2] = planes[2*cifarPlane+i], planes[cifarPlane+i], pixel
	}
	return buf
}

func (s *cifarStore) check() *SourceFault { return s.tars.check() }

func (s *cifarStore) place() string { return s.tars.place() }

func (s *cifarStore) stamp(i int) (stamp, error) { return s.tars.stamp(i) }

func (s *cifarStore) Close() error { return s.tars.Close() }
