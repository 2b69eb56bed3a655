package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/files"
	"alexnet/internal/recipe"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
)

// example is a checkpoint with something in every field. scale tells the values of two checkpoints apart.
func example(scale float32) *Checkpoint {
	mean := make([]float32, 3*2*2)
	for i := range mean {
		mean[i] = 100 + float32(i)/3
	}
	times := func(v ...float32) []float32 {
		for i := range v {
			v[i] *= scale
		}
		return v
	}
	return &Checkpoint{
		Step: 1<<63 + 5, Sample: 1<<64 - 1, Seed: 42, Epoch: 3,
		Config:  []byte("# the paper's net\nmodel:\n  columns: 2 # \"quoted\" <tag> ü\n"),
		Classes: []string{"cat", "dög", `a "quoted", name`},
		Data:    Data{Path: "pictures/train set.tar", Fingerprint: "0123abcd"},
		Device:  "cpu,cpu", Threads: 8, Hardware: "a GPU", Algorithms: map[string]int{"0 conv1/0 forward": 1},
		Recipe: recipe.Recipe{
			Resize: 256, Height: 2, Width: 2, Crop: 1, Channels: 3, MeanKind: "image", Mean: mean, MeanShape: []int{
				3, 2, 2,
			},
			Scale: []float32{1, 0.5, 1.0 / 3}, Colors: recipe.Colors{
				Eigvec: [3][3]float64{{0.1, 1.0 / 3, -0.7}, {1, 2, 3}, {4, 5, 1e-300}},
				Stdev:  [3]float64{19.72, 37.09, 121.78},
			},
		},
		Dropout:  DropoutPaper,
		Schedule: json.RawMessage(`{"drops":1,"best":0.25}`),
		Best:     &Best{Step: 77, Epoch: 2, Top1Error: 1.0 / 3, Top5Error: 0.125, Loss: 1.75},
		Params: []tensor.Tensor{
			tensor.Of("conv1.weight", []int{2, 3, 1, 1}, times(1, 2, 3, 4, 5, 6)),
			tensor.Of("conv1.bias", []int{2}, times(7, 8)),
			tensor.Of("fc8.weight", []int{3, 2}, times(9, 10, 11, 12, 13, 14)),
			tensor.Of("fc8.bias", []int{3}, times(15, 16, 17)),
		},
		Momentum: []tensor.Tensor{
			tensor.Of("conv1.weight", []int{2, 3, 1, 1}, times(-1, -2, -3, -4, -5, -6)),
			tensor.Of("conv1.bias", []int{2}, times(-7, -8)), tensor.Of("fc8.weight", []int{3, 2},
				times(-9, -10, -11, -12, -13, -14)), tensor.Of("fc8.bias", []int{3}, times(-15, -16, -17)),
		},
	}
}

// plain is a checkpoint in a form that can be compared: tensors by name, as values.
func plain(t *testing.T, c *Checkpoint) any {
	t.Helper()
	type named struct {
		Name   string
		Shape  []int
		Values []float32
	}
	values := func(ts []tensor.Tensor) (out []named) {
		for _, x := range ts {
			v, err := x.Values()
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, named{x.Name, x.Shape, v})
		}
		return out
	}
	type tensors struct{ Params, Momentum []named }
	fields := *c
	fields.Path, fields.Params, fields.Momentum, fields.file, fields.sum = "", nil, nil, nil, ""
	return struct {
		Fields  Checkpoint
		Tensors tensors
	}{fields, tensors{values(c.Params), values(c.Momentum)}}
}

// TestSum: the same content has the same sum, wherever it lies; another number or another word gives another.
func TestSum(t *testing.T) {
	t.Parallel()
	sum := func(change func(*Checkpoint)) string {
		c := example(1)
		change(c)
		return loaded(t, saved(t, c)).Sum()
	}
	want := sum(func(*Checkpoint) {})
	if again := sum(func(*Checkpoint) {}); again != want || len(want) != 64 {
		t.Errorf("%q, and again %q", want, again)
	}
	weight := sum(func(c *Checkpoint) {
		c.Params[1] = tensor.Of(c.Params[1].Name, c.Params[1].Shape, []float32{7, 8.000001})
	})
	if word := sum(func(c *Checkpoint) { c.Classes[0] += "x" }); weight == want || word == want || word == weight {
		t.Errorf("%q; another weight %q; another class %q", want, weight, word)
	}
	if c := loaded(t, saved(t, example(1))).Compact("F32"); c.Sum() != "" {
		t.Error("what is in no file has the sum of one")
	}
}

func saved(t *testing.T, c *Checkpoint) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "last.safetensors")
	if err := Save(files.OS, path, c); err != nil {
		t.Fatal(err)
	}
	return path
}

func loaded(t *testing.T, path string) *Checkpoint {
	t.Helper()
	c, err := Load(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

var unexported = cmp.Exporter(func(reflect.Type) bool { return true })

func TestCheckpointRoundTrip(t *testing.T) {
	for name, c := range map[string]*Checkpoint{
		"full": example(1),
		"best": func() *Checkpoint { c := example(1); c.Momentum = nil; return c }(),
		"colour mean": func() *Checkpoint {
			c := example(1)
			c.Recipe.Mean, c.Recipe.MeanShape, c.Recipe.MeanKind = []float32{1, 2, 3}, []int{3}, "channel"
			return c
		}(),
		"just initialised": {Config: []byte("model: {}\n"), Dropout: DropoutPaper, Params: example(1).Params},
	} {
		got := loaded(t, saved(t, c))
		if diff := cmp.Diff(plain(t, c), plain(t, got), unexported); diff != "" {
			t.Errorf("%s: came back differently (-saved +loaded):\n%s", name, diff)
		}
	}
}

// A compact checkpoint is for use on any machine: what only the run needs is gone, all else is there, weights rounded
// to binary16.
func TestCompact(t *testing.T) {
	got := loaded(t, saved(t, loaded(t, saved(t, example(1.0/3))).Compact("F16")))
	want := example(1)
	want.Data.Path, want.Device, want.Threads, want.Schedule, want.Momentum = "", "", 0, nil, nil
	want.Hardware, want.Algorithms = "", nil
	for i := range want.Params {
		v, err := example(1.0 / 3).Params[i].Values()
		if err != nil {
			t.Fatal(err)
		}
		for j := range v {
			v[j] = rounded(v[j])
		}
		want.Params[i] = tensor.Of(want.Params[i].Name, want.Params[i].Shape, v)
	}
	if diff := cmp.Diff(plain(t, want), plain(t, got), unexported); diff != "" {
		t.Errorf("came back differently (-want +loaded):\n%s", diff)
	}
}

// rounded is the nearest number with the 11 significant bits of a binary16, x being in the range of its normal ones.
func rounded(x float32) float32 {
	frac, exp := math.Frexp(float64(x)) // frac is in [0.5, 1)
	return float32(math.Ldexp(math.RoundToEven(frac*(1<<11)), exp-11))
}

// A checkpoint is read from memory as from a file, damage included.
func TestLoadFrom(t *testing.T) {
	b, err := os.ReadFile(saved(t, example(1)))
	if err != nil {
		t.Fatal(err)
	}
	from := func(b []byte) (*Checkpoint, error) {
		r, err := safetensors.NewReader("built in", bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return nil, err
		}
		return LoadFrom(r)
	}
	c, err := from(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain(t, example(1)), plain(t, c), unexported); diff != "" || c.Path != "built in" ||
		c.Close() != nil {
		t.Errorf("%s: came back differently:\n%s", c.Path, diff)
	}
	b[len(b)-1] ^= 1
	if c, err = from(b); err == nil {
		_, err = c.Momentum[3].Values()
	}
	var bad *tensor.BadFile
	if !errors.As(err, &bad) || bad.Path != "built in" {
		t.Errorf("error %v", err)
	}
}

func TestSameCheckpointSameBytes(t *testing.T) {
	a, err1 := os.ReadFile(saved(t, example(1)))
	b, err2 := os.ReadFile(saved(t, example(1)))
	if err := errors.Join(err1, err2); err != nil || string(a) != string(b) {
		t.Errorf("two files of one checkpoint differ (%v)", err)
	}
}

// The bytes of a checkpoint do not change from version to version, and what was saved once can be read for good:
// testdata/full.safetensors is example(1), recorded, and not to be made again.
func TestRecordedBytes(t *testing.T) {
	const recorded = "testdata/full.safetensors"
	want, err1 := os.ReadFile(recorded)
	got, err2 := os.ReadFile(saved(t, example(1)))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("bytes differ:\ngot  %q\nwant %q", got, want)
	}
	if diff := cmp.Diff(plain(t, example(1)), plain(t, loaded(t, recorded)), unexported); diff != "" {
		t.Errorf("the recorded file reads differently (-want +loaded):\n%s", diff)
	}
}

// The names in the file are a promise to other programs.
func TestNamesInFile(t *testing.T) {
	h, err := safetensors.Open(files.OS, saved(t, example(1)))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var names []string
	for _, i := range h.Tensors {
		names = append(names, i.Name)
	}
	want := "preprocess.mean conv1.weight conv1.bias fc8.weight fc8.bias optim.conv1.weight optim.conv1.bias " +
		"optim.fc8.weight optim.fc8.bias"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("tensors %s\nwant    %s", got, want)
	}
	for k, want := range map[string]string{
		"format": "alexnet", "format_version": "1", "step": "9223372036854775813", "sample": "18446744073709551615",
		"seed": "42", "epoch": "3", "classes": `["cat","dög","a \"quoted\", name"]`,
		"data": `{"path":"pictures/train set.tar","fingerprint":"0123abcd"}`, "dropout": "paper",
		"device": "cpu,cpu", "threads": "8",
	} {
		if h.Meta[k] != want {
			t.Errorf("metadata %s is %q, want %q", k, h.Meta[k], want)
		}
	}
}

// TestNames: names of any bytes come back as they were, and a file without such names is the file that it always was.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		classes []string
		path    string
		escaped bool
	}{
		{[]string{"cat", "dög", "\ufffd", "a\nb"}, "/pictures", false},
		{[]string{"\xb9\xb7", "\xc3\xa8", "caf\xe9", "\x83\x5c"}, "/\xcd\xbc", true},
		{[]string{"\xb9", `\xb9`, "\ufffd"}, "/pictures", true},
		{[]string{"cat", "dog"}, `/a\b`, true},
		{nil, "", false},
	} {
		want := example(1)
		want.Classes, want.Data.Path = c.classes, c.path
		if c.path != "" {
			want.Data.More, want.Data.Labels = []string{c.path + "2", "/third"}, c.path
		}
		meta, err := want.meta()
		if err != nil {
			t.Fatal(err)
		}
		if got := meta[namesKey] == namesEscaped; got != c.escaped {
			t.Errorf("%q at %q: escaped: %v", c.classes, c.path, got)
		}
		got := loaded(t, saved(t, want))
		if !slices.Equal(got.Classes, c.classes) || got.Data.Path != c.path ||
			!slices.Equal(got.Data.More, want.Data.More) || got.Data.Labels != want.Data.Labels {
			t.Errorf("of %q at %q come %q at %q", c.classes, c.path, got.Classes, got.Data)
		}
	}
	older, err := example(1).meta() // it knew no escapes
	if err != nil {
		t.Fatal(err)
	}
	older["classes"] = `["a\\x41","b\\"]`
	var c Checkpoint
	if err := c.setMeta(older); err != nil || !slices.Equal(c.Classes, []string{`a\x41`, `b\`}) {
		t.Errorf("classes of an older file: %q (%v)", c.Classes, err)
	}
}

func TestSaveRefuses(t *testing.T) {
	for want, change := range map[string]func(*Checkpoint){
		"a mean of 12 numbers in shape 3x2": func(c *Checkpoint) {
			c.Recipe.MeanShape = []int{3, 2}
		},
		"a mean of 12 numbers in shape ()": func(c *Checkpoint) {
			c.Recipe.MeanShape = nil
		},
		"a mean of shape 12 for pictures of 3x2x2": func(c *Checkpoint) {
			c.Recipe.MeanShape = []int{12}
		},
		"cannot be named optim.x": func(c *Checkpoint) {
			c.Params[0].Name = "optim.x"
		},
		"cannot be named preprocess.mean": func(c *Checkpoint) {
			c.Params[0].Name = "preprocess.mean"
		},
		"schedule: ": func(c *Checkpoint) {
			c.Schedule = json.RawMessage(`{`)
		},
		"metadata \"config\" is not UTF-8": func(c *Checkpoint) {
			c.Config = []byte{0xff}
		},
		"tensor name \"conv1.weight\" is empty, not UTF-8, or used twice": func(c *Checkpoint) {
			c.Params[1] = c.Params[0]
		},
	} {
		c := example(1)
		change(c)
		path := filepath.Join(t.TempDir(), "f")
		if err := Save(files.OS, path, c); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want %q", err, want)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
			t.Errorf("%s: left behind: %v", want, left)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	good := func() map[string]string {
		meta, err := example(1).meta()
		if err != nil {
			t.Fatal(err)
		}
		return meta
	}
	mean := tensor.Of(meanTensor, []int{3, 2, 2}, example(1).Recipe.Mean)
	for want, change := range map[string]func(map[string]string){
		"not a checkpoint of this program": func(m map[string]string) { delete(m, "format") },
		"format version 2; this program reads": func(m map[string]string) {
			m["format_version"] = "2"
		},
		`metadata step is "many"`: func(m map[string]string) { m["step"] = "many" },
		`metadata sample is ""`:   func(m map[string]string) { delete(m, "sample") },
		`metadata epoch is "x"`:   func(m map[string]string) { m["epoch"] = "x" },
		"metadata classes: ": func(m map[string]string) {
			m["classes"] = "cat"
		},
		"metadata best: ":            func(m map[string]string) { m["best"] = "{" },
		`metadata names is "base64"`: func(m map[string]string) { m["names"] = "base64" },
		`metadata classes[1]: a\q: \q`: func(m map[string]string) {
			m["names"], m["classes"] = "escaped", `["b","a\\q"]`
		},
		`metadata data: a\: ends`: func(m map[string]string) {
			m["names"], m["data"] = "escaped", `{"path":"a\\"}`
		},
		"metadata preprocess: ": func(m map[string]string) {
			delete(m, "preprocess")
		},
		"preprocessing: a mean of shape 3x2x2 for pictures of 0x0x0": func(m map[string]string) {
			m["preprocess"] = "{}"
		},
	} {
		meta := good()
		change(meta)
		path := filepath.Join(t.TempDir(), "f.safetensors")
		if err := safetensors.Write(files.OS, path, meta, []tensor.Tensor{mean}); err != nil {
			t.Fatal(err)
		}
		_, err := Load(files.OS, path)
		var bad *tensor.BadFile
		var foreign *Foreign
		known := errors.As(err, &foreign) && foreign.Path == path ||
			errors.As(err, &bad) && bad.Path == path && bad.Fault == tensor.Corrupt
		if !known || !strings.Contains(err.Error(), want) || (foreign == nil) == (strings.HasSuffix(want, " program") ||
			strings.HasSuffix(want, " reads")) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// Of several mistakes it is always the same that is told: the first in the order of the fields, not of a map.
func TestErrorsInOrder(t *testing.T) {
	mean := tensor.Of(meanTensor, []int{3, 2, 2}, example(1).Recipe.Mean)
	fields := strings.Fields("step sample seed epoch threads classes data preprocess schedule best algorithms")
	for i, first := range fields {
		meta, err := example(1).meta()
		if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range fields[i:] {
			meta[wrong] = "?"
		}
		path := filepath.Join(t.TempDir(), "f.safetensors")
		if err := safetensors.Write(files.OS, path, meta, []tensor.Tensor{mean}); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, err := Load(files.OS, path); err == nil || !strings.Contains(err.Error(), "metadata "+first) {
				t.Fatalf("error %v, want %s first", err, first)
			}
		}
	}
	wrong := example(1)
	wrong.Recipe.Colors.Stdev[0], wrong.Schedule, wrong.Best.Loss = math.NaN(), json.RawMessage("{"), math.NaN()
	for range 50 {
		if _, err := wrong.meta(); err == nil || !strings.HasPrefix(err.Error(), "preprocess: ") {
			t.Fatalf("error %v, want preprocess first", err)
		}
	}
}

// net collects what Restore stores.
type net map[string][]float32

func (n net) slots(prefix string, of []tensor.Tensor) (s []Slot) {
	for _, t := range of {
		s = append(s, Slot{Name: t.Name, Shape: t.Shape, Store: func(src []float32) error {
			n[prefix+t.Name] = append([]float32{}, src...)
			return nil
		}})
	}
	return s
}

func TestRestore(t *testing.T) {
	c := loaded(t, saved(t, example(2)))
	n := net{}
	if err := c.Restore(n.slots("", c.Params), n.slots("v ", c.Momentum)); err != nil {
		t.Fatal(err)
	}
	want := net{
		"conv1.weight": {2, 4, 6, 8, 10, 12}, "conv1.bias": {14, 16}, "fc8.weight": {18, 20, 22, 24, 26, 28},
		"fc8.bias": {30, 32, 34}, "v conv1.weight": {-2, -4, -6, -8, -10, -12}, "v conv1.bias": {-14, -16},
		"v fc8.weight": {-18, -20, -22, -24, -26, -28}, "v fc8.bias": {-30, -32, -34},
	}
	if diff := cmp.Diff(want, n); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	n = net{}
	if err := c.Restore(n.slots("", c.Params), nil); err != nil || len(n) != 4 {
		t.Errorf("weights only: %d tensors, %v", len(n), err)
	}
	full := errors.New("device is full")
	slots := n.slots("", c.Params)
	slots[2].Store = func([]float32) error { return full }
	if err := c.Restore(slots, nil); !errors.Is(err, full) || !strings.Contains(err.Error(), "fc8.weight") {
		t.Errorf("error of Store became %v", err)
	}
}

func TestRestoreMismatch(t *testing.T) {
	momentless := example(1)
	momentless.Momentum = nil
	nameless := example(1)
	nameless.Classes = nil
	for name, c := range map[string]struct {
		file   *Checkpoint
		change func(params, momentum *[]Slot)
		want   []string
	}{
		"classes": {example(1), func(p, _ *[]Slot) { (*p)[2].Shape, (*p)[3].Shape = []int{10, 2}, []int{10} }, []string{
			"fc8.weight is 3x2 in the file and 10x2 in the net",
			"for 3 classes (cat, dög, a \"quoted\", name), this net for 10",
		}},
		"classes without names": {
			nameless, func(p, _ *[]Slot) { (*p)[3].Shape = []int{1} }, []string{
				"fc8.bias is 3 in the file and 1 in the net", "for 3 classes, this net for 1",
			},
		},
		"last layer's inputs": {
			example(1), func(p, _ *[]Slot) { (*p)[2].Shape = []int{3, 4} }, []string{
				"fc8.weight is 3x2 in the file and 3x4 in the net", "another net",
			},
		},
		"kernels": {example(1), func(p, _ *[]Slot) { (*p)[0].Shape = []int{4, 3, 1, 1} }, []string{
			"conv1.weight is 2x3x1x1 in the file and 4x3x1x1 in the net", "another net",
		}},
		"missing": {
			example(1), func(p, _ *[]Slot) { *p = append(*p, Slot{Name: "fc9.bias", Shape: []int{7}}) }, []string{
				"holds no fc9.bias, the net has one of 7", "another net",
			},
		},
		"one too many": {
			example(1), func(p, _ *[]Slot) { *p = (*p)[:3] }, []string{
				"holds fc8.bias of 3, the net has none", "another net",
			},
		},
		"no momentum": {
			momentless, func(_, _ *[]Slot) {}, []string{
				"holds no optim.conv1.weight", "no momentum in it",
			},
		},
		"other momentum": {
			example(1), func(_, v *[]Slot) {
				(*v)[1].Shape = []int{9}
			}, []string{"optim.conv1.bias is 2 in the file and 9 in the net"},
		},
	} {
		path := saved(t, c.file)
		n := net{}
		params, momentum := n.slots("", example(1).Params), n.slots("", example(1).Momentum)
		c.change(&params, &momentum)
		err := loaded(t, path).Restore(params, momentum)
		var m *Mismatch
		if !errors.As(err, &m) || m.Path != path || m.Tensor == "" {
			t.Errorf("%s: error %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", name, err, want)
			}
		}
		if len(n) != 0 {
			t.Errorf("%s: %d tensors stored in spite of it", name, len(n))
		}
	}
}

// A checkpoint that is replaced while it is open goes on giving its own tensors.
func TestReplacedWhileOpen(t *testing.T) {
	path := saved(t, example(1))
	c := loaded(t, path)
	if err := Save(files.OS, path, example(3)); err != nil {
		t.Fatal(err)
	}
	if v, err := c.Params[1].Values(); err != nil || v[0] != 7 {
		t.Errorf("open checkpoint gives %v, %v", v, err)
	}
	if v, err := loaded(t, path).Params[1].Values(); err != nil || v[0] != 21 {
		t.Errorf("new checkpoint gives %v, %v", v, err)
	}
}

func TestDamagedTensorIsFoundByRestore(t *testing.T) {
	path := saved(t, example(1))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 0x40 // the last number of optim.fc8.bias
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	c := loaded(t, path)
	n := net{}
	var bad *tensor.BadFile
	err = c.Restore(n.slots("", c.Params), n.slots("v ", c.Momentum))
	if !errors.As(err, &bad) || bad.Path != path || !strings.Contains(err.Error(), "tensor optim.fc8.bias is damaged") {
		t.Errorf("error %v", err)
	}
}

// memory is a file in memory.
type memory []byte

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(*m) {
		*m = append(*m, make([]byte, need-len(*m))...)
	}
	return copy((*m)[off:], p), nil
}

// Whatever stands in the metadata of a file with right checksums: no panic, only *tensor.BadFile and *Foreign.
func FuzzLoad(f *testing.F) {
	meta, err := example(1).meta()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(meta["format_version"], meta["step"], meta["epoch"], meta["classes"], meta["preprocess"], meta["schedule"],
		meta["best"])
	f.Add("1", "0", "-1", "null", `{"channels":3,"height":2,"width":2}`, "null", "null")
	f.Add("2", "", "x", "[1]", "{", "", "[]")
	mean := tensor.Of(meanTensor, []int{3, 2, 2}, example(1).Recipe.Mean)
	f.Fuzz(func(t *testing.T, version, step, epoch, classes, preprocess, schedule, best string) {
		for k, v := range map[string]string{
			"format_version": version, "step": step, "epoch": epoch, "classes": classes,
			"preprocess": preprocess, "schedule": schedule, "best": best,
		} {
			if meta[k] = v; !utf8.ValidString(v) {
				t.Skip("cannot be written")
			}
		}
		var b memory
		if err := safetensors.Encode(&b, meta, []tensor.Tensor{mean}); err != nil {
			t.Fatal(err)
		}
		r, err := safetensors.NewReader("f", bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		c, err := LoadFrom(r)
		if err != nil {
			if !errors.As(err, new(*tensor.BadFile)) && !errors.As(err, new(*Foreign)) {
				t.Fatalf("error %T %v", err, err)
			}
			return
		}
		if _, err := c.meta(); err != nil {
			t.Errorf("loaded, but cannot be saved: %v", err)
		}
	})
}

// TestDropoutForms: weights for the paper's form of dropout are taken, and those of files from before it was written.
func TestDropoutForms(t *testing.T) {
	for form, fine := range map[string]bool{"": true, DropoutPaper: true, "inverted": false} {
		err := (&Checkpoint{Path: "f", Dropout: form}).CheckDropout()
		var other *DropoutError
		if fine != (err == nil) || !fine && (!errors.As(err, &other) || other.Path != "f" || other.Form != form) {
			t.Errorf("%q: %v", form, err)
		}
	}
}
