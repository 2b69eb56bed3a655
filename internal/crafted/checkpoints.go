package crafted

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"strings"
)

// File is a file that is refused.
type File struct {
	Name  string
	Bytes func() []byte // made when they are wanted: some are many
	// At is what refuses it: opening it, as any command does; using the net, as eval and predict do; or going on with
	// the run.
	At   Stage
	Want string // part of the error
}

// Stage is how far a file gets.
type Stage int

// The stages.
const (
	Opened Stage = iota
	Used
	Resumed
)

// Tensor is an array of float32 in a file, all the same number.
type Tensor struct {
	Name  string
	Shape []int
	Value float32
}

func (t *Tensor) len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Safetensors is a file as this program writes them, checksums included, with any metadata.
func Safetensors(meta map[string]string, tensors []Tensor) []byte {
	var data []byte
	var sums []uint32
	for _, t := range tensors {
		begin := len(data)
		for range t.len() {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(t.Value))
		}
		sums = append(sums, crc32.Checksum(data[begin:], castagnoli))
	}
	return append(head(meta, tensors, sums), data...)
}

// Sparse is what stands before the tensors of such a file, and the size of the whole. The checksums of the tensors are
// wrong, that of the header is right: for tensors that are too large to be read.
func Sparse(meta map[string]string, tensors []Tensor) (begins []byte, size int64) {
	begins = head(meta, tensors, make([]uint32, len(tensors)))
	size = int64(len(begins))
	for _, t := range tensors {
		size += 4 * int64(t.len())
	}
	return begins, size
}

func head(meta map[string]string, tensors []Tensor, crcs []uint32) []byte {
	var entries, sums strings.Builder
	begin := 0
	for i, t := range tensors {
		end := begin + 4*t.len()
		fmt.Fprintf(&entries, `,%s:{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, quote(t.Name),
			quote(append([]int{}, t.Shape...)), begin, end)
		fmt.Fprintf(&sums, `,%s:"%08x"`, quote("crc32c."+t.Name), crcs[i])
		begin = end
	}
	const opening, zero = `{"__metadata__":{"crc32c":"`, "00000000"
	var h strings.Builder
	h.WriteString(opening + zero + `"`)
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		h.WriteString("," + quote(k) + ":" + quote(meta[k]))
	}
	h.WriteString(sums.String() + "}" + entries.String() + "}")
	h.WriteString(strings.Repeat(" ", (8-h.Len()%8)%8))
	text := append(binary.LittleEndian.AppendUint64(nil, uint64(h.Len())), h.String()...)
	copy(text[8+len(opening):], fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)))
	return text
}

// Header is a file of any header, without checksums, as other programs write them.
func Header(json string, data ...byte) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(json))), json...), data...)
}

func quote(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and whole numbers
	}
	return string(text)
}

// SoundMeta is the metadata of a checkpoint of SoundPage's net, trained for an epoch of 16 pictures in batches of 8.
func SoundMeta() map[string]string {
	return map[string]string{
		"format": "alexnet", "format_version": "1", "step": "2", "sample": "16", "seed": "1", "epoch": "1",
		"config": string(SoundPage()), "dropout": "paper", "classes": `["cat","dog"]`, "device": "cpu", "threads": "1",
		"data": `{"path":"/nowhere/pictures","fingerprint":"00000000000000000000000000000000"}`,
		"preprocess": `{"resize":8,"height":8,"width":8,"crop":8,"channels":3,"mean":"channel",` +
			`"eigvec":[[1,0,0],[0,1,0],[0,0,1]],"stdev":[1,1,1]}`,
		"schedule": `{"validated":1,"validated_at":2,"seen":1,"lowest":0.5}`,
		"best":     `{"step":2,"epoch":1,"top1_error":0.5,"top5_error":0,"loss":0.7}`,
	}
}

// SoundTensors are those of that checkpoint: mean, parameters, momentum.
func SoundTensors() []Tensor {
	all := []Tensor{
		{"preprocess.mean", []int{3}, 128},
		{"conv1.weight", []int{4, 3, 3, 3}, 0.01},
		{"conv1.bias", []int{4}, 0},
		{"fc2.weight", []int{2, 36}, 0.01},
		{"fc2.bias", []int{2}, 0},
	}
	for _, t := range all[1:] {
		all = append(all, Tensor{"optim." + t.Name, t.Shape, 0})
	}
	return all
}

// SoundCheckpoint is a checkpoint that is taken.
func SoundCheckpoint() []byte { return Safetensors(SoundMeta(), SoundTensors()) }

// Checkpoints are checkpoints whose checksums agree, with something in them that must not be believed, and safetensors
// files whose header is made to hurt.
func Checkpoints() []File {
	var all []File
	add := func(at Stage, name, want string, bytes func() []byte) {
		all = append(all, File{Name: name, Bytes: bytes, At: at, Want: want})
	}
	meta := func(at Stage, key, value, want string) {
		name := key + "=" + value
		if len(name) > 100 {
			name = fmt.Sprintf("%s=%s... (%d bytes)", key, value[:40], len(value))
		}
		add(at, name, want, func() []byte {
			m := SoundMeta()
			m[key] = value
			return Safetensors(m, SoundTensors())
		})
	}
	part := func(at Stage, key, from, to, want string) {
		value := strings.Replace(SoundMeta()[key], from, to, 1)
		if value == SoundMeta()[key] {
			panic(key + " has no " + from)
		}
		meta(at, key, value, want)
	}
	// Numbers of their own.
	const huge = "18446744073709551616" // 2^64
	for _, key := range []string{"step", "sample", "seed"} {
		for _, v := range []string{"-1", huge, "1e3", "NaN", "", "0x10", " 1"} {
			meta(Opened, key, v, "metadata "+key)
		}
	}
	meta(Opened, "step", "17", "metadata sample is 16, want at least")
	for key, values := range map[string][]string{
		"epoch": {"-1", "1000001", huge, "9223372036854775807", "x"}, "threads": {"-1", "65537", "9223372036854775807"},
		"format_version": {"2", "-1"}, "format": {"", "pt"},
	} {
		for _, v := range values {
			meta(Opened, key, v, map[string]string{
				"epoch": "metadata epoch", "threads": "metadata threads", "format_version": "version",
				"format": "not a checkpoint",
			}[key])
		}
	}
	// The recipe.
	for _, v := range [][2]string{
		{`"resize":8`, `"resize":2147483648`},
		{`"resize":8`, `"resize":1099511627776`},
		{`"resize":8`, `"resize":9223372036854775807`},
		{`"resize":8`, `"resize":9223372036854775808`},
		{`"resize":8`, `"resize":-1`},
		{`"resize":8`, `"resize":4097`},
		{`"resize":8`, `"resize":1e3`},
		{`"height":8`, `"height":-8`},
		{`"height":8`, `"height":4294967296`},
		{`"height":8`, `"height":0`},
		{`"width":8`, `"width":100000000`},
		{`"height":8,"width":8`, `"height":4294967296,"width":4294967296`},
		{`"crop":8`, `"crop":9`},
		{`"crop":8`, `"crop":-1`},
		{`"channels":3`, `"channels":0`},
		{`"channels":3`, `"channels":4`},
		{`"channels":3`, `"channels":2147483647`},
		{`"channels":3`, `"channels":1`}, // the mean has three
		{`"mean":"channel"`, `"mean":"median"`},
		{`"mean":"channel"`, `"mean":"channel","scale":[1]`},
		{`"mean":"channel"`, `"mean":"channel","scale":[1,1,0]`},
		{`"mean":"channel"`, `"mean":"channel","scale":[1,1,-1]`},
		{`"mean":"channel"`, `"mean":"channel","scale":[1,1,1e38]`},
		{`"mean":"channel"`, `"mean":"channel","scale":[1,1,1e39]`},
		{`[1,0,0]`, `[1e300,0,0]`},
		{`[1,0,0]`, `[1e400,0,0]`},
		{`"stdev":[1,1,1]`, `"stdev":[-1,1,1]`},
		{`"stdev":[1,1,1]`, `"stdev":[1,1,1e300]`},
	} {
		part(Opened, "preprocess", v[0], v[1], "preprocess")
	}
	part(Used, "preprocess", `"height":8,"width":8,"crop":8`, `"height":9,"width":9,"crop":8`, "data.resize")
	part(Used, "preprocess", `"resize":8,"height":8,"width":8,"crop":8`, `"resize":7,"height":7,"width":7,"crop":7`,
		"8x8")
	// Scores and places.
	for _, v := range [][2]string{
		{`"top1_error":0.5`, `"top1_error":-0.1`},
		{`"top1_error":0.5`, `"top1_error":1.5`},
		{`"top5_error":0`, `"top5_error":1e308`},
		{`"loss":0.7`, `"loss":-1`},
		{`"loss":0.7`, `"loss":1e999`},
		{`"loss":0.7`, `"loss":NaN`},
		{`"epoch":1`, `"epoch":-1`},
		{`"epoch":1`, `"epoch":9223372036854775807`},
		{`"step":2`, `"step":-1`},
	} {
		part(Opened, "best", v[0], v[1], "best")
	}
	part(Opened, "data", "/nowhere", strings.Repeat("/x", 20_000), "data.path")
	for _, v := range [][2]string{
		{"data.more[1]", `"more":["/a","` + strings.Repeat("/x", 20_000) + `"]`},
		{"data.labels", `"labels":"` + strings.Repeat("/x", 20_000) + `"`},
	} {
		part(Opened, "data", `"fingerprint"`, v[1]+`,"fingerprint"`, v[0])
	}
	// The state of the schedule.
	for _, v := range [][2]string{
		{`"validated":1`, `"validated":-1`},
		{`"validated":1`, `"validated":9223372036854775807`},
		{`"validated":1`, `"validated":1000001`},
		{`"validated":1`, `"validated":2`}, // the sample is that of the first epoch's end
		{`"validated_at":2`, `"validated_at":3`},
		{`"seen":1`, `"seen":-1`},
		{`"seen":1`, `"seen":1000001`},
		{`"lowest":0.5`, `"lowest":-1`},
		{`"lowest":0.5`, `"lowest":1e308`},
		{`"lowest":0.5`, `"lowest":0.5,"since":-1`},
		{`"lowest":0.5`, `"lowest":0.5,"since":2`},
		{`"lowest":0.5`, `"lowest":0.5,"drops":2147483647`},
		{`"lowest":0.5`, `"lowest":0.5,"drops":-1`},
		{`"lowest":0.5`, `"lowest":0.5,"epoch_loss":-1`},
		{`"lowest":0.5`, `"lowest":0.5,"epoch_pictures":-1`},
		{`"lowest":0.5`, `"lowest":0.5,"epoch_pictures":9223372036854775807`},
		{`"lowest":0.5`, `"lowest":0.5,"start":{"from":3,"to":2,"sum":1,"steps":1}`},
		{`"lowest":0.5`, `"lowest":0.5,"start":{"from":0,"to":8,"sum":1,"steps":-1}`},
		{`"lowest":0.5`, `"lowest":0.5,"high":-1`},
		{`"lowest":0.5`, `"lowest":0.5,"high":51`},
		{`"lowest":0.5`, `"lowest":0.5,"steps":-1`},
		{`"lowest":0.5`, `"lowest":0.5,"steps":1`}, // it has taken two
		{`"lowest":0.5`, `"lowest":0.5,"steps":9223372036854775808`},
		{`"lowest":0.5`, `"lowest":0.5,"last":{"images":-1,"top1_error":0,"top5_error":0,"loss":0}`},
		{`"lowest":0.5`, `"lowest":0.5,"last":{"images":1,"top1_error":2,"top5_error":0,"loss":0}`},
		{`"lowest":0.5`, `"lowest":0.5,"last":{"images":1,"top1_error":0,"top5_error":0,"loss":-1}`},
	} {
		part(Resumed, "schedule", v[0], v[1], "schedule")
	}
	// JSON that nests, and what is not the kind that is wanted.
	for _, key := range []string{"classes", "data", "preprocess", "schedule", "best", "algorithms"} {
		meta(Opened, key, strings.Repeat("[", 500_000), "metadata "+key)
		meta(Opened, key, strings.Repeat(`{"a":`, 20_000)+"1"+strings.Repeat("}", 20_000), "metadata "+key)
		meta(Opened, key, "?", "metadata "+key)
		if key != "classes" {
			meta(Opened, key, `"`+strings.Repeat("x", 2<<20)+`"`, "metadata "+key)
		}
	}
	meta(Opened, "classes", `["`+strings.Repeat("x", 5000)+`"]`, "classes[0]")
	meta(Opened, "classes", "["+strings.Repeat(`"",`, 1<<20)+`""]`, "metadata classes")
	meta(Used, "classes", `["a","b","c"]`, "fc2")
	// Its page.
	for _, p := range Pages() {
		if strings.HasPrefix(p.Name, "a million") || strings.Contains(p.Name, "resize") || len(p.YAML) < 2000 {
			meta(Used, "config", string(p.YAML), "its configuration: ")
		}
	}
	meta(Used, "config", "", "its configuration: ")
	meta(Used, "config", strings.Replace(string(SoundPage()), "kernels: 4", "kernels: 8", 1), "another net")
	meta(Used, "config", strings.Replace(string(SoundPage()), "kernels: 4, size: 3",
		"kernels: 1048576, size: 4096, pad: 4096", 1), "its configuration: ")
	meta(Used, "config", strings.Replace(string(SoundPage()), "{name: fc2",
		"{name: fc1, kind: fc, units: 4000000}, {name: fc2", 1), "holds no fc1.weight")
	// Tensors.
	tensors := func(at Stage, name, want string, change func([]Tensor) []Tensor) {
		add(at, name, want, func() []byte { return Safetensors(SoundMeta(), change(SoundTensors())) })
	}
	tensors(Opened, "a mean of another shape", "a mean of shape 4", func(t []Tensor) []Tensor {
		t[0].Shape = []int{4}
		return t
	})
	tensors(Opened, "a mean that is infinite", "the mean has", func(t []Tensor) []Tensor {
		t[0].Value = float32(math.Inf(1))
		return t
	})
	tensors(Used, "a bias of another shape", "conv1.bias is 5 in the file", func(t []Tensor) []Tensor {
		t[2].Shape = []int{5}
		return t
	})
	tensors(Used, "without parameters", "holds no conv1.weight", func(t []Tensor) []Tensor { return t[:1] })
	tensors(Resumed, "without momentum", "no momentum", func(t []Tensor) []Tensor { return t[:5] })
	return append(all, headers()...)
}

// headers are safetensors files whose header is made to hurt.
func headers() []File {
	var all []File
	add := func(name, want string, bytes func() []byte) {
		all = append(all, File{Name: name, Bytes: bytes, Want: want})
	}
	header := func(name, want string, json func() string) {
		add(name, want, func() []byte { return Header(json()) })
	}
	for _, n := range []uint64{3, 40<<20 + 1, 100<<20 + 1, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		want := "a header of"
		add(fmt.Sprintf("a header of %d bytes, it says", n), want, func() []byte {
			return append(binary.LittleEndian.AppendUint64(nil, n), "{}"...)
		})
	}
	header("metadata of 17 MB", "__metadata__: ", func() string {
		return `{"__metadata__":{"a":"` + strings.Repeat("x", 17<<20) + `"}}`
	})
	header("200,000 keys of metadata", "more than 110000 keys", func() string {
		var b strings.Builder
		b.WriteString(`{"__metadata__":{"a":""`)
		for i := range 200_000 {
			fmt.Fprintf(&b, `,"%d":""`, i)
		}
		return b.String() + "}}"
	})
	header("100,001 tensors", "more than 100000 tensors", func() string {
		var b strings.Builder
		b.WriteString(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`)
		for i := range 100_001 {
			fmt.Fprintf(&b, `,"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`, i)
		}
		return b.String() + "}"
	})
	entry := func(name, want, json string) { header(name, want, func() string { return json }) }
	const f32 = `"dtype":"F32","shape":[0],"data_offsets":[0,0]`
	entry("a tensor's name of 1 MB", "a name of 1000000 bytes", `{"`+strings.Repeat("x", 1_000_000)+`":{`+f32+`}}`)
	entry("9 dimensions", "9 dimensions", `{"a":{"dtype":"F32","shape":[0,1,1,1,1,1,1,1,1],"data_offsets":[0,0]}}`)
	entry("a million dimensions", "an entry of", `{"a":{"dtype":"F32","shape":[`+strings.Repeat("1,", 1_000_000)+
		`1],"data_offsets":[0,4]}}`)
	entry("a shape of 2^64", "too large", `{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`)
	entry("a shape of 2^64 and 0", "too large",
		`{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`)
	entry("a negative dimension", "negative", `{"a":{"dtype":"F32","shape":[-1,-4],"data_offsets":[0,16]}}`)
	entry("offsets that fall", "bytes 8 to 4", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}`)
	entry("negative offsets", "bytes -4 to 0", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`)
	entry("a tensor beyond the end", "cut short", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`)
	entry("two tensors in one place", "begins at byte 0",
		`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}} `)
	all[len(all)-1].Bytes = func() []byte {
		return Header(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},`+
			`"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}} `, 0)
	}
	entry("a million brackets", "no safetensors header", strings.Repeat("[", 1_000_000))
	entry("a million brackets in a tensor", "no safetensors header", `{"a":`+strings.Repeat("[", 1_000_000))
	entry("a million brackets in the metadata", "no safetensors header",
		`{"__metadata__":{"a":`+strings.Repeat("[", 500_000)+strings.Repeat("]", 500_000)+"}}")
	entry("a name there twice", "twice", `{"a":{`+f32+`},"a":{`+f32+`}}`)
	return all
}
