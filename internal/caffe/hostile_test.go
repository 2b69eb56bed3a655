package caffe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/wire"
)

// message, number, words and packed are fields as protobuf writes them.
func message(num protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), bytes.Join(parts, nil))
}

func number(num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(v))
}

func word(num protowire.Number, s string) []byte { return message(num, []byte(s)) }

func float(num protowire.Number, v float32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(nil, num, protowire.Fixed32Type), math.Float32bits(v))
}

func packed(num protowire.Number, v ...float32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return message(num, b)
}

func dims(v ...int64) []byte {
	var b []byte
	for _, d := range v {
		b = protowire.AppendVarint(b, uint64(d))
	}
	return message(7, message(1, b))
}

// layer is a fully connected one of V2 with a blob.
func layer(blob ...[]byte) []byte {
	return message(100, word(1, "fc"), word(2, "InnerProduct"), message(7, blob...))
}

func open(b []byte) (*Net, error) {
	f := wire.New("crafted", bytes.NewReader(b), int64(len(b)))
	n, err := read(f)
	return n, f.At(err)
}

// Files that no Caffe ever wrote: each is refused, and says why.
var hostile = map[string]struct {
	file []byte
	says string
}{
	"nothing":                 {nil, "there is no layer"},
	"zeros":                   {make([]byte, 100), "no field of a protobuf message begins there"},
	"a prototxt":              {[]byte("name: \"AlexNet\"\nlayer {\n"), "not a .caffemodel: byte 0"},
	"a solver's state":        {bytes.Join([][]byte{number(1, 450000), word(2, "x")}, nil), ".solverstate"},
	"a mean":                  {bytes.Join([][]byte{number(1, 1), number(2, 3)}, nil), "a mean image (.binaryproto)"},
	"of V0":                   {message(2, message(1, word(1, "conv1"))), "V0"},
	"a layer too long":        {append(protowire.AppendVarint([]byte{0xa2, 6}, 1<<62), 1, 2, 3), "cut short: byte 0: field 100 is of 4611686018427387904 bytes, and 3"},
	"a layer as long as 2^64": {append(protowire.AppendVarint([]byte{0xa2, 6}, math.MaxUint64), 1, 2), "and 2 are left"},
	"a blob too long":         {message(100, append(protowire.AppendVarint([]byte{7<<3 | 2}, 100), 1)), "100 bytes, and 1"},
	"both kinds of layers":    {append(message(2, number(5, 4)), layer(dims(1), packed(5, 1))...), "V1 and of V2"},
	"an unknown type":         {message(2, number(5, 40)), "is 40, not 0 to 39"},
	"a negative type":         {message(2, number(5, -1)), "is -1, not 0 to 39"},
	"odd bytes":               {layer(dims(1), message(5, []byte{1, 2, 3, 4, 5, 6})), "6 bytes, not a multiple of 4"},
	"odd doubles":             {layer(dims(1), message(8, []byte{1, 2, 3, 4})), "4 bytes, not a multiple of 8"},
	"a negative dimension":    {layer(dims(-1, 2), packed(5, 1, 2)), "dimension -1"},
	"an old negative one":     {layer(number(1, -3), number(2, 1), packed(5, 1)), "dimension -3"},
	"a large dimension":       {layer(dims(1<<40), packed(5, 1)), "dimension 1099511627776"},
	"a product that runs over": {
		layer(dims(1<<30, 1<<30, 1<<30), packed(5, 1)), "too large for any file",
	},
	"a product that runs over to 0": {
		layer(dims(1<<16, 1<<16, 1<<16, 1<<16), packed(5, 1)), "too large for any file",
	},
	"nine dimensions":          {layer(dims(1, 1, 1, 1, 1, 1, 1, 1, 1), packed(5, 1)), "more than 8 numbers"},
	"too few numbers":          {layer(dims(2, 3), packed(5, 1, 2, 3, 4, 5)), "5 numbers, 0 of them doubles, for shape 2x3"},
	"floats and doubles":       {layer(dims(1), packed(5, 1), message(8, make([]byte, 8))), "2 numbers, 1 of them doubles"},
	"parameters twice":         {message(100, message(108), message(108)), "the same parameters twice"},
	"a name of the wrong type": {message(100, number(1, 5)), "field 1 is of type 0"},
	"a name of two kilobytes":  {message(100, word(1, strings.Repeat("x", 2000))), "a text of 2000 bytes"},
	"a group":                  {message(100, []byte{1<<3 | 3}), "is of type 3, which is not in use"},
	"three kernels":            {message(100, message(106, message(4, []byte{1, 2, 3}))), "more than 2 numbers"},
	"a varint without an end":  {message(100, message(106, message(4, bytes.Repeat([]byte{0xff}, 12)))), "no number"},
	"a tag without an end":     {message(100, bytes.Repeat([]byte{0xff}, 12)), "no field of a protobuf message"},
	"a million layers":         {bytes.Repeat(message(100), 1_000_000), "more than 5000 layers"},
	"a million blobs":          {message(100, bytes.Repeat(message(7), 1_000_000)), "more than 5000 blobs"},
	"a million names":          {message(100, bytes.Repeat(message(3), 1_000_000)), "more than 50000 names"},
	"a million parameters":     {message(100, bytes.Repeat(message(106), 1_000_000)), "the same parameters twice"},
	"a million shapes":         {layer(bytes.Repeat(dims(1), 1_000_000)), "more than 8 numbers"},
}

func TestHostile(t *testing.T) {
	for name, c := range hostile {
		_, err := open(c.file)
		var bad *tensor.BadFile
		if !errors.As(err, &bad) || bad.Path != "crafted" || !strings.Contains(bad.Reason, c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
	}
}

// What is read of a crafted file takes twice the file and 16 MB at most, those that are read to their end among them.
func TestHostileAllocation(t *testing.T) {
	sound := layer(dims(1), packed(5, 1))
	nested := []byte{}
	for range 20_000 {
		nested = message(2, nested)
	}
	all := map[string][]byte{
		"nested in itself": message(100, nested),
		"in its fields":    nested,
		"many layers":      bytes.Repeat(sound, maxLayers),
		"many blobs": message(100, word(1, strings.Repeat("n", maxName)), word(2, "Scale"),
			bytes.Repeat(message(7, dims(1), packed(5, 1)), maxBlobs)),
		"many names":       message(100, bytes.Repeat(word(3, "b"), maxNames)),
		"one by one":       layer(append(dims(1000_000), bytes.Repeat(float(5, 1), 1000_000)...)),
		"each in a field":  layer(append(dims(1000_000), bytes.Repeat(packed(5, 1), 1000_000)...)),
		"names anew":       message(100, bytes.Repeat(word(1, "conv1 of a net"), 500_000)),
		"inputs":           append(bytes.Repeat(number(4, 3), 1_000_000), sound...),
		"shapes of inputs": append(bytes.Repeat(message(8, message(1, []byte{1, 1, 1})), 300_000), sound...),
		"blobs of nothing": message(100, bytes.Repeat(message(7, message(7)), maxBlobs)),
	}
	for name, c := range hostile {
		all[name] = c.file
	}
	for name, file := range all {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, _ := open(file) // an error or none: TestHostile asks
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(2*len(file)+16<<20); got > most {
			t.Errorf("%s: %d bytes for a file of %d", name, got, len(file))
		}
		runtime.KeepAlive(n)
	}
}

func TestNoFile(t *testing.T) {
	if _, err := Open(files.OS, "no/such.caffemodel"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	var bad *tensor.BadFile
	if _, err := Open(files.OS, t.TempDir()); !errors.As(err, &bad) || bad.Reason != "not a regular file" {
		t.Error(err)
	}
}
