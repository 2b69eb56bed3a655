package neighbors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"

	"alexnet/internal/atomicfile"
	"alexnet/internal/text"
)

// Writer makes an index, row by row. It keeps one block in memory, and the names.
type Writer struct {
	f     atomicfile.File
	dim   int
	tail  tail
	block []byte
}

// NewWriter begins an index of rows of dim numbers in a file that is empty.
func NewWriter(f atomicfile.File, of Of, dim int) (*Writer, error) {
	if dim < 1 || dim > maxDim {
		return nil, fmt.Errorf("an index of rows of %d numbers: want 1 to %d", dim, maxDim)
	}
	w := &Writer{f: f, dim: dim, block: make([]byte, 0, 4*dim*blockRows(dim))}
	w.tail = tail{Of: of, Classes: text.Raws(of.Names)}
	_, err := f.Write(make([]byte, headSize)) // no head yet: that is no index
	return w, err
}

// Add adds a row (dim). A number that is not finite is an error: nothing is near to it.
func (w *Writer) Add(name string, label int32, values []float32) error {
	if len(values) != w.dim {
		return fmt.Errorf("a row of %d numbers for an index of %d", len(values), w.dim)
	}
	if len(w.tail.Pictures) == maxRows {
		return fmt.Errorf("more than %d rows", maxRows)
	}
	for _, x := range values {
		bits := math.Float32bits(x)
		if bits&infinite == infinite {
			return &NotFinite{Layer: w.tail.Layer, Picture: name}
		}
		w.block = binary.LittleEndian.AppendUint32(w.block, bits)
	}
	w.tail.Pictures, w.tail.Labels = append(w.tail.Pictures, text.Raw(name)), append(w.tail.Labels, label)
	if len(w.block) == cap(w.block) {
		return w.flush()
	}
	return nil
}

// infinite are the bits that are set in infinity and in what is not a number.
const infinite = 0x7f800000

// NotFinite says that a net makes something of a picture that is no finite number.
type NotFinite struct{ Layer, Picture string }

func (e *NotFinite) Error() string {
	return fmt.Sprintf("%s gives a number that is not finite for %s", text.Name(e.Layer), text.Name(e.Picture))
}

func (w *Writer) flush() error {
	w.tail.Sums = append(w.tail.Sums, crc32.Checksum(w.block, castagnoli))
	_, err := w.f.Write(w.block)
	w.block = w.block[:0]
	return err
}

// Len is how many rows there are.
func (w *Writer) Len() int { return len(w.tail.Pictures) }

// Close completes the index. It does not close the file.
func (w *Writer) Close() error {
	if len(w.block) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	about, err := json.Marshal(w.tail)
	switch {
	case err != nil:
		return err
	case len(about) > maxTail:
		return fmt.Errorf("names of %d bytes, more than an index can hold", len(about))
	}
	if _, err := w.f.Write(about); err != nil {
		return err
	}
	h := head{uint64(w.Len()), uint64(w.dim), uint64(len(about)), crc32.Checksum(about, castagnoli)}
	_, err = w.f.WriteAt(h.bytes(), 0)
	return err
}
