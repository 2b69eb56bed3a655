// Package parquet reads the one kind of Parquet file that data sets of pictures come in from Hugging Face: a column of
// structs {bytes, path}, called image or img, and a column of whole numbers, called label or fine_label. Everything
// else of the format that such files do not have is refused by name: lists, encodings besides PLAIN and the dictionary
// ones, LZ4, Brotli and LZO, encryption.
//
// The format (github.com/apache/parquet-format) is a file of row groups; a row group has a chunk of bytes for each
// column, a chunk is a sequence of pages, and the footer at the file's end says where the chunks lie. footer.go reads
// the footer (written in Thrift's compact protocol, thrift.go), page.go the pages of a chunk one at a time, hybrid.go
// the small numbers in them, codec.go what they are compressed with. No number of the file is believed before it was
// compared with what the file has, so that a file made to hurt costs little; limits.go says how little. Pages have
// checksums only where their writer chose so, and `datasets` does not: then damage within a picture's bytes is the
// picture decoder's to find.
//
// It imports text, for the names that strangers gave, and the decoders of github.com/klauspost/compress.
package parquet

import (
	"context"
	"encoding/binary"
	"io"
)

// File is an opened file. Its methods may be called at the same time as each other.
type File struct {
	r     io.ReaderAt
	size  int64
	names []string
	rows  int64
	cols  [3]leaf // by picture, path, label
	group []group
}

// The columns that are read, as places in File.cols and group.chunks.
const (
	picture = iota
	path
	label
)

// Open reads the footer of a file of size bytes. Errors are an *Error.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size}
	if err := f.readFooter(); err != nil {
		return nil, err
	}
	return f, nil
}

// Rows is how many rows the file has, one for each picture.
func (f *File) Rows() int64 { return f.rows }

// Names are the classes' names by label, as `datasets` writes them into the footer; nil where there are none.
func (f *File) Names() []string { return f.names }

// Labels gives each row's path and label to each, in order, and does not read the pictures. A path that is missing is
// "", a label that is missing -1, which is also what `datasets` has for pictures without labels. Errors are an *Error,
// ctx's, or each's own.
func (f *File) Labels(ctx context.Context, each func(row int64, path string, label int64) error) error {
	return f.read(ctx, path, func(row int64, path string, label int64, _ []byte) error {
		return each(row, path, label)
	})
}

// Each is Labels, and gives each picture's bytes too, which are each's until it returns; nil where there are none. A
// page at a time is held, not a row group.
func (f *File) Each(ctx context.Context, each func(row int64, path string, label int64, picture []byte) error) error {
	return f.read(ctx, picture, each)
}

// read gives the rows, and reads the columns from first on.
func (f *File) read(ctx context.Context, first int, each func(int64, string, int64, []byte) error) error {
	r := f.newReading()
	defer r.close()
	columns := make([]*column, len(f.cols))
	for i := first; i < len(f.cols); i++ {
		columns[i] = &column{reading: r, leaf: f.cols[i]}
	}
	row := int64(0)
	for g, group := range f.group {
		for i := first; i < len(f.cols); i++ {
			columns[i].begin(g, group.chunks[i], group.rows)
		}
		for range group.rows {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			var values [3][]byte
			for i := first; i < len(f.cols); i++ {
				var err error
				if values[i], err = columns[i].next(ctx); err != nil {
					return err
				}
			}
			if err := each(row, string(values[path]), number(values[label]), values[picture]); err != nil {
				return err
			}
			row++
		}
	}
	return nil
}

// number is a label from its 4 or 8 bytes, or -1 from none.
func number(b []byte) int64 {
	switch len(b) {
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	case 8:
		return int64(binary.LittleEndian.Uint64(b))
	default:
		return -1
	}
}
