package safetensors

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// Header is what a safetensors file says about its tensors.
type Header struct {
	Tensors []Info            // in the header's order
	Meta    map[string]string // without the checksums
	sums    map[string]string // CRC32C in hexadecimal by tensor
	checked bool              // the file carries checksums
	sum     [sha256.Size]byte // of the file up to the tensors
}

// Checked tells whether the file carries checksums, as ours do: then reading a tensor verifies it.
func (h *Header) Checked() bool { return h.checked }

// Sum names the content of a file that carries checksums: the SHA-256, in hexadecimal, of the file up to the tensors,
// where the checksum of each stands. Whoever changes a number, a name or the metadata changes it; nothing else does. It
// costs no reading.
func (h *Header) Sum() string { return hex.EncodeToString(h.sum[:]) }

// Info is one tensor's entry.
type Info struct {
	Name   string
	DType  string // "F32"; those of other programs' files also "F16", "BF16", "F64", ...
	Shape  []int
	Offset int64 // in the file
	Bytes  int64
}

// Len is the number of elements.
func (i Info) Len() int { return tensor.Tensor{Shape: i.Shape}.Len() }

// Keys of the checksums in the header's metadata. The header's own stands first, at a fixed place, and covers the
// length before the header and the whole header with these eight digits as zeros.
const (
	sumHeader  = "crc32c"
	sumPrefix  = "crc32c." // + a tensor's name
	sumExplain = "checksum"
	sumText    = "CRC-32C of each tensor's bytes; crc32c: of the file up to the tensors with its own digits as zeros"
	zeroSum    = "00000000"
	opening    = `{"__metadata__":{"` + sumHeader + `":"`

	lengthSize = 8 // bytes of the header's length
)

// What a header may be. The format allows 100 MB; those of the largest models that are passed around have a hundredth.
const (
	headerCap   = 40 << 20
	maxMeta     = 16 << 20 // bytes of the metadata
	maxTensors  = 100_000
	maxMetaKeys = maxTensors + 10_000 // a checksum for each tensor, and others
	maxName     = 1024                // bytes of a tensor's name, or of a key
	maxEntry    = 4096                // bytes of what is said of a tensor
	maxDims     = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // computed by the processor's own instruction where it has one

func sumString(crc uint32) string { return fmt.Sprintf("%08x", crc) }

// layout is the header of a file to be written, with its length in front: tensors in order, contiguous, all checksums
// zero. These have a fixed width, so the header can be written last, when they are known, into room left for it: one
// pass over the tensors is enough.
type layout struct {
	text []byte
	at   []int // of each tensor's checksum in text
}

func newLayout(meta map[string]string, tensors []tensor.Tensor) (*layout, error) {
	if err := checkNames(meta, tensors); err != nil {
		return nil, err
	}
	l := &layout{text: make([]byte, lengthSize)}
	l.add(opening + zeroSum + `",` + quote(sumExplain) + ":" + quote(sumText))
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		l.add("," + quote(k) + ":" + quote(meta[k]))
	}
	for _, t := range tensors {
		l.add("," + quote(sumPrefix+t.Name) + `:"`)
		l.at = append(l.at, len(l.text))
		l.add(zeroSum + `"`)
	}
	l.add("}")
	if n := len(l.text); n > maxMeta {
		return nil, fmt.Errorf("metadata of %d bytes, at most %d are read", n, maxMeta)
	}
	offset := int64(0)
	for _, t := range tensors {
		end := offset + tensor.Widths[dtype(t)]*int64(t.Len())
		shape, err := json.Marshal(append([]int{}, t.Shape...)) // [] where the shape is nil
		if err != nil {
			return nil, err
		}
		l.add(fmt.Sprintf(`,%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, quote(t.Name), dtype(t), shape,
			offset, end))
		offset = end
	}
	l.add("}")
	for len(l.text)%8 != 0 {
		l.add(" ") // the format pads with spaces; tensors begin at a multiple of 8
	}
	if len(l.text)-lengthSize > headerCap {
		return nil, fmt.Errorf("header of %d bytes, at most %d are read", len(l.text), headerCap)
	}
	binary.LittleEndian.PutUint64(l.text, uint64(len(l.text)-lengthSize))
	return l, nil
}

func (l *layout) add(s string) { l.text = append(l.text, s...) }

// setSum fills in the checksum of tensor i.
func (l *layout) setSum(i int, crc uint32) { copy(l.text[l.at[i]:], sumString(crc)) }

// seal fills in the header's own, last of all.
func (l *layout) seal() {
	copy(l.text[lengthSize+len(opening):], sumString(crc32.Checksum(l.text, castagnoli)))
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // strings can always be encoded
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// checkNames refuses what could not be read back.
func checkNames(meta map[string]string, tensors []tensor.Tensor) error {
	for _, k := range slices.Sorted(maps.Keys(meta)) { // of several mistakes always the same is told
		if len(k) > maxName {
			return fmt.Errorf("metadata %.32q: a key of %d bytes, more than are read", k, len(k))
		}
		if reserved(k) {
			return fmt.Errorf("metadata %q: the name is taken by the checksums", k)
		}
		if !utf8.ValidString(k) || !utf8.ValidString(meta[k]) {
			return fmt.Errorf("metadata %q is not UTF-8", k)
		}
	}
	if len(tensors) > maxTensors || len(tensors)+len(meta) > maxMetaKeys {
		return fmt.Errorf("%d tensors and %d keys of metadata are more than can be read", len(tensors), len(meta))
	}
	seen := map[string]bool{"__metadata__": true}
	for _, t := range tensors {
		if len(t.Name) > maxName || len(t.Shape) > maxDims {
			return fmt.Errorf("tensor %.32s: a name of %d bytes or %d dimensions, more than are read", t.Name,
				len(t.Name), len(t.Shape))
		}
		if seen[t.Name] || t.Name == "" || !utf8.ValidString(t.Name) {
			return fmt.Errorf("tensor name %q is empty, not UTF-8, or used twice", t.Name)
		}
		seen[t.Name] = true
		if _, can := tensor.Encoders[dtype(t)]; !can {
			return fmt.Errorf("tensor %s: cannot be written as %s; F32 and F16 can", t.Name, t.DType)
		}
		if _, err := tensor.Size(t.Shape, tensor.Widths[dtype(t)]); err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
	}
	return nil
}

func reserved(key string) bool {
	return key == sumHeader || key == sumExplain || strings.HasPrefix(key, sumPrefix)
}

// parse reads and checks the header of a file of size bytes.
func parse(r io.ReaderAt, size int64) (*Header, error) {
	var prefix [lengthSize]byte
	if size < lengthSize+2 {
		return nil, &tensor.BadFile{
			Fault: tensor.OtherFormat, Reason: fmt.Sprintf("%d bytes are too few for a safetensors file", size),
		}
	}
	if _, err := r.ReadAt(prefix[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > headerCap {
		head := make([]byte, min(size, 64))
		if _, err := r.ReadAt(head, 0); err == nil && files.IsPointer(head) {
			return nil, &tensor.BadFile{Fault: tensor.Pointer, Reason: files.ErrPointer.Error()}
		}
		return nil, &tensor.BadFile{
			Fault:  tensor.OtherFormat,
			Reason: fmt.Sprintf("not a safetensors file: a header of %d bytes, more than %d", n, headerCap),
		}
	}
	if int64(n) > size-lengthSize {
		return nil, tensor.Damaged("cut short: %d bytes of a header of %d", size-lengthSize, n)
	}
	text := make([]byte, lengthSize+n)
	copy(text, prefix[:])
	if _, err := r.ReadAt(text[lengthSize:], lengthSize); err != nil {
		return nil, err
	}
	h, err := parseText(text[lengthSize:])
	if err != nil {
		return nil, err
	}
	h.sum = sha256.Sum256(text)
	if h.checked {
		if err := h.checkSums(text); err != nil {
			return nil, err
		}
	}
	return h, h.checkPlaces(int64(len(text)), size)
}

// entry is a tensor's JSON.
type entry struct {
	DType   *string `json:"dtype"`
	Shape   *[]int  `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

// parseText decodes the JSON; offsets stay relative to the end of the header.
func parseText(text []byte) (*Header, error) {
	bad := func(err error) error {
		return &tensor.BadFile{Fault: tensor.OtherFormat, Reason: fmt.Sprintf("no safetensors header: %v", err)}
	}
	h := &Header{Meta: map[string]string{}, sums: map[string]string{}}
	seen := map[string]bool{}
	rest, err := members(text, func(name string, value []byte) error {
		switch {
		case len(name) > maxName:
			return fmt.Errorf("a name of %d bytes, more than %d: it begins %q", len(name), maxName, name[:32])
		case seen[name]:
			return fmt.Errorf("%q is there twice", name)
		case len(seen) > maxTensors: // the metadata are one
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		seen[name] = true
		if err := h.decode(name, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, bad(err)
	}
	if rest = bytes.TrimRight(rest, " "); len(rest) > 0 {
		return nil, bad(fmt.Errorf("%d bytes after its end", len(rest)))
	}
	return h, nil
}

// decode reads the value of one key.
func (h *Header) decode(name string, value []byte) error {
	if name == "__metadata__" {
		return h.decodeMeta(value)
	}
	if len(value) > maxEntry {
		return fmt.Errorf("an entry of %d bytes, more than %d", len(value), maxEntry)
	}
	var e entry
	if err := json.Unmarshal(value, &e); err != nil {
		return err
	}
	if e.DType == nil || e.Shape == nil || len(e.Offsets) != 2 {
		return fmt.Errorf("without dtype, shape or data_offsets")
	}
	if n := len(*e.Shape); n > maxDims {
		return fmt.Errorf("%d dimensions, more than %d", n, maxDims)
	}
	width, known := tensor.Widths[*e.DType]
	if !known {
		return fmt.Errorf("unknown type %q", *e.DType)
	}
	bytes, err := tensor.Size(*e.Shape, width)
	if err != nil {
		return err
	}
	if e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] || e.Offsets[1]-e.Offsets[0] != bytes {
		return fmt.Errorf("bytes %d to %d for %s of shape %s", e.Offsets[0], e.Offsets[1], *e.DType,
			text.Shape(*e.Shape))
	}
	h.Tensors = append(h.Tensors, Info{
		Name: name, DType: *e.DType, Shape: *e.Shape, Offset: e.Offsets[0], Bytes: bytes,
	})
	return nil
}

// decodeMeta reads the metadata, in which the checksums stand.
func (h *Header) decodeMeta(value []byte) error {
	if len(value) > maxMeta {
		return fmt.Errorf("%d bytes, more than %d", len(value), maxMeta)
	}
	if string(value) == "null" {
		return nil
	}
	n := 0
	rest, err := members(value, func(key string, value []byte) error {
		if n++; n > maxMetaKeys {
			return fmt.Errorf("more than %d keys", maxMetaKeys)
		}
		if len(key) > maxName+len(sumPrefix) {
			return fmt.Errorf("a key of %d bytes, more than %d: it begins %q", len(key), maxName+len(sumPrefix),
				key[:32])
		}
		text, err := unquote(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		switch tensor, is := strings.CutPrefix(key, sumPrefix); {
		case is:
			h.sums[tensor] = text
		case !reserved(key):
			h.Meta[key] = text
		}
		h.checked = h.checked || reserved(key)
		return nil
	})
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q after it", rest[0])
	}
	return err
}

// checkSums compares the header with its own checksum, and sees that each tensor has one. text begins with the header's
// length.
func (h *Header) checkSums(text []byte) error {
	at := lengthSize + len(opening)
	if !bytes.HasPrefix(text[lengthSize:], []byte(opening)) || len(text) < at+len(zeroSum) {
		return tensor.Damaged("the header is damaged: its checksum is not in its place")
	}
	got := string(text[at : at+len(zeroSum)])
	copy(text[at:], zeroSum)
	if want := sumString(crc32.Checksum(text, castagnoli)); got != want {
		return tensor.Damaged("the header is damaged: its CRC32C is %s, not %q", want, got)
	}
	for _, t := range h.Tensors {
		if h.sums[t.Name] == "" {
			return tensor.Damaged("tensor %s has no checksum", t.Name)
		}
	}
	return nil
}

// checkPlaces sees that the tensors fill the file from start to size, without gap or overlap (as the format demands),
// and makes offsets those in the file.
func (h *Header) checkPlaces(start, size int64) error {
	order := make([]*Info, len(h.Tensors))
	for i := range h.Tensors {
		order[i] = &h.Tensors[i]
	}
	slices.SortStableFunc(order, func(a, b *Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Bytes, b.Bytes)) // empty ones first
	})
	end := int64(0)
	for _, t := range order {
		if t.Offset != end {
			return tensor.Damaged("tensor %s begins at byte %d, not %d", t.Name, t.Offset, end)
		}
		if t.Bytes > size-start-end {
			return tensor.Damaged("cut short: tensor %s ends at byte %d of a file of %d", t.Name, start+end+t.Bytes,
				size)
		}
		end += t.Bytes
		t.Offset += start
	}
	if start+end != size {
		return tensor.Damaged("%d bytes after the last tensor", size-start-end)
	}
	return nil
}
