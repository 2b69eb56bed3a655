package neighbors

import (
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"math"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// Index is an open index. Goroutines may search at once.
type Index struct {
	Of
	path      string
	file      files.File
	rows, dim int
	tail      tail
	loaded    []block // nil: the rows are read from the file
}

// block is rows of an index.
type block struct {
	first  int       // number of the first
	values []float32 // (rows, dim)
	norms  []float64 // (rows): squares
}

// Open opens an index and reads all but its rows. A file that is none, or damaged, is a *BadIndex; what is damaged in
// the rows shows when they are read.
func Open(fsys files.Reader, path string) (*Index, error) {
	info, err := fsys.Stat(path) // before it is opened: a FIFO would wait for a writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &BadIndex{path, "not an index of pictures: it is " + files.Kind(info.Mode()), true}
	}
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	x := &Index{path: path, file: f}
	if err := x.read(); err != nil {
		return nil, errors.Join(at(path, err), f.Close())
	}
	return x, nil
}

// at tells the path of a *BadIndex. A file that ends early was cut by somebody after its size was read.
func at(path string, err error) error {
	var b *BadIndex
	switch {
	case errors.As(err, &b):
		b.Path = path
		return b
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &BadIndex{Path: path, Reason: "the index was cut short while it was read"}
	}
	return err
}

func (x *Index) read() error {
	info, err := x.file.Stat()
	if err != nil {
		return err
	}
	begin := make([]byte, min(headSize, info.Size()))
	if _, err := x.file.ReadAt(begin, 0); err != nil {
		return err
	}
	h, err := parseHead(begin, info.Size())
	if err != nil {
		return err
	}
	x.rows, x.dim = int(h.rows), int(h.dim)
	about := make([]byte, h.tail)
	if _, err := x.file.ReadAt(about, x.offset(x.rows)); err != nil {
		return err
	}
	if crc32.Checksum(about, castagnoli) != h.sum {
		return bad("the index is damaged: its names are not what was written")
	}
	if err := json.Unmarshal(about, &x.tail); err != nil {
		return bad("not an index of pictures: %v", err)
	}
	x.Of = x.tail.Of
	for _, c := range x.tail.Classes {
		x.Names = append(x.Names, string(c))
	}
	return x.check()
}

// check holds the JSON to the rows: its checksum was right, but a file is a file.
func (x *Index) check() error {
	per := blockRows(x.dim)
	if len(x.tail.Pictures) != x.rows || len(x.tail.Labels) != x.rows || len(x.tail.Sums) != (x.rows+per-1)/per {
		return bad("the index is damaged: %d names, %d labels and %d checksums for %d rows", len(x.tail.Pictures),
			len(x.tail.Labels), len(x.tail.Sums), x.rows)
	}
	for i, l := range x.tail.Labels {
		if l < 0 || int(l) >= len(x.Names) {
			return bad("the index is damaged: row %d has the label %d of %s", i, l, text.Classes(len(x.Names)))
		}
	}
	return nil
}

// offset is where row i begins in the file.
func (x *Index) offset(i int) int64 { return headSize + 4*int64(i)*int64(x.dim) }

// Path is what errors call the file.
func (x *Index) Path() string { return x.path }

// Len is the number of rows, Dim that of the numbers in one.
func (x *Index) Len() int { return x.rows }

// Dim is the number of numbers in a row.
func (x *Index) Dim() int { return x.dim }

// Name is that of the picture that row i is of.
func (x *Index) Name(i int) string { return string(x.tail.Pictures[i]) }

// Label is the number of its class in Names.
func (x *Index) Label(i int) int32 { return x.tail.Labels[i] }

// Close closes the file. What is loaded stays.
func (x *Index) Close() error { return x.file.Close() }

// Load reads all rows into memory, where later searches find them: 4 Len Dim bytes. No search may be under way. Errors
// are those of Nearest.
func (x *Index) Load(ctx context.Context) error {
	var all []block
	err := x.each(ctx, func(b block) {
		b.values, b.norms = append([]float32(nil), b.values...), append([]float64(nil), b.norms...)
		all = append(all, b)
	})
	if err == nil {
		x.loaded = all
	}
	return err
}

// Verify reads all rows and holds them to their checksums; done is told how many were read. Errors are those of
// Nearest.
func (x *Index) Verify(ctx context.Context, done func(rows int)) error {
	return x.each(ctx, func(b block) { done(b.first + len(b.norms)) })
}

// each gives the blocks to do, in order, each good until do returns.
func (x *Index) each(ctx context.Context, do func(block)) error {
	if x.loaded != nil {
		for _, b := range x.loaded {
			if err := ctx.Err(); err != nil {
				return err
			}
			do(b)
		}
		return nil
	}
	per := blockRows(x.dim)
	raw := make([]byte, 4*x.dim*min(per, x.rows))
	b := block{values: make([]float32, len(raw)/4), norms: make([]float64, min(per, x.rows))}
	for k, sum := range x.tail.Sums {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.first = k * per
		n := min(per, x.rows-b.first)
		if err := x.decode(raw[:4*x.dim*n], b.values[:x.dim*n], b.first, sum); err != nil {
			return at(x.path, err)
		}
		part := block{b.first, b.values[:x.dim*n], b.norms[:n]}
		for i := range part.norms {
			part.norms[i] = norm(part.values[i*x.dim:][:x.dim])
			if math.IsInf(part.norms[i], 0) || math.IsNaN(part.norms[i]) { // no Writer made it
				return at(x.path, bad("the index is damaged: row %d is not finite", b.first+i))
			}
		}
		do(part)
	}
	return nil
}

// decode reads rows, from number first on, and holds them to their checksum.
func (x *Index) decode(raw []byte, values []float32, first int, sum uint32) error {
	if _, err := x.file.ReadAt(raw, x.offset(first)); err != nil {
		return err
	}
	if crc32.Checksum(raw, castagnoli) != sum {
		return bad("the index is damaged: rows %d to %d are not what was written", first, first+len(values)/x.dim-1)
	}
	tensor.Decoders["F32"](values, raw)
	return nil
}
