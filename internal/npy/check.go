package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
)

// Magic is what NumPy's files begin with.
const Magic = "\x93NUMPY"

// longestHeader is how long the header of an array is at most: NumPy's own have some hundred bytes.
const longestHeader = 1 << 16

var (
	descr  = regexp.MustCompile(`'descr': '[<>|=]?[a-zA-Z](\d{1,4})'`)
	shapes = regexp.MustCompile(`'shape': \(((?:\d{1,18},? ?)*)\)`)
)

// Check reads the header of an array of size bytes, and holds its type and shape to the size. The format has no
// checksums: the numbers may be any.
func Check(r io.Reader, size int64) (shape []int64, err error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, short(err)
	}
	if !bytes.HasPrefix(head, []byte(Magic)) {
		return nil, errors.New("it does not begin as an array of NumPy")
	}
	wide := 2 // bytes of the header's length
	switch head[6] {
	case 1:
	case 2, 3:
		wide = 4
	default:
		return nil, fmt.Errorf("version %d of the format is not known", head[6])
	}
	length := make([]byte, 4)
	if _, err := io.ReadFull(r, length[:wide]); err != nil {
		return nil, short(err)
	}
	n := int64(binary.LittleEndian.Uint32(length))
	if n > longestHeader {
		return nil, fmt.Errorf("a header of %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, short(err)
	}
	shape, bytes, err := parseHeader(string(text))
	if err != nil {
		return nil, err
	}
	if want := uint64(8+int64(wide)+n) + bytes; uint64(size) != want {
		return nil, fmt.Errorf("it is %d bytes long, its header says %d", size, want)
	}
	return shape, nil
}

// parseHeader tells the shape and how many bytes its numbers take.
func parseHeader(text string) (shape []int64, size uint64, err error) {
	if !strings.HasPrefix(text, "{") || !strings.HasSuffix(strings.TrimRight(text, " \n"), "}") ||
		!strings.Contains(text, "'fortran_order': ") {
		return nil, 0, errors.New("its header is none")
	}
	kind, dims := descr.FindStringSubmatch(text), shapes.FindStringSubmatch(text)
	if kind == nil || dims == nil {
		return nil, 0, errors.New("its header names no type or no shape")
	}
	size, err = strconv.ParseUint(kind[1], 10, 64)
	for _, d := range strings.FieldsFunc(dims[1], func(r rune) bool { return r == ',' || r == ' ' }) {
		n, bad := strconv.ParseUint(d, 10, 63)
		hi, lo := bits.Mul64(size, n)
		if bad != nil || hi != 0 || lo > 1<<62 {
			return nil, 0, errors.New("its shape is too large for any file")
		}
		size, shape = lo, append(shape, int64(n))
	}
	return shape, size, err
}

// short says that the file ends in its header.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("cut short: it ends in its header")
	}
	return err
}
