package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/shards"
	"alexnet/internal/text"
)

// Form is how other programs keep pictures; none of these is read.
type Form string

// The forms, by the names that people know them by. They are the Detail of an OtherForm.
const (
	TFRecord Form = "TFRecord (TensorFlow)"
	LMDB     Form = "LMDB (Caffe)"
	RecordIO Form = "RecordIO (MXNet)"
	Beton    Form = "FFCV's .beton"
	Arrow    Form = "Arrow (a cache of Hugging Face's datasets)"
	NumPy    Form = "arrays of NumPy"
	Pickle   Form = "a pickle of Python"
	HDF5     Form = "HDF5"
)

// What begins the files that are told by their content.
const (
	gzipMagic    = "\x1f\x8b"
	zipMagic     = "PK\x03\x04"
	emptyZip     = "PK\x05\x06"
	parquetMagic = "PAR1"
)

// packers are the programs that compress tars and folders in ways that are not read, by what their files begin with.
var packers = []struct{ magic, name string }{
	{"BZh", "bzip2"},
	{"\xfd7zXZ\x00", "xz"},
	{"\x28\xb5\x2f\xfd", "zstd"},
	{"7z\xbc\xaf\x27\x1c", "7z"},
	{"Rar!\x1a\x07", "rar"},
	{"\x04\x22\x4d\x18", "lz4"},
	{"LZIP", "lzip"},
	{"\x1f\x9d", "compress"},
	{"]\x00\x00", "lzma"},
}

// compressed tells by its first bytes whether a file is compressed.
func compressed(head []byte) bool {
	begins := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	return begins(gzipMagic) || begins(zipMagic) || begins(parquetMagic) ||
		slices.ContainsFunc(packers, func(p struct{ magic, name string }) bool { return begins(p.magic) })
}

// foreignHead is how much of a file tells its form.
const foreignHead = 64

// foreignError is what a file is that is none of ours, by its name and its first bytes; nil where nobody knows.
func foreignError(name string, head []byte) error {
	for _, p := range packers {
		if bytes.HasPrefix(head, []byte(p.magic)) {
			return &SourceError{Path: name, Problem: Compressed, Detail: p.name}
		}
	}
	if form := foreign(name, head); form != "" {
		return &SourceError{Path: name, Problem: OtherForm, Detail: string(form)}
	}
	return nil
}

// foreign is the form of a file, or "".
func foreign(name string, head []byte) Form {
	le := binary.LittleEndian
	begins := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case len(head) >= 12 && le.Uint32(head[8:]) == masked(head[:8]):
		return TFRecord // length, and the checksum of that
	case len(head) >= 20 && le.Uint32(head[16:]) == 0xbeefc0de, len(head) >= 16 && le.Uint32(head[12:]) == 0xbeefc0de:
		return LMDB // the first page's header, of 64 or 32 bits
	case begins("\x0a\x23\xd7\xce"):
		return RecordIO
	case strings.ToLower(path.Ext(name)) == ".beton" && begins("\x02\x00"): // the version; there is no mark
		return Beton
	case begins("ARROW1\x00\x00"), begins("\xff\xff\xff\xff") && strings.ToLower(path.Ext(name)) == ".arrow":
		return Arrow
	case begins("\x93NUMPY"):
		return NumPy
	case begins("\x89HDF\r\n\x1a\n"):
		return HDF5
	case len(head) >= 3 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 && bytes.IndexByte(opcodes, head[2]) >= 0:
		return Pickle
	}
	return ""
}

// opcodes are what the objects begin with that programs pickle: after 0x80 and the number of the protocol.
var opcodes = []byte("}]()c\x95")

// masked is the checksum that TFRecord gives (https://www.tensorflow.org/tutorials/load_data/tfrecord).
func masked(b []byte) uint32 {
	sum := shards.Checksum(b)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// The names of files that are other forms', which so are no pictures and are looked into where there is nothing else.
var (
	foreignExts = []string{
		".tfrecord", ".tfrecords", ".mdb", ".rec", ".idx", ".lst", ".beton", ".arrow", ".h5", ".hdf5", ".npz", ".npy",
		".pkl", ".pickle", ".7z", ".rar", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".tzst", ".lz4", ".lz", ".lzma", ".z",
	}
	foreignShard = regexp.MustCompile(`-[0-9]{5}-of-[0-9]{5}$`)                  // of TFRecord
	foreignArray = regexp.MustCompile(`^(train_data|val_data)(_batch_[0-9]+)?$`) // of downsampled ImageNet
)

// foreignName is asked of every file: few are held to a pattern.
func foreignName(base string) bool {
	return slices.Contains(foreignExts, strings.ToLower(path.Ext(base))) ||
		strings.Contains(base, "-of-") && foreignShard.MatchString(base) ||
		(strings.HasPrefix(base, "train_data") || strings.HasPrefix(base, "val_data")) && foreignArray.MatchString(base)
}

// foreignLooks is how many files of a folder are looked into: those of such names, and those that may be pictures.
const foreignLooks = 16

// orForeign is why a folder cannot be used, failed, or what it holds instead of pictures.
func orForeign(ctx context.Context, fsys files.Reader, root string, l *listing, failed error) error {
	var e *SourceError
	if l.kind != Folder || !errors.As(failed, &e) || e.Problem != NoPictures && e.Problem != NoClassFolders {
		return failed
	}
	names := slices.Clone(l.odd)
	for _, f := range l.files[:min(len(l.files), foreignLooks)] {
		names = append(names, f.Name)
	}
	for _, name := range names {
		if ctx.Err() != nil {
			break
		}
		form, told := lookInto(fsys, filepath.Join(root, filepath.FromSlash(name))), (*SourceError)(nil)
		if errors.As(form, &told) {
			told.Path, told.Err = root, errors.New(text.Name(name))
			return told
		}
	}
	return failed
}

// lookInto is foreignError of a file; nil also where it cannot be read.
func lookInto(fsys files.Reader, name string) error {
	head, err := headOf(fsys, name, foreignHead)
	if err != nil {
		return nil //nolint:nilerr // as documented
	}
	if bytes.HasPrefix(head, []byte(zipMagic)) && strings.ToLower(path.Ext(name)) == ".npz" {
		return &SourceError{Path: name, Problem: OtherForm, Detail: string(NumPy)}
	}
	return foreignError(name, head)
}

// headOf is how a file begins: so many bytes, or as many as it has.
func headOf(fsys files.Reader, name string, most int) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return headIn(f, most)
}

// headIn is headOf an open file.
func headIn(f files.File, most int) ([]byte, error) {
	head := make([]byte, most)
	n, err := uncut(func() (int, error) { return f.ReadAt(head, 0) })
	if n == 0 && err != nil {
		return nil, err
	}
	return head[:n], nil
}
