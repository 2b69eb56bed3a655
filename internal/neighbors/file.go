package neighbors

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"alexnet/internal/text"
)

// An index is a head of fixed size, the rows as float32, little endian, one after the other, and after them, as JSON,
// what is known of them. The head is written last, so that a file without one was cut. The rows are checked in blocks,
// whose CRC-32Cs the JSON holds; the head holds that of the JSON, and its own.
//
//	0   "alexnet index 1\n"
//	16  rows (uint64), numbers in a row (uint64), bytes of the JSON (uint64)
//	40  CRC-32C of the JSON (uint32), CRC-32C of the 44 bytes before (uint32)
//	48  zeros
//	64  the rows
const (
	Magic    = "alexnet index 1\n" // how an index begins
	headSize = 64
	headSum  = 44 // where the head's own checksum is, which covers what is before it

	blockFloats = 1 << 20 // of a block, but for rows that are longer
	maxDim      = 1 << 22 // 16 MiB a row; the paper's largest layer, conv1, has 290,400 numbers
	maxRows     = 1 << 31
	maxTail     = 1 << 30 // bytes of the JSON: 16 million names of 60 letters
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blockRows is how many rows a block has, but for the last.
func blockRows(dim int) int { return max(1, blockFloats/dim) }

// Of is what the rows of an index are of.
type Of struct {
	Net   string   `json:"net"` // its checkpoint's Sum
	Layer string   `json:"layer"`
	Data  Data     `json:"data"`
	Names []string `json:"-"` // of the classes, which labels are numbers of
}

// Data is where the pictures are.
type Data struct {
	Paths       []text.Raw `json:"paths"` // as data.Place has them
	Labels      text.Raw   `json:"labels,omitempty"`
	Part        string     `json:"part"`
	Fingerprint string     `json:"fingerprint"`
	Set         string     `json:"set,omitempty"` // data.Source.Made
}

// tail is the JSON.
type tail struct {
	Of
	Classes  []text.Raw `json:"classes"`
	Pictures []text.Raw `json:"pictures"` // (rows): names
	Labels   []int32    `json:"labels"`   // (rows)
	Sums     []uint32   `json:"sums"`     // (blocks)
}

// head is the beginning of the file.
type head struct {
	rows, dim, tail uint64
	sum             uint32 // of the tail
}

func (h head) bytes() []byte {
	b := make([]byte, headSize)
	copy(b, Magic)
	for i, n := range []uint64{h.rows, h.dim, h.tail} {
		binary.LittleEndian.PutUint64(b[16+8*i:], n)
	}
	binary.LittleEndian.PutUint32(b[40:], h.sum)
	binary.LittleEndian.PutUint32(b[headSum:], crc32.Checksum(b[:headSum], castagnoli))
	return b
}

// BadIndex is a file that cannot be used as an index.
type BadIndex struct {
	Path   string
	Reason string
	Other  bool // it is something else: an index that was damaged says so
}

func (e *BadIndex) Error() string { return text.Name(e.Path) + ": " + e.Reason }

func bad(format string, a ...any) *BadIndex { return &BadIndex{Reason: fmt.Sprintf(format, a...)} }

// parseHead reads the beginning of a file of size bytes.
func parseHead(b []byte, size int64) (h head, err error) {
	if len(b) < headSize || string(b[:len(Magic)]) != Magic {
		return h, &BadIndex{Reason: "not an index of pictures", Other: true}
	}
	if crc32.Checksum(b[:headSum], castagnoli) != binary.LittleEndian.Uint32(b[headSum:]) {
		return h, bad("the index is damaged: its head is not what was written")
	}
	for _, zero := range b[headSum+4 : headSize] {
		if zero != 0 {
			return h, bad("the index is damaged: its head is not what was written")
		}
	}
	for i, n := range []*uint64{&h.rows, &h.dim, &h.tail} {
		*n = binary.LittleEndian.Uint64(b[16+8*i:])
	}
	h.sum = binary.LittleEndian.Uint32(b[40:])
	if h.dim < 1 || h.dim > maxDim || h.rows > maxRows || h.tail > maxTail {
		return h, bad("an index of %d rows of %d numbers, with %d bytes about them, is more than can be read", h.rows,
			h.dim, h.tail)
	}
	if want := headSize + 4*int64(h.rows)*int64(h.dim) + int64(h.tail); size != want {
		return h, bad("the index is cut short or longer than it was: %d bytes, not %d", size, want)
	}
	return h, nil
}
