package shards

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"strings"
)

// Magic begins an index.
const Magic = "ALEXSET\x00"

// version is that of the form of an index. Another meaning of any byte: another number.
const version = 1

// Sizes in an index, in bytes.
const (
	headerSize = 80
	recordSize = 28
	sumSize    = 4
)

// What an index may say at most.
const (
	maxShards  = 1 << 16 // of all parts
	maxClasses = 1 << 20
	maxOffset  = 1 << 48 // of a picture in a shard
)

// Index is what an index says of a set as a whole.
type Index struct {
	Pictures [len(Parts)]int // by part
	Shards   [len(Parts)]int // by part
	Lengths  []int64         // bytes of each shard, those of the first part first
	Classes  []string        // a label is an index into it
	// Sums are the CRC32C of classes.json, _info.json and statistics.safetensors.
	Sums     [3]uint32
	Stats    bool   // there is a statistics.safetensors
	Manifest []byte // JSON: how the set was made, for people
	Sum      uint32 // the index's own CRC32C
}

// Picture is one picture of an index. Those of a part come together, in the order of parts, each part sorted by class
// and then by name.
type Picture struct {
	Name   string // as the source has it, another for each picture of a part
	Label  int32
	Shard  int   // of all, by the place of its length in Index.Lengths
	Off    int64 // in the shard
	Length uint32
	Sum    uint32 // CRC32C
}

// Shard is the file of a shard, by its place in Lengths.
func (x *Index) Shard(i int) string {
	for part, n := range x.Shards {
		if i < n {
			return Name(part, i)
		}
		i -= n
	}
	return ""
}

// All is the number of all pictures.
func (x *Index) All() (n int) {
	for _, of := range x.Pictures {
		n += of
	}
	return n
}

// BadIndex says why an index is not used.
type BadIndex struct{ Why string }

func (e *BadIndex) Error() string { return e.Why }

func bad(format string, args ...any) error { return &BadIndex{fmt.Sprintf(format, args...)} }

// Write writes an index with its pictures, which come as Picture has it, and sets x.Sum.
func (x *Index) Write(to io.Writer, picture func(i int) Picture) error {
	le := binary.LittleEndian
	h := make([]byte, headerSize)
	copy(h, Magic)
	le.PutUint32(h[8:], version)
	shards := 0
	for part := range Parts {
		le.PutUint32(h[12+4*part:], uint32(x.Pictures[part]))
		le.PutUint32(h[24+4*part:], uint32(x.Shards[part]))
		shards += x.Shards[part]
	}
	if shards != len(x.Lengths) || shards > maxShards {
		return fmt.Errorf("%d shards with %d lengths", shards, len(x.Lengths))
	}
	le.PutUint32(h[36:], uint32(len(x.Classes)))
	le.PutUint32(h[40:], uint32(len(x.Manifest)))
	if x.Stats {
		le.PutUint32(h[44:], 1)
	}
	for i, sum := range x.Sums {
		le.PutUint32(h[48+4*i:], sum)
	}
	classes, names := 0, uint64(0)
	for _, c := range x.Classes {
		classes += len(c)
	}
	for i := range x.All() {
		names += uint64(len(picture(i).Name))
	}
	le.PutUint64(h[64:], uint64(classes))
	le.PutUint64(h[72:], names)
	sum := crc32.New(castagnoli)
	w := bufio.NewWriterSize(io.MultiWriter(to, sum), 1<<20)
	put := func(b []byte) { _, _ = w.Write(b) } // Flush tells of an error
	put(h)
	b := make([]byte, 0, recordSize)
	for _, n := range x.Lengths {
		put(le.AppendUint64(b, uint64(n)))
	}
	for _, c := range x.Classes {
		put(le.AppendUint32(b, uint32(len(c))))
	}
	for _, c := range x.Classes {
		_, _ = w.WriteString(c)
	}
	put(x.Manifest)
	for i := range x.All() {
		_, _ = w.WriteString(picture(i).Name)
	}
	for i := range x.All() {
		p := picture(i)
		r := le.AppendUint32(le.AppendUint64(b, uint64(p.Off)), uint32(p.Shard))
		r = le.AppendUint32(le.AppendUint32(r, p.Length), uint32(p.Label))
		put(le.AppendUint32(le.AppendUint32(r, p.Sum), uint32(len(p.Name))))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	x.Sum = sum.Sum32()
	_, err := to.Write(le.AppendUint32(nil, x.Sum))
	return err
}

// indexReader reads an index from its beginning to its end.
type indexReader struct {
	r   *bufio.Reader
	sum hash.Hash32
}

// take reads so many bytes into buf.
func (r *indexReader) take(buf []byte) error {
	n, err := io.ReadFull(r.r, buf)
	_, _ = r.sum.Write(buf[:n]) // never fails
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return bad("it is cut off")
	}
	return err
}

// text reads so many bytes as one string.
func (r *indexReader) text(n uint64) (string, error) {
	var b strings.Builder
	b.Grow(int(n))
	buf := make([]byte, min(n, 64<<10))
	for n > 0 {
		part := buf[:min(n, uint64(len(buf)))]
		if err := r.take(part); err != nil {
			return "", err
		}
		b.Write(part)
		n -= uint64(len(part))
	}
	return b.String(), nil
}

// ReadIndex reads an index of size bytes, and gives each picture as it comes: names are parts of one string. What was
// given counts only where the error is nil in the end, for the checksum is at the end. An index that is damaged, or
// says what cannot be, is a *BadIndex. begin is told how many pictures will come at most, before the first.
func ReadIndex(from io.Reader, size int64, begin func(x *Index), each func(i int, p Picture)) (*Index, error) {
	r := &indexReader{
		r: bufio.NewReaderSize(from, int(min(max(size, 0), 1<<20))), sum: crc32.New(castagnoli),
	}
	x, names, err := r.header(size)
	if err != nil {
		return nil, err
	}
	all, err := r.text(names)
	if err != nil {
		return nil, err
	}
	begin(x)
	if err := r.pictures(x, all, each); err != nil {
		return nil, err
	}
	x.Sum = r.sum.Sum32()
	var sum [sumSize]byte
	if err := r.take(sum[:]); err != nil {
		return nil, err
	}
	if got := binary.LittleEndian.Uint32(sum[:]); got != x.Sum {
		return nil, bad("its checksum is %08x, and that of its bytes %08x", got, x.Sum)
	}
	return x, nil
}

// header reads what comes before the names, and gives the length of these. Every length is held to the file's size
// before anything is made of it.
func (r *indexReader) header(size int64) (x *Index, names uint64, err error) {
	le := binary.LittleEndian
	h := make([]byte, headerSize)
	if err := r.take(h); err != nil {
		return nil, 0, err
	}
	switch v := le.Uint32(h[8:]); {
	case string(h[:8]) != Magic:
		return nil, 0, bad("it does not begin as one")
	case v != version:
		return nil, 0, bad("it is of version %d, and %d is read", v, version)
	}
	x = &Index{Stats: le.Uint32(h[44:]) == 1}
	pictures, shards := uint64(0), uint64(0)
	for part := range Parts {
		n, m := le.Uint32(h[12+4*part:]), le.Uint32(h[24+4*part:])
		x.Pictures[part], x.Shards[part] = int(n), int(m)
		pictures, shards = pictures+uint64(n), shards+uint64(m)
	}
	for i := range x.Sums {
		x.Sums[i] = le.Uint32(h[48+4*i:])
	}
	classes, manifest := uint64(le.Uint32(h[36:])), uint64(le.Uint32(h[40:]))
	blob, names := le.Uint64(h[64:]), le.Uint64(h[72:])
	want := headerSize + 8*shards + 4*classes + manifest + recordSize*pictures + sumSize
	if shards > maxShards || classes > maxClasses || blob > uint64(size) || names > uint64(size) ||
		want+blob+names != uint64(size) {
		return nil, 0, bad("it has %d bytes, and says otherwise", size)
	}
	b := make([]byte, max(8*shards, 4*classes))
	if err := r.take(b[:8*shards]); err != nil {
		return nil, 0, err
	}
	x.Lengths = make([]int64, shards)
	for i := range x.Lengths {
		if x.Lengths[i] = int64(le.Uint64(b[8*i:])); x.Lengths[i] < 0 || x.Lengths[i] > maxOffset {
			return nil, 0, bad("shard %d has %d bytes", i, x.Lengths[i])
		}
	}
	if err := r.take(b[:4*classes]); err != nil {
		return nil, 0, err
	}
	all, err := r.text(blob)
	if err != nil {
		return nil, 0, err
	}
	x.Classes = make([]string, classes)
	for i := range x.Classes {
		n := le.Uint32(b[4*i:])
		if n == 0 || uint64(n) > uint64(len(all)) {
			return nil, 0, bad("class %d has a name of %d bytes", i, n)
		}
		x.Classes[i], all = all[:n], all[n:]
	}
	if all != "" {
		return nil, 0, bad("%d bytes of names belong to no class", len(all))
	}
	x.Manifest = make([]byte, manifest)
	return x, names, r.take(x.Manifest)
}

// pictures reads the records.
func (r *indexReader) pictures(x *Index, names string, each func(i int, p Picture)) error {
	var b [recordSize]byte
	first, i := 0, 0 // shard of the part; picture
	for part, count := range x.Pictures {
		var before Picture
		for k := range count {
			if err := r.take(b[:]); err != nil {
				return err
			}
			p, length, err := record(&b, x, names)
			if err != nil {
				return bad("picture %d: %v", i, err)
			}
			names = names[length:]
			if p.Shard < first || p.Shard >= first+x.Shards[part] {
				return bad("picture %d lies in shard %d, which is not of its part", i, p.Shard)
			}
			if k > 0 && (p.Label < before.Label || p.Label == before.Label && p.Name <= before.Name) {
				return bad("picture %d is not in its place", i)
			}
			each(i, p)
			before = p
			i++
		}
		first += x.Shards[part]
	}
	if names != "" {
		return bad("%d bytes of names belong to no picture", len(names))
	}
	return nil
}

// record takes one apart.
func record(b *[recordSize]byte, x *Index, names string) (p Picture, name int, err error) {
	le := binary.LittleEndian
	off, shard, label := le.Uint64(b[:]), le.Uint32(b[8:]), le.Uint32(b[16:])
	p = Picture{Length: le.Uint32(b[12:]), Sum: le.Uint32(b[20:])}
	length := le.Uint32(b[24:])
	switch {
	case uint64(shard) >= uint64(len(x.Lengths)):
		return p, 0, fmt.Errorf("there is no shard %d", shard)
	case off > maxOffset || int64(off)+int64(p.Length) > x.Lengths[shard]:
		return p, 0, fmt.Errorf("it ends after its shard")
	case uint64(label) >= uint64(len(x.Classes)):
		return p, 0, fmt.Errorf("there is no class %d", label)
	case length == 0 || uint64(length) > uint64(len(names)):
		return p, 0, fmt.Errorf("its name has %d bytes", length)
	}
	p.Off, p.Shard, p.Label, p.Name = int64(off), int(shard), int32(label), names[:length]
	return p, int(length), nil
}
