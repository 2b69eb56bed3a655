package safetensors

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/tensor"
)

func encoded(t interface{ Fatal(...any) }, meta map[string]string, tensors []tensor.Tensor) []byte {
	b, err := Bytes(meta, tensors)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAll opens bytes as a file and reads every tensor.
func readAll(b []byte) (*Reader, [][]float32, error) {
	r, err := NewReader("f", bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, nil, err
	}
	all := make([][]float32, len(r.Tensors))
	for i := range all {
		if all[i], err = r.Tensor(i).Values(); err != nil {
			return nil, nil, err
		}
	}
	return r, all, nil
}

// The bytes on disk are a promise to every reader of the format and to our own later versions; testdata/golden.py wrote
// the file, from the description alone.
func TestGoldenBytes(t *testing.T) {
	got := encoded(t, map[string]string{"step": "7", "classes": `["<cat>"]`}, []tensor.Tensor{
		tensor.Of("conv1.weight", []int{2, 1}, []float32{1, -0.5}),
		tensor.Of("empty", []int{0, 3}, nil),
		tensor.Of("scalar", nil, []float32{float32(math.Inf(1))}),
	})
	want, err := os.ReadFile("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("bytes differ:\ngot  %q\nwant %q", got, want)
	}
	if n := binary.LittleEndian.Uint64(got); n%8 != 0 || !json.Valid(got[8:8+n]) {
		t.Errorf("header of %d bytes is not aligned or no JSON", n)
	}
	if got, want := got[len(got)-12:], "\x00\x00\x80\x3f\x00\x00\x00\xbf\x00\x00\x80\x7f"; string(got) != want {
		t.Errorf("data %q, want %q", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tensors []tensor.Tensor
		var want [][]float32
		for i := range rapid.IntRange(0, 5).Draw(t, "tensors") {
			shape := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 4).Draw(t, "shape")
			v := make([]float32, tensor.Tensor{Shape: shape}.Len())
			for j := range v {
				v[j] = math.Float32frombits(rapid.Uint32().Draw(t, "bits"))
			}
			tensors = append(tensors, tensor.Of(fmt.Sprint(rapid.String().Draw(t, "name"), i), shape, v))
			want = append(want, v)
		}
		meta := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "meta")
		r, got, err := readAll(encoded(t, meta, tensors))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r.Meta, meta) {
			t.Errorf("metadata %q, want %q", r.Meta, meta)
		}
		if len(got) != len(tensors) {
			t.Fatalf("%d tensors, want %d", len(got), len(tensors))
		}
		for i, info := range r.Tensors {
			if info.Name != tensors[i].Name ||
				fmt.Sprint(info.Shape) != fmt.Sprint(append([]int{}, tensors[i].Shape...)) || info.Offset%4 != 0 {
				t.Errorf("tensor %d is %+v, want %s %v", i, info, tensors[i].Name, tensors[i].Shape)
			}
			for j := range want[i] {
				if a, b := math.Float32bits(got[i][j]), math.Float32bits(want[i][j]); a != b {
					t.Errorf("%s[%d] = %08x, want %08x", info.Name, j, a, b)
				}
			}
		}
	})
}

func TestHalfFile(t *testing.T) {
	long := make([]float32, tensor.Chunk) // more than fits into the buffer at once
	for i := range long {
		long[i] = float32(i%2048) / 8
	}
	tensors := []tensor.Tensor{
		tensor.Of("mean", []int{3}, []float32{1, 2, 1e9}),
		tensor.Of("w", []int{2, 3}, []float32{1, -2, 0.5, 1e-7, -65504, 0.1}),
		tensor.Of("long", []int{tensor.Chunk}, long),
	}
	tensors[1].DType, tensors[2].DType = "F16", "F16"
	r, got, err := readAll(encoded(t, nil, tensors))
	if err != nil {
		t.Fatal(err)
	}
	if i := r.Tensors[1]; i.DType != "F16" || i.Bytes != 12 || r.Tensors[0].DType != "F32" || !r.Checked() {
		t.Errorf("tensors %+v, checked %v", r.Tensors, r.Checked())
	}
	// 1e-7 is 1.7 of the smallest
	if want := []float32{1, -2, 0.5, 2. / (1 << 24), -65504, 0.099975586}; !reflect.DeepEqual(got[1], want) {
		t.Errorf("w is %v, want %v", got[1], want)
	}
	if !reflect.DeepEqual(got[2], long) || got[0][2] != 1e9 {
		t.Error("the other tensors changed")
	}
}

func TestHalfRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for dtype, want := range map[string]string{
		"F16":  "tensor fc8.bias: 70000 is not a number that F16 can hold",
		"BF16": "tensor fc8.bias: cannot be written as BF16; F32 and F16 can",
	} {
		big := tensor.Of("fc8.bias", []int{2}, []float32{1, 70000})
		big.DType = dtype
		if err := Write(files.OS, path, nil, []tensor.Tensor{big}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the file is there in spite of it")
		}
	}
}

// small is a file with something of everything.
func small(t *testing.T) []byte {
	return encoded(t, map[string]string{"step": "7", "config": "model:\n  columns: 2\n"}, []tensor.Tensor{
		tensor.Of("conv1.weight", []int{2, 3}, []float32{1, -0.5, 0, 3e-30, 7, 9}),
		tensor.Of("conv1.bias", []int{2}, []float32{1, 2}),
	})
}

// Every bit of a file counts, and every byte is needed.
func TestEveryFlippedBitAndTruncationIsFound(t *testing.T) {
	// The second file has nothing but the header that every file has.
	for name, whole := range map[string][]byte{"small": small(t), "empty": encoded(t, nil, nil)} {
		if _, _, err := readAll(whole); err != nil {
			t.Fatal(err)
		}
		b := bytes.Clone(whole)
		for i := range b {
			for bit := range 8 {
				b[i] ^= 1 << bit
				wantBad(t, fmt.Sprintf("%s: bit %d of byte %d of %d flipped", name, bit, i, len(b)), b)
				b[i] ^= 1 << bit
			}
		}
		for n := range whole {
			wantBad(t, fmt.Sprintf("%s: cut to %d bytes", name, n), whole[:n])
		}
		wantBad(t, name+": a byte more", append(b, 0))
	}
}

func wantBad(t *testing.T, what string, b []byte) {
	t.Helper()
	var bad *tensor.BadFile
	if _, _, err := readAll(b); !errors.As(err, &bad) || bad.Path != "f" || bad.Reason == "" || bad.Fault == 0 {
		t.Errorf("%s: error %v", what, err)
	}
}

// CRC-32C finds every error burst of up to 32 bits, and with these lengths any three flipped bits.
func TestBytesChangedAnyhowAreFound(t *testing.T) {
	whole := small(t)
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(whole)
		at := rapid.IntRange(0, len(b)-4).Draw(t, "at")
		with := rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "with")
		copy(b[at:], with)
		if bytes.Equal(b, whole) {
			t.Skip("nothing changed")
		}
		var bad *tensor.BadFile
		if _, _, err := readAll(b); !errors.As(err, &bad) {
			t.Errorf("error %v", err)
		}
	})
}

// foreign makes a file as another program would.
func foreign(header string, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestForeignFiles(t *testing.T) {
	b := foreign(
		`{"b":{"dtype":"BF16","shape":[2],"data_offsets":[24,28]},`+
			`"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},`+
			`"d":{"dtype":"F64","shape":[1,2],"data_offsets":[8,24]},"__metadata__":{"format":"pt"}}   `,
		0x00, 0x3c, 0x01, 0x80, 0x00, 0x7c, 0xff, 0xfb, // 1, -2^-24, Inf, -65504
		0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0, // 1.5, -2
		0x80, 0x3f, 0x49, 0xc0) // 1, -3.140625
	r, got, err := readAll(b)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]float32{{1, -3.140625}, {1, -1.0 / (1 << 24), float32(math.Inf(1)), -65504}, {1.5, -2}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if r.Meta["format"] != "pt" || r.Tensors[0].Name != "b" || r.Tensors[0].Offset != int64(len(b)-4) {
		t.Errorf("header %+v", r.Header)
	}
	ints := foreign(`{"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}`, 1, 0, 0, 0, 0, 0, 0, 0)
	if _, _, err := readAll(ints); err == nil || !strings.Contains(err.Error(), "of type I64") {
		t.Errorf("integers: %v", err)
	}
}

func TestBadHeaders(t *testing.T) {
	const ok = `"dtype":"F32","shape":[1],"data_offsets":[0,4]`
	for header, want := range map[string]string{
		``:                          "too few",
		`[]`:                        "does not begin as JSON object",
		`{"a":1}      `:             "a: ",
		`{"a":{` + ok + `}`:         "no safetensors header",
		`{"a":{` + ok + `},}`:       "no safetensors header",
		`{"a":{` + ok + `}}x`:       "1 bytes after its end",
		`{"a":{` + ok + `}}{}`:      "2 bytes after its end",
		`{"a":{` + ok + `},"a":{}}`: `"a" is there twice`,
		`{"__metadata__":{"a":1}}`:  "__metadata__: ",
		`{"a":{"dtype":"F32"}}`:     "without dtype, shape or data_offsets",
		`{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`: `unknown type ` +
			`"F31"`,
		`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`: "bytes 0 to 4 " +
			"for F32 of shape 2",
		`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[4,0]}}`: "negative " +
			"dimension",
		`{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}`: "negative " +
			"dimension",
		`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`: "too large",
		`{"a":{"dtype":"F32","shape":[9223372036854775807,2],"data_offsets":[0,4]}}`: "too large",
		`{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}`:  "a: ",
		`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`:                   "a: ",
		`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`: "begins at " +
			"byte 4, not 0",
		`{"a":{` + ok + `},"b":{` + ok + `}}`: "begins at " +
			"byte 0, not 4",
		`{"a":{` + ok + `},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`: "begins at " +
			"byte 8, not 4",
		`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`: "cut " +
			"short: tensor a",
		`{"a":{"dtype":"F32","shape":[2305843009213693951],"data_offsets":[0,9223372036854775804]}}`: "cut " +
			"short: tensor a",
		`{"__metadata__":{"crc32c.a":"00000000"},"a":{` + ok +
			`}}`: "not in its place",
		`{"__metadata__":{"crc32c":"00000000"},"a":{` + ok + `}}`: "the header is " +
			"damaged: its CRC32C",
		`{}`: "4 bytes after the last tensor",
	} {
		b := foreign(header, 1, 2, 3, 4)
		if header == "" {
			b = b[:9]
		}
		var bad *tensor.BadFile
		if _, _, err := readAll(b); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", header, err, want)
		}
	}
	long := foreign(`{}`)
	binary.LittleEndian.PutUint64(long, headerCap+1)
	if _, _, err := readAll(long); err == nil || !strings.Contains(err.Error(), "a header of 41943041 bytes") {
		t.Errorf("long header: %v", err)
	}
	binary.LittleEndian.PutUint64(long, 3)
	if _, _, err := readAll(long); err == nil || !strings.Contains(err.Error(), "cut short: 2 bytes of a header of 3") {
		t.Errorf("short file: %v", err)
	}
}

// A tensor that the header's checksum covers must have a checksum of its own.
func TestTensorWithoutChecksum(t *testing.T) {
	tensors := []tensor.Tensor{tensor.Of("a", []int{1}, []float32{1})}
	l, err := newLayout(nil, tensors)
	if err != nil {
		t.Fatal(err)
	}
	l.text = bytes.Replace(l.text, []byte(`"crc32c.a"`), []byte(`"crc32c.b"`), 1)
	var m atomicfile.Memory
	if err := encode(&m, l, tensors); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readAll(m.Bytes); err == nil || !strings.Contains(err.Error(), "tensor a has no checksum") {
		t.Errorf("error %v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	one := []float32{1}
	for want, c := range map[string]struct {
		meta    map[string]string
		tensors []tensor.Tensor
	}{
		"taken by the checksums": {meta: map[string]string{"crc32c.x": ""}},
		"metadata \"x\" is not":  {meta: map[string]string{"x": "\xff"}},
		"\"a\" is empty, not UTF-8": {
			tensors: []tensor.Tensor{tensor.Of("a", []int{1}, one), tensor.Of("a", []int{1}, one)},
		},
		"__metadata__":         {tensors: []tensor.Tensor{tensor.Of("__metadata__", []int{1}, one)}},
		"\"\" is empty":        {tensors: []tensor.Tensor{tensor.Of("", []int{1}, one)}},
		"negative":             {tensors: []tensor.Tensor{tensor.Of("a", []int{-1}, one)}},
		"1 values for shape 2": {tensors: []tensor.Tensor{tensor.Of("a", []int{2}, one)}},
		"device on fire": {tensors: []tensor.Tensor{{
			Name: "a", Shape: []int{1}, Fill: func([]float32) error { return errors.New("device on fire") },
		}}},
	} {
		path := filepath.Join(t.TempDir(), "f")
		err := Write(files.OS, path, c.meta, c.tensors)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want %q", err, want)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
			t.Errorf("%s: left behind: %v", want, left)
		}
	}
}

// Of several mistakes in the metadata it is always the same that is told.
func TestErrorsInOrder(t *testing.T) {
	meta := map[string]string{"checksum": "", "crc32c": "", "a": "\xff", "b": "\xff", "c": "\xff"}
	for range 50 {
		if _, err := Bytes(meta, nil); err == nil || !strings.Contains(err.Error(), `metadata "a"`) {
			t.Fatalf("error %v, want the first by name", err)
		}
	}
}

func TestOpenWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	var bad *tensor.BadFile
	if _, err := Open(files.OS, dir); !errors.As(err, &bad) || bad.Path != dir {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Open(files.OS, filepath.Join(dir, "no")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := Open(files.OS, os.DevNull); !errors.As(err, &bad) {
		t.Errorf("a device: %v", err)
	}
	f := filestest.New(files.OS)
	f.Fail("open", 0, syscall.EIO)
	if _, err := Open(f, "testdata/golden.safetensors"); !errors.Is(err, syscall.EIO) {
		t.Errorf("a store that fails: %v", err)
	}
}

// A file cut after it was opened is a bad file too, not a raw end of file.
func TestCutWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, small(t), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(path, r.Tensors[1].Offset+2); err != nil {
		t.Fatal(err)
	}
	var bad *tensor.BadFile
	if _, err := r.Tensor(1).Values(); !errors.As(err, &bad) || !strings.Contains(err.Error(), path+": cut short") {
		t.Errorf("error %v", err)
	}
}

func TestHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	a := tensor.Of("a", []int{2, 2}, make([]float32, 4))
	if err := Write(files.OS, path, map[string]string{"step": "3"}, []tensor.Tensor{a}); err != nil {
		t.Fatal(err)
	}
	h, err := Open(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if !reflect.DeepEqual(h.Meta, map[string]string{"step": "3"}) || len(h.Tensors) != 1 || h.Tensors[0].Len() != 4 ||
		h.Tensors[0].DType != "F32" {
		t.Errorf("header %+v", h)
	}
}

// Tensors longer than the buffer that they are written and read through.
func TestLongTensor(t *testing.T) {
	v := make([]float32, tensor.Chunk/4*2+3)
	for i := range v {
		v[i] = float32(i)
	}
	path := filepath.Join(t.TempDir(), "f")
	two := []tensor.Tensor{tensor.Of("a", []int{1}, v[:1]), tensor.Of("b", []int{len(v)}, v)}
	if err := Write(files.OS, path, nil, two); err != nil {
		t.Fatal(err)
	}
	r, err := Open(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := r.Tensor(1).Values()
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%d values came back (%v), %v..., want %d", len(got), err, got[:min(4, len(got))], len(v))
	}
}

// A tensor of any size is verified in blocks, and no longer than anybody waits for it.
func TestVerifyInBlocks(t *testing.T) {
	const bytes = 256 << 20
	path := filepath.Join(t.TempDir(), "f")
	head := foreign(fmt.Sprintf(`{"n":{"dtype":"I64","shape":[%d],"data_offsets":[0,%d]}}`, bytes/8, bytes))
	if err := os.WriteFile(path, head, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(head))+bytes); err != nil {
		t.Skip("no sparse files here: ", err)
	}
	r, err := Open(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = r.Verify(t.Context(), 0)
	runtime.ReadMemStats(&after)
	if asked := after.TotalAlloc - before.TotalAlloc; err != nil || asked > 4*tensor.Chunk {
		t.Errorf("%v, with %d KB", err, asked>>10)
	}
	ended, end := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	end(why)
	if err := r.Verify(ended, 0); !errors.Is(err, why) {
		t.Errorf("with an ended context: %v", err)
	}
	if err := os.Truncate(path, bytes); err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(t.Context(), 0); !errors.As(err, new(*tensor.BadFile)) {
		t.Errorf("cut while it is open: %v", err)
	}
}

// What is no file is not opened: a FIFO would wait for a writer.
func TestOpenPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip("no FIFOs here: ", err)
	}
	for _, path := range []string{pipe, os.DevNull, t.TempDir()} {
		done := make(chan error, 1)
		go func() {
			_, err := Open(files.OS, path)
			done <- err
		}()
		select {
		case err := <-done:
			var bad *tensor.BadFile
			if !errors.As(err, &bad) || bad.Reason != "not a regular file" || bad.Path != path {
				t.Errorf("%s: error %v", path, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s is still being opened", path)
		}
	}
}

// What is written can be read: the bounds of both are the same.
func TestBoundsOfWriting(t *testing.T) {
	long := strings.Repeat("x", maxName+1)
	many := make([]tensor.Tensor, maxTensors+1)
	for i := range many {
		many[i] = tensor.Of(fmt.Sprint(i), []int{0}, nil)
	}
	for want, c := range map[string]struct {
		meta    map[string]string
		tensors []tensor.Tensor
	}{
		"a key of 1025 bytes":  {meta: map[string]string{long: ""}},
		"a name of 1025 bytes": {tensors: []tensor.Tensor{tensor.Of(long, []int{0}, nil)}},
		"9 dimensions":         {tensors: []tensor.Tensor{tensor.Of("a", []int{0, 1, 1, 1, 1, 1, 1, 1, 1}, nil)}},
		"metadata of":          {meta: map[string]string{"a": strings.Repeat("x", maxMeta)}},
		"100001 tensors":       {tensors: many},
	} {
		if _, err := Bytes(c.meta, c.tensors); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	r, _, err := readAll(encoded(t, map[string]string{long[1:]: strings.Repeat("x", maxMeta/2)}, many[1:]))
	if err != nil || len(r.Tensors) != maxTensors {
		t.Errorf("as much as is written: %v", err)
	}
}

// Blocks gives all numbers of a tensor in pieces, ends with its context, and finds what is damaged.
func TestBlocks(t *testing.T) {
	v := make([]float32, tensor.Chunk/4*2+3)
	for i := range v {
		v[i] = float32(i)
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := Write(files.OS, path, nil, []tensor.Tensor{tensor.Of("a", []int{len(v)}, v)}); err != nil {
		t.Fatal(err)
	}
	blocks := func(ctx context.Context, do func(int, []float32)) error {
		r, err := Open(files.OS, path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		return r.Blocks(ctx, 0, do)
	}
	var got []float32
	size := 0
	err := blocks(t.Context(), func(n int, v []float32) { got, size = append(got, v...), size+n })
	if err != nil || !reflect.DeepEqual(got, v) || size != 4*len(v) {
		t.Errorf("%d values of %d bytes came back (%v), want %d", len(got), size, err, len(v))
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	if err := blocks(ctx, func(int, []float32) { calls++; cancel() }); !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("cancelled in the first block: %v after %d", err, calls)
	}
	b, err := os.ReadFile(path)
	if err == nil {
		b[len(b)-1] ^= 1
		err = os.WriteFile(path, b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := blocks(t.Context(), func(int, []float32) {}); !errors.As(err, new(*tensor.BadFile)) {
		t.Errorf("damaged: %v", err)
	}
}

// Whatever the bytes: no panic, only *tensor.BadFile; and what can be read can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add([]byte{})
	f.Add(foreign(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`, 1, 2, 3, 4))
	f.Add(foreign(`{"__metadata__":{"a":"b"},"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}`, 1, 2, 3, 4, 5, 6, 7,
		8))
	bias := tensor.Of("conv1.bias", []int{2}, []float32{1, 2})
	f.Add(encoded(f, map[string]string{"step": "1"}, []tensor.Tensor{bias}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, values, err := readAll(b)
		var bad *tensor.BadFile
		if err != nil {
			if !errors.As(err, &bad) {
				t.Fatalf("error %T %v", err, err)
			}
			return
		}
		if n := binary.LittleEndian.Uint64(b); !json.Valid(b[lengthSize:][:n]) {
			t.Errorf("the header is no JSON: %q", b[lengthSize:][:n])
		}
		var tensors []tensor.Tensor
		for i, info := range r.Tensors {
			if err := r.Verify(t.Context(), i); err != nil {
				t.Errorf("%s was read, and yet: %v", info.Name, err)
			}
			tensors = append(tensors, tensor.Of(info.Name, info.Shape, values[i]))
		}
		if _, err := newLayout(r.Meta, tensors); err != nil {
			return // names that others allow and we do not write
		}
		_, again, err := readAll(encoded(t, r.Meta, tensors))
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(again) != fmt.Sprint(values) { // NaN equals NaN in print
			t.Errorf("%v became %v", values, again)
		}
	})
}
