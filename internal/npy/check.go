package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"regexp"
	"strconv"
	"strings"

	"alexnet/internal/tensor"
)

// Magic is what NumPy's files begin with.
const Magic = "\x93NUMPY"

// longestHeader is how long the header of an array is at most: NumPy's own have some hundred bytes.
const longestHeader = 1 << 16

var (
	descr   = regexp.MustCompile(`'descr': '([<>|=]?)([a-zA-Z])(\d{0,4})'`)
	shapes  = regexp.MustCompile(`'shape': \(((?:\d{1,18}L?,? ?)*)\)`) // Python 2 on Windows wrote 3L
	fortran = regexp.MustCompile(`'fortran_order': (True|False)`)
)

// heading is what an array's begins with.
type heading struct {
	order, kind string // "<" and "f"
	width       uint64 // bytes of a number; 0 of objects
	shape       []int64
	fortran     bool   // the first dimension is counted fastest
	length      int64  // of the header itself
	size        uint64 // of the numbers
}

// Check reads the header of an array of size bytes, and holds its type and shape to the size. The format has no
// checksums: the numbers may be any. What is wrong with it is a *tensor.BadFile without a path.
func Check(r io.Reader, size int64) (shape []int64, err error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if h.width == 0 {
		return nil, errNoType
	}
	return h.shape, h.check(size)
}

var errNoType = tensor.Damaged("its header names no type or no shape")

// check holds the numbers to what is there for them.
func (h *heading) check(size int64) error {
	if want := uint64(h.length) + h.size; uint64(size) != want {
		return tensor.Damaged("it is %d bytes long, its header says %d", size, want)
	}
	return nil
}

// readHeader reads up to where the numbers begin.
func readHeader(r io.Reader) (*heading, error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, short(err)
	}
	if !bytes.HasPrefix(head, []byte(Magic)) {
		return nil, tensor.Damaged("it does not begin as an array of NumPy")
	}
	wide := 2 // bytes of the header's length
	switch head[6] {
	case 1:
	case 2, 3:
		wide = 4
	default:
		return nil, tensor.Damaged("version %d of the format is not known", head[6])
	}
	length := make([]byte, 4)
	if _, err := io.ReadFull(r, length[:wide]); err != nil {
		return nil, short(err)
	}
	n := int64(binary.LittleEndian.Uint32(length))
	if n > longestHeader {
		return nil, tensor.Damaged("a header of %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, short(err)
	}
	h, err := parseHeader(string(text))
	if err != nil {
		return nil, err
	}
	h.length = 8 + int64(wide) + n
	return h, nil
}

// parseHeader reads the words of a header, and tells how many bytes its numbers take.
func parseHeader(text string) (*heading, error) {
	order := fortran.FindStringSubmatch(text)
	if !strings.HasPrefix(text, "{") || !strings.HasSuffix(strings.TrimRight(text, " \n"), "}") || order == nil {
		return nil, tensor.Damaged("its header is none")
	}
	kind, dims := descr.FindStringSubmatch(text), shapes.FindStringSubmatch(text)
	if kind == nil || dims == nil || kind[3] == "" && kind[2] != "O" {
		return nil, errNoType
	}
	h := &heading{order: kind[1], kind: kind[2], fortran: order[1] == "True"}
	h.width, _ = strconv.ParseUint(kind[3], 10, 64) // at most four digits
	h.size = h.width
	for _, d := range strings.FieldsFunc(dims[1], func(r rune) bool { return r == ',' || r == ' ' || r == 'L' }) {
		n, bad := strconv.ParseUint(d, 10, 63)
		hi, lo := bits.Mul64(h.size, n)
		if bad != nil || hi != 0 || lo > 1<<62 {
			return nil, tensor.Damaged("its shape is too large for any file")
		}
		h.size, h.shape = lo, append(h.shape, int64(n))
	}
	return h, nil
}

// short says that the file ends in its header.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return tensor.Damaged("cut short: it ends in its header")
	}
	return err
}
