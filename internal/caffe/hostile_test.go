package caffe

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"strings"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/wire"
	pb "alexnet/internal/wire/wiretest"
)

// dims is a blob's shape.
func dims(v ...int64) []byte { return pb.Message(7, pb.Varints(1, v...)) }

// layer is a fully connected one of V2 with a blob.
func layer(blob ...[]byte) []byte {
	return pb.Message(100, pb.Text(1, "fc"), pb.Text(2, "InnerProduct"), pb.Message(7, blob...))
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
	"nothing":    {nil, "there is no layer"},
	"zeros":      {make([]byte, 100), "no field of a protobuf message begins there"},
	"a prototxt": {[]byte("name: \"AlexNet\"\nlayer {\n"), "not a .caffemodel: byte 0"},
	"of HDF5":    {[]byte("\x89HDF\r\n\x1a\n\x00\x00"), "not a .caffemodel: "},
	"a solver's state": {
		bytes.Join([][]byte{pb.Number(1, 450000), pb.Text(2, "x")}, nil), ".solverstate",
	},
	"a mean": {
		bytes.Join([][]byte{pb.Number(1, 1), pb.Number(2, 3)}, nil), "a mean image (.binaryproto)",
	},
	"a layer too long": {
		pb.Long(100, 1<<62, 1, 2, 3), "cut short: byte 0: field 100 is of 4611686018427387904 bytes, and 3",
	},
	"a layer as long as 2^64": {pb.Long(100, math.MaxUint64, 1, 2), "and 2 are left"},
	"a blob too long":         {pb.Message(100, pb.Long(7, 100, 1)), "100 bytes, and 1"},
	"both kinds of layers": {
		append(pb.Message(2, pb.Number(5, 4)), layer(dims(1), pb.Floats(5, 1))...), "V1 and of V2",
	},
	"an unknown type": {pb.Message(2, pb.Number(5, 40)), "is 40, not 0 to 39"},
	"a negative type": {pb.Message(2, pb.Number(5, -1)), "is -1, not 0 to 39"},
	"odd bytes": {
		layer(dims(1), pb.Message(5, []byte{1, 2, 3, 4, 5, 6})), "6 bytes, not a multiple of 4",
	},
	"odd doubles": {
		layer(dims(1), pb.Message(8, []byte{1, 2, 3, 4})), "4 bytes, not a multiple of 8",
	},
	"a negative dimension": {layer(dims(-1, 2), pb.Floats(5, 1, 2)), "dimension -1"},
	"an old negative one":  {layer(pb.Number(1, -3), pb.Number(2, 1), pb.Floats(5, 1)), "dimension -3"},
	"a large dimension":    {layer(dims(1<<40), pb.Floats(5, 1)), "dimension 1099511627776"},
	"a product that runs over": {
		layer(dims(1<<30, 1<<30, 1<<30), pb.Floats(5, 1)), "too large for any file",
	},
	"a product that runs over to 0": {
		layer(dims(1<<16, 1<<16, 1<<16, 1<<16), pb.Floats(5, 1)), "too large for any file",
	},
	"nine dimensions": {
		layer(dims(1, 1, 1, 1, 1, 1, 1, 1, 1), pb.Floats(5, 1)), "more than 8 numbers",
	},
	"too few numbers": {
		layer(dims(2, 3), pb.Floats(5, 1, 2, 3, 4, 5)), "5 numbers, 0 of them doubles, for shape 2x3",
	},
	"floats and doubles": {
		layer(dims(1), pb.Floats(5, 1), pb.Message(8, make([]byte, 8))), "2 numbers, 1 of them doubles",
	},
	"parameters twice": {
		pb.Message(100, pb.Message(117), pb.Message(117)), "the same parameters twice",
	},
	"a name of the wrong type": {pb.Message(100, pb.Number(1, 5)), "field 1 is of type 0"},
	"a name of two kilobytes": {
		pb.Message(100, pb.Text(1, strings.Repeat("x", 2000))), "a text of 2000 bytes",
	},
	"a group": {pb.Message(100, []byte{1<<3 | 3}), "is of type 3, which is not in use"},
	"three kernels": {
		pb.Message(100, pb.Message(106, pb.Message(4, []byte{1, 2, 3}))), "more than 2 numbers",
	},
	"a varint without an end": {
		pb.Message(100, pb.Message(106, pb.Message(4, bytes.Repeat([]byte{0xff}, 12)))), "no number",
	},
	"a tag without an end": {
		pb.Message(100, bytes.Repeat([]byte{0xff}, 12)), "no field of a protobuf message",
	},
	"a million layers": {bytes.Repeat(pb.Message(100), 1_000_000), "more than 5000 layers"},
	"a million blobs": {
		pb.Message(100, bytes.Repeat(pb.Message(7), 1_000_000)), "more than 5000 blobs",
	},
	"a million parameters": {
		pb.Message(100, bytes.Repeat(pb.Message(106), 1_000_000)), "the same parameters twice",
	},
	"a million shapes": {layer(bytes.Repeat(dims(1), 1_000_000)), "more than 8 numbers"},
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
	sound := layer(dims(1), pb.Floats(5, 1))
	all := map[string][]byte{
		"nested in itself": pb.Message(100, pb.Nested(2, 20_000)),
		"in its fields":    pb.Nested(2, 20_000),
		"many layers":      bytes.Repeat(sound, maxLayers),
		"many blobs": pb.Message(100, pb.Text(1, strings.Repeat("n", maxName)), pb.Text(2, "Scale"),
			bytes.Repeat(pb.Message(7, dims(1), pb.Floats(5, 1)), maxBlobs)),
		"many names":       pb.Message(100, bytes.Repeat(pb.Text(3, "b"), 1_000_000)),
		"one by one":       layer(append(dims(1000_000), bytes.Repeat(pb.Float(5, 1), 1000_000)...)),
		"each in a field":  layer(append(dims(1000_000), bytes.Repeat(pb.Floats(5, 1), 1000_000)...)),
		"names anew":       pb.Message(100, bytes.Repeat(pb.Text(1, "conv1 of a net"), 500_000)),
		"inputs":           append(bytes.Repeat(pb.Number(4, 3), 1_000_000), sound...),
		"shapes of inputs": append(bytes.Repeat(pb.Message(8, pb.Message(1, []byte{1, 1, 1})), 300_000), sound...),
		"blobs of nothing": pb.Message(100, bytes.Repeat(pb.Message(7, pb.Message(7)), maxBlobs)),
	}
	for name, c := range hostile {
		all[name] = c.file
	}
	for name, file := range all {
		pb.Little(t, name, file, func() { _, _ = open(file) }) // an error or none: TestHostile asks
	}
}

func TestV0(t *testing.T) {
	if _, err := open(pb.Message(2, pb.Message(1, pb.Text(1, "conv1")))); !errors.Is(err, ErrV0) {
		t.Errorf("%v, want %v", err, ErrV0)
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
